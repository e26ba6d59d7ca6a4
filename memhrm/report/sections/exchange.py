"""Where on the puzzle's grid the memory is read and written."""

from typing import Any

import numpy as np

from memhrm.probes import attention
from memhrm.report.film import boxes
from memhrm.report.maps import grids
from memhrm.report.page import Figure, Section
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted

NAME = "attention"
PUZZLES = 64
MOST = 16


def look(looking: Looking) -> Numbers | None:
    """Return maps at the last H-step of the training depth.

    read, write: (N, rows, columns), mean over the puzzles for which a cell is active, nan if there are none.
    one_read, one_write: those of one puzzle, (k, rows, columns). one_cells: its active cells, (k,); -1 for a
    memory without cells.
    """
    if not attention.readable(looking.subject.model.H_module):
        return None
    few = looking.few(min(PUZZLES, looking.how.few_puzzles))
    met = attention.attention_maps(few, looking.trained - 1)
    maps = {
        "read": attention.on_grid(few.task, met.read),
        "write": attention.on_grid(few.task, met.write),
    }
    owners = np.full(maps["read"].shape[:2], -1) if met.cells is None else met.cells
    found: Numbers = {"one_cells": owners[0], "puzzles": len(few)}
    for name, values in maps.items():
        found[f"one_{name}"] = values[0]
        found[name] = np.stack([_mean(values[owners == cell]) for cell in _cells(looking, met.cells)])
    return found


def _cells(looking: Looking, cells: np.ndarray | None) -> list[int]:
    return [-1] if cells is None else list(range(looking.cells))


def _mean(maps: np.ndarray) -> np.ndarray:
    return maps.mean(axis=0) if len(maps) else np.full(maps.shape[1:], np.nan)


def show(runs: list[Seen]) -> Section:
    parts: list[Any] = []
    for run in runs:
        found, box = run.numbers[NAME], boxes(run.looking.subject.task)
        one = np.concatenate([found["one_read"], found["one_write"]])
        labels = [f"{verb} {_name(cell)}" for verb in ("reads", "writes") for cell in found["one_cells"]]
        most, several = float(np.max(found["one_read"])), len(found["one_cells"]) > 1
        full = [most] * len(found["one_read"]) + [np.nan] * len(found["one_write"])
        what = "each active cell" if several else "the memory"
        parts.append(
            Figure(
                f"One puzzle: {run.label}",
                grids(
                    f"{NAME}-one-{run.index}",
                    "Attention maps of one puzzle",
                    one[:MOST],
                    labels[:MOST],
                    box,
                    full if several else None,
                ),
                f"For the first puzzle, at the last H-step: how much each token reads from {what}"
                f"{', on a common scale that starts at zero' if several else ''}; and which tokens {what} is "
                "written from, each map scaled from its smallest (empty) to its largest value (full).",
            )
        )
        every = len(found["read"]) > 1
        for kind, verb in (("read", "reads from"), ("write", "writes to")) if every else ():
            used = np.flatnonzero(np.isfinite(found[kind]).all(axis=(1, 2)))[:MOST]
            maps = found[kind][used]
            scale = (
                "all maps share a scale, so that an empty frame is a cell from which nothing is read"
                if kind == "read"
                else "each map is scaled from its smallest (empty) to its largest value (full)"
            )
            parts.append(
                Figure(
                    f"{'Reading' if kind == 'read' else 'Writing'} by cell: {run.label}",
                    grids(
                        f"{NAME}-{kind}-{run.index}",
                        f"{kind.capitalize()} maps by cell",
                        maps,
                        [_name(cell) for cell in used],
                        box,
                        [float(maps.max())] * len(maps) if kind == "read" else None,
                    ),
                    f"How much each token {verb} each cell at the last H-step, mean over those of "
                    f"{counted(found['puzzles'], 'puzzle')} for which the cell is active; {scale}.",
                )
            )
    return Section(
        NAME, "Reading and writing", "Where on the puzzle's grid the memory is read and written.", parts
    )


def _name(cell: int) -> str:
    return "memory" if cell < 0 else f"cell {cell}"


TOPIC = Topic(NAME, look, show)
