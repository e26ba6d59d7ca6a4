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
    found = {"cosine": cells.cosines(kept), "cls": cells.cls_trajectories(kept)}
    logged = [line for line in looking.metrics if "probe/cosine_cls_matrix" in line]
    if len(logged) > 1:
        found["cosine_training"] = {
            "step": np.array([line["step"] for line in logged]),
            **{
                name: np.array([line[f"probe/cosine_{name}_matrix"] for line in logged])
                for name in ("cls", "contents")
            },
        }
    return found


def show(run: Seen) -> list[Figure]:
    found = run.numbers[NAME]
    if "cosine" not in found:
        return []
    cls, contents = (np.asarray(found["cosine"][name]) for name in ("cls", "contents"))
    S = len(cls) - 1
    at = sorted({0, 1, max(1, S // 2), S})
    values, names = _rows(cls[at], contents[at], ["start" if s == 0 else f"step {s}" for s in at])
    points = np.asarray(found["cls"]["points"]).mean(axis=1).swapaxes(0, 1)  # (N, S + 1, 2)
    return [
        Figure(
            f"How alike the cells are: {run.label}",
            squares(f"{NAME}-cosine-{run.index}", "Cosines of the cells", values, names),
            "Cosine of each pair of cells, of their CLS and of their contents, mean over puzzles: blue 1, "
            "orange -1, empty 0; cells that are alike would fill the square.",
        ),
        *_training(run),
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


def _training(run: Seen) -> list[Figure]:
    found = run.numbers[NAME].get("cosine_training")
    if found is None:
        return []
    steps = np.asarray(found["step"])
    at = np.unique(np.linspace(0, len(steps) - 1, 4).round().astype(int))
    labels = [f"step {steps[i]:,}" for i in at]
    values, names = _rows(np.asarray(found["cls"])[at], np.asarray(found["contents"])[at], labels)
    return [
        Figure(
            f"How alike they became: {run.label}",
            squares(f"{NAME}-cosine-training-{run.index}", "Cosines over training", values, names),
            "The same after the supervision steps of a puzzle, over the optimiser steps of training, as the "
            "run logged it with probe=light.",
        )
    ]


def _rows(cls: np.ndarray, contents: np.ndarray, labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Matrices (m, N, N) with their labels, m to 4, each kind in a row of four."""
    pad = 4 - len(labels)
    values = np.concatenate([cls, np.zeros((pad, *cls.shape[1:])), contents])
    return values, [f"CLS, {one}" for one in labels] + [""] * pad + [f"contents, {one}" for one in labels]
