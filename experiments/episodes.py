"""Episodes: does what improves in an episode come through the memory? Accuracy against position.

    python -m experiments.episodes --scale cpu

Every memory and control on recall, fewer on episodes of 4x4 Sudoku and on the other kinds of recall; beside
the best possible, and, for those with a memory, the same when it is reset, frozen, or shuffled between rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.grid.page import Page, Table, line_style, log2_axis
from experiments.grid.results import Variants, curves, values
from experiments.grid.run import Run, Variant, grid, pick
from experiments.grid.study import Study, main
from experiments.grid.tasks import (
    EPISODES,
    FEWER_SEEDS,
    NEW_RULES,
    RECALL,
    RECALL_KINDS,
    RECURSIVE,
    SUDOKUS,
)
from experiments.grid.variants import ONE
from memhrm.data.episodes.episodes import milestones
from memhrm.probes.episodes import KEPT
from memhrm.report.figures import LIGHT

_FORMULA = ("memory.state_norm=none", "memory.placement=augment", ONE)  # The state's norm as in the formula.
_CELLS = ("+memory=multicell", *_FORMULA)
_SHARED = "memory.shared_cell=true"
MEMORIES = [
    Variant("baseline"),
    Variant("carry-add", None, ("+memory=carry_add", ONE)),
    Variant("bicross", None, ("+memory=bicross", *_FORMULA)),
    Variant("multicell, k=1", None, (*_CELLS, "k=1")),  # A shared cell would be the only one.
    Variant("multicell, k=2", None, (*_CELLS, _SHARED, "k=2")),
    Variant("multicell, k=3", None, (*_CELLS, _SHARED, "k=3")),
    Variant("multicell, all", None, (*_CELLS, "k=8", "memory.selector=all")),
    Variant("aggregate", None, ("+memory=aggregate", *_FORMULA, "k=3", _SHARED)),
]
_THREE = pick(MEMORIES, "multicell, k=3")[0].overrides
CONTROLS = [
    Variant("carry-add, width 104", None, ("+memory=carry_add", ONE, "model.hidden_size=104")),
    Variant("multicell, one cell", None, (*_CELLS, "memory.cells=1", "k=1")),
    Variant("multicell, k=3, random", None, (*_THREE, "memory.selector=random")),
    Variant(
        "multicell, k=3, random and held", None, (*_THREE, "memory.selector=random", "memory.hold=example")
    ),
]
"""A state with as many parameters, the shared cell alone, and cells chosen at random, anew at every H-step
or once for a question and its feedback. What they reach needs no choice of cells."""
TOKENS = [Variant("memory tokens", None, ("+memory=tokens", ONE))]  # They need attention; Sudoku has the MLP.
BOTH = pick(MEMORIES, "bicross", "multicell, k=3")
FEW = [*pick(MEMORIES, "baseline", "carry-add"), *BOTH]
"""On tasks of which a run takes long."""
EQUAL = [*FEW, *pick(CONTROLS, "carry-add, width 104")]
"""The same beside a state with as many parameters."""
DRAWN = [variant.name for variant in (*MEMORIES, *TOKENS)]
"""The variants whose curves are drawn."""
CHANGE = {"revision": (17, 18, 19, 20)}
"""The first puzzle under the new rule, whose answer is a guess, and those after it."""
LEAST = 0.1
"""Points below the best possible that the figure tells apart from none."""


def runs(scale: str) -> list[Run]:
    """Return the runs on recall, also with recursion and with new rules, on Sudoku, and on other kinds."""
    tasks, seeds, measures = EPISODES[scale], FEWER_SEEDS[scale], ["positions"]
    return [
        *grid({tasks[RECALL]: [*MEMORIES, *TOKENS, *CONTROLS]}, seeds, measures),
        *grid({tasks[RECURSIVE]: EQUAL, tasks[NEW_RULES]: EQUAL}, seeds, measures),
        *grid({tasks[SUDOKUS]: FEW}, seeds, measures),
        *grid(dict.fromkeys(RECALL_KINDS[scale], BOTH), seeds[:1], measures),
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each task, and the figure."""
    page = Page({task: table(of_task, KEPT, places(task, of_task)) for task, of_task in found.items()})
    shown = {task: of_task for task, of_task in found.items() if task in EPISODES["cpu"]}
    drawn = {task: of_task for task, of_task in shown.items() if task in (RECALL, SUDOKUS)}
    page.add_figure("", positions, drawn, size=(6.8, 2.7))
    for task, of_task in shown.items():
        page.tables[f"{task}-kept"] = table(of_task, KEPT[:1], places(task, of_task))
    for task, of_task in found.items():
        page.add_numbers(f"episodes/{task}", numbers(of_task, places(task, of_task)))
    return page


