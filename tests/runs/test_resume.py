"""A run that is stopped and resumed equals one that was never stopped, bit for bit."""

import copy
import itertools
import json
import os
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.kill import compare, differences
from memhrm.config.command import compose
from memhrm.memory.none import NoMemory
from memhrm.runs import checkpoint, log
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import check_same
from memhrm.runs.settings import parse
from memhrm.train import main
from tiny import TINY, at_step, command_line, send, train, variations

FREQUENT = ("log_every=4", "checkpoint_every=2", "eval_every=3")
KINDS = {
    "trm": (*FREQUENT, "halting.halt_exploration_prob=0.5"),
    "hrm": (*FREQUENT, "model=hrm", "model.H_layers=1"),
    "hrm_reuse": (
        *FREQUENT,
        "model=hrm",
        "model.H_layers=1",
        "halting.q_target=reuse",
        "+memory=none",
        "memory.horizon=2",
    ),
    "noise": (*FREQUENT, "noise=0.3"),
    "muon": (*FREQUENT, "optim=muon", "optim.schedule=cosine", "optim.clip=0.5"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a function that trains the undisturbed run of a kind once, and returns its directory."""
    folder = tmp_path_factory.mktemp("whole")

    def make(kind: str) -> Path:
        if not (folder / kind).exists():
            assert train(folder / kind, *KINDS[kind]) == 0
        return folder / kind

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", variations([signal.SIGTERM, signal.SIGINT], 2))
def test_stopped_run_resumes_bit_for_bit(kind, number, whole, tmp_path, monkeypatch, capsys):
    """The run stops at step 5, where no log line, checkpoint or evaluation is due."""
    at_step(monkeypatch, 5, send(number))
    path = tmp_path / "run"
    assert train(path, *KINDS[kind]) == 128 + number
    assert f"stopped at step 5, saved in {path}; to go on: python -m memhrm.train" in capsys.readouterr().err
    assert checkpoint.read(path / "checkpoints/last.pt")["step"] == 5
    assert not (path / "summary.json").exists()

    assert train(path, *KINDS[kind]) == 0
    assert differences(whole(kind), path) == []


def test_crash_resumes_bit_for_bit(whole, tmp_path, monkeypatch):
    """Nothing is saved at the crash at step 6: the run resumes from step 4 and logs the rest again."""

    def crash(_learner):
        raise OSError("power cut")

    at_step(monkeypatch, 6, crash)
    path = tmp_path / "run"
    assert train(path, *KINDS["trm"]) == 2
    assert checkpoint.read(path / "checkpoints/last.pt")["step"] == 4
    assert train(path, *KINDS["trm"]) == 0
    assert differences(whole("trm"), path) == []


def test_crash_between_two_checkpoints(whole, tmp_path, monkeypatch):
    """The last step is the best one, and the run ends after one of its two files is there."""
    write, written = checkpoint.write, []

    def once(path, content):
        if content["step"] == 8:
            written.append(path.name)
        if len(written) > 1:
            raise OSError("power cut")
        write(path, content)

    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", once)
        assert train(path, *KINDS["trm"]) == 2
    assert sorted(written) == ["best.pt", "last.pt"]
    assert train(path, *KINDS["trm"]) == 0
    summary = RunDirectory(path).summary()
    assert summary is not None
    assert checkpoint.read(path / "checkpoints/best.pt")["step"] == summary["best"]["step"] == 8
    assert differences(whole("trm"), path) == []


@pytest.mark.parametrize("processes", [None, 1, 2])
def test_the_line_after_a_resume_is_that_of_all_its_steps(processes, whole, tmp_path, monkeypatch):
    """Whatever the number of processes was; a checkpoint that does not tell it is of as many."""
    at_step(monkeypatch, 6, send(signal.SIGTERM))
    path = tmp_path / "run"
    assert train(path, *KINDS["trm"]) == 128 + signal.SIGTERM
    content = checkpoint.read(path / "checkpoints/last.pt")
    assert len(content["pending"]) == 2  # Steps 5 and 6.
    if processes is None:
        del content["processes"]
    else:
        content["pending"][:, 1:] /= processes  # Each has its part, but for the norm of the gradient.
        content["processes"] = processes
    checkpoint.write(path / "checkpoints/last.pt", content)
    clock = itertools.count()
    monkeypatch.setattr(log, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert train(path, *KINDS["trm"]) == 0
    assert differences(whole("trm"), path) == []
    (line,) = (line for line in RunDirectory(path).metrics() if line["step"] == 8 and "train/loss" in line)
    assert line["train/examples_per_second"] == 2 * 8  # Steps 7 and 8, in a second.


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_crash_while_writing_metrics(cut, whole, tmp_path, monkeypatch):
    """The half line is gone in the end, and every line is complete JSON."""
    at_step(monkeypatch, 6, send(signal.SIGTERM))
    path = tmp_path / "run"
    assert train(path, *KINDS["trm"]) == 128 + signal.SIGTERM
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 7, "train/loss": 1.5}\n'[:cut])
    assert train(path, *KINDS["trm"]) == 0
    assert differences(whole("trm"), path) == []
    assert all(json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines())


def test_crash_after_the_final_scores(whole, tmp_path, capsys):
    """The checkpoint is whole and the scores are logged, but the summary was not written."""
    path = Path(shutil.copytree(whole("trm"), tmp_path / "run"))
    (path / "summary.json").unlink()
    assert train(path, *KINDS["trm"], "steps=4") == 2
    assert "steps is 4; allowed: 8 or more" in capsys.readouterr().err
    assert train(path, *KINDS["trm"]) == 0
    assert ": evaluates step 8, batch" in capsys.readouterr().out
    assert differences(whole("trm"), path) == []
    assert "earlier" not in json.loads((path / "environment.json").read_text())


def test_what_a_crash_left_of_a_checkpoint_is_ignored_and_removed(whole, tmp_path, monkeypatch):
    at_step(monkeypatch, 5, send(signal.SIGTERM))
    path = tmp_path / "run"
    assert train(path, *KINDS["trm"]) == 128 + signal.SIGTERM
    (path / "checkpoints/.last.pt.12345").write_bytes(b"half a checkpoint")
    assert train(path, *KINDS["trm"]) == 0
    assert differences(whole("trm"), path) == []
    assert sorted(os.listdir(path / "checkpoints")) == ["best.pt", "last.pt"]


def test_checkpoint_is_replaced_in_one_move(whole, tmp_path, monkeypatch):
    """Until the new checkpoint is complete and on disk, the old one stays."""
    path, content = tmp_path / "last.pt", checkpoint.read(whole("trm") / "checkpoints/last.pt")
    checkpoint.write(path, {**content, "step": 1})
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(checkpoint.read(path)["step"]))
    checkpoint.write(path, {**content, "step": 2})
    assert seen == [1]
    assert checkpoint.read(path)["step"] == 2


def test_second_signal_acts_at_once(tmp_path, monkeypatch, capsys):
    def twice(_learner):
        signal.raise_signal(signal.SIGINT)  # If os.kill sent both at once, the second could be lost.
        signal.raise_signal(signal.SIGINT)

    assert train(tmp_path / "before", "steps=1", "eval_every=0") == 0  # Fills the cache.
    capsys.readouterr()
    at_step(monkeypatch, 3, twice)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored in background jobs.
    try:
        assert train(tmp_path / "run") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "stopped at once; nothing was saved\n"
    assert not (tmp_path / "run/checkpoints").exists()


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert train(tmp_path / "run", "steps=1", "eval_every=0") == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_finished_run_says_so_and_does_nothing(whole, capsys):
    path = whole("trm")

    def files():
        return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}

    before = files()
    capsys.readouterr()
    assert train(path, *KINDS["trm"]) == 0
    assert capsys.readouterr().out.startswith("already finished; to train again, remove")
    assert files() == before


def test_same_command_same_numbers(whole, tmp_path):
    """The command line always uses the same directory, and gives the numbers of the call from Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert command_line("train", main, *TINY, *KINDS["trm"]) == 0
        assert command_line("train", main, *TINY, *KINDS["trm"]) == 0
    (path,) = (tmp_path / "runs").iterdir()
    assert differences(whole("trm"), path) == []


def test_another_seed_gives_other_numbers(whole, tmp_path):
    assert train(tmp_path / "run", *KINDS["trm"], "seed=1") == 0
    assert len(differences(whole("trm"), tmp_path / "run")) > 10


def test_more_steps_continue_a_constant_schedule(whole, tmp_path):
    path, long = Path(shutil.copytree(whole("trm"), tmp_path / "run")), tmp_path / "long"
    began = json.loads((path / "environment.json").read_text())
    (path / "environment.json").write_text(json.dumps(began | {"python": "3.0"}))
    assert train(path, *KINDS["trm"], "steps=12") == 0
    environment = json.loads((path / "environment.json").read_text())
    assert environment.pop("earlier") == [{"step": 8, **began, "python": "3.0"}]
    assert environment == began
    assert train(long, *KINDS["trm"], "steps=12") == 0
    ends = [checkpoint.read(run / "checkpoints/last.pt") for run in (path, long)]
    for part in ("model", "average", "optimisers", "carry"):
        assert compare(ends[0][part], ends[1][part], part) == []
    summary = RunDirectory(path).summary()
    assert summary is not None and summary["step"] == 12


def test_more_steps_are_refused_where_the_schedule_depends_on_them(whole, tmp_path, capsys):
    path = Path(shutil.copytree(whole("muon"), tmp_path / "run"))
    assert train(path, *KINDS["muon"], "steps=12") == 2
    assert "steps is 12, but the run in" in capsys.readouterr().err


class Own(NoMemory):
    """A memory of one's own with a schedule."""

    def schedule(self, step: int, total: int) -> None:
        """Do what nobody knows."""


@pytest.mark.parametrize(
    ("extended", "words"),
    [
        (True, "+memory=multicell"),
        (True, "+memory=multicell memory.k_stages=[2]"),
        (False, "+memory=multicell memory.k_stages=[4,2]"),
        (True, "+memory=multicell memory.fresh=[0.5]"),
        (False, "+memory=multicell memory.fresh=[0.25,0.5]"),
        (False, "experiment=contexts data.contexts=[8] +memory=multicell k=1"),
        (False, f"+memory=none memory.module={__name__}.Own"),
    ],
)
def test_more_steps_are_refused_where_the_memory_depends_on_them(extended, words, tmp_path):
    constant = "optim.schedule=constant", "optim.decay_from=0"
    began, longer = (parse(compose("train", [*words.split(), *constant, f"steps={n}"])) for n in (8, 12))
    with nullcontext() if extended else pytest.raises(ValueError, match="steps is 12, but the run in"):
        check_same(longer, began.config(), tmp_path)


@pytest.mark.parametrize("changes", [("log_every=1",), ("checkpoint_every=100",), ("progress=true",)])
def test_free_settings_may_change_on_the_way(changes, tmp_path, monkeypatch, whole, capsys):
    at_step(monkeypatch, 5, send(signal.SIGTERM))
    path = tmp_path / "run"
    assert train(path, *KINDS["trm"]) == 128 + signal.SIGTERM
    assert train(path, *KINDS["trm"], *changes) == 0
    found = [
        line for line in differences(whole("trm"), path) if "/config/" not in line and "metrics" not in line
    ]
    assert found == []


def test_a_run_of_an_older_version_goes_on(tmp_path):
    """A setting that the older version did not have counts as its default."""
    given = compose("train", [*TINY, "+memory=multicell", "model.H_cycles=2"])
    saved = parse(given).config()
    del (
        saved["model"]["unit"],
        saved["memory"]["decay"],
        saved["loss"]["q_halt"],
        saved["data"]["holdout"],
    )
    check_same(parse(given), saved, tmp_path)
    for changed, words in (("model", "model.unit is 'normed'"), ("memory", "memory.decay is 0.5")):
        other = copy.deepcopy(given)
        other[changed] |= {"unit": "normed"} if changed == "model" else {"decay": 0.5}
        with pytest.raises(ValueError, match=words):
            check_same(parse(other), saved, tmp_path)
    saved["model"]["forgotten"] = 1
    with pytest.raises(ValueError, match=r"another version of memhrm began the run in .*model\.forgotten"):
        check_same(parse(given), saved, tmp_path)
