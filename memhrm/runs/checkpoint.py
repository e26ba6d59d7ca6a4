"""Checkpoints: the whole state of a run in one file, written so that a crash never leaves a broken file."""

import errno
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from memhrm.config.settings import require
from memhrm.models.recursion import State
from memhrm.models.weights import load_weights
from memhrm.system.files import whole
from memhrm.system.ranks import Ranks, gathered
from memhrm.training.carry import Carry
from memhrm.training.step import Learner

FORMAT = 4
"""The format that is written and read; its number is raised when the content changes."""

PARTS: dict[str, type | tuple[type, ...]] = {
    "config": dict,
    "step": int,
    "best": dict,
    "seconds": (int, float),
    "pending": (Tensor, NoneType),
    "model": dict,
    "average": dict,
    "optimisers": list,
    "carry": dict,
    "random": dict,
    "used": dict,
    "data": str,
}
"""The entries of every checkpoint, and their types."""


def snapshot(
    learner: Learner, ranks: Ranks, config: dict[str, Any], progress: dict[str, Any]
) -> dict[str, Any]:
    """Return everything that the next step depends on.

    Every rank must call this, since the carry is gathered. The step is the position in the data: batches are
    a function of seed and step (`memhrm.data.Sampler`).

    Args:
        learner: model, average, optimisers and carry.
        ranks: the processes of the run.
        config: the run's resolved configuration.
        progress: further entries that the loop restores itself, as plain data.
    """
    assert learner.carry is not None
    random = {"cpu": torch.get_rng_state()}
    if ranks.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state()
    return {
        "format": FORMAT,
        "config": config,
        "step": learner.step,
        **progress,
        "model": learner.model.state_dict(),
        "average": learner.average.state_dict(),
        "optimisers": learner.optimisers.state_dict(),
        "carry": {name: gathered(tensor) for name, tensor in _flat(learner.carry).items()},
        "random": random,
    }


def restore(learner: Learner, ranks: Ranks, content: dict[str, Any], where: Path) -> None:
    """Put a learner into the state of a snapshot, whose number of ranks may have been different.

    Args:
        learner: the learner, changed in place.
        ranks: the processes of the run.
        content: the snapshot.
        where: its file, for messages.

    Raises:
        ValueError: the checkpoint belongs to another model or is incomplete.
    """
    learner.step = content["step"]
    load_weights(learner.model, content["model"], where)
    load_weights(learner.average, content["average"], where)
    try:
        learner.optimisers.load_state_dict(content["optimisers"])
    except (ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{where} has no state for these optimisers ({error})") from error
    # If its precision differs from that of the weights, the initial state is a copy: make it again.
    learner.initial = learner.model.initial_state(len(learner.initial.z_H), learner.initial.z_H.dtype)
    rows = ranks.rows(learner.global_batch_size)
    learner.carry = _carry({name: tensor[rows].to(ranks.device) for name, tensor in content["carry"].items()})
    torch.set_rng_state(content["random"]["cpu"])
    if ranks.device.type == "cuda" and "cuda" in content["random"]:
        torch.cuda.set_rng_state(content["random"]["cuda"])


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint to a temporary file, then move it to `path`: the old one stays until then.

    Raises:
        OSError: the disk is full or not writable; the previous checkpoint is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_crash in path.parent.glob(f".{path.name}.*"):
        left_by_a_crash.unlink(missing_ok=True)
    try:
        with whole(path) as unfinished, open(unfinished, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError.
        kept = f"; the previous {path.name} is kept" if path.exists() else ""
        number = getattr(error, "errno", None) or errno.EIO
        raise OSError(
            number, f"cannot write the checkpoint ({error}){kept}; free some space", str(path)
        ) from error


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU and check it. Only plain data is read; nothing is executed.

    Raises:
        ValueError: the file is missing, damaged (each part has a checksum), incomplete or of another format,
            or holds numbers that are not finite. The message names another checkpoint of the run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"the checksum of {broken} is wrong")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such checkpoint") from None
    except Exception as error:  # A damaged file can make its readers raise anything.
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ValueError(f"{path} is damaged or not a checkpoint ({reason}); {_other(path)}") from error
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {found}, which another version of memhrm wrote; this one reads "
            f"format {FORMAT}: use that version, or train again in another dir=..."
        )
    for name, kind in PARTS.items():
        if not isinstance(content.get(name), kind):
            raise ValueError(f"{path} is incomplete: it has no {name!r}; {_other(path)}")
    for name in ("model", "average", "carry", "optimisers"):
        wrong = _not_finite(content[name], name)
        if wrong is not None:
            raise ValueError(
                f"{path} is unusable: {wrong} holds numbers that are not finite (the training diverged); "
                f"{_other(path)}"
            )
    return content


def require_same_puzzles(content: Mapping[str, Any], digest: str, where: Path) -> None:
    """Raise an error if a run would continue with puzzles other than those it was started with.

    Args:
        content: the run's checkpoint.
        digest: the digest of the puzzles (`Dataset.digest`).
        where: the run's directory, for the message.

    Raises:
        ValueError: the digests differ.
    """
    began = content["data"]
    allowed = f"the puzzles with which the run in {where} was started, {began[:12]}; or give another folder"
    require(began == digest, "data", f"{digest[:12]} (a hash of the puzzles)", allowed)


def average_of(content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Tensor]:
    """Return a checkpoint's averaged weights by the model's names; names without an average are left out."""
    average = {str(name).removeprefix("module."): value for name, value in content["average"].items()}
    return {name: average[name] for name in names if name in average}


def _not_finite(value: Any, name: str) -> str | None:
    """Return the name of the first tensor inside `value` with a number that is not finite, or None."""
    if isinstance(value, Tensor):
        return name if value.is_floating_point() and not torch.isfinite(value).all() else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = (_not_finite(item, f"{name}.{key}") for key, item in items)
    return next((wrong for wrong in found if wrong is not None), None)


def _other(path: Path) -> str:
    """Return the advice, for a message, on what to use in place of an unusable checkpoint."""
    others = [
        name for name in ("best", "last") if name != path.stem and path.with_name(f"{name}.pt").exists()
    ]
    if others:
        other = path.with_name(f"{others[0]}.pt")
        return f"the run also has {other.name}: give checkpoint={others[0]}, or init={other} for a new run"
    return "the run has no other checkpoint; train again in another dir=..."


def _flat(carry: Carry) -> dict[str, Tensor]:
    state = carry.state
    return {
        "z_H": state.z_H,
        "z_L": state.z_L,
        "steps": carry.steps,
        "halted": carry.halted,
        **{f"memory/{name}": tensor for name, tensor in state.memory.items()},
        **{f"data/{name}": tensor for name, tensor in carry.data.items()},
    }


def _carry(flat: dict[str, Tensor]) -> Carry:
    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in flat.items() if name.startswith(prefix)}

    return Carry(
        State(flat["z_H"], flat["z_L"], under("memory/")), flat["steps"], flat["halted"], under("data/")
    )