def places(task: str, found: Variants) -> list[int]:
    """Return the positions in an episode, from 1, that are shown of a task."""
    length = len(best(found))
    return sorted({*milestones(length), *(at for at in CHANGE.get(task, ()) if at <= length)})


def numbers(found: Variants, where: Sequence[int]) -> dict[str, str]:
    """Return the numbers for the text.

    VARIANT/POSITION is the exact accuracy there, VARIANT/last/seeds that at the last one seed by seed,
    VARIANT/short the largest shortfall from the best possible over all positions and seeds.
    """
    result = {}
    for variant, rows in found.items():
        exact = 100 * curves(rows, "positions.kept")
        result |= {f"{variant}/{place}": text for place, text in zip(where, at(exact.mean(axis=0), where))}
        result[f"{variant}/last/seeds"] = ", ".join(f"{one:.1f}" for one in exact[:, -1])
        result[f"{variant}/short"] = f"{shortfall(rows, KEPT[0]).max():.1f}"
    return result


def table(found: Variants, kept: Sequence[str], where: Sequence[int]) -> Table:
    """Return a line for each variant and treatment of its memory, with shortfalls by seed, and its size.

    Args:
        found: The rows of each variant.
        kept: The treatments to show, of `KEPT`; their column is left out where there is one.
        where: The positions to show, from 1.
    """
    optimum = best(found)
    lines = [["best possible", "", *at(optimum, where), "", "", ""]]
    for variant, rows in found.items():
        for which in (which for which in kept if f"positions.{which}" in rows):
            exact = 100 * curves(rows, f"positions.{which}")
            short = " ".join(f"{value:.1f}" for value in shortfall(rows, which).max(axis=1))
            size = [
                f"{values(rows, 'flops').mean() / 1e6:.1f}",
                f"{int(values(rows, 'parameters').mean()):,}",
            ]
            more = [short, *size] if which == KEPT[0] else ["", "", ""]
            lines.append([variant, which, *at(exact.mean(axis=0), where), *more])
    head = [
        "puzzle of the episode",
        "memory",
        *map(str, where),
        "most below the best, by seed",
        "MFLOP",
        "parameters",
    ]
    return Table(head, lines).select([i for i in range(len(head)) if i != 1 or len(kept) > 1])


def shortfall(rows: pd.DataFrame, which: str) -> np.ndarray:
    """Return by how many points each seed is below the best possible at each position, (seeds, positions)."""
    return 100 * (curves(rows, "positions.best") - curves(rows, f"positions.{which}"))


def best(found: Variants) -> np.ndarray:
    """Return the best possible exact accuracy at each position, in %, the mean over seeds."""
    return 100 * curves(next(iter(found.values())), "positions.best").mean(axis=0)


def at(curve: np.ndarray, positions: Sequence[int]) -> list[str]:
    """Return the text of a curve at some positions, counted from 1."""
    return [f"{curve[position - 1]:.1f}" for position in positions]


def positions(figure: Any, found: dict[str, Variants]) -> None:
    """Draw how far the exact accuracy is below the best possible, against the position, mean over seeds.

    What is below by less than a tenth of a point is drawn there. Dashed: the best possible without memory.
    """
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (task, of_task) in zip(panels, found.items()):
        optimum = best(of_task)
        place = np.arange(1, len(optimum) + 1)
        without = (optimum - optimum[0]).clip(LEAST)
        axes.plot(place, without, linestyle="--", linewidth=0.8, color="black", label="best without")
        for number, variant in enumerate(DRAWN):
            if (rows := of_task.get(variant)) is None:
                continue
            style = line_style(number) | {"linestyle": "-" if number < len(LIGHT) else "--"}
            short = shortfall(rows, KEPT[0]).mean(axis=0)
            axes.plot(place, short.clip(LEAST), markersize=2.5, linewidth=1.0, label=variant, **style)
        axes.set_yscale("log")
        log2_axis(axes, [2**i for i in range(len(optimum).bit_length())])
        axes.set_title(task)
        axes.set_xlabel("puzzle of the episode")
    panels[0].set_ylabel("points below the best possible")
    lines = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(lines.values(), lines.keys(), loc="outside right center", fontsize=6.5)


STUDY = Study("episodes", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
