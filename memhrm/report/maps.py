"""Charts other than curves: matrices, maps on a puzzle's grid, paths in a plane, intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memhrm.report.figures import (
    INK,
    MARKERS,
    NEGATIVE,
    POSITIVE,
    Drawing,
    colour,
    draw,
)


@dataclass(frozen=True)
class Interval:
    """One row of a dot-and-interval chart: for each run (value, low, high) or None."""

    label: str
    values: Sequence[tuple[float, float, float] | None] = field(default_factory=list)


def shade(values: np.ndarray, limit: float) -> np.ndarray:
    """Colours (..., 4) of values: blue above zero, orange below, as opaque as |value| / limit."""
    values = np.nan_to_num(np.asarray(values, float))
    colours = np.where((values >= 0)[..., None], (*POSITIVE, 0.0), (*NEGATIVE, 0.0))
    colours[..., 3] = np.clip(np.abs(values) / max(limit, 1e-12), 0, 1)
    return colours


def matrix(
    name: str,
    title: str,
    values: np.ndarray,
    x: str,
    y: str,
    *,
    limit: float | None = None,
    columns: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    share: bool = False,
    square: bool = False,
    note: str = "",
) -> Drawing:
    """Draw a matrix as a heat map; rows and columns count from 0, as cells do, unless they are named.

    limit: the value that is drawn full; None: the largest. note: what the colour means.
    """
    values = np.asarray(values, float)
    limit = limit or float(np.nanmax(np.abs(values), initial=0)) or 1.0
    signed = bool(np.nanmin(values, initial=0) < 0)

    def paint(figure: Any) -> None:
        axes, scale = figure.subplots(1, 2, width_ratios=[22, 1])
        _image(axes, shade(values, limit), "equal" if square else "auto")
        _ticks(axes.xaxis, values.shape[1], columns)
        _ticks(axes.yaxis, values.shape[0], rows)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        low = -limit if signed else 0.0
        steps = np.linspace(low, limit, 64)[:, None]
        scale.imshow(shade(steps, limit), aspect="auto", origin="lower", extent=(0, 1, low, limit))
        scale.set_xticks([])
        scale.set_yticks([low, (low + limit) / 2, limit])
        scale.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %" if share else f"{v:.3g}")
        scale.yaxis.tick_right()
        scale.set_title(note, fontsize=8, loc="right")
        _frame(scale)

    return draw(name, title, paint, height=4.2 if square else min(max(1.5 + 0.17 * len(values), 1.9), 6.0))


def squares(name: str, title: str, values: np.ndarray, labels: Sequence[str], note: str = "") -> Drawing:
    """Draw square matrices (m, n, n) between -1 and 1 side by side, such as cosines at several steps; one
    without a label leaves its place empty."""

    def paint(figure: Any) -> None:
        for axes, one, label in zip(_many(figure, len(values), 4), values, labels):
            if not label:
                axes.set_visible(False)
                continue
            _image(axes, shade(one, 1.0), "equal")
            axes.set_title(label, fontsize=8.5)
            axes.set_xticks([])
            axes.set_yticks([])
        if note:
            figure.supxlabel(note, fontsize=8)

    return draw(name, title, paint, height=0.3 + 1.35 * -(-len(values) // 4))


def grids(
    name: str,
    title: str,
    values: np.ndarray,
    labels: Sequence[str],
    lines: tuple[int, int] | None = None,
    full: Sequence[float] | None = None,
) -> Drawing:
    """Draw maps (m, rows, columns) on a puzzle's grid. lines: the size of its boxes. full: the value at which
    each is full, with 0 empty; None or nan: each is scaled from its own smallest to its largest value."""

    def paint(figure: Any) -> None:
        for i, (axes, one, label) in enumerate(zip(_many(figure, len(values), 4), values, labels)):
            limit = np.nan if full is None else full[i]
            own = not np.isfinite(limit)
            colours = shade(one - one.min(), float(np.ptp(one))) if own else shade(one, limit)
            _image(axes, colours, "equal")
            axes.set_title(label, fontsize=8.5)
            axes.set_xticks([])
            axes.set_yticks([])
            if lines is not None:
                for at in range(lines[0], one.shape[0], lines[0]):
                    axes.axhline(at - 0.5, color=INK, linewidth=0.6)
                for at in range(lines[1], one.shape[1], lines[1]):
                    axes.axvline(at - 0.5, color=INK, linewidth=0.6)

    tall = values.shape[1] / values.shape[2]
    return draw(name, title, paint, height=(0.3 + 1.1 * max(tall, 0.15)) * -(-len(values) // 4))


def paths(
    name: str,
    title: str,
    groups: Sequence[tuple[str, int, np.ndarray]],
    shares: Sequence[float] | None = None,
    ends: Sequence[np.ndarray] | None = None,
    names: Sequence[str] | None = None,
    first: bool = False,
) -> Drawing:
    """Draw trajectories in a plane: groups of (label, run or colour, points (m, S + 1, 2)).

    A hollow mark is a start, a full one an end. ends: which trajectories of a group end right, (m,) bool; the
    others end in a cross. names: texts at the ends. first: draw the first of each group bold.
    """

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axhline(0, color=INK, alpha=0.13, linewidth=0.6)
        axes.axvline(0, color=INK, alpha=0.13, linewidth=0.6)
        for number, (label, run, points) in enumerate(groups):
            hue, marker = colour(run), MARKERS[run % len(MARKERS)]
            for i, path in enumerate(points):
                right = ends is None or bool(ends[number][i])
                axes.plot(
                    *path.T,
                    color=hue,
                    linewidth=2.0 if first and not i else 0.9,
                    alpha=0.75,
                    label=None if i else label,
                    marker=".",
                    markersize=2.2,
                )
                axes.plot(*path[0], marker=marker, color=hue, markerfacecolor="none", markersize=5)
                axes.plot(*path[-1], marker=marker if right else "x", color=hue, markersize=5.5)
                if names is not None:
                    axes.annotate(names[i], path[-1], xytext=(4, 3), textcoords="offset points", fontsize=8)
        x, y = (
            ("", "") if shares is None else tuple(f" ({share:.0%} of the variance)" for share in shares[:2])
        )
        axes.set_xlabel(f"first component{x}")
        axes.set_ylabel(f"second component{y}")
        if len(groups) > 1:
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=2 if len(groups) < 5 else 4)

    return draw(name, title, paint, height=3.6)


def intervals(
    name: str,
    title: str,
    rows: Sequence[Interval],
    runs: Sequence[str],
    x: str,
    *,
    hues: Sequence[int],
    least: float = 0.0,
) -> Drawing:
    """Draw dots with intervals, one row for each label and in it one dot for each run, of colour `hues`.

    least: the smallest range of the axis on either side of zero.
    """
    step = min(0.26, 0.7 / max(len(runs), 1))

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
        for run, label in enumerate(runs):
            at = [
                (len(rows) - 1 - i - (run - (len(runs) - 1) / 2) * step, v.values[run])
                for i, v in enumerate(rows)
                if run < len(v.values)
            ]
            found = [(y, *value) for y, value in at if value is not None and np.isfinite(value).all()]
            if found:
                ys, values, low, high = np.array(found).T
                axes.hlines(ys, low, high, color=colour(hues[run]), linewidth=1.6)
                axes.plot(values, ys, MARKERS[hues[run] % len(MARKERS)], color=colour(hues[run]), label=label)
        axes.set_yticks(range(len(rows)), [row.label for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -least), max(right, least))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=INK, alpha=0.13, linewidth=0.6)
        axes.set_xlabel(x)
        if len(runs) > 1:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)

    return draw(name, title, paint, height=0.9 + 0.24 * len(rows) * max(1.0, 0.7 * len(runs)))


def _image(axes: Any, colours: np.ndarray, aspect: str = "auto") -> None:
    axes.imshow(colours, aspect=aspect, interpolation="none")
    _frame(axes)


def _frame(axes: Any) -> None:
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_alpha(0.5)


def _ticks(axis: Any, count: int, names: Sequence[str] | None) -> None:
    every = max(1, -(-count // (12 if names is None else 40)))
    at = list(range(0, count, every))
    axis.set_ticks(at, [str(i) if names is None else names[i] for i in at])
    axis.set_tick_params(length=2)


def _many(figure: Any, count: int, across: int) -> list[Any]:
    axes = figure.subplots(-(-count // across), across, squeeze=False).ravel().tolist()
    for extra in axes[count:]:
        extra.set_visible(False)
    return axes[:count]
