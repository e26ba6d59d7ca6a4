"""The main table: does memory help? Every model, memory and control on Sudoku and mazes, seed by seed.

    python -m experiments.main_table --scale smoke   # seconds a run: that everything works
    python -m experiments.main_table --scale cpu     # hours on two cores; the same command continues
    python -m experiments.main_table --scale gpu     # the published sizes, on Sudoku-Extreme and Maze-Hard

Within a seed all variants are offered the same puzzles in the same order and start from the same weights
outside the memory, so that a memory and its baseline, the same model with the same gradient window, make a
pair.

A few contrasts stand beside the many comparisons: the mean of a model's memories in one place against its
baseline and against models of equal size, and each gradient window against a shorter one. They were chosen
after a first look at the committed rows, so that on these their p describes; on rows that are made later it
confirms.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.grid.comparison import answer_mflop, comparison, contrast_cells, score_numbers
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, curves
from experiments.grid.run import ROOT, Run, Variant, baselines, grid
from experiments.grid.stats import (
    Estimate,
    Pairs,
    by_seed,
    contrasts,
    differences,
    over_seeds,
)
from experiments.grid.study import Study, main
from experiments.grid.tasks import MLP, PUZZLES, SEEDS
from experiments.grid.variants import (
    CONTROLS,
    EQUAL,
    MEMORIES,
    MIXED,
    MODELS,
    PLACEMENTS,
    TOKENS,
    equal,
    placed_memories,
    sized,
)
from memhrm.report.figures import LIGHT

LARGER = [Variant(f"{model}, {what}", f"{model}, g=2") for model in ("HRM", "TRM") for what in EQUAL]
"""The names of the controls of equal size; their settings depend on the task."""
GROUPS = {"no memory": [*MODELS, *MIXED], "memory": MEMORIES, "controls": [*CONTROLS, *TOKENS, *LARGER]}
BASELINES = baselines([*MEMORIES, *CONTROLS, *TOKENS, *LARGER])


def _planned(model: str) -> dict[str, tuple[list[str], str]]:
    placed = {placement: [one.name for one in placed_memories(model, placement)] for placement in PLACEMENTS}
    plain = {
        f"{model}: memories, {placement}": (names, f"{model}, g=2") for placement, names in placed.items()
    }
    sizes = {
        f"{model}: memories, augment, at {what}": (placed["augment"], f"{model}, {what}") for what in EQUAL
    }
    return plain | sizes


WINDOWS = {
    "HRM, last cycle": (["HRM, last cycle"], "HRM"),
    "HRM, g=2": (["HRM, g=2"], "HRM"),
    "HRM, g=2 for last cycle": (["HRM, g=2"], "HRM, last cycle"),
    "TRM, last cycle": (["TRM"], "TRM, one step"),
    "TRM, g=2": (["TRM, g=2"], "TRM"),
}
PLANNED = _planned("HRM") | _planned("TRM") | WINDOWS
"""The contrasts: the mean of the memories in a place less a baseline, and windows less shorter ones."""
BESIDE = {
    "recurrent transformer less HRM": (["recurrent transformer"], "HRM"),
    "recurrent transformer less HRM, g=2": (["recurrent transformer"], "HRM, g=2"),
    "chosen less random cells": (["TRM + multicell, augment"], "TRM + multicell, augment, random cells"),
    "chosen less all cells": (["TRM + multicell, augment"], "TRM + multicell, augment, all cells"),
}
"""Differences that a sentence tells, with their interval and without a test."""
SCORES = {"main": "exact_accuracy", "speed": "over_training"}  # By their name in the text.
SIGNIFICANT = 0.05  # After the correction.
SPEED = ["seeds", "over training, %", "90 % from step"]
COLUMNS = ["seeds", "exact, %", "tokens, %", "optimal path, %", "steps", "parameters", "MFLOP", "seconds"]
LITERATURE = {"published-sudoku": "sudoku_extreme.csv", "published-maze": "maze_hard.csv"}
"""Published figures, each with its protocol: other data, sizes and budgets. Sources are arXiv numbers."""


def runs(scale: str) -> list[Run]:
    """Return the runs of every variant on every task."""
    variants = {}
    for task in PUZZLES[scale]:
        by_mixer = MIXED if set(MLP) <= set(task.overrides) else TOKENS
        models = sized([*MODELS, *MEMORIES, *CONTROLS, *by_mixer], scale)
        variants[task] = [*models, *equal(task.name, scale)]
    return grid(variants, SEEDS[scale])


def render(found: dict[str, Variants]) -> Page:
    """Return the tables of all tasks, their learning curves, and the published figures."""
    page = Page()
    pairs = {name: differences(found, BASELINES, score) for name, score in SCORES.items()}
    planned = {name: contrasts(found, PLANNED, score) for name, score in SCORES.items()}
    beside = contrasts(found, BESIDE)
    page.tables["summary"] = summary(found, "exact, %", SCORES["main"], pairs["main"])
    page.tables["summary-speed"] = summary(found, "over training, %", SCORES["speed"], pairs["speed"])
    page.tables["contrasts"] = planned_table(planned)
    page.add_figure("forest", forest, found, pairs["main"], size=(6.8, 3.4))
    page.add_figure("cost", against_cost, found, size=(6.8, 2.4))
    for task, of_task in found.items():
        page.tables[task] = comparison(of_task, GROUPS, COLUMNS, pairs["main"][task])
        page.tables[f"{task}-speed"] = comparison(of_task, GROUPS, SPEED, pairs["speed"][task])
        page.add_figure(f"{task}-curves", learning, of_task, size=(6.8, 2.7))
        for name, score in SCORES.items():
            of_score = [kind[name][task] for kind in (pairs, planned)]
            numbers = score_numbers(of_task, score, *of_score) | counts(pairs[name][task])
            page.add_numbers(f"{name}/{task}", numbers)
        page.add_numbers(f"main/{task}", {name: pair.text("+") for name, pair in beside[task].items()})
    for name, file in LITERATURE.items():
        page.tables[name] = Table.read(ROOT / "experiments/literature" / file)
    return page


def summary(found: dict[str, Variants], title: str, score: str, pairs: Pairs) -> Table:
    """Return a score on all tasks, with the difference of each memory and control from its baseline."""

    def cells(name: str, task: str) -> list[str]:
        exact = over_seeds(found[task][name], score).text() if name in found[task] else ""
        pair = pairs[task].get(name)
        return [exact, pair.text("+") + "*" * (pair.p < SIGNIFICANT) if pair else ""]

    lines = {
        group_title: [
            [variant.name, *(cell for task in found for cell in cells(variant.name, task))]
            for variant in group
            if any(variant.name in of_task for of_task in found.values())
        ]
        for group_title, group in GROUPS.items()
    }
    return Table.grouped([title, *(word for task in found for word in (task, "less baseline"))], lines)


def planned_table(planned: Mapping[str, Pairs]) -> Table:
    """Return the planned contrasts of each task, at the end and over training.

    With each, the size from which a test of it alone finds a true difference in four of five cases.
    """
    lines = [
        [task, name, *(text for score in SCORES for text in contrast_cells(planned[score][task].get(name)))]
        for task, of_task in planned["main"].items()
        for name in of_task
    ]
    head = ["at the end", "p", "could be seen from", "over training", "p", "could be seen from"]
    return Table(["points", "contrast", *head], lines)


def forest(figure: Any, found: dict[str, Variants], pairs: Pairs) -> None:
    """Draw each variant's difference from its baseline on each task: mean, interval and every seed."""
    names = [name for name in BASELINES if any(name in of_task for of_task in pairs.values())]
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (task, of_task) in zip(panels, found.items()):
        axes.axvline(0, color="0.3", linewidth=0.8)
        for place, name in enumerate(names):
            seeds = 100 * by_seed(of_task, [name], BASELINES[name], SCORES["main"])
            axes.plot(seeds, [place] * len(seeds), "o", color="0.6", markersize=2.5)
        axes.margins(x=0.15)
        axes.set_xlim(axes.get_xlim())  # That of the seeds; a few intervals reach beyond.
        for name, pair in pairs[task].items():
            half = 0.0 if np.isnan(pair.half) else 100 * pair.half
            axes.errorbar(
                100 * pair.mean, names.index(name), xerr=half, fmt="|", color=LIGHT[0], linewidth=1.0
            )
        axes.set_title(task, fontsize=8)
        axes.tick_params(labelsize=6.5)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    figure.supxlabel("exact, points less the baseline", fontsize=7)


