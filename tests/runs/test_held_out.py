"""No scored puzzle was trained on or used to choose the checkpoint, whatever the settings."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from memhrm import evaluate, export
from memhrm.config.settings import SettingWarning
from memhrm.data import load
from memhrm.runs import checkpoint
from memhrm.runs.build import make_dataset
from memhrm.runs.held_out import scored, split
from memhrm.weights.restore import from_run
from tiny import call, command_line, train

SHORT = ("steps=2", "eval_every=2")
RECALL = (
    *("data=recall", "data.lengths=[2]", "data.test_length=3", "data.test_episodes=12", "validation_size=4"),
    *("halting.halt_max_steps=1", "loss.kind=softmax"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function that trains a run with some settings once, and returns its directory."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def make(*changes: str) -> Path:
        if changes not in made:
            made[changes] = folder / str(len(made))
            assert train(made[changes], *SHORT, *changes) == 0
        return made[changes]

    return make


def score(run: Path, *changes: str) -> dict:
    out = run / "scores.json"
    words = (f"run={run}", f"out={out}", "overwrite=true", "progress=false", *changes)
    assert command_line("evaluate", evaluate.main, *words) == 0
    return json.loads(out.read_text())


def known(run: Path) -> tuple[np.ndarray, np.ndarray]:
    used = from_run(run).used
    return used.trained, used.chosen


def identities_of_scored(run: Path, **other) -> np.ndarray:
    restored = from_run(run)
    found = scored(restored.run, restored.used, restored.content["data"], other)
    inputs, labels = found.episodes.inputs[:, 0], found.episodes.labels[:, 0]
    return found.dataset.task.identities(
        inputs.reshape(-1, inputs.shape[-1]), labels.reshape(-1, labels.shape[-1])
    )


def test_a_run_knows_what_it_was_trained_on_and_what_chose_its_checkpoint(runs):
    run = runs()
    trained, chosen = known(run)
    restored = from_run(run)
    dataset = make_dataset(restored.run)
    assert len(trained) == len(dataset.train) and len(chosen) == 10
    assert not np.isin(identities_of_scored(run), np.concatenate((trained, chosen))).any()


def test_another_size_of_the_test_set_scores_no_trained_puzzle(runs, capsys):
    """Of 2,236 puzzles, the run was trained on 2,216, and 10 chose the checkpoint."""
    run = runs()
    capsys.readouterr()
    found = score(run, "data.test_size=2200")
    assert found["left_out"] + found["puzzles"] == 2200 and found["puzzles"] <= 10
    assert "left out 2,190 of 2,200 test puzzles" in capsys.readouterr().err
    trained, chosen = known(run)
    assert not np.isin(identities_of_scored(run, test_size=2200), np.union1d(trained, chosen)).any()


def test_recall_and_its_validation_episodes_likewise(runs):
    run = runs(*RECALL)
    trained, chosen = known(run)
    assert len(chosen) > 0 and not np.isin(chosen, trained).any()
    for other in ({}, {"test_size": 3000}, {"test_episodes": 30}, {"test_length": 6}):
        assert not np.isin(identities_of_scored(run, **other), np.union1d(trained, chosen)).any(), other


def test_episodes_that_choose_nothing_are_drawn_from_all_test_puzzles(runs):
    """The scores then equal those of older runs."""
    run = runs(*RECALL, "eval_every=0")
    restored = from_run(run)
    dataset = make_dataset(restored.run)
    validation, test = split(restored.run, dataset)
    whole = dataset.held_out()
    np.testing.assert_array_equal(test.inputs, whole.inputs[:8])
    np.testing.assert_array_equal(validation.inputs, whole.inputs[8:])
    assert len(restored.used.chosen) == 0


def write(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["source", "question", "answer", "rating"], *rows])


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """Return sixty different 4x4 puzzles."""
    data = load(name="s", kind="sudoku", side=4, test_size=60, max_clues=8)
    return [
        ["x", data.task.decode(q), data.task.decode(a), ""]
        for q, a in zip(data.test.inputs, data.test.labels)
    ]


FILES = ("validation_size=4",)


def test_test_rows_that_are_training_rows_are_left_out_of_training_too(rows, tmp_path, capsys):
    images = [[s, q[::-1], a[::-1], r] for s, q, a, r in rows[:5]]  # Rotated by 180 degrees.
    write(tmp_path / "train.csv", rows[:30])
    write(tmp_path / "test.csv", [*images, *rows[30:]])
    run = tmp_path / "run"
    with pytest.warns(SettingWarning, match="left out 5 of 35 test puzzles"):
        assert train(run, *SHORT, f"data.path={tmp_path}", *FILES) == 0
    assert json.loads((run / "summary.json").read_text())["puzzles"] == 26
    capsys.readouterr()
    other = tmp_path / "other"
    write(other / "test.csv", [*images, *rows[30:40]])  # A folder with a test file only.
    found = score(run, f"data.path={other}")
    trained_or_chose = 5 + sum(row in rows[56:60] for row in rows[30:40])
    assert found["left_out"] == trained_or_chose and found["puzzles"] == 15 - trained_or_chose


def test_the_file_that_is_given_is_scored_after_holdout(rows, tmp_path, capsys):
    write(tmp_path / "train.csv", rows[:40])
    write(tmp_path / "test.csv", rows[40:])
    run = tmp_path / "run"
    assert train(run, *SHORT, f"data.path={tmp_path}", "data.holdout=10", *FILES) == 0
    assert json.loads((run / "summary.json").read_text())["puzzles"] == 6
    assert score(run)["puzzles"] == 6
    assert score(run, "data.test_file=test.csv")["puzzles"] == 20
    assert score(run, f"data.path={tmp_path}")["puzzles"] == 20
    assert score(run, f"data.path={tmp_path}", "data.test_size=7")["puzzles"] == 7
    words = (f"run={run}", "data.test_size=3", "progress=false")
    assert command_line("evaluate", evaluate.main, *words) == 2
    write(tmp_path / "train.csv", rows[:39])  # Files that have changed are scored only if they are named.
    capsys.readouterr()
    assert command_line("evaluate", evaluate.main, f"run={run}") == 2
    assert "whose puzzles are not those that the run was trained on" in capsys.readouterr().err
    assert not (run / "metrics.json").exists()
    assert score(run, f"data.path={tmp_path}")["puzzles"] == 20


def test_none_left_is_said(rows, tmp_path, capsys):
    write(tmp_path / "train.csv", rows[:40])
    write(tmp_path / "test.csv", rows[40:])
    run = tmp_path / "run"
    assert train(run, *SHORT, f"data.path={tmp_path}", *FILES) == 0
    write(tmp_path / "again" / "test.csv", rows[:10])
    capsys.readouterr()
    assert command_line("evaluate", evaluate.main, f"run={run}", f"data.path={tmp_path}/again") == 2
    assert "none of the 10 test puzzles" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:left out:memhrm.config.settings.SettingWarning")
def test_what_weights_have_seen_goes_with_them(runs, tmp_path):
    """Used puzzles stay known through init from a run, a checkpoint or an exported file, and a transfer."""
    run = runs("+memory=bicross", "model.H_cycles=2", "data.train_size=100")
    trained, chosen = known(run)
    assert command_line("export", export.main, f"run={run}", f"out={tmp_path}/w.safetensors") == 0
    assert call("transfer", "export", f"run={run}", f"out={tmp_path}/m.safetensors") == 0
    for number, source in enumerate((run, run / "checkpoints/last.pt", tmp_path / "w.safetensors")):
        new = tmp_path / f"new{number}"
        changes = (
            "+memory=bicross",
            "model.H_cycles=2",
            "data.train_size=100",
            "data.seed=7",
            f"init={source}",
        )
        assert train(new, *SHORT, *changes) == 0
        seen, _ = known(new)
        assert np.isin(trained, seen).all() and len(seen) > len(trained)
        assert np.isin(chosen, known(new)[1]).all()
    other = runs("+memory=bicross", "model.H_cycles=2", "data.train_size=100", "data.seed=7")
    words = f"from={tmp_path}/m.safetensors", f"run={other}", f"out={tmp_path}/out"
    assert call("transfer", "import", *words) == 0
    assert all(np.isin(a, b).all() for a, b in zip((trained, chosen), known(tmp_path / "out")))


def test_a_run_that_starts_from_weights_scores_nothing_that_they_have_seen(runs, tmp_path, capsys):
    """The other run was trained on half of the puzzles, and hence on half of those held out here."""
    parent = runs("data.seed=3", "data.train_size=1000")
    seen = np.union1d(*known(parent))
    new = tmp_path / "new"
    with pytest.warns(SettingWarning, match="left out .* of 20 test puzzles"):
        assert train(new, *SHORT, f"init={parent}", "validation_size=1") == 0
    with pytest.warns(SettingWarning, match="left out"):
        assert train(tmp_path / "none", *SHORT, f"init={parent}", "validation_size=19") == 2
    assert "of 20 are left: the weights were trained on the others)" in capsys.readouterr().err
    restored = from_run(new)
    assert np.isin(make_dataset(restored.run).test_identities, seen).any()
    scored_there = json.loads((new / "summary.json").read_text())["puzzles"]
    assert not np.isin(identities_of_scored(new), np.union1d(seen, known(new)[1])).any()
    assert score(new)["puzzles"] == scored_there < 19
    assert train(new, *SHORT, f"init={parent}", "validation_size=1", "steps=3") == 0
    assert not np.isin(identities_of_scored(new), seen).any()


def test_a_checkpoint_of_another_format_is_refused_in_one_line(runs, tmp_path):
    run = runs()
    old = Path(shutil.copytree(run, tmp_path / "old"))
    checkpoint.write(
        old / "checkpoints/last.pt", checkpoint.read(run / "checkpoints/last.pt") | {"format": 3}
    )
    with pytest.raises(
        ValueError, match=r"old/checkpoints/last.pt has checkpoint format 3, which another ver"
    ):
        from_run(old)
