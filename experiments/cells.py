"""What the cells do: usage, specialisation against its null, and what disturbing the memory costs.

    python -m experiments.cells --scale cpu

Of runs that the main table and the episodes have too: on Sudoku, and on recall, where the memory is needed.
"""

from textwrap import fill
from typing import Any

import numpy as np

from experiments.episodes import MEMORIES as ON_EPISODES
from experiments.grid.page import Page, Table
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import BySeed, by_variant, curves, has, mean_of, over_seeds, signed, tasks
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import EPISODES, FEWER, LOOKED_AT
from experiments.grid.variants import CONTROLS, MEMORIES, sized
from memhrm.report.figures import LIGHT

ON_PUZZLES = {
    name: (MEMORIES | CONTROLS)[name]
    for name in (
        *("TRM + multicell, augment", "TRM + multicell, augment, random cells", "HRM + multicell, augment"),
        "TRM + bicross, augment",
    )
}
TESTS = ("zero", "freeze", "shuffle", "swap")


def runs(scale: str) -> list[Run]:
    recall = {"recall": EPISODES[scale]["recall"]}
    on_recall = {name: ON_EPISODES[name] for name in ("multicell, k=2", "multicell, k=3", "bicross")}
    return [
        *grid(LOOKED_AT[scale], sized(ON_PUZZLES, scale), FEWER[scale], ["inside"]),
        *grid(recall, on_recall, FEWER[scale], ["inside"]),
    ]


def render(rows: list[Row]) -> Page:
    page = Page({"": table(rows), "effects": disturbed(rows)})
    page.figure("usage", lambda figure: usage(figure, rows), 6.3, 2.4)
    page.figure("effects", lambda figure: effects(figure, rows), 6.3, 2.8)
    page.say("cells", numbers(rows))
    return page


def table(rows: list[Row]) -> Table:
    """Usage and likeness of the cells, and the mutual information of cell and puzzle beside its null, the
    interval that holds 95 % of the shuffles; in nats."""
    lines: list[list[str]] = []
    for task in tasks(rows):
        lines.append([task])
        found = by_variant(rows, task)
        lines += [
            [name, f"{len(one)}", *_told(one)] for name, one in found.items() if has(one, "inside.usage")
        ]
    return Table(["", "seeds", "usage entropy", "dead", "cosine of CLS", "information about", "null"], lines)


def disturbed(rows: list[Row]) -> Table:
    """The change of the exact accuracy, in points, when the memory is disturbed."""
    lines: list[list[str]] = []
    for task in tasks(rows):
        lines.append([task])
        for variant, one in by_variant(rows, task).items():
            changes = [signed(over_seeds(one, f"inside.{test}_change")) for test in TESTS]
            lines.append([variant, f"{len(one)}", *changes])
    return Table(["change, points", "seeds", *TESTS], lines)


def _told(one: BySeed) -> list[str]:
    """Usage and likeness of the cells, and what they tell of the rule, if there is one, or the puzzle."""
    what = next(name for name in ("rule", "puzzle") if has(one, f"inside.information_{name}_value"))
    about = f"inside.information_{what}"
    value, low, high = (f"{mean_of(one, f'{about}_{key}'):.3f}" for key in ("value", "null_low", "null_high"))
    return [
        f"{mean_of(one, 'inside.usage_entropy'):.2f}",
        f"{mean_of(one, 'inside.dead'):.1f}",
        f"{mean_of(one, 'inside.alike_cls'):.2f}",
        f"{what}: {value}",
        f"{low} to {high}",
    ]


def usage(figure: Any, rows: list[Row]) -> None:
    """The share of the puzzles in which each cell is active, sorted, one line a seed."""
    found = [
        (task, variant, one)
        for task in tasks(rows)
        for variant, one in by_variant(rows, task).items()
        if has(one, "inside.usage")
    ]
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (task, variant, one) in zip(panels, found):
        for each in curves(one, "inside.usage"):
            rank = np.arange(1, len(each) + 1)
            axes.plot(rank, np.sort(each)[::-1], color=LIGHT[0], linewidth=0.9, marker=".")
            axes.set_xticks(rank)
        axes.set_title(fill(f"{task}: {variant}", 18), fontsize=6)
        axes.set_ylim(-0.03, 1.03)
    panels[0].set_ylabel("share of selections")
    figure.supxlabel("cell, by rank", fontsize=9)


def effects(figure: Any, rows: list[Row]) -> None:
    """The change of the exact accuracy when the memory is disturbed, mean over seeds and its interval."""
    found = [(task, variant, one) for task in tasks(rows) for variant, one in by_variant(rows, task).items()]
    axes = figure.subplots()
    for number, test in enumerate(TESTS):
        estimates = [over_seeds(one, f"inside.{test}_change") for _, _, one in found]
        at = np.arange(len(found)) + 0.18 * (number - 1.5)
        halves = [0.0 if np.isnan(one.half) else 100 * one.half for one in estimates]
        means = [100 * one.mean for one in estimates]
        axes.errorbar(at, means, halves, fmt="o", markersize=3, color=LIGHT[number], label=test, linewidth=1)
    axes.axhline(0, color="black", linewidth=0.6)
    labels = [f"{task}: {variant}" for task, variant, _ in found]
    axes.set_xticks(np.arange(len(found)), labels, rotation=20, ha="right", fontsize=5.5)
    axes.set_ylabel("change, points")
    axes.legend(fontsize=7)


def numbers(rows: list[Row]) -> dict[str, str]:
    """For the text: TASK/VARIANT/TEST, the change of the exact accuracy."""
    return {
        f"{task}/{variant}/{test}": signed(over_seeds(one, f"inside.{test}_change"))
        for task in tasks(rows)
        for variant, one in by_variant(rows, task).items()
        for test in TESTS
    }


EXPERIMENT = Experiment("cells", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
