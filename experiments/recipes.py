"""The recipes at full size, on Sudoku-Extreme and Maze-Hard: the published ones, and a fast one.

    python -m memhrm.data download sudoku_extreme out=runs/data/sudoku_extreme
    python -m memhrm.data download maze_hard out=runs/data/maze_hard
    python -m experiments.recipes --scale gpu --only "TRM-MLP, fast"

A run goes on where it was interrupted, so that each can be done in pieces of any length.
"""

from experiments.grid.page import Page, Table
from experiments.grid.results import Row
from experiments.grid.run import Run
from experiments.grid.scores import by_variant, mean_of, over_seeds, tasks
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import DATA, MAZE_HARD, SMALL, SUDOKU_EXTREME

RECIPES = {
    (SUDOKU_EXTREME, "HRM"): ("hrm_sudoku_extreme", "55.0 (45.8 to 57.5)"),
    (SUDOKU_EXTREME, "TRM"): ("trm_sudoku_extreme", "74.7 (73 to 78)"),
    (SUDOKU_EXTREME, "TRM-MLP"): ("trm_mlp_sudoku_extreme", "87.4 (79 to 87)"),
    (SUDOKU_EXTREME, "TRM-MLP, fast"): ("fast_sudoku_extreme", ""),
    (MAZE_HARD, "HRM"): ("hrm_maze_hard", "74.5"),
    (MAZE_HARD, "TRM"): ("trm_maze_hard", "85.3 (75 to 84)"),
}
"""The file in configs/experiment, and what is published: exact accuracy in %, and that of reproductions."""

SHORT = {
    SUDOKU_EXTREME: f"data=sudoku9 data.train_size=20 {SMALL}",
    MAZE_HARD: f"data=maze data.side=6 data.min_length=4 data.train_size=20 {SMALL}",
}


def runs(scale: str) -> list[Run]:
    if scale == "cpu":
        raise ValueError("--scale is cpu; allowed: smoke, gpu (these recipes take days on a CPU)")
    words = SHORT if scale == "smoke" else DATA
    extra = "precision=float32 compile=false" if scale == "smoke" else ""
    return [
        Run(
            task=task,
            variant=variant,
            seed=0,
            settings=(f"experiment={name}", *words[task].split(), *extra.split()),
        )
        for (task, variant), (name, _) in RECIPES.items()
    ]


def render(rows: list[Row]) -> Page:
    lines: list[list[str]] = []
    for task in tasks(rows):
        lines.append([task])
        for variant, one in by_variant(rows, task).items():
            lines.append(
                [
                    variant,
                    over_seeds(one, "exact_accuracy").text(),
                    RECIPES[task, variant][1],
                    f"{int(mean_of(one, 'step')):,}",
                    f"{int(mean_of(one, 'parameters')):,}",
                    f"{mean_of(one, 'seconds') / 60:.0f}",
                    next(iter(one.values()))["device"],
                ]
            )
    head = ["", "exact, %", "published, %", "optimiser steps", "parameters", "minutes", "device"]
    return Page({"": Table(head, lines)})


EXPERIMENT = Experiment("recipes", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
