"""Learning curves: loss and exact accuracy over the optimiser steps of training."""

from typing import Any

import numpy as np

from memhrm.report.curves import Line, lines
from memhrm.report.page import Figure, Section
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, percent

NAME = "learning"
CURVES = {
    "lm_loss": ("Loss", "token cross-entropy", {"log": True}),
    "exact_accuracy": ("Exact accuracy", "exact accuracy", {"share": True}),
}
KINDS = "train", "validation"
GAP = 3.0
"""A curve is broken where two points are further apart than this many times the usual distance."""


def look(looking: Looking) -> Numbers | None:
    """Return by kind and score the logged steps and values; None if the log has none of them."""
    found = {
        f"{kind}/{score}": curve
        for kind in KINDS
        for score in CURVES
        if (curve := logged(looking.metrics, f"{kind}/{score}")) is not None
    }
    return found or None


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


def show(runs: list[Seen]) -> Section:
    parts = []
    for score, (title, y, axis) in CURVES.items():
        series = [
            Line(f"{run.label}, {kind}", one["value"], one["step"], run=run.index, dashed=kind != "train")
            for run in runs
            for kind in KINDS
            if (one := run.numbers[NAME].get(f"{kind}/{score}")) is not None
        ]
        if series:
            drawing = lines(f"{NAME}-{score}", f"{title} over training", series, "optimiser step", y, **axis)
            says = f"{title} on training batches (solid) and on validation puzzles (dashed)."
            parts.append(Figure(title, drawing, says))
    lead = (
        "Loss and exact accuracy as logged during training. Training scores are those of the current "
        "weights, with the loss summed over the supervision steps of an optimiser step (one, except in "
        "episodes or with a horizon); validation scores are those of the averaged weights, for the last "
        "supervision step."
    )
    return Section(NAME, "Learning curves", lead, parts)


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME].get("validation/exact_accuracy")
    if found is None:
        return []
    steps, exact = found["step"], found["value"]
    best = int(np.nanargmax(exact))
    if exact[-1] == exact[best]:
        return [f"Validation exact accuracy ends at its best, {percent(exact[-1])}."]
    return [
        f"Validation exact accuracy ends at {percent(exact[-1])}; its best is {percent(exact[best])}, "
        f"at optimiser step {steps[best]:,.0f}."
    ]


TOPIC = Topic(NAME, look, show, say)
