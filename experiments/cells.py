"""What the cells do: usage, specialisation against its null, and what disturbing the memory costs.

    python -m experiments.cells --scale cpu

The runs are those of the main table, on Sudoku, and of the episodes, on recall, where the memory is needed.
"""

from functools import cache
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from experiments import episodes
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, curves, values
from experiments.grid.run import Run, grid, pick
from experiments.grid.stats import over_seeds
from experiments.grid.study import Study, main
from experiments.grid.tasks import ANALYSED, EPISODES, FEWER_SEEDS, RECALL
from experiments.grid.variants import CONTROLS, MEMORIES, sized
from memhrm.config.command import compose
from memhrm.probes.causal import meaningful
from memhrm.report.figures import LIGHT

ON_PUZZLES = pick(
    [*MEMORIES, *CONTROLS],
    *("TRM + multicell, augment", "TRM + multicell, augment, random cells", "HRM + multicell, augment"),
    "TRM + bicross, augment",
)
ON_RECALL = pick(episodes.MEMORIES, "multicell, k=2", "multicell, k=3", "bicross")
USAGE = "inside.usage"
TESTS = ("zero", "freeze", "shuffle", "swap")


def runs(scale: str) -> list[Run]:
    """Return the runs on puzzles, then those on recall."""
    seeds, measures = FEWER_SEEDS[scale], ["inside"]
    return [
        *grid(dict.fromkeys(ANALYSED[scale], sized(ON_PUZZLES, scale)), seeds, measures),
        *grid({EPISODES[scale][RECALL]: ON_RECALL}, seeds, measures),
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return the tables and figures of the usage and of the disturbances."""
    every = [(task, name, rows) for task, of_task in found.items() for name, rows in of_task.items()]
    with_cells = [(task, name, rows) for task, name, rows in every if USAGE in rows]
    used = {
        task: [[name, f"{len(rows)}", *_usage_cells(rows)] for name, rows in of_task.items() if USAGE in rows]
        for task, of_task in found.items()
    }
    disturbed = {
        task: [[name, f"{len(rows)}", *_change_cells(rows)] for name, rows in of_task.items()]
        for task, of_task in found.items()
    }
    page = Page()
    told = ["information about", "by seed", "null up to"]
    head = ["", "seeds", "usage entropy", "dead", "cosine of CLS", *told]
    page.tables[""] = Table.grouped(head, used)
    page.tables["effects"] = Table.grouped(["change, points", "seeds", *TESTS], disturbed)
    page.add_figure("usage", usage, with_cells, size=(6.3, 2.4))
    page.add_figure("effects", effects, every, size=(6.3, 2.8))
    for task, name, rows in every:
        page.add_numbers(f"cells/{task}/{name}", _changes(rows))
    return page


def _changes(rows: pd.DataFrame) -> dict[str, str]:
    """Return the change of the exact accuracy, in points, by each test that was made."""
    names = {test: f"inside.{test}_change" for test in TESTS}
    return {test: over_seeds(rows, name).text("+") for test, name in names.items() if name in rows}


def _change_cells(rows: pd.DataFrame) -> list[str]:
    """Return the change by each test; an empty cell for one that can show nothing."""
    changes, shown = _changes(rows), _shown(rows)
    return [changes[test] if test in shown else "" for test in TESTS]


def _shown(rows: pd.DataFrame) -> list[str]:
    """Return the tests that can show something of runs whose settings are the same but for the seed."""
    return _meaningful(rows["settings"].iloc[0])


@cache  # The table and the figure ask the same.
def _meaningful(settings: str) -> list[str]:
    config = compose("train", settings.split())
    memory = config["memory"]
    writes = memory["write_in_evaluation"] and memory["write_when"] == "always"
    return meaningful(config["halting"]["halt_max_steps"], config["model"]["H_cycles"], writes)


def _usage_cells(rows: pd.DataFrame) -> list[str]:
    """Return the usage and likeness of the cells, and what they tell of the rule, or else of the puzzle.

    The information is the mutual information of cell and label, in nats, seed by seed; of 40 shuffles one is
    above its null.
    """

    def mean(name: str) -> float:
        return values(rows, f"inside.{name}").mean()

    used = [f"{mean('usage_entropy'):.2f}", f"{mean('dead'):.1f}", f"{mean('alike_cls'):.2f}"]
    labels = [name for name in ("rule", "puzzle") if f"inside.information_{name}_value" in rows]
    if not labels:  # Of a few puzzles with as many rules, at one H-step.
        return [*used, "", "", ""]
    by_seed = (
        ", ".join(f"{one:.3f}" for one in values(rows, f"inside.information_{labels[0]}_{key}"))
        for key in ("value", "null_high")
    )
    return [*used, labels[0], *by_seed]


def usage(figure: Any, found: list[tuple[str, str, pd.DataFrame]]) -> None:
    """Draw the share of the puzzles in which each cell is active, sorted, one line a seed."""
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (task, variant, rows) in zip(panels, found):
        for share in curves(rows, USAGE):
            rank = np.arange(1, len(share) + 1)
            axes.plot(rank, np.sort(share)[::-1], color=LIGHT[0], linewidth=0.9, marker=".")
            axes.set_xticks(rank)
        axes.set_title(fill(f"{task}: {variant}", 18), fontsize=6)
        axes.set_ylim(-0.03, 1.03)
    panels[0].set_ylabel("share of puzzles")
    figure.supxlabel("cell, by rank", fontsize=9)


def effects(figure: Any, found: list[tuple[str, str, pd.DataFrame]]) -> None:
    """Draw the change of the exact accuracy under each disturbance, mean over seeds and its interval.

    A test that can show nothing is left out.
    """
    axes, shown = figure.subplots(), [_shown(rows) for _, _, rows in found]
    for number, test in enumerate(TESTS):
        places = [place for place, tests in enumerate(shown) if test in tests]
        estimates = [over_seeds(found[place][2], f"inside.{test}_change") for place in places]
        at = np.array(places) + 0.18 * (number - 1.5)
        halves = [0.0 if np.isnan(one.half) else 100 * one.half for one in estimates]
        means = [100 * one.mean for one in estimates]
        axes.errorbar(at, means, halves, fmt="o", markersize=3, color=LIGHT[number], label=test, linewidth=1)
    axes.axhline(0, color="black", linewidth=0.6)
    labels = [f"{task}: {variant}" for task, variant, _ in found]
    axes.set_xticks(np.arange(len(found)), labels, rotation=20, ha="right", fontsize=5.5)
    axes.set_ylabel("change, points")
    axes.legend(fontsize=7)


STUDY = Study("cells", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
