"""Test-time scaling: accuracy against supervision depth, and against noisy restarts by how one is chosen.

    python -m experiments.scaling --scale cpu

Of some runs of the main table: nothing else is trained for it.
"""

from textwrap import fill
from typing import Any

import numpy as np

from experiments.grid.measures import NOISE
from experiments.grid.page import Page
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import BySeed, by_variant, curves, tasks
from experiments.grid.stats import estimate
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import FEWER, LOOKED_AT
from experiments.grid.variants import MEMORIES, MODELS, sized
from memhrm.report.figures import LIGHT, MARKERS

SHOWN = {
    name: (MODELS | MEMORIES)[name]
    for name in (
        "HRM, g=2",
        "HRM + multicell, augment",
        "TRM, g=2",
        "TRM + bicross, augment",
        "TRM + multicell, augment",
    )
}
RULES = ("q", "residual", "majority", "oracle")


def runs(scale: str) -> list[Run]:
    return grid(LOOKED_AT[scale], sized(SHOWN, scale), FEWER[scale], ["depth", "noisy"])


def render(rows: list[Row]) -> Page:
    page = Page()
    for task in tasks(rows):
        page.figure(f"{task}-depth", lambda figure, task=task: against_depth(figure, rows, task), 5.5, 2.8)
        page.figure(
            f"{task}-restarts", lambda figure, task=task: against_restarts(figure, rows, task), 6.3, 2.6
        )
        page.say(f"scaling/{task}", numbers(rows, task))
    return page


def against_depth(figure: Any, rows: list[Row], task: str) -> None:
    axes = figure.subplots()
    for number, (variant, one) in enumerate(by_variant(rows, task).items()):
        times, exact = curves(one, "depth.times")[0], 100 * curves(one, "depth.exact")
        colour, marker = LIGHT[number % len(LIGHT)], MARKERS[number % len(MARKERS)]
        axes.plot(times, exact.mean(axis=0), marker=marker, color=colour, label=variant)
        for each in exact:
            axes.plot(times, each, color=colour, linewidth=0.5, alpha=0.5)
    axes.set_xscale("log", base=2, subs=[])
    axes.set_xticks(times, [f"{int(time)}" for time in times])
    axes.set_xlabel("supervision steps, in times of the training depth")
    axes.set_ylabel("exact, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=7)


def against_restarts(figure: Any, rows: list[Row], task: str) -> None:
    found = by_variant(rows, task)
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (variant, one) in zip(panels, found.items()):
        noise = best_noise(one)
        restarts = curves(one, "noisy.restarts")[0]
        for number, rule in enumerate(RULES):
            exact = 100 * curves(one, f"noisy.{rule}_{noise:g}").mean(axis=0)
            dashes = ":" if rule == "oracle" else "-"
            colour, marker = LIGHT[number], MARKERS[number]
            axes.plot(restarts, exact, marker=marker, linestyle=dashes, color=colour, label=rule)
        axes.set_title(f"{fill(variant, 14)}\n$\\sigma$ = {noise:g}", fontsize=7)
        axes.set_xscale("log", base=2, subs=[])
        axes.set_xticks(restarts, [f"{int(count)}" for count in restarts])
    panels[0].set_ylabel("exact, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)
    figure.supxlabel("restarts", fontsize=9)


def best_noise(one: BySeed) -> float:
    """At which the restart with the highest Q is right most often; chosen on the figure's own puzzles."""
    return max(NOISE, key=lambda noise: curves(one, f"noisy.q_{noise:g}")[:, -1].mean())


def numbers(rows: list[Row], task: str) -> dict[str, str]:
    """For the text: exact accuracy at a depth (in times of the training's), and of a number of restarts."""
    said = {}
    for variant, one in by_variant(rows, task).items():
        for time, exact in zip(curves(one, "depth.times")[0], curves(one, "depth.exact").T):
            said[f"{variant}/depth {time:g}"] = estimate(exact.tolist()).text()
        noise = best_noise(one)
        for rule in RULES:
            chosen = curves(one, f"noisy.{rule}_{noise:g}")
            for count, exact in zip(curves(one, "noisy.restarts")[0], chosen.T):
                said[f"{variant}/{rule} {count:g}"] = estimate(exact.tolist()).text()
    return said


EXPERIMENT = Experiment("scaling", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
