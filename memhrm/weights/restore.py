"""Trained weights: out of a run, and into a file of their own (`memhrm.weights.opening` opens both)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from memhrm.config.command import RunSource
from memhrm.config.settings import require
from memhrm.config.trust import trust
from memhrm.data.settings import parse as parse_data
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.models.weights import load_weights
from memhrm.runs.bank import FILE as BANK
from memhrm.runs.bank import Entry, fill, keeps_bank, read_bank, with_categories
from memhrm.runs.checkpoint import average_of, read
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import RunSettings, parse
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import said_of
from memhrm.weights.tensors import read_tensors, write_tensors

FORMAT = "memhrm 3"
MADE_BY = "python -m memhrm.export"


@dataclass(frozen=True)
class Restored:
    """A trained model with what its run has left.

    Attributes:
        model: the model.
        run: the settings of its run.
        content: the checkpoint that it comes from.
        used: the puzzles that its run has used.
        bank: the labelled texts that its memory reads, where it is a bank.
    """

    model: Reasoner
    run: RunSettings
    content: dict[str, Any]
    used: UsedPuzzles
    bank: tuple[Entry, ...] = ()

    @property
    def step(self) -> int:
        """The optimiser steps that the weights have had."""
        return self.content["step"]


def open_run(source: RunSource) -> Restored:
    """Return the model that the settings of a command name, on the CPU; as `from_run`."""
    trust(source.trust)
    return from_run(Path(source.run), source.checkpoint, source.weights)


def from_run(
    path: Path, which: Literal["last", "best"] = "last", weights: Literal["ema", "raw"] = "ema"
) -> Restored:
    """Return the model of a run directory's checkpoint, on the CPU.

    weights: the moving average, or the weights as trained.

    Raises:
        ValueError: the directory holds no run; the checkpoint is missing or damaged; or the run's memory is a
            class that is neither memhrm's nor in this process already.
    """
    return from_checkpoint(checkpoint_of(path, which), weights)


def checkpoint_of(path: Path, which: Literal["last", "best"] = "last") -> Path:
    """Return where a run has its checkpoint.

    Raises:
        ValueError: the directory holds no run.
    """
    require(which in ("last", "best"), "checkpoint", which, "last, best")
    directory = RunDirectory(path)
    directory.config()  # Says so if this is no run.
    return directory.best if which == "best" else directory.last


def from_checkpoint(path: Path, weights: Literal["ema", "raw"] = "ema") -> Restored:
    """Return the model of a checkpoint, on the CPU; as `from_run`."""
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    content = read(path)
    with said_of(path):
        run = parse(content["config"])
        model = Reasoner(run.model, puzzle_shape(parse_data(run.data).task()), run.memory)
        used = UsedPuzzles.of_tensors(content["used"])
    found = content["model"]
    if weights == "ema":
        found = average_of(content, model.state_dict())
    load_weights(model, found, path)
    restored = Restored(model.eval(), run, content, used)
    return with_bank(restored, read_bank(path.parent.parent)) if keeps_bank(model) else restored


def with_bank(restored: Restored, entries: Sequence[Entry]) -> Restored:
    """Return a restored run whose model reads a bank, and whose data know the bank's categories.

    The bank's texts count as trained: the model knows their answers.
    """
    run = replace(restored.run, data=with_categories(restored.run.data, entries))
    with said_of(Path(BANK)):
        task = parse_data(run.data).task()
        known = fill(restored.model, task, entries)
    used = restored.used.with_trained(known)
    return replace(restored, run=run, used=used, bank=tuple(entries))


def save(
    restored: Restored,
    path: Path,
    dtype: Literal["float32", "float16"] = "float32",
    *,
    shared: bool = False,
) -> None:
    """Write plain safetensors weights with all that is needed to use them, as metadata.

    Args:
        restored: the model and its run.
        path: the file.
        dtype: in which it holds the numbers.
        shared: whether others are to have it: of a path on this machine it tells the last part alone.

    Raises:
        ValueError: a number is too large for the type.
        OSError: the file cannot be written.
    """
    about = {
        "model": asdict(restored.model.settings),
        "memory": asdict(restored.run.memory),
        "shape": asdict(restored.model.shape),
        "data": restored.run.data,
        "halt_max_steps": restored.run.halting.halt_max_steps,
        "step": restored.step,
        "config": restored.run.config(),
        "bank": restored.bank,
    }
    if shared:
        about = _shared(about)
    tensors = restored.model.state_dict()
    if dtype == "float16":
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    write_tensors(path, tensors, FORMAT, about, restored.used)


def share(path: Path, copy: Path) -> None:
    """Copy an exported file for others, as `save` writes what is shared.

    Raises:
        ValueError: the file was not exported, or is damaged.
        OSError: the copy cannot be written.
    """
    file = read_tensors(path)
    about, used = file.about(FORMAT, MADE_BY)
    write_tensors(copy, file.tensors, FORMAT, _shared(about), used)


def _shared(about: dict[str, Any]) -> dict[str, Any]:
    """Return a description in which paths on this machine are their last parts."""
    return about | {name: _last_parts(about[name]) for name in ("data", "config") if name in about}


def _last_parts(value: Any) -> Any:
    """Return settings in which absolute paths are their last parts; vocabularies and lists hold no paths."""
    if isinstance(value, dict):
        return {name: one if name == "vocabulary" else _last_parts(one) for name, one in value.items()}
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _halved(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor in float16, or as it is if it does not hold fractions."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    allowed = f"float32, since {name} holds numbers too large for float16"
    require(bool(half.isfinite().all()), "dtype", "float16", allowed)
    return half
