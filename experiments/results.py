"""Results as rows of experiments/results/*.csv: what the tables and figures are made from.

A row is a run: its place in the tables, what it rests on (the hash of its settings, commit, seed, device),
and every metric. Lists of numbers stand in one cell, separated by spaces.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from experiments.runs import ROOT, Run, complete, measured
from memhrm.cost.matching import cost
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import digest
from memhrm.runs.settings import parse

FOLDER = ROOT / "experiments" / "results"
EARLIER = {"cells.information": "cells.usage_information"}
"""Columns of rows and of runs that had other names when they were made."""
FIRST = ("task", "variant", "seed", "settings", "config", "commit", "device", "torch")


class Row(dict[str, str]):
    """One run's cells, with their numbers."""

    def number(self, name: str) -> float:
        return float(self[name])

    def numbers(self, name: str) -> list[float]:
        return [float(word) for word in self[name].split()]


def collect(runs: Iterable[Run], root: Path) -> list[Row]:
    """A row for each finished run."""
    return [row(run, run.folder(root)) for run in runs if complete(run.folder(root), run)]


def row(run: Run, path: Path) -> Row:
    directory = RunDirectory(path)
    config = directory.config()
    summary = directory.summary() or {}
    around = json.loads((path / "environment.json").read_text())
    cells = {
        "task": run.task,
        "variant": run.variant,
        "seed": run.seed,
        "settings": " ".join(run.settings),
        "config": digest(parse(config)),
        **rests_on(around),
        **_flat(summary),
        "flops": _flops(json.dumps({**config, "dir": None, "seed": 0})),
    }
    curve = [line for line in directory.metrics() if "validation/exact_accuracy" in line]
    cells["curve_steps"] = [line["step"] for line in curve]
    cells["curve_exact"] = [line["validation/exact_accuracy"] for line in curve]
    if curve:
        cells["over_training"] = sum(cells["curve_exact"]) / len(curve)
    for name in run.measures:
        cells |= _flat(measured(path, name) or {}, f"{name}.")
    return Row({EARLIER.get(name, name): _text(value) for name, value in cells.items()})


def rests_on(around: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a row that say where it was computed, from `memhrm.runs.directory.environment`."""
    return {
        "commit": (around["git"] or {}).get("commit", "")[:12],
        "device": around["device"],
        "torch": around["packages"]["torch"],
    }


@cache
def _flops(config: str) -> int:
    """Of one supervision step forward, per example."""
    return cost(json.loads(config)).flops


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Rows as a CSV file; columns in the order in which they first appear."""
    names = dict.fromkeys((*FIRST, *(name for row in rows for name in row)))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue())


def read(path: Path) -> list[Row]:
    """The rows of a CSV file; cells that a run does not have are left out.

    Raises:
        ValueError: there is no such file.
    """
    if not path.exists():
        raise ValueError(f"there are no results in {path}; the experiment of that name makes them")
    with open(path, newline="") as file:
        return [
            Row({EARLIER.get(name, name): cell for name, cell in row.items() if cell})
            for row in csv.DictReader(file)
        ]


def keep(path: Path, rows: Sequence[Row], runs: Sequence[Run]) -> None:
    """Write rows, and keep those of the file whose runs are in the grid but not here: results outlive run
    directories."""
    known = {_name(row): row for row in (read(path) if path.exists() else [])} | {
        _name(row): row for row in rows
    }
    names = [(run.task, run.variant, str(run.seed), " ".join(run.settings)) for run in runs]
    write(path, [known[name] for name in names if name in known])


def _name(row: Row) -> tuple[str, str, str, str]:
    return row["task"], row["variant"], row["seed"], row.get("settings", "")
