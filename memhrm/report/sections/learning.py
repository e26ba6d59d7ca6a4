"""Learning curves: loss and exact accuracy over the optimiser steps of training."""

from typing import Any

import numpy as np

from memhrm.report.curves import Series, curves
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun

SCORES = "lm_loss", "exact_accuracy"
KINDS = "train", "validation"
GAP = 3.0
"""A curve is broken where two points are further apart than this many times the usual distance."""


def logged(metrics: list[dict[str, Any]], name: str) -> dict[str, np.ndarray] | None:
    """Return the steps and finite values of a metric, with nan in gaps of the log; None if there are none."""
    points = {line["step"]: line[name] for line in metrics if isinstance(line.get(name), int | float)}
    steps, values = (np.array([*part], float) for part in (points.keys(), points.values()))
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    if not len(steps):
        return None
    apart = np.diff(steps)
    gaps = np.flatnonzero(apart > GAP * np.median(apart)) + 1 if len(apart) else []
    return {"step": np.insert(steps, gaps, np.nan), "value": np.insert(values, gaps, np.nan)}


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the logged steps and values by kind and score."""
    names = [f"{kind}/{score}" for kind in KINDS for score in SCORES]
    return {name: found for name in names if (found := logged(run.metrics, name)) is not None} or None


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return a figure for each score that was logged."""
    parts = []
    for score in SCORES:
        series = [
            Series(f"{run.label}, {kind}", one["value"], one["step"], run.index, dashed=kind != "train")
            for run in runs
            for kind in KINDS
            if (one := run.numbers["learning"].get(f"{kind}/{score}")) is not None
        ]
        if series:
            parts.append(curves(f"learning-{score}", series))
    return parts
