"""The recipes at full size, on Sudoku-Extreme and Maze-Hard: the published ones, and a fast one.

    python -m memhrm.data download sudoku_extreme out=runs/data/sudoku_extreme
    python -m memhrm.data download maze_hard out=runs/data/maze_hard
    python -m experiments.recipes --scale gpu --only "TRM-MLP, fast"

An interrupted run continues where it was, so that each recipe can be run in pieces of any length.
"""

from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, values
from experiments.grid.run import Run
from experiments.grid.stats import over_seeds
from experiments.grid.study import Study, main
from experiments.grid.tasks import DATA, MAZE_HARD, SMALL, SUDOKU_EXTREME

RECIPES = {
    (SUDOKU_EXTREME, "HRM"): ("hrm_sudoku_extreme", "55.0 (45.8 to 57.5)"),
    (SUDOKU_EXTREME, "TRM"): ("trm_sudoku_extreme", "74.7 (73 to 78)"),
    (SUDOKU_EXTREME, "TRM-MLP"): ("trm_mlp_sudoku_extreme", "87.4 (79 to 87)"),
    (SUDOKU_EXTREME, "TRM-MLP, fast"): ("fast_sudoku_extreme", ""),
    (MAZE_HARD, "HRM"): ("hrm_maze_hard", "74.5"),
    (MAZE_HARD, "TRM"): ("trm_maze_hard", "85.3 (75 to 84)"),
}
"""The file in configs/experiment, and the published exact accuracy in %, with that of reproductions."""

SMOKE = {
    SUDOKU_EXTREME: ("data=sudoku9", "data.train_size=20", *SMALL),
    MAZE_HARD: ("data=maze", "data.side=6", "data.min_length=4", "data.train_size=20", *SMALL),
}
PLAIN = ("precision=float32", "compile=false")  # For a CPU.


def runs(scale: str) -> list[Run]:
    """Return a run of each recipe.

    Raises:
        ValueError: The scale is cpu.
    """
    smoke = scale == "smoke"
    if scale == "cpu":
        raise ValueError("--scale is cpu; allowed: smoke, gpu (these recipes take days on a CPU)")
    return [
        Run(task, variant, 0, (f"experiment={name}", *((*SMOKE[task], *PLAIN) if smoke else [DATA[task]])))
        for (task, variant), (name, _) in RECIPES.items()
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return the table of the recipes."""
    head = ["", "exact, %", "published, %", "optimiser steps", "parameters", "minutes", "device"]
    lines = {
        task: [
            [
                variant,
                over_seeds(rows, "exact_accuracy").text(),
                RECIPES[task, variant][1],
                f"{int(values(rows, 'step').mean()):,}",
                f"{int(values(rows, 'parameters').mean()):,}",
                f"{values(rows, 'seconds').mean() / 60:.0f}",
                rows["device"].iloc[0],
            ]
            for variant, rows in of_task.items()
        ]
        for task, of_task in found.items()
    }
    return Page({"": Table.grouped(head, lines)})


STUDY = Study("recipes", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
