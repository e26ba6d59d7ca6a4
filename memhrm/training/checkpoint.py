"""Checkpoints: the whole state of a run in one file, written so that a crash never leaves a broken one."""

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memhrm.models.recursion import State
from memhrm.training.carry import Carry
from memhrm.training.ranks import Ranks, gathered
from memhrm.training.step import Learner

FORMAT = 2
"""Raised when the content changes so that older checkpoints cannot be read."""


def snapshot(
    learner: Learner, ranks: Ranks, config: dict[str, Any], progress: dict[str, Any]
) -> dict[str, Any]:
    """All that the next step depends on; every rank must call this, the carry is gathered.

    The position in the data is the step: batches are a function of seed and index (`memhrm.data.Sampler`).
    config: the run's resolved configuration. progress: what else the loop wants back (plain data).
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


def restore(learner: Learner, ranks: Ranks, content: dict[str, Any]) -> None:
    """Put a learner into the state of a snapshot; the number of ranks may be another one."""
    learner.step = content["step"]
    learner.model.load_state_dict(content["model"])
    learner.average.load_state_dict(content["average"])
    learner.optimisers.load_state_dict(content["optimisers"])
    rows = ranks.rows(learner.global_batch_size)
    learner.carry = _carry({name: tensor[rows].to(ranks.device) for name, tensor in content["carry"].items()})
    torch.set_rng_state(content["random"]["cpu"])
    if ranks.device.type == "cuda" and "cuda" in content["random"]:
        torch.cuda.set_rng_state(content["random"]["cuda"])


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint beside its place, then move it there: the old one stays until the new is whole.

    Raises:
        OSError: the disk is full or not writable; what was there before is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_crash in path.parent.glob(f".{path.name}.*"):
        left_by_a_crash.unlink(missing_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError.
        kept = f"; the previous {path.name} is kept" if path.exists() else ""
        number = getattr(error, "errno", None) or errno.EIO
        raise OSError(
            number, f"cannot write the checkpoint ({error}){kept}; free some space", str(path)
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; plain data only, nothing is executed.

    Raises:
        ValueError: there is none, it is cut short, or another version wrote it.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such checkpoint") from None
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{path} is cut short or no checkpoint ({reason}); use another one of the run"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        given = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path} has checkpoint format {given}; this version of memhrm reads format {FORMAT}"
        )
    return content


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
