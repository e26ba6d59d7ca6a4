"""Attention: where on the puzzle's grid the memory is read and written."""

from typing import Any

import numpy as np

from memhrm.probes import attention
from memhrm.report.maps import maps
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun
from memhrm.report.sections.films import boxes

PUZZLES = 64
MOST = 16


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return maps at the last H-step of the training depth.

    `read` and `write` are (N, rows, columns), mean over the puzzles for which a cell is active, nan without;
    `one_read` and `one_write` those of one puzzle, (k, rows, columns); `one_cells` its active cells, (k,), -1
    for a memory without cells.
    """
    if not run.subject.model.H_module.has_maps:
        return None
    few = run.few(PUZZLES)
    step = attention.attention_maps(few, run.depth - 1)
    found: dict[str, Any] = {"puzzles": len(few)}
    for name, flat in (("read", step.read), ("write", step.write)):
        values = attention.on_grid(few.task, flat)
        owners = np.full(values.shape[:2], -1) if step.cells is None else step.cells
        each = [values[owners == cell] for cell in ([-1] if step.cells is None else range(run.cells))]
        empty = np.full(values.shape[2:], np.nan)
        found[name] = np.stack([one.mean(axis=0) if len(one) else empty for one in each])
        found |= {f"one_{name}": values[0], "one_cells": owners[0]}
    return found


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures: of one puzzle, and by cell."""
    parts = []
    for run in runs:
        found, box = run.numbers["attention"], boxes(run.subject.task)
        read, write, several = found["one_read"], found["one_write"], len(found["one_cells"]) > 1
        values = np.concatenate([read, write])[:MOST]
        labels = [f"{verb} {_name(cell)}" for verb in ("reads", "writes") for cell in found["one_cells"]]
        limits = [float(np.max(read)) if several else None] * len(read) + [None] * len(write)
        parts.append(maps("attention-one", run, values, labels, limits, box))
        for kind in ("read", "write") if len(found["read"]) > 1 else ():
            used = np.flatnonzero(np.isfinite(found[kind]).all(axis=(1, 2)))[:MOST]
            values, labels = found[kind][used], [_name(cell) for cell in used]
            limits = [float(values.max()) if kind == "read" else None] * len(used)
            parts.append(maps(f"attention-{kind}", run, values, labels, limits, box))
    return parts


def _name(cell: int) -> str:
    return "memory" if cell < 0 else f"cell {cell}"
