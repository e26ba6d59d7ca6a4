"""Runs become artifacts of Weights & Biases, and are loaded from there; without a network."""

import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import memhrm
from memhrm.report.card import card
from memhrm.weights.tensors import read_tensors
from tiny import call, train

PUZZLE = "1.34" + "." * 12


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("artifacts") / "run"
    assert train(path) == 0
    return path


class Store:
    """A stand-in for wandb that keeps what artifacts hold, by name, and notes how runs begin."""

    def __init__(self, refuses: bool = False) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self.begun: list[dict] = []
        self.refuses = refuses
        self.offline = False
        self.dir = ""

    def module(self) -> types.ModuleType:
        store = self

        class Artifact:
            def __init__(self, name: str, type: str) -> None:
                assert type == "model"
                self.name, self.files = name, {}

            def add_dir(self, folder: str) -> None:
                self.files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}

        class Api:
            def artifact(self, name: str, type: str):
                assert type == "model"
                found = store.kept[name.rpartition("/")[2].partition(":")[0]]
                store.begun.append({"asked": name})

                def download(root: Path, path_prefix: str) -> None:
                    assert root.is_relative_to(store.dir)  # Its own default is the current folder.
                    root.mkdir(parents=True, exist_ok=True)
                    for file, content in found.items():
                        if file.startswith(path_prefix):
                            (root / file).write_bytes(content)

                return types.SimpleNamespace(download=download)

        def init(**given):
            if store.refuses:
                raise RuntimeError("no API key\nconfigured")
            store.begun.append(given)
            return store

        module = types.ModuleType("wandb")
        env = types.SimpleNamespace(get_cache_dir=lambda: store.dir)
        vars(module).update(init=init, Settings=lambda **_: None, Artifact=Artifact, Api=Api, env=env)
        return module

    def log_artifact(self, artifact) -> None:
        self.kept[artifact.name] = artifact.files

    def finish(self) -> None:
        self.begun.append({"finished": True})


def test_what_is_pushed_can_be_loaded(run, tmp_path, monkeypatch, capsys):
    store = Store()
    store.dir = str(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", store.module())
    assert call("push", f"run={run}", "artifact=we/puzzles/small") == 0
    assert capsys.readouterr().out == "wandb://we/puzzles/small\n"
    begun, finished = store.begun
    assert finished and (begun["entity"], begun["project"], begun["dir"]) == ("we", "puzzles", run)
    files = store.kept["small"]
    assert sorted(files) == ["README.md", "model.safetensors"]
    assert files["README.md"].decode() == card(run, "we/puzzles/small", "wandb://we/puzzles/small")
    solved = memhrm.load(run).solve([PUZZLE])
    for name, asked in (("", ":latest"), (":v3", ":v3")):
        assert memhrm.load(f"wandb://we/puzzles/small{name}").solve([PUZZLE]) == solved
        assert store.begun[-1] == {"asked": f"we/puzzles/small{asked}"}


def test_what_cannot_be_had_is_said(run, tmp_path, monkeypatch, capsys):
    store = Store(refuses=True)
    store.dir = str(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", store.module())
    assert call("push", f"run={run}", "artifact=puzzles/small") == 2
    assert "artifact puzzles/small cannot be written: no API key configured" in capsys.readouterr().err
    with pytest.raises(ValueError, match="wandb://puzzles/small cannot be fetched: "):
        memhrm.load("wandb://puzzles/small")
    store.kept["bare"] = {"other.txt": b""}
    with pytest.raises(ValueError, match=r"allowed: an artifact with a file model\.safetensors"):
        memhrm.load("wandb://puzzles/bare")
    for name in ("wandb://", "wandb://small", "wandb://a/b/c/d", "wandb://a//b"):
        with pytest.raises(ValueError, match=r"allowed: wandb://ENTITY/PROJECT/NAME, or with :VERSION"):
            memhrm.load(name)


def test_without_wandb(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert call("push", f"run={run}", "artifact=puzzles/small") == 2
    assert "artifact puzzles/small cannot be written: " in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_itself_offline(run, tmp_path):
    """The real package, in a process of its own, keeps the artifact in the run directory, for later."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "WANDB_MODE": "offline"}
    environment |= {"WANDB_CACHE_DIR": str(tmp_path / "cache"), "WANDB_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "memhrm", "push", f"run={run}", "artifact=puzzles/small"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (folder,) = (run / "wandb").glob("offline-run-*")
    assert done.stdout == f"{folder}, for `wandb sync`\n"
    (record,) = folder.glob("run-*.wandb")
    assert b"model.safetensors" in record.read_bytes()
    kept = [
        path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.stat().st_size > 10_000
    ]
    assert any(read_tensors(path).tensors for path in kept)
