"""How alike the cells are, and where their CLS go: a part of the section on cells."""

import numpy as np

from memhrm.probes import cells
from memhrm.probes.maps import paths, squares
from memhrm.probes.page import Figure
from memhrm.probes.rollout import rollout
from memhrm.probes.sections.base import Looking, Numbers, Seen

NAME = "cells"
KEPT = 32
"""Puzzles that are looked at; the contents of all of them over all steps would take much memory."""


def look(looking: Looking) -> Numbers:
    few = looking.few(min(KEPT, looking.how.few_puzzles))
    memory = few.select(slice(1)).initial_state().memory
    if "cells" not in memory or memory["cells"].ndim != 4:
        return {}
    kept = rollout(few, looking.trained, keep=("cells",)).states["cells"]
    return {"cosine": cells.cosines(kept), "cls": cells.cls_trajectories(kept)}


def show(run: Seen) -> list[Figure]:
    found = run.numbers[NAME]
    if "cosine" not in found:
        return []
    cls, contents = (np.asarray(found["cosine"][name]) for name in ("cls", "contents"))
    S = len(cls) - 1
    at = sorted({0, 1, max(1, S // 2), S})
    labels = ["start" if s == 0 else f"step {s}" for s in at]
    pad = 4 - len(at)  # Each kind has a row of its own.
    values = np.concatenate([cls[at], np.zeros((pad, *cls.shape[1:])), contents[at]])
    names = [f"CLS, {label}" for label in labels] + [""] * pad + [f"contents, {label}" for label in labels]
    points = np.asarray(found["cls"]["points"]).mean(axis=1).swapaxes(0, 1)  # (N, S + 1, 2)
    return [
        Figure(
            f"How alike the cells are: {run.label}",
            squares(f"{NAME}-cosine-{run.index}", "Cosines of the cells", values, names),
            "Cosine of each pair of cells, of their CLS and of their contents, mean over puzzles: blue 1, "
            "orange -1, empty 0; cells that are alike would fill the square.",
        ),
        Figure(
            f"Where the CLS go: {run.label}",
            paths(
                f"{NAME}-cls-{run.index}",
                "Trajectories of the cells' CLS",
                [(run.label, run.index, points)],
                found["cls"]["explained"],
                names=[str(i + 1) for i in range(len(points))],
            ),
            "The CLS of each cell (its number at the end) over the supervision steps, mean over puzzles, in "
            "the plane in which all of them vary most; hollow marks are starts.",
        ),
    ]
