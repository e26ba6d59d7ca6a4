"""Causal tests: what happens to the answers when the memory is disturbed."""

from typing import Any

from memhrm.probes.causal import effects
from memhrm.report.maps import intervals
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun

WHOLE = {
    "zero": "zeroed",
    "reset": "reset",
    "freeze": "not written",
    "shuffle": "shuffled at each step",
    "swap": "swapped once",
}
LEAST = 5.0
"""The smallest range of a chart, in points on either side of zero, so that a single puzzle looks small."""

Rows = dict[str, list[tuple[float, ...] | None]]


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the effects; None without memory, or for one puzzle, which has no other to swap with."""
    rows = run.subject.spread(run.settings.causal_puzzles)
    if not run.remembers or len(rows) < 2:
        return None
    found = effects(run.subject.select(rows), seed=run.settings.seed, baseline=run.near.select(rows))
    return {"puzzles": len(rows), "effects": found}


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures: of the whole memory, and of single cells."""
    celled = [run for run in runs if run.cells]
    whole: Rows = {text: [_points(run, test) for run in runs] for test, text in WHOLE.items()}
    parts = [_chart("causal-whole", runs, whole)]
    for test in ("knock_out", "force"):
        cells = range(max((run.cells for run in celled), default=0))
        rows: Rows = {f"cell {cell}": [_points(run, test, cell) for run in celled] for cell in cells}
        if any(value for values in rows.values() for value in values):
            parts.append(_chart(f"causal-{test}", celled, rows))
    return parts


def _chart(key: str, runs: list[ProbedRun], rows: Rows) -> ReportPart:
    return intervals(key, runs, {label: values for label, values in rows.items() if any(values)}, LEAST)


def _points(run: ProbedRun, test: str, cell: int | None = None) -> tuple[float, ...] | None:
    """Return the change of a test and its interval in points, if the test was made: it can show something."""
    for one in run.numbers["causal"]["effects"]:
        if (one["test"], one["cell"]) == (test, cell):
            return tuple(100 * one[key] for key in ("change", "low", "high"))
    return None
