"""Robustness: does the verdict of the main table hold where the training is another?

    python -m experiments.robustness --scale cpu

With fixed halting all variants learn from the same puzzles. A training three times as long, with a learning
rate chosen for each variant, ends where the curve is flat. 9x9 Sudoku is larger, and is not solved: there
restarts of a model without memory stand against one with a memory, at equal FLOPs, and with noise in training
too.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from experiments.grid.comparison import answer_mflop, comparison, score_numbers
from experiments.grid.page import Page, Table, line_style
from experiments.grid.results import Variants, curves
from experiments.grid.run import Run, Variant, baselines, grid, pick
from experiments.grid.stats import contrasts, differences, estimate
from experiments.grid.study import Study, main
from experiments.grid.tasks import FEWER_SEEDS, FIXED, LONG, NINE, OTHERWISE, SEEDS, SUDOKU6
from experiments.grid.variants import CONTROLS, EQUAL, MODELS, equal, placed_memories, sized
from experiments.main_table import SCORES, WINDOWS, planned_table
from experiments.scaling import best_noise

PLAIN = "TRM, g=2"
NEAR = placed_memories("TRM", "augment")
"""TRM's memories after the level."""
TWO = pick(NEAR, "TRM + bicross, augment", "TRM + multicell, augment")
LARGER = [f"TRM, {what}" for what in EQUAL]
FEW = [PLAIN, *LARGER, *(one.name for one in TWO)]
"""What is trained longer, and on 9x9."""
NOISE = "noise=0.25"
"""On the states before each supervision step of the training."""
NOISY = [f"{PLAIN}, noise", f"{TWO[0].name}, noise"]
PLANNED = {
    "memories": ([one.name for one in NEAR], PLAIN),
    **{f"memories, at {what}": ([one.name for one in NEAR], f"TRM, {what}") for what in EQUAL},
    **WINDOWS,
    "bicross, with noise": (NOISY[1:], NOISY[0]),
}
"""The contrasts, named before the runs."""

RATES = ("2e-3", "4e-3", "8e-3")
RATE = dict.fromkeys(FEW, "4e-3") | {TWO[1].name: "2e-3"}
"""The learning rate of each variant in the longer training: the best on validation puzzles with a seed that
nothing else uses (the table of rates)."""
RATE_SEED = 9
_TRIED = "rates"
COLUMNS = ["seeds", "exact, %", "over training, %", "steps", "parameters", "MFLOP"]


def variants(scale: str) -> dict[str, Variant]:
    """Return all variants of the study by name, with the sizes of a scale."""
    named = [*MODELS, *NEAR, *pick(CONTROLS, "TRM + carry-add", "TRM + multicell, augment, random cells")]
    every = [*sized(named, scale), *equal(SUDOKU6, scale, ["TRM"])]
    return {one.name: one for one in every}


def runs(scale: str) -> list[Run]:
    """Return the runs with fixed halting, the trials of rates, the longer ones, and those on 9x9.

    Noise in training is tried where a single answer is often wrong: after the longer training hardly any is.
    """
    known, tasks, seeds, few = variants(scale), OTHERWISE[scale], SEEDS[scale], FEWER_SEEDS[scale]
    without = ("feed-forward", "recurrent transformer")
    every = [one for name, one in known.items() if name not in without]
    found = grid({tasks[FIXED]: every}, seeds)
    if LONG in tasks:
        tried = [
            replace(_with(known[name], f"optim.lr={rate}"), name=f"{name}, rate {rate}")
            for name in FEW
            for rate in RATES
        ]
        found += grid({replace(tasks[LONG], name=_TRIED): tried}, [RATE_SEED])
        tuned = [_with(known[name], f"optim.lr={RATE[name]}") for name in FEW]
        found += grid({tasks[LONG]: tuned}, seeds, ["depth", "noisy"])
    if NINE in tasks:
        noisy = [
            replace(_with(known[name], NOISE), name=noisy) for name, noisy in zip((PLAIN, TWO[0].name), NOISY)
        ]
        found += grid({tasks[NINE]: [*(known[name] for name in FEW), *noisy]}, few, ["depth", "noisy"])
    return found


