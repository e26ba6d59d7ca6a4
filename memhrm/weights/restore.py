"""Trained weights: out of a run, and into a file of their own (`memhrm.weights.solver` opens both)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from memhrm.config.settings import require
from memhrm.data.settings import parse
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.runs.checkpoint import average_of, load_weights, read
from memhrm.runs.directory import RunDirectory
from memhrm.runs.held_out import used_by
from memhrm.runs.settings import RunSettings, make_dataset, settings
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import said_of
from memhrm.weights.tensors import write_tensors

FORMAT = "memhrm 2"


@dataclass(frozen=True)
class Restored:
    """A trained model with the settings of its run, the content of the checkpoint that it comes from, and the
    puzzles that its run has used."""

    model: Reasoner
    run: RunSettings
    content: dict[str, Any]
    used: UsedPuzzles

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the run."""
        return self.content["config"]

    @property
    def step(self) -> int:
        """The optimiser steps that the weights have had."""
        return self.content["step"]


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
        run = settings(content["config"])
        model = Reasoner(run.model, puzzle_shape(parse(run.data).task()), run.memory)
        used = used_puzzles(content)
    found = content["model"]
    if weights == "ema":
        found = average_of(content, model.state_dict())
    load_weights(model, found, path)
    return Restored(model.eval(), run, content, used)


def used_puzzles(content: Mapping[str, Any]) -> UsedPuzzles:
    """Return which puzzles the run of a checkpoint has used.

    A checkpoint of format 2 does not say so: they are taken from the run's data, which must still be there.
    """
    if "used" in content:
        return UsedPuzzles.of_tensors(content["used"])
    run = settings(content["config"])
    return used_by(run, make_dataset(run))


def save(restored: Restored, path: Path) -> None:
    """Write plain safetensors weights with all that is needed to use them, as metadata.

    Raises:
        OSError: the file cannot be written.
    """
    about = {
        "model": asdict(restored.model.settings),
        "memory": asdict(restored.run.memory),
        "shape": asdict(restored.model.shape),
        "data": restored.run.data,
        "halt_max_steps": restored.run.halting.halt_max_steps,
        "step": restored.step,
        "config": restored.config,
    }
    write_tensors(path, restored.model.state_dict(), FORMAT, about, restored.used)
