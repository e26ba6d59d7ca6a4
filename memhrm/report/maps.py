"""Figures other than curves: a matrix, small maps, trajectories in a plane, and intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from memhrm.report.curves import figure, legend
from memhrm.report.figures import INK, hue, marker
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun

NEGATIVE, POSITIVE = (0.86, 0.42, 0.05), (0.17, 0.49, 0.86)
SHADES = LinearSegmentedColormap.from_list(
    "memhrm", [(0, (*NEGATIVE, 1)), (0.5, (*NEGATIVE, 0)), (0.5, (*POSITIVE, 0)), (1, (*POSITIVE, 1))], N=511
)
"""Orange below zero, blue above, as opaque as the value, so that zero is the ground, light or dark."""


def matrix(
    key: str,
    run: ProbedRun,
    values: np.ndarray,
    limit: float,
    *,
    square: bool = False,
    columns: Sequence[str] = (),
) -> ReportPart:
    """Return a figure of one matrix of a run with its colour scale, in percent unless texts.yaml has a note.

    Args:
        key: of the words in texts.yaml.
        run: the run.
        values: (rows, columns), which count from 0 as cells do; nan is empty.
        limit: the value that is drawn full.
        square: whether all entries are squares.
        columns: names of the columns.
    """
    low = -limit if np.nanmin(values, initial=0) < 0 else 0.0

    def paint(figure: Any, words: dict[str, Any]) -> None:
        axes, scale = figure.subplots(1, 2, width_ratios=[22, 1])
        _map(axes, values, limit, "equal" if square else "auto")
        for axis, count, names in ((axes.xaxis, values.shape[1], columns), (axes.yaxis, len(values), ())):
            at = range(0, count, 1 if names else max(1, -(-count // 12)))
            axis.set_ticks(at, [names[i] if names else str(i) for i in at])
        axes.set(xlabel=words["x"], ylabel=words["y"])
        steps = np.linspace(low, limit, 64)[:, None]
        _map(scale, steps, limit, "auto", origin="lower", extent=(0, 1, low, limit))
        scale.set(xticks=[], yticks=[low, (low + limit) / 2, limit])
        scale.yaxis.set_major_formatter("{x:g}" if "note" in words else PercentFormatter(1, symbol=" %"))
        scale.yaxis.tick_right()
        scale.set_title(words.get("note", ""), fontsize=8, loc="right")

    height = 4.2 if square else min(max(1.5 + 0.17 * len(values), 1.9), 6.0)
    return figure(key, paint, run=run, height=height)


def maps(
    key: str,
    run: ProbedRun,
    values: np.ndarray,
    labels: Sequence[str],
    limits: Sequence[float | None],
    boxes: tuple[int, int] | None = None,
) -> ReportPart:
    """Return a figure of small maps of a run, four in a row.

    Args:
        key: of the words in texts.yaml.
        run: the run.
        values: the maps, (m, rows, columns).
        labels: one for each; a map without one leaves its place empty.
        limits: the value at which each is drawn full, with 0 empty; None: empty is its smallest value and
            full its largest.
        boxes: rows and columns of a puzzle's boxes, to be marked.
    """
    rows = -(-len(values) // 4)

    def paint(figure: Any, _words: dict[str, Any]) -> None:
        every = figure.subplots(rows, 4, squeeze=False).ravel()
        for axes in every:
            axes.set_visible(False)
        for axes, one, label, limit in zip(every, values, labels, limits):
            axes.set(visible=bool(label), xticks=[], yticks=[])
            axes.set_title(label, fontsize=8.5)
            _map(axes, one - one.min() if limit is None else one, limit or float(np.ptp(one)), "equal")
            for line, size, count in zip((axes.axhline, axes.axvline), boxes or (), one.shape):
                for at in range(size, count, size):
                    line(at - 0.5, color=INK, linewidth=0.6)

    height = (0.3 + 1.1 * max(values.shape[1] / values.shape[2], 0.15)) * rows
    return figure(key, paint, run=run, height=height)


def trajectories(
    key: str,
    run: ProbedRun,
    points: np.ndarray,
    shares: np.ndarray,
    *,
    right: np.ndarray | None = None,
    names: Sequence[str] = (),
    name: str = "",
    **fields: Any,
) -> ReportPart:
    """Return a figure of trajectories of a run in a plane; hollow marks are starts, full ones ends.

    Args:
        key: of the words in texts.yaml.
        run: the run.
        points: (m, S + 1, 2).
        shares: of the variance that the two axes explain.
        right: which trajectories end right, (m,) bool, and the others in a cross; the first is drawn bold.
        names: texts at the ends.
        name: of the file; empty: made of key and run.
        fields: for the words.
    """

    def paint(figure: Any, _words: dict[str, Any]) -> None:
        x, y = (
            f"{name} component ({one:.0%} of the variance)" for name, one in zip(("first", "second"), shares)
        )
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        for line in (axes.axhline, axes.axvline):
            line(0, color=INK, alpha=0.13, linewidth=0.6)
        for i, path in enumerate(points):
            style: dict[str, Any] = {"color": hue(run.index), "marker": marker(run.index)}
            width = 2.0 if right is not None and i == 0 else 0.9
            axes.plot(
                *path.T, **style | {"marker": ".", "linewidth": width, "alpha": 0.75, "markersize": 2.2}
            )
            axes.plot(*path[0], **style, markerfacecolor="none", markersize=5)
            axes.plot(
                *path[-1], **style | ({} if right is None or right[i] else {"marker": "x"}), markersize=5.5
            )
            if names:
                axes.annotate(names[i], path[-1], xytext=(4, 3), textcoords="offset points", fontsize=8)

    return figure(key, paint, run=run, name=name, height=3.6, **fields)


def intervals(
    key: str, runs: Sequence[ProbedRun], rows: dict[str, list[tuple[float, ...] | None]], least: float = 0.0
) -> ReportPart:
    """Return a figure of dots with intervals.

    Args:
        key: of the words in texts.yaml.
        runs: the runs.
        rows: by label, a value and the ends of its interval for each run.
        least: the smallest range of the axis on either side of zero.
    """
    apart = min(0.26, 0.7 / len(runs))
    unknown = (np.nan,) * 3

    def paint(figure: Any, words: dict[str, Any]) -> None:
        axes = figure.add_subplot(xlabel=words["x"])
        axes.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
        for place, run in enumerate(runs):
            at = np.arange(len(rows))[::-1] - (place - (len(runs) - 1) / 2) * apart
            value, low, high = np.array([values[place] or unknown for values in rows.values()]).T
            axes.hlines(at, low, high, color=hue(run.index), linewidth=1.6)
            axes.plot(value, at, marker(run.index), color=hue(run.index), label=run.label)
        axes.set_yticks(range(len(rows)), reversed(rows))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -least), max(right, least))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=INK, alpha=0.13, linewidth=0.6)
        legend(figure, axes, len(runs))

    height = 0.9 + 0.24 * len(rows) * max(1.0, 0.7 * len(runs))
    return figure(key, paint, runs, height=height)


def _map(axes: Any, values: np.ndarray, limit: float, aspect: str, **place: Any) -> None:
    ends = {"vmin": -(limit or 1), "vmax": limit or 1}
    axes.imshow(values, cmap=SHADES, aspect=aspect, interpolation="none", **ends, **place)
    for spine in axes.spines.values():
        spine.set(visible=True, alpha=0.5)
