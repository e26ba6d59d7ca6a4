"""No command imports what lies in the current folder, but for a class that the user names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memhrm.__main__ import COMMANDS
from memhrm.config.command import user_path
from pages import fading
from tiny import TINY

ROOT = Path(__file__).parents[2]
PLANTED = """
    argparse ast copy csv dataclasses difflib hashlib inspect json logging pickle platform random shlex shutil
    signal socket statistics subprocess tempfile textwrap traceback typing unittest uuid zipfile
    antlr4 einops huggingface_hub hydra jinja2 matplotlib numpy omegaconf safetensors scipy sitecustomize
    sklearn sympy torch tqdm triton wandb xformers yaml
""".split()  # noqa: SIM905 (read as a list of words)


@pytest.fixture
def trap(tmp_path) -> Path:
    """A folder in which files lie that have the names of modules, and tell if one is imported."""
    said = "import pathlib; pathlib.Path('imported.txt').open('a').write(__name__ + '\\n')\n"
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(said)
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins/plugin.py").write_text(said)
    return tmp_path


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess:
    """Run Python in a folder, without the caches of compiled files."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


FAR = {  # As far as each gets where nothing is: most imports are done by then.
    "train": ["steps=1", "data.path=nowhere", "device=cpu", "logger=wandb"],
    "evaluate": ["run=nowhere"],
    "probe": ["run=nowhere"],
    "compare": ["nowhere"],
    "export": ["run=nowhere"],
    "prune": ["run=nowhere", "keep=1"],
    "transfer": ["export", "run=nowhere"],
    "data": ["inspect", "sudoku4", "train_size=5"],
    "bench": ["model=none"],
    "parity": ["nowhere.npz"],
}


USUAL = ("evaluate",)
"""The commands that are always tried; the others are variations."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.thorough) for name in COMMANDS]
)
def test_files_beside_the_user_are_not_imported(name, trap):
    done = run(trap, "-m", f"memhrm.{name}", *FAR.get(name, ["run=nowhere"]))
    assert "Traceback" not in done.stderr, done.stderr
    assert not (trap / "imported.txt").exists(), (trap / "imported.txt").read_text()


@pytest.mark.thorough
def test_whole_run_beside_traps(trap):
    done = run(trap, "-m", "memhrm", "train", *TINY, "dir=run", "steps=2")
    assert done.returncode == 0, done.stderr
    assert not (trap / "imported.txt").exists(), (trap / "imported.txt").read_text()
    assert (trap / "run/summary.json").exists()


def test_the_trap_works(trap):
    done = run(trap, "-c", "import yaml")
    assert done.returncode == 0 and (trap / "imported.txt").read_text() == "yaml\n"


def test_a_class_that_the_user_names_is_found_but_takes_no_other_place(tmp_path):
    code, config, _ = fading()
    (tmp_path / "fading.py").write_text(code)
    (tmp_path / "einops.py").write_text("raise SystemExit('imported')")
    (tmp_path / "my/memory").mkdir(parents=True)
    (tmp_path / "my/memory/fading.yaml").write_text(config)
    words = ["--config-dir", "my", "+memory=fading", "dir=run", "steps=1"]
    tiny = [word for word in TINY if not word.startswith(("model=", "model.H_cycles"))]
    done = run(tmp_path, "-m", "memhrm.train", *tiny, *words)
    assert done.returncode == 0, done.stderr
    outside = "import sys, memhrm.config.command as c; print(sys.path[0] == ''); import fading"
    assert run(tmp_path, "-c", outside).stdout == "True\n"


def test_programs_and_checkouts_keep_their_path(tmp_path):
    """Only `python -m memhrm...` changes it; where memhrm itself lies there, children still find it."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("import memhrm")
    (tmp_path / "mine/__main__.py").write_text("import sys, os; print(sys.path[0] == os.getcwd())")
    (tmp_path / "script.py").write_text("import memhrm, sys, os; print(sys.path[0] == os.getcwd())")
    for words in (["-m", "mine", "memhrm"], ["script.py"]):
        assert run(tmp_path, *words).stdout == "True\n"
    code = (
        "import sys, os, runpy\n"
        "from memhrm import _leave_current_folder as leave\n"
        "sys.path[:1] = [os.getcwd()]; sys.argv = ['-m', 'a=1']\n"
        "sys.orig_argv = ['python', '-X', 'dev', sys.argv.pop() and MODULE]\n"
        "leave(); print(sys.path[0] == os.getcwd(), os.getcwd() in sys.path)"
    )
    for module, first in (("memhrm.train", False), ("-mmemhrm", False), ("other", True)):
        said = run(ROOT, "-c", code.replace("MODULE", repr(module)), PYTHONPATH="").stdout
        assert said == f"{first} True\n", module


def test_user_path_is_last_and_goes_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/a", "/b"])
    with user_path():
        assert sys.path == ["/a", "/b", str(tmp_path)]
    assert sys.path == ["/a", "/b"]
    monkeypatch.setattr(sys, "path", ["", "/a"])
    with user_path():
        assert sys.path == ["", "/a"]
