"""Accuracy after each supervision step, to the training depth and far beyond."""

from itertools import pairwise
from typing import Any

import numpy as np

from memhrm.probes.accuracy import over_steps
from memhrm.report.curves import Series, bars, curves, of_runs
from memhrm.report.page import ReportPart, percent, table
from memhrm.report.run import ProbedRun, shared_depth


def compute(run: ProbedRun) -> dict[str, Any]:
    """Return the accuracy of all puzzles to the training depth (near), and of some beyond it (far)."""
    return {"near": over_steps(run.near), "far": over_steps(run.far)}


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures, and a table of the accuracy beyond the training depth."""
    far, times, depth = (
        [run.numbers["accuracy"]["far"] for run in runs],
        runs[0].settings.depth,
        shared_depth(runs),
    )
    keys = "exact", "token_accuracy"
    parts = [curves(f"accuracy-{key}", of_runs(runs, "accuracy", "far", key), depth=depth) for key in keys]
    parts.append(bars("accuracy-first", *histogram(runs)))
    factors = sorted({1, min(4, times), times})
    at = ["exact accuracy" if factor == 1 else f"at {factor} times the depth" for factor in factors]
    rows = []
    for run, one in zip(runs, far):
        shares = [one["exact"][run.depth * factor - 1] for factor in factors]
        shares += [float(np.mean(one["first_solved"] == 0)), one["unsolved_again"]]
        rows.append([run.label, str(run.depth), *map(percent, shares)])
    head = ["run", "training depth", *at, "never solved", "solved, then lost"]
    return [*parts, table("accuracy-table", rows, head)]


def histogram(runs: list[ProbedRun]) -> tuple[list[str], list[Series]]:
    """Return the shares of puzzles by the step that first solves them.

    Bins are of one step up to the training depth, and double beyond.
    """
    last = max(len(run.far.exact) for run in runs)
    edges = list(range(1, max(run.depth for run in runs) + 2))  # Where bins begin, and the end of the last.
    while edges[-1] <= last:
        edges.append(min(2 * edges[-1] - 1, last + 1))
    series = []
    for run in runs:
        first = run.numbers["accuracy"]["far"]["first_solved"]
        never, *counts = np.histogram(first, [0, *(edge - 0.5 for edge in edges)])[0]
        series.append(Series(run.label, np.array([*counts, never]) / len(first), run=run.index))
    labels = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
    return [*labels, "never"], series
