"""Weights & Biases receives what the run directory holds, and its failures do not affect the run."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from experiments.kill import differences
from memhrm.runs.directory import RunDirectory
from tiny import TINY, at_step, send, train

WANDB = ("logger=wandb", "logger.mode=offline", "log_every=2", "eval_every=4")


class FakeRun:
    """A stand-in for a wandb run: it records what it receives, and fails at a given call of `log`."""

    def __init__(self, fails_at: int | None):
        self.fails_at = fails_at
        self.logged: list[tuple[int, dict]] = []
        self.summary: dict = {}
        self.finished = 0

    def log(self, metrics, step):
        if len(self.logged) + 1 == self.fails_at:
            raise ConnectionError("the network\nis gone")
        self.logged.append((step, metrics))

    def finish(self):
        self.finished += 1


@pytest.fixture
def fake_wandb(monkeypatch):
    """Return a function that installs a fake wandb and returns its runs and the arguments of `init`."""

    def install(fails_at: int | None = None, start_fails: bool = False):
        runs, given = [], []

        def init(**settings):
            given.append(settings)
            if start_fails:
                raise RuntimeError("no API key")
            runs.append(FakeRun(fails_at))
            return runs[-1]

        module = types.ModuleType("wandb")
        vars(module).update(init=init, Settings=lambda **_: None)
        monkeypatch.setitem(sys.modules, "wandb", module)
        return runs, given

    return install


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """Return the directory of the same run without a mirror."""
    path = tmp_path_factory.mktemp("plain") / "run"
    assert train(path, *WANDB[2:]) == 0
    return path


def without_logger(found: list[str]) -> list[str]:
    return [line for line in found if "/config/logger" not in line]


def test_mirror_is_told_what_the_run_directory_holds(fake_wandb, tmp_path, plain):
    runs, given = fake_wandb()
    assert train(tmp_path / "run", *WANDB) == 0
    (run,), (given,) = runs, given
    directory = RunDirectory(tmp_path / "run")
    assert [{"step": step, **metrics} for step, metrics in run.logged] == directory.metrics()
    assert run.summary == directory.summary()
    assert run.finished == 1
    assert given["project"] == "memhrm" and given["mode"] == "offline"
    assert given["config"] == directory.config()
    assert without_logger(differences(plain, tmp_path / "run")) == []


def test_resumed_run_is_one_run_in_the_mirror(fake_wandb, tmp_path, monkeypatch):
    runs, given = fake_wandb()
    at_step(monkeypatch, 3, send(signal.SIGTERM))
    assert train(tmp_path / "run", *WANDB) == 128 + signal.SIGTERM
    assert runs[0].finished == 1
    assert train(tmp_path / "run", *WANDB) == 0
    assert given[0]["id"] == given[1]["id"] != ""
    assert {settings["resume"] for settings in given} == {"allow"}


def test_mirror_that_does_not_start(fake_wandb, tmp_path, plain, capsys):
    fake_wandb(start_fails=True)
    assert train(tmp_path / "run", *WANDB) == 0
    assert capsys.readouterr().err == (
        "wandb cannot start (no API key); training goes on, the run directory holds everything\n"
    )
    assert without_logger(differences(plain, tmp_path / "run")) == []


def test_mirror_that_is_not_installed(monkeypatch, tmp_path, plain, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert train(tmp_path / "run", *WANDB, "steps=1") == 0
    assert capsys.readouterr().err.startswith("wandb cannot start (")


def test_mirror_that_breaks_in_the_middle(fake_wandb, tmp_path, plain, capsys):
    runs, _ = fake_wandb(fails_at=3)
    assert train(tmp_path / "run", *WANDB) == 0
    (run,) = runs
    assert capsys.readouterr().err == (
        "wandb stopped (the network is gone); training goes on, the run directory holds everything\n"
    )
    assert len(run.logged) == 2 and run.summary == {}
    assert without_logger(differences(plain, tmp_path / "run")) == []


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_itself_offline(tmp_path):
    """The real package runs in its own process, since it leaves threads and hooks behind."""
    command = [sys.executable, "-m", "memhrm.train", *TINY, *WANDB, "dir=run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wandb" not in done.stderr
    (file,) = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    content = file.read_bytes()
    names = {name for line in RunDirectory(tmp_path / "run").metrics() for name in line if "/" in name}
    assert names and all(name.encode() in content for name in names)
    assert json.dumps(RunDirectory(tmp_path / "run").config()["optim"]["lr"]).encode() in content
