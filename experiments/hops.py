"""Hops: what takes memory and recursion together. A function is told piece by piece and applied h times.

    python -m experiments.hops --scale cpu

Memory or none, a cycle for each hop or one: answers by the number of hops, at the depth of training and with
more H-cycles than in training.
"""

from typing import Any

import numpy as np
import pandas as pd

from experiments.grid.page import Page, Table, line_style
from experiments.grid.results import Variants, values
from experiments.grid.run import Run, Variant, grid
from experiments.grid.stats import estimate
from experiments.grid.study import Study, main
from experiments.grid.tasks import FEWER_SEEDS, HOPS, HOPS_KINDS
from memhrm.data.episodes.guesses import without_memory
from memhrm.data.episodes.told import CHANGED

_TOLD = "memory.write_when=told"
_ONE = ("model.H_cycles=1", "data.cycles=null")
BOTH = Variant("memory, a cycle for each hop", None, ("+memory=bicross", _TOLD))
CELLS = Variant("cells, a cycle for each hop", BOTH.name, ("+memory=multicell", "k=3", _TOLD))
ALONE = Variant("memory, one cycle", BOTH.name, (*BOTH.overrides, *_ONE))
DEEP = Variant("no memory, a cycle for each hop", BOTH.name)
CARRY = Variant("carry-add, width 88", BOTH.name, ("+memory=carry_add", _TOLD, "model.hidden_size=88"))
"""As many FLOPs as with one memory."""
NEITHER = Variant("no memory, one cycle", BOTH.name, _ONE)
VARIANTS = [BOTH, CELLS, CARRY, ALONE, DEEP, NEITHER]
BY_HOPS = (1, 2, 3, 4, 6, 8)
DEPTHS = (1, 2, 3, 4, 6, 8)
"""H-cycles of a question in the test; 1 to 4 in training."""
SYMBOLS = 7
"""On which a function of `experiment=hops` works."""
TRAINED = (1, 2, 3, 4)
"""Hops of a question in training: at equal shares of these, questions that a change affects are compared with
others, since of many hops more are affected."""
MAIN = "hops"
"""The task of all variants."""


