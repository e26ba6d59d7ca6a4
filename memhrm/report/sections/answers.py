"""Accuracy over the supervision steps."""

from itertools import pairwise
from typing import Any

import numpy as np

from memhrm.probes.accuracy import over_steps
from memhrm.report.curves import Line, bars, lines
from memhrm.report.figures import Drawing
from memhrm.report.page import Figure, Section, Table
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, depth_of, percent

NAME = "accuracy"
STEP = "supervision step"


def look(looking: Looking) -> Numbers:
    """Return the accuracy of all puzzles to the training depth (near), and of some beyond it (far)."""
    return {"near": over_steps(looking.near), "far": over_steps(looking.far)}


def show(runs: list[Seen]) -> Section:
    far = {run.label: run.numbers[NAME]["far"] for run in runs}
    times = runs[0].looking.how.depth
    axes: dict[str, Any] = {"share": True, "log_x": True, "depth": depth_of(runs)}

    def over(name: str, what: str, key: str) -> Drawing:
        series = [Line(run.label, far[run.label][key], run=run.index) for run in runs]
        return lines(f"{NAME}-{name}", f"{what} after each supervision step", series, STEP, what, **axes)

    labels, first = histogram(runs)
    puzzles = " and ".join(sorted({str(len(run.looking.far.exact[0])) for run in runs}))
    return Section(
        NAME,
        "Accuracy over supervision steps",
        f"Accuracy on {puzzles} puzzles after each supervision step, up to {times} times the training depth.",
        [
            Figure(
                "Puzzles solved",
                over("exact", "exact accuracy", "exact"),
                "Share of puzzles with every token right after each supervision step.",
                "Accuracy over steps: HRM, arXiv 2506.21734; many more steps than in training: Bansal et "
                "al., arXiv 2202.05826.",
            ),
            Figure(
                "Tokens right",
                over("tokens", "token accuracy", "token_accuracy"),
                "Share of labelled tokens that are right after each supervision step.",
            ),
            Figure(
                "First solved",
                bars(
                    f"{NAME}-first", "Step at which puzzles are first solved", labels, first, STEP, "puzzles"
                ),
                "Share of puzzles that are first solved at each step.",
            ),
            Table(
                "Summary",
                [
                    "run",
                    "training depth",
                    *("exact accuracy" if f == 1 else f"at {f} times the depth" for f in _factors(times)),
                    "never solved",
                    "solved, then lost",
                ],
                [_row(run, far[run.label]) for run in runs],
                "Exact accuracy at multiples of the training depth; the share of puzzles that are wrong "
                "after every step; and the share that are right after some step but wrong after the last.",
            ),
        ],
    )


def _factors(depth: int) -> list[int]:
    """Return the multiples of the training depth that the table shows."""
    return sorted({1, min(4, depth), depth})


def _row(run: Seen, far: Numbers) -> list[str]:
    trained = run.looking.trained
    at = [far["exact"][trained * factor - 1] for factor in _factors(run.looking.how.depth)]
    never = float(np.mean(far["first_solved"] == 0))
    return [run.label, str(trained), *(percent(one) for one in (*at, never, far["unsolved_again"]))]


def say(run: Seen) -> list[str]:
    near, far = run.numbers[NAME]["near"], run.numbers[NAME]["far"]
    trained, exact = run.looking.trained, far["exact"]
    count, few = (counted(len(found["first_solved"]), "puzzle") for found in (near, far))
    steps = counted(trained, "supervision step")
    said = f"It solves {percent(near['exact'][-1])} of {count} in the {steps} used in training."
    if exact[-1] == exact.max() == exact[trained - 1]:
        return [f"{said} Running {len(exact)} steps instead does not change that ({few})."]
    return [
        f"{said} On {few} followed further, it solves {percent(exact[trained - 1])} at that depth, "
        f"{percent(exact[-1])} after {len(exact)} steps, and at best {percent(exact.max())}, after "
        f"{counted(int(exact.argmax()) + 1, 'step')}."
    ]


def histogram(runs: list[Seen]) -> tuple[list[str], list[Line]]:
    """Return the shares of puzzles by the step that first solves them, in bins of one step up to the training
    depth and doubling bins beyond."""
    trained = max(run.looking.trained for run in runs)
    last = max(len(run.looking.far.exact) for run in runs)
    edges = list(range(1, trained + 2))  # Where bins begin, and the end of the last.
    while edges[-1] <= last:
        edges.append(min(2 * edges[-1] - 1, last + 1))
    labels = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
    series = []
    for run in runs:
        first = np.asarray(run.numbers[NAME]["far"]["first_solved"])
        counts = [float(np.mean((first >= a) & (first < b))) for a, b in pairwise(edges)]
        series.append(Line(run.label, [*counts, float(np.mean(first == 0))], run=run.index))
    return [*labels, "never"], series


TOPIC = Topic(NAME, look, show, say)
