"""The main table: does memory help? Every model, memory and control on Sudoku and mazes, seed by seed.

    python -m experiments.main_table --scale smoke   # seconds a run: that everything works
    python -m experiments.main_table --scale cpu     # hours on two cores; the same command goes on
    python -m experiments.main_table --scale gpu     # the published sizes, on Sudoku-Extreme and Maze-Hard

Within a seed all variants see the same puzzles in the same order and start from the same weights outside
the memory, so that a memory and its baseline, the same model with the same gradient window, make a pair.
"""

from typing import Any

import numpy as np

from experiments.grid import published
from experiments.grid.comparison import comparison
from experiments.grid.page import Page, Table
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import against, by_variant, curves, over_seeds, signed, tasks, told
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import PUZZLES, SEEDS
from experiments.grid.variants import BASELINES, CONTROLS, MEMORIES, MIXED, MODELS, TOKENS, WINDOWS, sized
from memhrm.report.figures import LIGHT

GROUPS = {"no memory": [*MODELS, *MIXED], "memory": MEMORIES, "controls": [*CONTROLS, *TOKENS]}
SCORES = {"main": "exact_accuracy", "speed": "over_training"}  # By their name in the text.
SIGNIFICANT = 0.05  # After the correction.
SPEED = ["seeds", "over training, %", "90 % from step"]
COLUMNS = ["seeds", "exact, %", "tokens, %", "optimal path, %", "steps", "parameters", "MFLOP", "seconds"]


def runs(scale: str) -> list[Run]:
    every = MODELS | MEMORIES | CONTROLS
    found = []
    for task, words in PUZZLES[scale].items():
        own = MIXED if "mlp" in words else TOKENS
        found += grid({task: words}, sized(every | own, scale), SEEDS[scale])
    return sorted(found, key=lambda run: run.seed)


def render(rows: list[Row]) -> Page:
    page = Page()
    page.tables["summary"] = summary(rows, "exact, %", SCORES["main"])
    page.tables["summary-speed"] = summary(rows, "over training, %", SCORES["speed"])
    for task in tasks(rows):
        page.tables[task] = comparison(rows, task, GROUPS, BASELINES, COLUMNS)
        page.tables[f"{task}-speed"] = comparison(rows, task, GROUPS, BASELINES, SPEED, "over_training")
        page.figure(f"{task}-curves", lambda figure, task=task: learning(figure, rows, task), 6.8, 2.7)
        for name, score in SCORES.items():
            page.say(f"{name}/{task}", numbers(rows, task, score))
    page.tables["published-sudoku"] = Table(*published.SUDOKU_EXTREME)
    page.tables["published-maze"] = Table(*published.MAZE_HARD)
    return page


def summary(rows: list[Row], title: str, score: str) -> Table:
    """A score on all tasks, and each memory's and control's difference from its baseline."""
    found = {task: by_variant(rows, task) for task in tasks(rows)}
    pairs = {task: against(found[task], BASELINES, score) for task in found}
    lines: list[list[str]] = []
    for group_title, group in GROUPS.items():
        lines.append([group_title])
        for name in (name for name in group if any(name in one for one in found.values())):
            lines.append([name])
            for task, one in found.items():
                lines[-1].append(over_seeds(one[name], score).text() if name in one else "")
                pair = pairs[task].get(name)
                lines[-1].append(signed(pair) + "*" * (pair.p < SIGNIFICANT) if pair else "")
    return Table([title, *(word for task in found for word in (task, "less baseline"))], lines)


def learning(figure: Any, rows: list[Row], task: str) -> None:
    """Exact accuracy on the validation puzzles over training, mean over seeds, HRM and TRM apart."""
    found = by_variant(rows, task)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, model in zip(panels, ("HRM", "TRM")):
        shown = [f"{model}", f"{model}, g=2", *(name for name in MEMORIES if name.startswith(model))]
        for number, variant in enumerate(name for name in shown if name in found):
            exact = curves(found[variant], "curve_exact")
            steps = curves(found[variant], "curve_steps")[0]
            label = variant.removeprefix(f"{model} + ").replace(model, "no memory")
            colour, dashes = LIGHT[number // 2 % len(LIGHT)], "-" if number % 2 == 0 else "--"
            axes.plot(steps, 100 * np.mean(exact, axis=0), color=colour, linestyle=dashes, label=label)
        axes.set_title(model)
        axes.set_xlabel("optimiser steps")
    panels[0].set_ylabel("exact, validation, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)


def numbers(rows: list[Row], task: str, score: str) -> dict[str, str]:
    """For the text: what `told` gives, and how many memories and controls are better and worse."""
    pairs = against(by_variant(rows, task), BASELINES, score).values()
    better = [pair.mean > 0 for pair in pairs if pair.p < SIGNIFICANT]
    counts = {"better": sum(better), "worse": len(better) - sum(better), "compared": len(pairs)}
    return told(rows, task, score, BASELINES, WINDOWS) | {name: f"{n}" for name, n in counts.items()}


EXPERIMENT = Experiment("main_table", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
