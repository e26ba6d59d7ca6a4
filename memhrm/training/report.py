"""The result of a run in words and a table, for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memhrm.data import Dataset
from memhrm.data.episodes import milestones
from memhrm.memory.usage import words
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.training.plot import curves
from memhrm.training.record import RunDirectory
from memhrm.training.run import RunSettings

SCORES = [
    ("exact_accuracy", "exact accuracy", "{:.1%}"),
    ("accuracy", "token accuracy", "{:.1%}"),
    ("valid_path", "valid path", "{:.1%}"),
    ("optimal_path", "optimal path", "{:.1%}"),
    ("steps", "supervision steps", "{:.1f}"),
    ("puzzles", "held-out puzzles", "{:,}"),
    ("parameters", "parameters", "{:,}"),
    ("step", "optimiser steps", "{:,}"),
    ("seconds", "seconds", "{:.0f}"),
]


def headline(run: RunSettings, dataset: Dataset, model: Reasoner, step: int, path: Path) -> str:
    """Say in one line what is about to be trained, on what, for how long and where."""
    memory = "" if run.memory.name == "none" else f" with memory={run.memory.name}"
    begun = f"steps {step + 1:,} to {run.steps:,}" if step else f"{run.steps:,} steps"
    return (
        f"training {run.model.name}{memory}, {count_parameters(model):,} parameters, on "
        f"{len(dataset.train):,} puzzles of {dataset.name}: {begun}, batch {run.batch_size}, in {path}"
    )


def table(summary: Mapping[str, Any], path: Path) -> str:
    """The scores of a summary, one a line, and where the run is."""
    lines = [f"{what:<20}{form.format(summary[name]):>12}" for name, what, form in SCORES if name in summary]
    if "cells" in summary:
        lines += ["memory:", *(f"  {sentence}" for sentence in words(summary["cells"]))]
    lines += positions({"this run": summary})
    return "\n".join([*lines, f"run directory       {path}"])


def positions(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A chart and some numbers of the exact accuracy at each puzzle of an episode, for those summaries that
    have it; one for all that have the same best possible accuracy."""
    key, lines = "exact_accuracy_by_position", []
    left = {name: summary for name, summary in summaries.items() if key in summary}
    while left:
        best = next(iter(left.values()))["optimum_by_position"]
        same = {name: summary for name, summary in left.items() if summary["optimum_by_position"] == best}
        lines += _chart({name: summary[key] for name, summary in same.items()}, best)
        left = {name: summary for name, summary in left.items() if name not in same}
    return lines


def _chart(found: Mapping[str, Sequence[float]], best: Sequence[float]) -> list[str]:
    """best: the best possible; at the first puzzle it is that without memory."""
    series = {"best without memory": [best[0]] * len(best), "best with memory": best, **found}
    at = milestones(len(best))
    width = max(map(len, series)) + 2
    lines = [f"{'puzzle':<{width}}" + "".join(f"{place:>8}" for place in at)]
    for name, values in series.items():
        cells = (f"{values[place - 1]:>8.1%}" for place in at if place <= len(values))
        lines.append(f"{name:<{width}}" + "".join(cells))
    chart = curves(series, ".-o*+x#@")
    return ["", "exact accuracy against the puzzle of the episode", *chart, "", *lines, ""]


def finished(directory: RunDirectory, steps: int) -> bool:
    """Whether the run in a directory has done its steps and was evaluated."""
    summary = directory.summary()
    return summary is not None and summary.get("step", 0) >= steps
