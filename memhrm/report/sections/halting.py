"""Calibration of the Q-head, and what choosing among restarts by it is worth."""

from itertools import pairwise
from typing import Any

import numpy as np

from memhrm.probes.q_head import calibration, restarts
from memhrm.report.curves import Line, bars, lines
from memhrm.report.page import Figure, Section
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, percent

NAME = "q_head"
RULES = {"q": "highest Q", "residual": "lowest residual", "majority": "majority", "oracle": "oracle"}


def look(looking: Looking) -> Numbers:
    """Return the calibration at all steps of the training depth, and the restarts of some puzzles."""
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
                "Share of right answers by predicted probability",
                series,
                "predicted probability of being right",
                "share of right answers",
                share=True,
                diagonal=True,
            ),
            "Share of right answers by the probability that the Q-head predicts, over all supervision "
            "steps of the training depth; the dotted line is perfect calibration. Expected calibration "
            f"error: {', '.join(errors)}.",
            "Halting by a Q-head: HRM, arXiv 2506.21734; calibration error: Guo et al., arXiv 1706.04599.",
        ),
        Figure(
            "Confidence",
            bars(
                f"{NAME}-sure",
                "Distribution of the predicted probability",
                bins,
                shares,
                "predicted probability, %",
                "answers",
            ),
            "Share of answers for which the Q-head predicts each probability of being right.",
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
                        "Exact accuracy of the restart chosen among K",
                        lines_of,
                        "restarts",
                        "exact accuracy",
                        percent=True,
                        log_x=True,
                    ),
                    f"Exact accuracy on {counted(run.numbers[NAME]['puzzles'], 'puzzle')} when each rule "
                    "(one colour each) chooses among K noisy restarts; the oracle sees the answers and "
                    "is an upper bound.",
                    "Best Q of noisy restarts: PTRM, arXiv 2605.19943; lowest residual: EqR, arXiv "
                    "2605.21488; majority: Wang et al., arXiv 2203.11171.",
                )
            )
    return Section(
        NAME,
        "Q-head",
        "Does the model know when it is right, and can it choose the best of several attempts?",
        parts,
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]
    kept, k = found["restarts"], int(found["restarts"]["restarts"][-1])
    said = [f"The Q-head has an expected calibration error of {found['calibration']['ece']:.3f}."]
    if k > 1:
        change, low, high = (100 * float(one) for one in kept["gain"])
        verb = "does not measurably change" if low <= 0 <= high else "raises" if change > 0 else "lowers"
        said.append(
            f"Choosing among {k} restarts by the highest Q {verb} exact accuracy on "
            f"{counted(found['puzzles'], 'puzzle')}: {percent(kept['q'][-1])}, against "
            f"{percent(kept['q'][0])} for one run without noise ({change:+.1f} points, 95 % interval "
            f"{low:+.1f} to {high:+.1f}); an oracle would reach {percent(kept['oracle'][-1])}."
        )
    return said


TOPIC = Topic(NAME, look, show, say)