def against_cost(figure: Any, found: dict[str, Variants]) -> None:
    """Draw the exact accuracy of each variant against the FLOPs of an answer, with its interval."""
    panels = np.atleast_1d(figure.subplots(1, len(found)))
    for axes, (task, of_task) in zip(panels, found.items()):
        for number, (title, group) in enumerate(GROUPS.items()):
            for variant in (one.name for one in group if one.name in of_task):
                rows = of_task[variant]
                cost, exact = answer_mflop(rows), over_seeds(rows, SCORES["main"])
                half = 0.0 if np.isnan(exact.half) else 100 * exact.half
                axes.errorbar(cost, 100 * exact.mean, yerr=half, fmt="o", markersize=3, linewidth=0.7,
                              color=LIGHT[number], label=title)  # fmt: skip
        axes.set_ylim(0, 102)
        axes.set_title(task, fontsize=8)
    panels[0].set_ylabel("exact, %")
    figure.supxlabel("MFLOP of an answer", fontsize=9)
    named = dict(zip(*panels[0].get_legend_handles_labels()[::-1]))
    figure.legend(named.values(), named.keys(), loc="outside right center", fontsize=6.5)


def learning(figure: Any, found: Variants) -> None:
    """Draw the exact accuracy on the validation puzzles over training, by model and place of the memory.

    A line is the mean over seeds, a band from the worst seed to the best.
    """
    panels = figure.subplots(1, 4, sharex=True, sharey=True)
    places = [(model, place) for model in ("HRM", "TRM") for place in PLACEMENTS]
    for axes, (model, place) in zip(panels, places):
        memories = [one.name for one in placed_memories(model, place)]
        shown = [name for name in (f"{model}, g=2", *memories) if name in found]
        for number, variant in enumerate(shown):
            exact, steps = 100 * curves(found[variant], "curve_exact"), curves(found[variant], "curve_steps")
            label = variant.removeprefix(f"{model} + ").removesuffix(f", {place}").replace(model, "no memory")
            axes.fill_between(
                steps[0], exact.min(axis=0), exact.max(axis=0), color=LIGHT[number], alpha=0.15, linewidth=0
            )
            axes.plot(steps[0], exact.mean(axis=0), color=LIGHT[number], label=label)
        axes.set_title(f"{model}, {place}", fontsize=8)
    panels[0].set_ylabel("exact, validation, %")
    figure.supxlabel("optimiser steps", fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)


def counts(pairs: Mapping[str, Estimate]) -> dict[str, str]:
    """Return how many memories and controls are better than their baselines, worse, and compared."""
    better = [pair.mean > 0 for pair in pairs.values() if pair.p < SIGNIFICANT]
    found = {"better": sum(better), "worse": len(better) - sum(better), "compared": len(pairs)}
    return {name: f"{n}" for name, n in found.items()}


STUDY = Study("main_table", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
