"""Charts of curves and bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memhrm.report.figures import INK, MARKERS, Drawing, colour, draw


@dataclass(frozen=True)
class Line:
    """One curve. run: sets the colour and marker. low, high: a band. dashed: a second kind of the same run.
    reference: a thin line without markers that belongs to no run."""

    label: str
    y: Sequence[float] | np.ndarray
    x: Sequence[float] | np.ndarray | None = None
    low: Any = None
    high: Any = None
    run: int = 0
    dashed: bool = False
    reference: bool = False


def lines(
    name: str,
    title: str,
    series: Sequence[Line],
    x: str,
    y: str,
    *,
    share: bool = False,
    percent: bool = False,
    zero: bool = False,
    log: bool = False,
    log_x: bool = False,
    depth: int | None = None,
    diagonal: bool = False,
) -> Drawing:
    """Draw curves; nan breaks one. share: the y axis runs from 0 to 100 %; percent: only over the values.
    depth: mark the training depth. diagonal: mark y = x."""

    def paint(figure: Any) -> None:
        axes = _axes(figure, x, y)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6)
        if depth is not None:
            axes.axvline(depth, color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.7)
            axes.annotate(
                "training depth",
                (depth, 1),
                xycoords=("data", "axes fraction"),
                fontsize=7.5,
                xytext=(-2, 2),  # Above the axes, where no curve is.
                textcoords="offset points",
                color=INK,
            )
        for number, line in enumerate(series):
            values = np.asarray(line.y, float)
            at = np.arange(1, len(values) + 1) if line.x is None else np.asarray(line.x, float)
            if line.reference:
                style = (0, (4, 2)) if line.dashed else (0, (1, 1.6))
                axes.plot(at, values, color=INK, label=line.label, linestyle=style, linewidth=1.1, zorder=3)
                continue
            hue, every = colour(line.run), max(1, len(at) // 12)
            # Earlier curves are wider, with markers elsewhere, so that they show where curves coincide.
            width = 1.4 + 1.6 * (len(series) - 1 - number) / max(len(series) - 1, 1)
            axes.plot(
                at,
                values,
                color=hue,
                label=line.label,
                linestyle="--" if line.dashed else "-",
                linewidth=width,
                marker=MARKERS[line.run % len(MARKERS)],
                markevery=(number * every // len(series), every),
                markerfacecolor="none" if line.dashed else hue,
            )
            if line.low is not None:
                axes.fill_between(at, line.low, line.high, color=hue, alpha=0.16, linewidth=0)
        if share:
            _percent(axes)
        if zero:
            axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
        if percent:
            low, high = axes.get_ylim()
            axes.set_ylim(max(-0.01, min(low, high - 0.2)), min(max(high, low + 0.2), 1.02))
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        if log:
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if high < 10 * low else "")
        if log_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            axes.xaxis.get_major_locator().set_params(integer=not diagonal)
        if diagonal:
            axes.set_xlim(-0.04, 1.04)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        _legend(figure, axes, len(series))

    return draw(name, title, paint)


def bars(
    name: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Line],
    x: str,
    y: str,
    *,
    share: bool = True,
) -> Drawing:
    """Draw bars side by side, one group for each label."""

    def paint(figure: Any) -> None:
        axes = _axes(figure, x, y)
        width = 0.8 / len(series)
        for i, line in enumerate(series):
            at = np.arange(len(labels)) + (i - (len(series) - 1) / 2) * width
            axes.bar(
                at,
                line.y,
                width * 0.9,
                color=colour(line.run),
                label=line.label,
                hatch="////" if i % 2 else None,
                alpha=0.9,
                edgecolor=INK,
                linewidth=0.4,
            )
        keep = list(range(0, len(labels), -(-sum(map(len, labels)) // 40)))
        axes.set_xticks(keep, [labels[i] for i in keep])
        if share:
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        _legend(figure, axes, len(series))

    return draw(name, title, paint)


def _axes(figure: Any, x: str, y: str) -> Any:
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _percent(axes: Any) -> None:
    axes.set_ylim(-0.02, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _legend(figure: Any, axes: Any, count: int) -> None:
    if count > 1:
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside upper left",
            ncols=2 if count < 7 else 3,
            handlelength=2.4,
            columnspacing=1.2,
            borderpad=0.1,
        )
