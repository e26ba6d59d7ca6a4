"""Accuracy by position in the episode, with the memory intact and disturbed; contexts held; hops."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memhrm.data.episodes.visits import GAPS
from memhrm.evaluation.intervals import wilson
from memhrm.probes.episodes import KEPT, accuracy_by_position, best_accuracy
from memhrm.report.curves import Series, curves, figure, paint_curves
from memhrm.report.figures import HEIGHT, Drawing
from memhrm.report.page import ReportPart, percent, table, worded
from memhrm.report.run import ProbedRun
from memhrm.runs import contexts, hops

MEMORY = {
    "kept": "intact",
    "reset": "reset before each puzzle",
    "frozen": "never written",
    "shuffled": "swapped between episodes",
}
SHOWN = 0, 1, 2, -1
"""Positions in the table."""

DASHES = (4, 2), (1, 1.6), (7, 2, 1, 2), (2, 1), (1, 4)
"""Of the reference lines in the chart of contexts."""


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the accuracy by position, by what happens to the memory, and the best possible one."""
    if run.position is None or run.subject.episodes is None:
        return None
    kept = KEPT if run.remembers else KEPT[:1]
    found = {one: accuracy_by_position(run.subject, one) for one in kept}
    return {"episodes": len(run.subject.episodes), "optimum": best_accuracy(run.subject), **found}


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures, and a table of some positions."""
    known = runs[0].numbers["episodes"]["optimum"]
    optimum, best = known["with_memory"], _best(known["with_memory"], known["without_memory"])
    parts = [curves("episodes-position", [_series(run, "kept", run.label, run.index) for run in runs] + best)]
    for run in (run for run in runs if run.remembers):
        series = [_series(run, kept, MEMORY[kept], number) for number, kept in enumerate(KEPT)]
        parts.append(curves("episodes-kept", series + best, run=run))
    rows = {
        f"{run.label}, {MEMORY[kept]}" if run.remembers else run.label: run.numbers["episodes"][kept]["exact"]
        for run in runs
        for kept in KEPT
        if kept in run.numbers["episodes"]
    } | ({"best possible": optimum} if best else {})
    if len(optimum) > 2:
        texts = [[name, *(percent(exact[at]) for at in SHOWN)] for name, exact in rows.items()]
        parts.append(table("episodes-table", texts))
    return parts


def _series(run: ProbedRun, kept: str, label: str, number: int) -> Series:
    found = run.numbers["episodes"][kept]
    return Series(label, found["exact"], run=number, band=(found["low"], found["high"]))


def _best(best: Sequence[float] | np.ndarray, blind: float) -> list[Series]:
    """Return the best possible accuracy, with memory and without; nothing where it is not known."""
    if np.isnan(best).any():
        return []
    return [
        Series("best with memory", best, run=None, dashed=True),
        Series("best without memory", [blind] * len(best), run=None),
    ]


def drawing(summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the chart of summaries, by label, of runs of one kind: `contexts`, `hops` or `episodes`."""
    if all(hops.BY_HOPS in summary for summary in summaries.values()):
        return hops_drawing("hops", summaries)
    if all(contexts.test_sets(summary) for summary in summaries.values()):
        return contexts_drawing("contexts", summaries)
    return position_drawing("episodes", summaries)


def position_drawing(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the chart of summaries, by label, of runs on episodes of one kind."""
    series = []
    for number, (label, summary) in enumerate(summaries.items()):
        exact = np.array(summary["exact_accuracy_by_position"])
        series.append(Series(label, exact, run=number, band=wilson(exact, summary["episodes"])))
    first = next(iter(summaries.values()))
    best = first["optimum_by_position"]
    blind = first.get("optimum_without_memory", best[0])  # Old summaries lack it.
    drawn = curves("episodes-position", series + _best(best, blind), name=name).drawing
    assert drawn is not None
    return drawn


def contexts_drawing(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return two charts of summaries, by label, of runs on contexts: against their number, and the gap."""
    above, below, gaps = [], [], list(GAPS)
    for number, (label, summary) in enumerate(summaries.items()):
        curve = contexts.held_by(summary)
        at = sorted(curve.exact)
        exact = np.array([curve.exact[c] for c in at])
        ends = [wilson(exact[[i]], curve.scored[c]) for i, c in enumerate(at)]
        low, high = np.array(ends)[:, :, 0].T
        above.append(Series(label, exact, at, run=number, band=(low, high)))
        found = {place: summary["exact_accuracy_by_gap"].get(gap, np.nan) for place, gap in enumerate(gaps)}
        below.append(Series(label, list(found.values()), list(found), run=number))
    for place, (label, curve) in enumerate(contexts.references(summaries.values()).items()):
        at, dashes = sorted(curve.exact), DASHES[place % len(DASHES)]
        above.append(Series(label, [curve.exact[c] for c in at], at, run=None, dashes=dashes))

    def paint(figure: Any, words: Mapping[str, Any]) -> None:
        upper, lower = figure.subfigures(2, 1, height_ratios=(3, 2))
        paint_curves(upper, words, above)
        axes = paint_curves(lower, worded("episodes-gap"), below)
        axes.set_xticks(range(len(gaps)), gaps)

    drawn = figure("episodes-contexts", paint, name=name, height=2 * HEIGHT).drawing
    assert drawn is not None
    return drawn


def hops_drawing(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the chart of summaries, by label, of runs on hops; of a single one at every depth."""
    every = hops.curves(summaries)
    series = [
        Series(label, list(curve.values()), list(curve), run=number)
        for number, (label, curve) in enumerate(every.items())
    ]
    drawn = curves("episodes-hops", series, name=name).drawing
    assert drawn is not None
    return drawn
