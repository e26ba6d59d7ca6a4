"""Scores of a model that is given other depths on questions than in its training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from memhrm.evaluation.answers import EvaluationSettings

Score = Callable[[EvaluationSettings], dict[str, Any]]
"""Scores of `memhrm.evaluation.evaluate`, with these settings."""


def over_depth(
    score: Score, settings: EvaluationSettings, H_cycles: int, depths: Sequence[int]
) -> dict[str, Any]:
    """Return exact accuracy at several depths: supervision steps where training has several, else H-cycles.

    Args:
        score: scores the model.
        settings: as in training.
        H_cycles: H-cycles of a supervision step in training.
        depths: how many of them a question is given.

    Returns:
        `varied`, the setting that differs; `trained`, its value in training; and for each depth, as text,
        `exact_accuracy` and what it is by facet. Nothing without depths.
    """
    if not depths:
        return {}
    steps = settings.steps > 1
    varied, trained = ("halt_max_steps", settings.steps) if steps else ("H_cycles", H_cycles)
    found: dict[str, Any] = {"varied": varied, "trained": trained}
    for depth in depths:
        scores = score(replace(settings, **{"steps" if steps else "H_cycles": depth}))
        found[str(depth)] = {
            name: value
            for name, value in scores.items()
            if name == "exact_accuracy" or (name.startswith("exact_accuracy_by") and isinstance(value, dict))
        }
    return {"by_depth": found}