def runs(scale: str) -> list[Run]:
    """Return the runs: all variants on hops, those with one memory where facts change or are told at once.

    What has no memory can only guess, as the closed form says; it has one seed.
    """
    task, (changed, once), seeds = HOPS[scale], HOPS_KINDS[scale], FEWER_SEEDS[scale]
    return [
        *grid({task: [BOTH, CELLS, ALONE, DEEP]}, seeds[:1]),
        *grid({changed: [BOTH]}, seeds),
        *grid({task: [BOTH, CELLS, ALONE]}, seeds[1:]),
        *grid({task: [CARRY, NEITHER], once: [BOTH], changed: [ALONE]}, seeds[:1]),
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each task, the figure and the numbers."""
    page = Page({task: table(of_task) for task, of_task in found.items()})
    for task, of_task in found.items():
        page.add_numbers(f"hops/{task}", numbers(of_task))
    guess = {f"{hops}": f"{100 * without_memory(SYMBOLS, hops):.1f}" for hops in BY_HOPS}
    page.add_numbers("hops/guess", guess)  # The best that is possible without a memory.
    page.add_figure("", draw, found, size=(6.8, 3.1))
    return page


def diagonal(rows: pd.DataFrame, hops: int) -> pd.Series:
    """Return the exact accuracy at so many hops, with as many H-cycles beyond the depth of training.

    A model that was trained with one H-cycle has one for any number of hops.
    """
    trained = int(values(rows, "by_depth.trained").iloc[0])
    deeper = f"by_depth.{hops}.exact_accuracy_by_hops.{hops}"
    return values(rows, deeper if hops > trained > 1 and deeper in rows else f"exact_accuracy_by_hops.{hops}")


def by_change(rows: pd.DataFrame, changed: str) -> pd.Series:
    """Return the mean exact accuracy over `TRAINED` hops of a kind in `CHANGED`, seed by seed."""
    return pd.concat([values(rows, name) for name in _columns(changed)], axis=1).mean(axis=1)


def _columns(changed: str) -> list[str]:
    return [f"exact_accuracy_by_{changed}_hops.{hops}" for hops in TRAINED]


def table(found: Variants) -> Table:
    """Return a line for each variant: answers by hops, those that a change affects, and the cost."""
    hops = [h for h in BY_HOPS if all(f"exact_accuracy_by_hops.{h}" in one for one in found.values())]
    changed = [one for one in CHANGED if all(_columns(one)[0] in rows for rows in found.values())]
    lines = [
        [
            variant,
            f"{len(rows)}",
            *(estimate(diagonal(rows, h)).text() for h in hops),
            *(estimate(by_change(rows, one)).text() for one in changed),
            f"{values(rows, 'flops').mean() / 1e6:.1f}",
            f"{int(values(rows, 'parameters').mean()):,}",
            f"{values(rows, 'seconds').mean():.0f}",
        ]
        for variant, rows in found.items()
    ]
    head = ["exact, %, by hops", "seeds", *map(str, hops), *changed, "MFLOP", "parameters", "seconds"]
    return Table(head, lines)


def numbers(found: Variants) -> dict[str, str]:
    """Return the numbers for the text.

    VARIANT/h is the exact accuracy at h hops, VARIANT/h/least that of the worst seed, VARIANT/affected and so
    on that of each kind in `CHANGED`. VARIANT/loss is by how much affected questions are answered worse than
    unaffected ones, VARIANT/loss/seeds the same seed by seed.
    """
    result = {}
    for variant, rows in found.items():
        for hops in (h for h in range(1, 9) if f"exact_accuracy_by_hops.{h}" in rows):
            exact = 100 * diagonal(rows, hops)
            result |= {
                f"{variant}/{hops}": f"{exact.mean():.1f}",
                f"{variant}/{hops}/least": f"{exact.min():.1f}",
            }
        for changed in (one for one in CHANGED if _columns(one)[0] in rows):
            result[f"{variant}/{changed}"] = f"{100 * by_change(rows, changed).mean():.1f}"
        if _columns("affected")[0] in rows:
            loss = 100 * (by_change(rows, "unaffected") - by_change(rows, "affected"))
            result[f"{variant}/loss"] = estimate(loss).text("+", scale=1)
            result[f"{variant}/loss/seeds"] = ", ".join(f"{one:.1f}" for one in loss)
    return result


def draw(figure: Any, found: dict[str, Variants]) -> None:
    """Draw the exact accuracy by hops: of each variant, with its seeds, and of one memory at each depth."""
    first = next(iter(found.values()))
    by_variant, by_depth = figure.subplots(1, 2, sharey=True)
    for number, (variant, rows) in enumerate(first.items()):
        hops = [h for h in BY_HOPS if f"exact_accuracy_by_hops.{h}" in rows]
        exact, style = np.array([100 * diagonal(rows, h) for h in hops]), line_style(number)
        by_variant.plot(hops, exact.mean(axis=1), markersize=2.5, linewidth=1.0, label=variant, **style)
        by_variant.plot(hops, exact, linewidth=0.4, alpha=0.4, color=style["color"])
    guess = [100 * without_memory(SYMBOLS, h) for h in BY_HOPS]
    by_variant.plot(BY_HOPS, guess, linestyle=":", linewidth=1.0, color="black", label="best guess")
    rows = first[BOTH.name]
    for number, depth in enumerate(DEPTHS):
        hops = [h for h in range(1, 9) if f"by_depth.{depth}.exact_accuracy_by_hops.{h}" in rows]
        exact = [100 * values(rows, f"by_depth.{depth}.exact_accuracy_by_hops.{h}").mean() for h in hops]
        style = line_style(number)
        by_depth.plot(hops, exact, markersize=2.5, linewidth=1.0, label=f"{depth} H-cycles", **style)
    by_variant.set(xlabel="hops", ylabel="exact, %", title="a cycle for each hop, or one")
    by_depth.set(xlabel="hops", title="one memory, at each depth")
    for axes, columns in ((by_variant, 2), (by_depth, 3)):
        axes.set_xticks(np.arange(1, 9))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=columns, fontsize=6)


STUDY = Study("hops", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
