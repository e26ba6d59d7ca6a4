"""Probes of a trained model: its answers, the dynamics of its state, and the use of its memory.

Functions take a `Subject` or a `Rollout` and return plain arrays and numbers. They see what any caller of the
model sees: its state between supervision steps, its output and the trace of its H-steps.

All are here by name, `from memhrm.probes import open_subject, roll_out, over_steps`, and without matplotlib.
Three that are called as their modules have another name here: `roll_out`, `cell_information` and
`light_numbers` are `rollout.rollout`, `information.information` and `light.light`.
"""

from importlib import import_module
from typing import Any

OFFERS = {
    "subject": "Subject open_subject subject_of",
    "rollout": "Rollout roll_out measured",
    "accuracy": "over_steps",
    "positions": "by_position best",
    "dynamics": "residuals residual_auroc norms auroc chance pca trajectories",
    "q_head": "calibration restarts",
    "stability": "one_blank from_solution relabelled",
    "cells": "hits counts usage weights entropy switching dead co_selection cosine cosines alike "
    "cls_trajectories",
    "information": "mutual_information with_null puzzle_information cell_information quartiles",
    "attention": "readable attention_maps on_grid",
    "causal": "effects",
    "intervals": "paired",
    "light": "light_numbers",
}
"""What each module of this package offers here; modules are imported on first use."""

HOMES = {name: module for module, names in OFFERS.items() for name in names.split()}
THERE = {"roll_out": "rollout", "cell_information": "information", "light_numbers": "light"}

__all__ = list(HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), THERE.get(name, name))


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])
