"""Figures of curves and of bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from memhrm.report.figures import HEIGHT, INK, draw, hue, marker
from memhrm.report.page import ReportPart, worded
from memhrm.report.run import ProbedRun

THIN: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (2, 3)), "alpha": 0.7}


@dataclass(frozen=True)
class Series:
    """One curve, or one set of bars.

    Attributes:
        label: its name in the legend.
        y: its values; nan breaks a curve.
        x: where they are; None: 1, 2, 3, ...
        run: sets the colour and the marker; None: a thin reference line that belongs to no run.
        band: lower and upper ends of an interval around it.
        dashed: for a second kind of the same run.
        dashes: of a reference line, in points on and off; None: dotted, or dashed.
    """

    label: str
    y: Sequence[float] | np.ndarray
    x: Sequence[float] | np.ndarray | None = None
    run: int | None = 0
    band: tuple[np.ndarray, np.ndarray] | None = None
    dashed: bool = False
    dashes: tuple[float, ...] | None = None


def of_runs(runs: Sequence[ProbedRun], *path: str) -> list[Series]:
    """Return one series for each run that has numbers at this path; where they have steps, over these."""
    found = [(run, reduce(lambda at, name: (at or {}).get(name), path, run.numbers)) for run in runs]
    return [
        Series(run.label, one["value"], one["step"], run.index)
        if isinstance(one, dict)
        else Series(run.label, one, run=run.index)
        for run, one in found
        if one is not None
    ]


def figure(
    key: str,
    paint: Callable[[Any, dict[str, Any]], None],
    runs: Sequence[ProbedRun] = (),
    run: ProbedRun | None = None,
    name: str = "",
    height: float = HEIGHT,
    **fields: Any,
) -> ReportPart:
    """Return what `paint(figure, words)` draws on a matplotlib Figure, with its words.

    Args:
        key: of the words in texts.yaml.
        paint: draws.
        runs: which it shows.
        run: the one that it is about, if there are several such figures.
        name: of the file; empty: made of the key and the run.
        height: in inches.
        fields: for the words, beside the runs.
    """
    words = worded(key, runs=runs, run=run, **fields)
    name = name or (key if run is None else f"{key}-{run.index}")
    drawing = draw(name, words["title"], lambda figure: paint(figure, words), height=height)
    return ReportPart(kind="figure", words=words, drawing=drawing)


def curves(key: str, series: Sequence[Series], *, depth: int | None = None, **fields: Any) -> ReportPart:
    """Return a figure of curves.

    Args:
        key: of the words in texts.yaml, which say how the axes run.
        series: the curves.
        depth: the training depth, to be marked.
        fields: as of `figure`: `runs`, `run`, `name` and what the words need.
    """
    return figure(key, lambda on, words: paint_curves(on, words, series, depth), **fields)


def paint_curves(
    figure: Any, words: Mapping[str, Any], series: Sequence[Series], depth: int | None = None
) -> Any:
    """Draw curves on a matplotlib Figure or SubFigure, and return the axes; the arguments are of `curves`."""
    axes = _axes(figure, words)
    if words.get("x_axis") == "share":
        axes.plot([0, 1], [0, 1], **THIN)
    if depth is not None:
        axes.axvline(depth, **THIN)
        axes.text(depth, 1.01, "training depth", transform=axes.get_xaxis_transform(), fontsize=7.5)
    for number, one in enumerate(series):
        at = np.arange(1, len(one.y) + 1) if one.x is None else one.x
        if one.run is None:
            dashes = one.dashes or ((4, 2) if one.dashed else (1, 1.6))
            axes.plot(at, one.y, color=INK, label=one.label, linestyle=(0, dashes), linewidth=1.1, zorder=3)
            continue
        colour, every = hue(one.run), max(1, len(at) // 12)
        style: dict[str, Any] = {"linestyle": "--" if one.dashed else "-", "marker": marker(one.run)}
        style |= {"markerfacecolor": "none"} if one.dashed else {}
        # Earlier curves are wider, with markers elsewhere, so that they show where curves coincide.
        style["linewidth"] = 1.4 + 1.6 * (len(series) - 1 - number) / max(len(series) - 1, 1)
        places = (number * every // len(series), every)
        axes.plot(at, one.y, color=colour, label=one.label, markevery=places, **style)
        if one.band is not None:
            axes.fill_between(at, *one.band, color=colour, alpha=0.16, linewidth=0)
    _scale(axes.yaxis, words.get("y_axis", "linear"))
    _scale(axes.xaxis, words.get("x_axis", "linear"))
    legend(figure, axes, len(series))
    return axes


def bars(key: str, labels: Sequence[str], series: Sequence[Series]) -> ReportPart:
    """Return a figure of shares as bars side by side, one group for each label."""

    def paint(figure: Any, words: dict[str, Any]) -> None:
        axes = _axes(figure, words)
        width = 0.8 / len(series)
        for i, one in enumerate(series):
            at = np.arange(len(labels)) + (i - (len(series) - 1) / 2) * width
            style = {"hatch": "////" if i % 2 else None, "alpha": 0.9, "edgecolor": INK, "linewidth": 0.4}
            axes.bar(at, one.y, width * 0.9, color=hue(one.run or 0), label=one.label, **style)
        keep = list(range(0, len(labels), -(-sum(map(len, labels)) // 40)))
        axes.set_xticks(keep, [labels[i] for i in keep])
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        legend(figure, axes, len(series))

    return figure(key, paint)


def legend(figure: Any, axes: Any, count: int) -> None:
    """Draw the legend above the axes, if it tells anything apart."""
    if count > 1:
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside upper left", ncols=2 if count < 7 else 3,
            handlelength=2.4, columnspacing=1.2, borderpad=0.1,
        )  # fmt: skip


def _axes(figure: Any, words: Mapping[str, Any]) -> Any:
    axes = figure.add_subplot(xlabel=words["x"], ylabel=words["y"])
    axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _scale(axis: Any, kind: str) -> None:
    """Scale an axis of matplotlib, x or y, as texts.yaml says."""
    which = axis.axis_name
    ends, set_ends = (getattr(axis.axes, f"{verb}_{which}lim") for verb in ("get", "set"))
    low, high = ends()
    if kind == "zero":
        set_ends(0, 1.15 * high)
    elif kind == "log":
        getattr(axis.axes, f"set_{which}scale")("log", base=2 if which == "x" else 10)
        axis.set_major_formatter("{x:g}")
        low, high = ends()
        axis.set_minor_formatter("{x:g}" if which == "y" and high < 30 * low else "")
    elif kind == "linear" and which == "x":
        axis.get_major_locator().set_params(integer=True)
    elif kind in ("share", "percent"):
        wide = max(-0.01, min(low, high - 0.2)), min(max(high, low + 0.2), 1.02)
        set_ends(*((-0.03, 1.04) if kind == "share" else wide))
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        if kind == "share":
            axis.set_ticks((0, 0.25, 0.5, 0.75, 1))
