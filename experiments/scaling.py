"""Test-time scaling: accuracy against supervision depth, and against noisy restarts by how one is chosen.

    python -m experiments.scaling --scale cpu

The runs are some of the main table's: nothing else is trained.
"""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from experiments.grid.measures import NOISE, RULES
from experiments.grid.page import Page, line_style, log2_axis
from experiments.grid.results import Variants, curves
from experiments.grid.run import Run, grid, pick
from experiments.grid.stats import estimate
from experiments.grid.study import Study, main
from experiments.grid.tasks import ANALYSED, FEWER_SEEDS
from experiments.grid.variants import MEMORIES, MODELS, sized

SHOWN = pick(
    [*MODELS, *MEMORIES],
    *("HRM, g=2", "HRM + multicell, augment"),
    *("TRM, g=2", "TRM + bicross, augment", "TRM + multicell, augment"),
)


def runs(scale: str) -> list[Run]:
    """Return the runs, with the measures of depth and of restarts."""
    return grid(dict.fromkeys(ANALYSED[scale], sized(SHOWN, scale)), FEWER_SEEDS[scale], ["depth", "noisy"])


def render(found: dict[str, Variants]) -> Page:
    """Return the two figures of each task."""
    page = Page()
    for task, of_task in found.items():
        page.add_figure(f"{task}-depth", against_depth, of_task, size=(5.5, 2.8))
        page.add_figure(f"{task}-restarts", against_restarts, of_task, size=(6.3, 2.6))
        page.add_numbers(f"scaling/{task}", numbers(of_task))
    return page


def against_depth(figure: Any, found: Variants) -> None:
    """Draw the exact accuracy against the supervision steps, one thin line a seed."""
    axes, times = figure.subplots(), []
    for number, (variant, rows) in enumerate(found.items()):
        times, exact = curves(rows, "depth.times")[0], 100 * curves(rows, "depth.exact")
        style = line_style(number)
        axes.plot(times, exact.mean(axis=0), label=variant, **style)
        for of_seed in exact:
            axes.plot(times, of_seed, color=style["color"], linewidth=0.5, alpha=0.5)
    log2_axis(axes, times)
    axes.set_xlabel("supervision steps, in times of the training depth")
    axes.set_ylabel("exact, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=7)


def against_restarts(figure: Any, found: Variants) -> None:
    """Draw the exact accuracy against the number of restarts, one line a rule of choosing one."""
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (variant, rows) in zip(panels, found.items()):
        noise = best_noise(rows)
        restarts = curves(rows, "noisy.restarts")[0]
        for number, rule in enumerate(RULES):
            exact = 100 * curves(rows, f"noisy.{rule}_{noise:g}").mean(axis=0)
            dashes = ":" if rule == "oracle" else "-"
            axes.plot(restarts, exact, linestyle=dashes, label=rule, **line_style(number))
        axes.set_title(f"{fill(variant, 14)}\n$\\sigma$ = {noise:g}", fontsize=7)
        log2_axis(axes, restarts)
    panels[0].set_ylabel("exact, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)
    figure.supxlabel("restarts", fontsize=9)


def best_noise(rows: pd.DataFrame) -> float:
    """Return the noise at which the restart with the highest Q is most often right, on the same puzzles."""
    return max(NOISE, key=lambda noise: curves(rows, f"noisy.q_{noise:g}")[:, -1].mean())


def numbers(found: Variants) -> dict[str, str]:
    """Return the exact accuracies for the text, by depth (relative to training) and number of restarts."""
    result = {}
    for variant, rows in found.items():
        noise = best_noise(rows)
        lines = {"depth": ("depth.times", "depth.exact")}
        lines |= {rule: ("noisy.restarts", f"noisy.{rule}_{noise:g}") for rule in RULES}
        for name, (x, y) in lines.items():
            for at, exact in zip(curves(rows, x)[0], curves(rows, y).T):
                result[f"{variant}/{name} {at:g}"] = estimate(exact).text()
    return result


STUDY = Study("scaling", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
