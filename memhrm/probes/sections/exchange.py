"""What the memory reads from and writes to the puzzle's grid."""

from typing import Any

import numpy as np

from memhrm.probes import attention
from memhrm.probes.film import boxes
from memhrm.probes.maps import grids
from memhrm.probes.page import Figure, Section
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic

NAME = "attention"
PUZZLES = 64
MOST = 16


def look(looking: Looking) -> Numbers | None:
    """Maps of the last H-step of training.

    read, write: (N, rows, columns), mean over the puzzles in which a cell is active, nan for a cell that is
    in none. one_read, one_write: of one puzzle, (k, rows, columns), whose active cells are one_cells, (k,),
    -1 for a memory without cells.
    """
    if not attention.readable(looking.subject.model.H_module):
        return None
    few = looking.few(min(PUZZLES, looking.how.few_puzzles))
    met = attention.exchanged(few, looking.trained - 1)
    maps = {
        "read": attention.on_grid(few.task, attention.read_map(met)),
        "write": attention.on_grid(few.task, attention.write_map(met)),
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
                f"For the first puzzle, at the last H-step of training: how much each position takes from "
                f"{what}{', all on one scale from nothing' if several else ''}; and from which positions it "
                "is written, each map from its smallest value (empty) to its largest (full).",
            )
        )
        every = len(found["read"]) > 1
        for kind, verb in (("read", "takes from"), ("write", "gives to")) if every else ():
            used = np.flatnonzero(np.isfinite(found[kind]).all(axis=(1, 2)))[:MOST]
            maps = found[kind][used]
            scale = (
                "all on one scale: an empty frame is a cell of which nothing is taken"
                if kind == "read"
                else "each map from its smallest value (empty) to its largest (full)"
            )
            parts.append(
                Figure(
                    f"{'Reading' if kind == 'read' else 'Writing'}, cell by cell: {run.label}",
                    grids(
                        f"{NAME}-{kind}-{run.index}",
                        f"{kind} maps by cell",
                        maps,
                        [_name(cell) for cell in used],
                        box,
                        [float(maps.max())] * len(maps) if kind == "read" else None,
                    ),
                    f"How much each position {verb} each cell, mean over those of {found['puzzles']} "
                    f"puzzles in which the cell is active at the last H-step; {scale}.",
                )
            )
    return Section(
        NAME, "Reading and writing", "Where on the puzzle's grid the memory is read and written.", parts
    )


def _name(cell: int) -> str:
    return "memory" if cell < 0 else f"cell {cell + 1}"


TOPIC = Topic(NAME, look, show)
