"""The result of a run in words and a table, for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhrm.memory.usage import words
from memhrm.training.record import RunDirectory

SCORES = [
    ("exact_accuracy", "exact accuracy", "{:.1%}"),
    ("accuracy", "cell accuracy", "{:.1%}"),
    ("valid_path", "valid path", "{:.1%}"),
    ("optimal_path", "optimal path", "{:.1%}"),
    ("steps", "supervision steps", "{:.1f}"),
    ("puzzles", "held-out puzzles", "{:,}"),
    ("parameters", "parameters", "{:,}"),
    ("step", "optimiser steps", "{:,}"),
    ("seconds", "seconds", "{:.0f}"),
]


def table(summary: Mapping[str, Any], path: Path) -> str:
    """The scores of a summary, one a line, and where the run is."""
    lines = [f"{what:<20}{form.format(summary[name]):>12}" for name, what, form in SCORES if name in summary]
    if "cells" in summary:
        lines += ["memory:", *(f"  {sentence}" for sentence in words(summary["cells"]))]
    return "\n".join([*lines, f"run directory       {path}"])


def finished(directory: RunDirectory, steps: int) -> bool:
    """Whether the run in a directory has done its steps and was evaluated."""
    summary = directory.summary()
    return summary is not None and summary.get("step", 0) >= steps
