"""Opening a trained model for use from Python, wherever its weights are."""

import re
from pathlib import Path
from typing import Any, Literal

from memhrm.config.settings import build, require
from memhrm.data.checks import number
from memhrm.data.settings import parse
from memhrm.memory.registry import parse as parse_memory
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.models.weights import load_weights
from memhrm.runs.bank import Entry, fill, keeps_bank
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import said_of
from memhrm.training.losses import PROBABILITIES
from memhrm.weights import artifacts, hub
from memhrm.weights.restore import FORMAT, MADE_BY, from_run
from memhrm.weights.solver import Solver
from memhrm.weights.tensors import read_tensors
from memhrm.weights.zoo import path_of


def located(path: str | Path) -> Path:
    """Return where the weights are that `load` is given; of those elsewhere, once they are fetched."""
    for elsewhere in (hub, artifacts):
        if isinstance(path, str) and path.startswith(elsewhere.PREFIX):
            return elsewhere.fetched(path)
    place = Path(path).expanduser()
    bare = isinstance(path, str) and re.fullmatch(r"[\w-]+", path) is not None
    return path_of(str(path)) if bare and not place.exists() else place


def load(
    path: str | Path,
    checkpoint: Literal["last", "best"] = "last",
    weights: Literal["ema", "raw"] = "ema",
) -> Solver:
    """Open exported weights (`python -m memhrm.export run=DIR`), or a run directory, for use from Python.

    A path that begins with hf:// is a model on the Hugging Face hub, as hf://OWNER/NAME, one with wandb:// an
    artifact of Weights & Biases, as wandb://ENTITY/PROJECT/NAME; they are fetched. A name without folders
    that is no file here is that of a model that comes with the package. Nothing in the file or the directory
    is executed. A memory of your own must be imported before.

    checkpoint, weights: of a run directory, as in `from_run`.

    Raises:
        ValueError: there is no such file; it was not exported by memhrm, or is damaged; or its memory is a
            class that is not in this process.
    """
    return load_with_used(path, checkpoint, weights)[0]


def load_with_used(
    path: str | Path,
    checkpoint: Literal["last", "best"] = "last",
    weights: Literal["ema", "raw"] = "ema",
) -> tuple[Solver, UsedPuzzles]:
    """Open a trained model as `load` does, and return it with the puzzles that its run has used."""
    named = isinstance(path, str | Path) and "\0" not in str(path)
    require(named, "path", path, "a file or a folder, as text or pathlib.Path")
    require(checkpoint in ("last", "best"), "checkpoint", checkpoint, "last, best")
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    path = located(path)
    if path.is_dir():
        restored = from_run(path, checkpoint, weights)
        data = parse(restored.run.data)
        run = restored.run
        steps, loss = run.halting.halt_max_steps, run.loss.kind
        solver = Solver(restored.model, data.task(), steps, data, loss, restored.bank, run.loss.judges)
        return solver, restored.used
    allowed = "what is usual, since an exported file holds one set of weights"
    require(checkpoint == "last", "checkpoint", checkpoint, allowed)
    require(weights == "ema", "weights", weights, allowed)
    file = read_tensors(path)
    about, used = file.about(FORMAT, MADE_BY)
    missing = [name for name in ("model", "memory", "shape", "data", "halt_max_steps") if name not in about]
    if missing:
        raise ValueError(f"{path} is incomplete: its description has no {missing[0]!r}")
    with said_of(path):
        model = Reasoner(
            build(ModelSettings, about["model"]),
            build(PuzzleShape, about["shape"], "shape"),
            parse_memory(about["memory"]),
        )
        data = parse(about["data"])
        number("halt_max_steps", about["halt_max_steps"], 1)
        loss, judges = _trained(about.get("config", {}))
        entries = _entries(about.get("bank", []))
    load_weights(model, file.tensors, path)
    if keeps_bank(model):
        fill(model, data.task(), entries)
    solver = Solver(model.eval(), data.task(), about["halt_max_steps"], data, loss, entries, judges)
    return solver, used


def _trained(config: Any) -> tuple[str, bool]:
    """Return the cross-entropy of a training, and whether it taught Q."""
    loss = config.get("loss", {}) if isinstance(config, dict) else None
    require(isinstance(loss, dict), "config", config, "settings, with those of the loss")
    assert isinstance(loss, dict)
    kind, weight = loss.get("kind", "softmax"), loss.get("q_halt", 1)
    require(isinstance(kind, str) and kind in PROBABILITIES, "loss.kind", kind, ", ".join(PROBABILITIES))
    require(isinstance(weight, int | float), "loss.q_halt", weight, "a number")
    return kind, weight > 0


def _entries(bank: Any) -> list[Entry]:
    pairs = isinstance(bank, list) and all(
        isinstance(one, list) and [type(part) for part in one] == [str, str] for one in bank
    )
    require(pairs, "bank", bank, "pairs of a text and its category")
    return [Entry(*one) for one in bank]
