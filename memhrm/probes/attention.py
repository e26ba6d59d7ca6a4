"""Where a memory is read and written: the maps that its H-module traces.

n puzzles, t positions (prefix and tokens), k active cells, H H-steps.
"""

from dataclasses import dataclass

import numpy as np
from einops import rearrange

from memhrm.config.settings import require
from memhrm.data.task import Task
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The maps of one H-step.

    Attributes:
        read: how much each position takes from each cell, (n, k, t).
        write: from which positions each cell is written, (n, k, t).
        cells: which cells these are, (n, k); None for one memory, or where the cells are one.
        traces: all that the H-step traced, (n, ...) each.
    """

    read: np.ndarray
    write: np.ndarray
    cells: np.ndarray | None
    traces: dict[str, np.ndarray]


def attention_maps(subject: Subject, step: int, H_step: int = -1) -> Maps:
    """Return the maps of an H-step of supervision step `step`, from 0; all puzzles run at once.

    Raises:
        ValueError: the memory has no maps, or there is no such step.
    """
    module, cycles = subject.model.H_module, subject.model.settings.H_cycles
    require(module.has_maps, "memory.module", type(module).__name__, "a memory that has maps")
    require(step >= 0, "step", step, "0 or above")
    require(-cycles <= H_step < cycles, "H_step", H_step, f"{-cycles} to {cycles - 1}")
    asking = module.register_forward_pre_hook(lambda _, args: (*args[:3], args[3]._replace(maps=True)))
    try:
        traces = rollout(subject, step + 1, batch_size=len(subject)).traces
    finally:
        asking.remove()
    found = {name: values[step, H_step] for name, values in traces.items()}
    read, cells = found["read_map"], found.get("indices")
    together = cells is None or cells.shape[1] != read.shape[1]
    return Maps(read=read, write=found["write_map"], cells=None if together else cells, traces=found)


def on_grid(task: Task, values: np.ndarray) -> np.ndarray:
    """Return maps (..., t) as grids (..., rows, side), without the prefix, which has no place on the grid."""
    tokens = values[..., values.shape[-1] - task.positions :]
    rows, side = task.layout
    return rearrange(tokens, "... (rows side) -> ... rows side", rows=rows, side=side)
