"""ARC tasks that the tests make, and slow versions of what is done with grids, cell by cell."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.data.arc.tasks import ArcTask, task_of

Grid = list[list[int]]

RULES = {
    "swap": lambda grid: np.where(grid == 1, 2, np.where(grid == 2, 1, grid)),
    "mirror": lambda grid: grid[:, ::-1],
    "double": lambda grid: np.concatenate((grid, grid)),
    "first": lambda grid: grid[:1],
}
"""What makes outputs of inputs; two of them change the size."""


def made(name: str, seed: int = 0, tests: int = 1, most: int = 5) -> dict[str, Any]:
    """A task as JSON, whose rule is the name's first word, with three demonstrations."""
    rng = np.random.default_rng((seed, len(name)))
    rule = RULES[name.split("-")[0]]

    def pair() -> dict[str, Grid]:
        grid = rng.integers(5, size=rng.integers(2, most + 1, size=2))
        return {"input": grid.tolist(), "output": rule(grid).tolist()}

    return {"train": [pair() for _ in range(3)], "test": [pair() for _ in range(tests)]}


def tasks(of_set: str = "evaluation", seed: int = 0) -> list[ArcTask]:
    """A task of each rule, one of them with two tests."""
    return [
        task_of(made(f"{rule}-{of_set}", seed, 1 + (rule == "mirror")), "made", f"{rule}-{of_set}", of_set)
        for rule in RULES
    ]


def write_combined(folder: Path, sets: dict[str, list[ArcTask]], solved: bool = True) -> Path:
    """Kaggle's files of sets of tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    for of_set, some in sets.items():
        challenges, solutions = {}, {}
        for task in some:
            challenges[task.id] = {
                "train": [plain(pair) for pair in task.demonstrations],
                "test": [{"input": pair.input.tolist()} for pair in task.tests],
            }
            solutions[task.id] = [pair.output.tolist() for pair in task.tests if pair.output is not None]
        (folder / f"arc-agi_{of_set}_challenges.json").write_text(json.dumps(challenges))
        if solved:
            (folder / f"arc-agi_{of_set}_solutions.json").write_text(json.dumps(solutions))
    return folder


def plain(pair: Any) -> dict[str, Grid]:
    return {"input": pair.input.tolist(), "output": pair.output.tolist()}


def turned_slowly(grid: np.ndarray, symmetry: int) -> np.ndarray:
    """A grid under one of the eight symmetries in the published order, as numpy names them."""
    return [
        lambda a: a,
        lambda a: np.rot90(a, 1),
        lambda a: np.rot90(a, 2),
        lambda a: np.rot90(a, 3),
        np.fliplr,
        np.flipud,
        np.transpose,
        lambda a: np.fliplr(np.rot90(a, 1)),
    ][symmetry](grid)


def canvas_slowly(grid: np.ndarray, side: int, row: int = 0, column: int = 0) -> np.ndarray:
    """A grid on a canvas, cell by cell."""
    canvas = np.zeros((side, side), int)
    rows, columns = grid.shape
    for i in range(rows):
        for j in range(columns):
            canvas[row + i, column + j] = grid[i, j] + 2
    if row + rows < side:
        for j in range(columns):
            canvas[row + rows, column + j] = 1
    if column + columns < side:
        for i in range(rows):
            canvas[row + i, column + columns] = 1
    return canvas


def cropped_slowly(canvas: np.ndarray) -> np.ndarray:
    """The largest rectangle of colours at the top left, of equal ones that with fewer rows."""
    side = len(canvas)
    best = (0, 0, 0)
    for rows in range(1, side + 1):
        for columns in range(1, side + 1):
            whole = all(2 <= canvas[i, j] <= 11 for i in range(rows) for j in range(columns))
            if whole and rows * columns > best[0]:
                best = (rows * columns, rows, columns)
    return canvas[: best[1], : best[2]] - 2
