"""The result of a run as a table and sentences, for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memhrm.data import Dataset
from memhrm.data.episodes.episodes import milestones
from memhrm.memory.usage import words
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.runs.chart import curves
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import RunSettings

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
    plural = "" if run.steps == 1 else "s"
    begun = f"steps {step + 1:,} to {run.steps:,}" if step else f"{run.steps:,} step{plural}"
    return (
        f"training {run.model.name}{memory}, {count_parameters(model):,} parameters, on "
        f"{len(dataset.train):,} puzzles of {dataset.name}: {begun}, batch {run.batch_size}, in {path}"
    )


def table(summary: Mapping[str, Any], path: Path) -> str:
    """Return the scores of a summary, one per line, and the run's directory."""
    lines = [f"{what:<20}{form.format(summary[name]):>12}" for name, what, form in SCORES if name in summary]
    if "cells" in summary:
        lines += ["memory cells:", *(f"  {sentence}" for sentence in words(summary["cells"]))]
    lines += positions({"this run": summary})
    return "\n".join([*lines, f"run directory       {path}"])


def positions(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return charts and tables of exact accuracy by position in the episode, for the summaries that have it.

    Summaries with the same best possible accuracy share a chart.
    """
    key, lines = "exact_accuracy_by_position", []
    left = {name: summary for name, summary in summaries.items() if key in summary}
    while left:
        best = next(iter(left.values()))["optimum_by_position"]
        same = {name: summary for name, summary in left.items() if summary["optimum_by_position"] == best}
        lines += _chart({name: summary[key] for name, summary in same.items()}, best)
        left = {name: summary for name, summary in left.items() if name not in same}
    return lines


def _chart(found: Mapping[str, Sequence[float]], best: Sequence[float]) -> list[str]:
    """Return a chart and a table. best: the best possible accuracy, which at the first puzzle is that without
    memory."""
    series = {"best without memory": [best[0]] * len(best), "best with memory": best, **found}
    at = milestones(len(best))
    width = max(map(len, series)) + 2
    lines = [f"{'puzzle':<{width}}" + "".join(f"{place:>8}" for place in at)]
    for name, values in series.items():
        cells = (f"{values[place - 1]:>8.1%}" for place in at if place <= len(values))
        lines.append(f"{name:<{width}}" + "".join(cells))
    chart = curves(series, ".-o*+x#@")
    return ["", "exact accuracy by puzzle of the episode", *chart, "", *lines, ""]


def finished(directory: RunDirectory, steps: int) -> bool:
    """Return whether the run in a directory has done all its steps and has been evaluated."""
    summary = directory.summary()
    return summary is not None and summary.get("step", 0) >= steps
