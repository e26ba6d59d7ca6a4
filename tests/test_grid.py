"""Grids of runs: what becomes of runs that fail, and of those that are there already."""

import shutil
import sys

import pytest

from experiments.grid import Grid, folder, launch, run
from tiny import TINY


def test_variants_share_the_settings_of_their_grid():
    grid = Grid("a=1 b=2", plain="", more="c=3")
    assert grid == {"plain": ["a=1", "b=2"], "more": ["a=1", "b=2", "c=3"]}
    assert folder("multicell, k=2") == "multicell-k-2"


def test_a_run_that_fails_is_named_by_what_it_says(tmp_path, monkeypatch):
    assert "data.side is 5" in str(launch(tmp_path / "wrong", [*TINY, "data.side=5"]))
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert launch(tmp_path / "killed", []) == "ended with code 1 and said nothing"


def test_a_grid_launches_what_is_missing_and_names_what_is_unknown(tmp_path, monkeypatch, capsys):
    grids = {
        "tiny": Grid(
            " ".join(word for word in TINY if "progress" not in word and "threads" not in word),
            one="steps=1",
            bad="steps=0",
        )
    }
    monkeypatch.setattr(sys, "argv", ["grid", "tiny", "--seeds", "3", "--workers", "1"])
    _, paths = run(grids, tmp_path, "experiments.tiny", None)
    assert (paths["one"][0] / "summary.json").exists()
    assert "2/2 bad-seed3: error: steps is 0" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["grid", "tiny", "--only", "none", "--table"])
    with pytest.raises(ValueError, match="--only names 'none'; allowed: one, bad"):
        run(grids, tmp_path, "experiments.tiny", None)
