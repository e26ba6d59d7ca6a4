"""The result of a run in words and a table, for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhrm.memory.usage import words
from memhrm.training.plot import curves
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
    lines += positions({"this run": summary})
    return "\n".join([*lines, f"run directory       {path}"])


def positions(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A chart of the exact accuracy at each puzzle of an episode, for those summaries that have it."""
    key = "exact_accuracy_by_position"
    found = {name: summary for name, summary in summaries.items() if key in summary}
    if not found:
        return []
    longest = max(found.values(), key=lambda summary: len(summary[key]))
    best, without = longest["optimum_by_position"], longest["optimum_without_memory"]
    series = {"best without memory": [without] * len(best), "best with memory": best}
    chart = curves({**series, **{name: summary[key] for name, summary in found.items()}}, ".-o*+x#@")
    return ["", "exact accuracy against the puzzle of the episode", *chart, ""]


def finished(directory: RunDirectory, steps: int) -> bool:
    """Whether the run in a directory has done its steps and was evaluated."""
    summary = directory.summary()
    return summary is not None and summary.get("step", 0) >= steps
