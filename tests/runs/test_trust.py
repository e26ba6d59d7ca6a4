"""Run directories and files are data: nothing that reads them imports or executes their content."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

import memhrm
from memhrm import evaluate, export, probe, prune, solve
from memhrm.config.trust import trust
from memhrm.probes import open_subject
from memhrm.runs import checkpoint
from tiny import call, command_line, train

CELLS = (
    "+memory=multicell",
    "model.H_cycles=2",
    "memory.cells=4",
    "memory.tokens=2",
    "steps=2",
    "eval_every=0",
)
EVIL = """
import pathlib
pathlib.Path("executed").write_text("yes")
from memhrm.memory.multicell import MultiCell
class Evil(MultiCell):
    pass
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    """Return a finished run with cells, its exported weights and its exported memory."""
    path = tmp_path_factory.mktemp("honest") / "run"
    assert train(path, *CELLS) == 0
    assert command_line("export", export.main, f"run={path}") == 0
    assert call("transfer", "export", f"run={path}") == 0
    return path


@pytest.fixture
def here(honest, tmp_path, monkeypatch) -> Path:
    """Prepare the current folder: a run names a class of a module in it, which records its import."""
    path = Path(shutil.copytree(honest, tmp_path / "run"))
    for name in ("last", "best"):
        file = path / f"checkpoints/{name}.pt"
        content = checkpoint.read(honest / "checkpoints/last.pt")
        content["config"]["memory"]["module"] = "evil.Evil"
        checkpoint.write(file, content)
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["memory"]["module"] = "evil.Evil"
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    for name in ("model", "memory"):
        disguise(path / f"{name}.safetensors")
    (path / "evil.py").write_text(EVIL)
    monkeypatch.chdir(path)
    monkeypatch.syspath_prepend(path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return path


def disguise(file: Path) -> None:
    """Make an exported file name the class."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    about = json.loads(metadata["about"])
    about["memory"] = {**about.get("memory", {}), "module": "evil.Evil"}
    about["module"] = "evil.Evil"
    save_file(tensors, file, metadata={"format": metadata["format"], "about": json.dumps(about)})


QUIET = ("progress=false",)
WAYS = {
    "evaluate": lambda: command_line("evaluate", evaluate.main, "run=.", *QUIET),
    "evaluate best": lambda: command_line("evaluate", evaluate.main, "run=.", "checkpoint=best", *QUIET),
    "export": lambda: command_line("export", export.main, "run=.", "out=w.safetensors"),
    "probe": lambda: command_line("probe", probe.main, "run=.", *QUIET),
    "prune": lambda: command_line("prune", prune.main, "run=.", "keep=2", "out=../small", *QUIET),
    "solve": lambda: command_line("solve", solve.main, "run=.", "file=p.txt", *QUIET),
    "solve exported": lambda: command_line(
        "solve", solve.main, "run=model.safetensors", "file=p.txt", *QUIET
    ),
    "transfer export": lambda: call("transfer", "export", "run=.", "out=m.safetensors"),
    "transfer import": lambda: call("transfer", "import", "from=memory.safetensors", "run=.", "out=../other"),
    "train, resumed": lambda: train(Path(), *CELLS, "steps=3"),
    "load": lambda: memhrm.load("."),
    "load exported": lambda: memhrm.load("model.safetensors"),
    "open_subject": lambda: open_subject("."),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_imports_what_a_run_names(way, here, capsys):
    (here / "p.txt").write_text("1" + "." * 15 + "\n")
    try:
        refused = WAYS[way]() == 2
        said = capsys.readouterr().err
    except ValueError as error:
        refused, said = True, str(error)
    assert not (here / "executed").exists() and "evil" not in sys.modules
    assert refused and "'evil.Evil'" in said, said


def test_starting_from_such_a_run_takes_its_weights_alone(here, tmp_path, capsys):
    assert train(tmp_path / "new", *CELLS, "init=.") == 0
    assert not (here / "executed").exists() and "evil" not in sys.modules
    capsys.readouterr()


def test_what_the_command_itself_names_is_imported(here, capsys):
    assert command_line("evaluate", evaluate.main, "run=.", "trust=evil.Evil", *QUIET) == 0
    assert (here / "executed").exists()
    capsys.readouterr()


def test_what_is_trusted_must_be_an_h_module():
    for name in ("os.path", "no_such_module.Class", "text", "memhrm.config.settings.SettingWarning", "a b.C"):
        with pytest.raises(ValueError, match=r"trust is"):
            trust(name)


def test_a_class_that_is_in_the_process_may_be_named(here):
    """A notebook may define a memory and open a run that uses it."""
    import evil  # pyright: ignore[reportMissingImports]

    assert type(memhrm.load(".").model.H_module) is evil.Evil


class Bomb:
    def __reduce__(self):
        return (Path("executed").write_text, ("yes",))


def test_pickles_objects_and_tags_are_refused(honest, tmp_path, monkeypatch, capsys):
    """They are those that torch, numpy and YAML would construct if called carelessly."""
    path = Path(shutil.copytree(honest, tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 3, "config": Bomb()}, path / "checkpoints/last.pt")
    assert command_line("evaluate", evaluate.main, f"run={path}", *QUIET) == 2
    torch.save(Bomb(), tmp_path / "weights.pt")
    assert train(tmp_path / "new", "init=weights.pt") == 2
    (path / "config.yaml").write_text("!!python/object/apply:pathlib.Path.touch [executed]")
    assert command_line("export", export.main, f"run={path}") == 2
    np.save(path / "cache.npy", np.array([Bomb()], dtype=object))
    assert not (tmp_path / "executed").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_cache_of_objects_is_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(tmp_path / "one", f"data.cache={tmp_path}/cache", "steps=1") == 0
    (file,) = (tmp_path / "cache").glob("*.npz")
    np.savez(file, train_inputs=np.array([Bomb()], dtype=object))
    assert train(tmp_path / "two", f"data.cache={tmp_path}/cache", "steps=1") == 0
    assert not (tmp_path / "executed").exists()
    capsys.readouterr()
