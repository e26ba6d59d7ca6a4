"""Episodes: does what improves in an episode come through the memory? Accuracy against position.

    python -m experiments.episodes --scale cpu

Every memory and control on recall, fewer on episodes of 4x4 Sudoku and on the variants of recall; beside the
best possible, and, for those with a memory, the same when it is reset, frozen, or shuffled between rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.grid.page import Page, Table
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import by_variant, curves, has, tasks
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import EPISODES, FEWER, VARIANTS
from experiments.grid.variants import ONE
from memhrm.data.episodes.episodes import milestones
from memhrm.probes.positions import KEPT
from memhrm.report.figures import LIGHT, MARKERS

FORMULA = f"memory.state_norm=none memory.placement=augment {ONE}"  # The state's norm as in the formula.
CELLS = f"+memory=multicell {FORMULA} memory.shared_cell=true"
MEMORIES = {
    "baseline": "",
    "carry-add": f"+memory=carry_add {ONE}",
    "bicross": f"+memory=bicross {FORMULA}",
    "multicell, k=1": f"+memory=multicell {FORMULA} k=1",  # A shared cell would be all of k=1.
    "multicell, k=2": f"{CELLS} k=2",
    "multicell, k=3": f"{CELLS} k=3",
    "multicell, all": f"+memory=multicell {FORMULA} k=8 memory.selector=all",
    "aggregate": f"+memory=aggregate {FORMULA} k=3 memory.shared_cell=true",
}
TOKENS = {"memory tokens": f"+memory=tokens {ONE}"}  # They need attention; the sudokus have the MLP.
BOTH = {name: MEMORIES[name] for name in ("bicross", "multicell, k=3")}
ON_SUDOKU = {name: MEMORIES[name] for name in ("baseline", "carry-add", *BOTH)}  # A run is 20 minutes.


def runs(scale: str) -> list[Run]:
    recall, sudoku = ({name: EPISODES[scale][name]} for name in ("recall", "sudoku4"))
    return [
        *grid(recall, MEMORIES | TOKENS, FEWER[scale], ["positions"]),
        *grid(sudoku, ON_SUDOKU, FEWER[scale], ["positions"]),
        *grid(VARIANTS[scale], BOTH, FEWER[scale][:1], ["positions"]),
    ]


def render(rows: list[Row]) -> Page:
    page = Page()
    for task in tasks(rows):
        page.tables[task] = table(rows, task, KEPT)
    main_tasks = [task for task in tasks(rows) if task in EPISODES["cpu"]]
    page.figure("", lambda figure: positions(figure, rows, main_tasks), 6.8, 2.7)
    for task in main_tasks:
        page.tables[f"{task}-kept"] = table(rows, task, KEPT[:1])
        page.say(f"episodes/{task}", numbers(rows, task))
    return page


def numbers(rows: list[Row], task: str) -> dict[str, str]:
    """For the text: VARIANT/PUZZLE, the exact accuracy there, and VARIANT/short, by how much the worst puzzle
    of any seed falls short of the best possible."""
    said = {}
    for variant, one in by_variant(rows, task).items():
        kept = 100 * curves(one, "positions.kept")
        where = milestones(kept.shape[1])
        said |= {f"{variant}/{place}": text for place, text in zip(where, at(kept.mean(axis=0), where))}
        said[f"{variant}/short"] = f"{(100 * curves(one, 'positions.best') - kept).max():.1f}"
    return said


def table(rows: list[Row], task: str, kept: Sequence[str]) -> Table:
    """A line per variant and what became of its memory, and the largest shortfall, seed by seed.

    kept: of `KEPT`, those to show; the column that tells them apart is left out where there is one.
    """
    found = by_variant(rows, task)
    optimum = 100 * curves(next(iter(found.values())), "positions.best")[0]
    where = milestones(len(optimum))
    lines = [["best possible", "", *at(optimum, where), ""]]
    for variant, one in found.items():
        for which in kept:
            if not has(one, f"positions.{which}"):
                continue
            exact = 100 * curves(one, f"positions.{which}")
            short = " ".join(f"{value:.1f}" for value in (optimum - exact).max(axis=1))
            lines.append([variant, which, *at(exact.mean(axis=0), where), short if which == "kept" else ""])
    head = ["puzzle of the episode", "memory", *map(str, where), "most below the best, by seed"]
    return Table(head, lines).of([i for i in range(len(head)) if i != 1 or len(kept) > 1])


def at(values: np.ndarray, where: list[int]) -> list[str]:
    """Of values by puzzle of the episode, those at some puzzles."""
    return [f"{values[place - 1]:.1f}" for place in where]


def positions(figure: Any, rows: list[Row], names: list[str]) -> None:
    """Exact accuracy against the puzzle of the episode, mean over seeds; dotted: the best possible."""
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for axes, task in zip(panels, names):
        found = by_variant(rows, task)
        optimum = curves(next(iter(found.values())), "positions.best")[0]
        place = np.arange(1, len(optimum) + 1)
        axes.plot(place, 100 * optimum, ":", color="black", label="best with memory")
        axes.axhline(100 * optimum[0], linestyle="--", linewidth=0.8, color="black", label="best without")
        for variant, one in found.items():
            exact = 100 * curves(one, "positions.kept").mean(axis=0)
            again, number = divmod([*MEMORIES, *TOKENS].index(variant), len(LIGHT))
            style = {"color": LIGHT[number], "marker": MARKERS[number], "linestyle": "--" if again else "-"}
            axes.plot(place, exact, markersize=2.5, linewidth=1.0, label=variant, **style)
        axes.set_xscale("log", base=2, subs=[])
        where = [2**i for i in range(len(optimum).bit_length())]
        axes.set_xticks(where, map(str, where))
        axes.set_title(task)
        axes.set_xlabel("puzzle of the episode")
    panels[0].set_ylabel("exact, %")
    lines = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(lines.values(), lines.keys(), loc="outside right center", fontsize=6.5)


EXPERIMENT = Experiment("episodes", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