def _with(variant: Variant, setting: str) -> Variant:
    return replace(variant, overrides=(*variant.overrides, setting))


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each training, of the contrasts and of the scaling at test time, and two figures."""
    page = Page()
    tried = found.get(_TRIED, {})
    if tried:
        page.tables[_TRIED] = rates(tried)
    trained = {task: of_task for task, of_task in found.items() if task != _TRIED}
    known = baselines(variants("cpu").values()) | dict(zip(NOISY, (PLAIN, NOISY[0])))
    pairs = differences(trained, known)
    planned = {name: contrasts(trained, PLANNED, score) for name, score in SCORES.items()}
    page.tables["contrasts"] = planned_table(planned)
    for task, of_task in trained.items():
        lines = {"": [Variant(name) for name in of_task]}
        page.tables[task] = comparison(of_task, lines, COLUMNS, pairs[task])
        numbers = score_numbers(of_task, SCORES["main"], pairs[task], planned["main"][task])
        page.add_numbers(f"robustness/{task}", numbers)
        speed = score_numbers(of_task, SCORES["speed"], planned["speed"][task])
        page.add_numbers(f"robustness speed/{task}", speed)
    flat = {task: trained[task] for task in (LONG, NINE) if task in trained}
    if flat:
        page.add_figure("curves", learning, flat, size=(6.8, 2.6))
    if NINE in trained:
        page.tables["at test time"] = scaled_table(trained[NINE])
        page.add_numbers("robustness/at test time", added(trained[NINE]))
        for baseline in (PLAIN, *LARGER):
            page.add_numbers(f"robustness/at test time/less {baseline}", deeper(trained[NINE], baseline))
        page.add_figure("at test time", scaled, trained[NINE], size=(6.8, 2.6))
    return page


def chosen(tried: Variants) -> dict[str, str]:
    """Return for each variant the rate with the best end of the validation curve, of equal ones the first."""

    def end(name: str, rate: str) -> float:
        of_rate = tried.get(f"{name}, rate {rate}")
        return -1.0 if of_rate is None else curves(of_rate, "curve_exact")[0, -1]

    return {name: max(RATES, key=lambda rate: end(name, rate)) for name in FEW}


def rates(tried: Variants) -> Table:
    """Return the exact accuracy on validation puzzles at the end of the training, by variant and rate."""
    lines = []
    for name in FEW:
        ends = (tried.get(f"{name}, rate {rate}") for rate in RATES)
        texts = ["" if rows is None else f"{100 * curves(rows, 'curve_exact')[0, -1]:.1f}" for rows in ends]
        lines.append([name, *texts])
    return Table(["exact, validation, %, by learning rate", *RATES], lines)


def learning(figure: Any, found: dict[str, Variants]) -> None:
    """Draw the exact accuracy on the validation puzzles over training, mean over seeds and each seed."""
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (task, of_task) in zip(panels, found.items()):
        for number, variant in enumerate(name for name in FEW if name in of_task):
            rows, style = of_task[variant], line_style(number) | {"marker": ""}
            steps, exact = curves(rows, "curve_steps")[0], 100 * curves(rows, "curve_exact")
            axes.plot(steps, exact.mean(axis=0), label=variant, **style)
            axes.plot(steps, exact.T, linewidth=0.4, alpha=0.4, color=style["color"])
        axes.set(title=task, xlabel="optimiser steps")
    panels[0].set_ylabel("exact, validation, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)


def scaled_table(found: Variants) -> Table:
    """Return what more restarts add to the exact accuracy, the highest Q counting, and what more steps add.

    The two are measured on other puzzles, and so from another accuracy each. Beside the restarts stands an
    oracle, which finds the right one among all.
    """
    lines = []
    for variant, rows in found.items():
        (_, restarts), (_, steps) = ways(rows)
        noise = f"{best_noise(rows):g}"
        oracle = curves(rows, f"noisy.oracle_{noise}")[:, -1:]
        cells = [*_gains(np.hstack([restarts, oracle])), *_gains(steps)]
        lines.append([variant, f"{len(rows)}", f"{answer_mflop(rows):.1f}", noise, *cells])
    restarts, steps = (times[1:] for times, _ in ways(next(iter(found.values()))))
    head = [
        *("noise", "one restart", *(f"{number:g} restarts" for number in restarts), "oracle"),
        *("the steps of training", *(f"{times:g}x the steps" for times in steps)),
    ]
    return Table(["exact, %", "seeds", "MFLOP", *head], lines)


def _gains(exact: np.ndarray) -> list[str]:
    """Return the first column of exact accuracies, ``(seeds, c)``, and what the others are more, in %."""
    first, *more = 100 * exact.mean(axis=0)
    return [f"{first:.1f}", *(f"{one - first:+.1f}" for one in more)]


def ways(rows: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for restarts and for steps the cost in times of one answer, and the exact accuracy, by seed."""
    restarts = (curves(rows, "noisy.restarts")[0], curves(rows, f"noisy.q_{best_noise(rows):g}"))
    return [restarts, (curves(rows, "depth.times")[0], curves(rows, "depth.exact"))]


def added(found: Variants) -> dict[str, str]:
    """Return the numbers for the text: VARIANT/restarts N is what N restarts add, /steps N as many steps."""
    return {
        f"{variant}/{name} {at:g}": estimate(gain).text("+")
        for variant, rows in found.items()
        for name, (times, exact) in zip(("restarts", "steps"), ways(rows))
        for at, gain in zip(times[1:], (exact - exact[:, :1]).T[1:])
    }


def deeper(found: Variants, baseline: str) -> dict[str, str]:
    """Return the mean of the memories less a baseline, by seed, at multiples of the supervision steps."""
    exact = {
        name: pd.DataFrame(curves(found[name], "depth.exact"), found[name].index)
        for name in (*(one.name for one in TWO), baseline)
        if name in found
    }
    if len(exact) <= len(TWO):
        return {}
    change = (sum(exact[one.name] for one in TWO) / len(TWO) - exact[baseline]).dropna()
    by_times = zip(curves(found[baseline], "depth.times")[0], change.to_numpy().T)
    return {f"depth {times:g}": estimate(points).text("+") for times, points in by_times}


def scaled(figure: Any, found: Variants) -> None:
    """Draw what more restarts and more steps add to the exact accuracy, against the cost of an answer."""
    panels = figure.subplots(1, 2, sharey=True)
    for number, (variant, rows) in enumerate(found.items()):
        for axes, (times, exact) in zip(panels, ways(rows)):
            gain = 100 * (exact - exact[:, :1]).mean(axis=0)
            axes.plot(answer_mflop(rows) * times, gain, label=variant, **line_style(number))
    for axes, title in zip(panels, ("restarts, the highest Q", "supervision steps")):
        axes.set_xscale("log")
        axes.set(xlabel="MFLOP of an answer", title=title)
    panels[0].set_ylabel("exact, points more")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=6.5)


STUDY = Study("robustness", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
