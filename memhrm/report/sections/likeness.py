"""How similar the cells are, and how their CLS move: part of the section on memory cells."""

import numpy as np

from memhrm.probes import cells
from memhrm.probes.rollout import rollout
from memhrm.report.maps import paths, squares
from memhrm.report.page import Figure
from memhrm.report.sections.base import Looking, Numbers, Seen

NAME = "cells"
KEPT = 32
"""Puzzles used here: the contents for every puzzle at every step would take much memory."""


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
            f"Similarity of the cells: {run.label}",
            squares(f"{NAME}-cosine-{run.index}", "Cosines of the cells", values, names),
            "Cosine between each pair of cells, for their CLS and their contents, mean over puzzles: "
            "blue is 1, orange -1, empty 0. Identical cells would fill the square.",
        ),
        *_training(run),
        Figure(
            f"Trajectories of the CLS: {run.label}",
            paths(
                f"{NAME}-cls-{run.index}",
                "Trajectories of the cells' CLS",
                [(run.label, run.index, points)],
                found["cls"]["explained"],
                names=[str(i) for i in range(len(points))],
            ),
            "CLS of each cell over the supervision steps, mean over puzzles, in the plane of the first two "
            "principal components. Hollow marks are starts; each path ends at the number of its cell.",
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
            f"Similarity over training: {run.label}",
            squares(f"{NAME}-cosine-training-{run.index}", "Cosines over training", values, names),
            "The same cosines, after a puzzle's last supervision step, at several optimiser steps, as logged "
            "during training with probe=light.",
        )
    ]


def _rows(cls: np.ndarray, contents: np.ndarray, labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return matrices (m, N, N), m up to 4, and their labels, each kind in a row of four."""
    pad = 4 - len(labels)
    values = np.concatenate([cls, np.zeros((pad, *cls.shape[1:])), contents])
    return values, [f"CLS, {one}" for one in labels] + [""] * pad + [f"contents, {one}" for one in labels]
