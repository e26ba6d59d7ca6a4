"""What the Q-head knows, and what a choice among restarts by it is worth."""

from itertools import pairwise
from typing import Any

import numpy as np

from memhrm.probes.curves import Line, bars, lines
from memhrm.probes.page import Figure, Section
from memhrm.probes.q_head import calibration, restarts
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic, percent

NAME = "q_head"
RULES = {"q": "highest Q", "residual": "lowest residual", "majority": "majority", "oracle": "oracle"}


def look(looking: Looking) -> Numbers:
    """calibration: over all supervision steps of training. restarts: of some puzzles."""
    how, near = looking.how, looking.near
    few = looking.few(how.few_puzzles)
    return {
        "calibration": calibration(near.q_halt, near.exact),
        "puzzles": len(few),
        "restarts": restarts(few, how.restarts, how.noise, seed=how.seed, first=near.select(slice(len(few)))),
    }


def show(runs: list[Seen]) -> Section:
    series, errors = [], []
    for run in runs:
        found = run.numbers[NAME]["calibration"]
        used = np.asarray(found["counts"]) > 0
        series.append(Line(run.label, found["right"][used], found["predicted"][used], run=run.index))
        errors.append(f"{run.label} {found['ece']:.3f}" if len(runs) > 1 else f"{found['ece']:.3f}")
    counts = np.array([run.numbers[NAME]["calibration"]["counts"] for run in runs], float)
    edges = runs[0].numbers[NAME]["calibration"]["edges"]
    shares = [Line(run.label, c / c.sum(), run=run.index) for run, c in zip(runs, counts)]
    bins = [f"{100 * low:.0f}-{100 * high:.0f}" for low, high in pairwise(edges)]
    parts: list[Any] = [
        Figure(
            "Calibration",
            lines(
                f"{NAME}-calibration",
                "Share right against the probability given",
                series,
                "probability of being right, by the Q-head",
                "share that is right",
                share=True,
                diagonal=True,
            ),
            "The share of answers that are right against the probability that the Q-head gives them, over "
            "all supervision steps of training; on the dotted line it would be calibrated. Expected "
            f"calibration error: {', '.join(errors)}.",
            "Halting by a Q-head: HRM, arXiv 2506.21734; calibration error: Guo et al., arXiv 1706.04599.",
        ),
        Figure(
            "How sure it is",
            bars(
                f"{NAME}-sure",
                "How often the Q-head gives which probability",
                bins,
                shares,
                "probability given, %",
                "answers",
            ),
            "The share of answers to which the Q-head gives each probability.",
        ),
    ]
    for run in runs:
        found = run.numbers[NAME]["restarts"]
        if len(found["restarts"]) > 1:
            lines_of = [
                Line(text, found[rule], found["restarts"], run=i)
                for i, (rule, text) in enumerate(RULES.items())
            ]
            parts.append(
                Figure(
                    f"Restarts: {run.label}",
                    lines(
                        f"{NAME}-restarts-{run.index}",
                        "Exact accuracy of the best of K restarts",
                        lines_of,
                        "restarts",
                        "exact accuracy",
                        percent=True,
                        log_x=True,
                    ),
                    f"Exact accuracy on {run.numbers[NAME]['puzzles']} puzzles when the best of K noisy "
                    "restarts is chosen by each rule (colours are rules here); the oracle sees the "
                    "answers and is the upper bound.",
                    "Best Q of noisy restarts: PTRM, arXiv 2605.19943; lowest residual: EqR, arXiv "
                    "2605.21488; majority: Wang et al., arXiv 2203.11171.",
                )
            )
    return Section(
        NAME,
        "Q-head",
        "Does the model know when it is right, and can it choose among several attempts?",
        parts,
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]
    kept, k = found["restarts"], int(found["restarts"]["restarts"][-1])
    said = [f"has a Q-head with an expected calibration error of {found['calibration']['ece']:.3f}."]
    if k > 1:
        change, low, high = (100 * float(one) for one in kept["gain"])
        worth = "gains nothing that shows" if low <= 0 <= high else "gains" if change > 0 else "loses"
        said.append(
            f"{worth} when the highest Q chooses among {k} restarts: {percent(kept['q'][-1])} of "
            f"{found['puzzles']} puzzles, {percent(kept['q'][0])} in one run without noise (change "
            f"{change:+.1f} points, {low:+.1f} to {high:+.1f}), {percent(kept['oracle'][-1])} by an oracle."
        )
    return said


TOPIC = Topic(NAME, look, show, say)
