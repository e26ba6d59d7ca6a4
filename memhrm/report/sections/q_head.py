"""Q-head: its calibration, and what selecting among restarts by it is worth."""

from itertools import pairwise
from typing import Any

from memhrm.probes.q_head import calibration, restarts
from memhrm.report.curves import Series, bars, curves
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun

RULES = {"q": "highest Q", "residual": "lowest residual", "majority": "majority", "oracle": "oracle"}


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the calibration at all steps of the training depth, and the restarts of some puzzles.

    None where training did not teach the Q-head.
    """
    if not run.subject.judges:
        return None
    settings, few = run.settings, run.few()
    return {
        "calibration": calibration(run.near.q_halt, run.near.exact),
        "puzzles": len(few),
        "restarts": restarts(few, settings.restarts, settings.noise, seed=settings.seed, first=run.near_few),
    }


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures."""
    right, shares = [], []
    for run in runs:
        found = run.numbers["q_head"]["calibration"]
        used = found["counts"] > 0
        right.append(Series(run.label, found["right"][used], found["predicted"][used], run.index))
        shares.append(Series(run.label, found["counts"] / found["counts"].sum(), run=run.index))
    edges = 100 * runs[0].numbers["q_head"]["calibration"]["edges"]
    bins = [f"{low:.0f}-{high:.0f}" for low, high in pairwise(edges)]
    parts = [curves("q_head-calibration", right, runs=runs), bars("q_head-confidence", bins, shares)]
    for run in runs:
        found = run.numbers["q_head"]["restarts"]
        if len(found["restarts"]) > 1:
            rules = [Series(RULES[rule], found[rule], found["restarts"], i) for i, rule in enumerate(RULES)]
            parts.append(curves("q_head-restarts", rules, run=run))
    return parts
