"""Results as rows of experiments/results/*.csv, from which all tables and figures are made.

A row is a run: its place in the tables, what it rests on (the hash of its settings, commit, seed, device) and
every metric. Cells are text, so that reading and writing changes nothing; a list of numbers stands in one
cell, separated by spaces.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.grid.launch import outdated
from experiments.grid.run import ROOT, Run, complete, measured
from memhrm.cost.matching import cost
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import digest
from memhrm.runs.settings import RunSettings, parse
from memhrm.system.files import read_json, write_text

Variants = dict[str, pd.DataFrame]
"""The rows of each variant on one task."""
FOLDER = ROOT / "experiments" / "results"
EARLIER = {"cells.information": "cells.usage_information"}
"""Columns that had other names when their rows and runs were made."""
STAYS = {"confusions"}
"""What stays in the directory of a run: a long list that no table shows."""
FIRST = ["task", "variant", "seed", "settings", "config", "commit", "device", "torch"]
KEY = ["task", "variant", "seed", "settings"]
ORIGIN = [*KEY, "commit", "device", "torch"]
AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}


def collect(runs: Iterable[Run], root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row for each finished run of a grid, but for those of other defaults than today's.

    Returns:
        The rows; and what is outdated, with the reason in place of results.
    """
    rows, old = [], []
    for run in runs:
        if complete(path := run.folder(root), run):
            if why := outdated(run, path):
                old.append(origin(run, path) | {"outdated": why})
            else:
                rows.append(row(run, path))
    return frame(rows), frame(old)


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as text, with the columns that say what a row is first."""
    texts = [{name: _text(value) or None for name, value in row.items()} for row in rows]  # As when read.
    table = pd.DataFrame(texts, dtype=str)
    return table.reindex(columns=list(dict.fromkeys([*FIRST, *table.columns])))


def row(run: Run, path: Path) -> dict[str, Any]:
    """Return the row of a finished run, read from its directory."""
    directory = RunDirectory(path)
    config = directory.config()
    metrics, settings = directory.metrics(), parse(config)
    curve = [line for line in metrics if "validation/exact_accuracy" in line]
    exact = [line["validation/exact_accuracy"] for line in curve]
    found_again = [line for line in metrics if "train/agreement" in line]
    finished = [line["train/puzzles"] for line in metrics if "train/puzzles" in line]
    measures = {name: measured(path, name) for name in run.measures}
    cells: dict[str, Any] = {
        **origin(run, path),
        "config": digest(settings),
        **pd.json_normalize(directory.summary() or {}).to_dict("records")[0],
        "flops": flops(config),
        "trained_puzzles": sum(finished) if finished else None,
        "depth": depth(settings),
        "curve_steps": [line["step"] for line in curve],
        "curve_exact": exact,
        **({"over_training": sum(exact) / len(exact)} if exact else {}),
        "agreement_steps": [line["step"] for line in found_again] or None,
        "agreement_curve": [line["train/agreement"] for line in found_again] or None,
        **{
            f"{measure}.{name}": value for measure, found in measures.items() for name, value in found.items()
        },
    }
    return {EARLIER.get(name, name): value for name, value in cells.items() if name not in STAYS}


def origin(run: Run, path: Path) -> dict[str, Any]:
    """Return the cells that say which run of a grid a row is of, and where it was computed."""
    return {
        "task": run.task,
        "variant": run.variant,
        "seed": run.seed,
        "settings": " ".join(run.settings),
        **provenance(read_json(path / "environment.json")),
    }


def depth(run: RunSettings) -> str:
    """Return how deep a model is at inference: supervision steps x H-cycles x L-steps of a cycle."""
    model = run.model
    return f"{run.halting.halt_max_steps} x {model.H_cycles} x {model.L_cycles}"


def provenance(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells that say where a row was computed; a + follows the commit of a changed tree.

    Args:
        environment: What `memhrm.runs.directory.environment` says.
    """
    git = environment["git"] or {}
    return {
        "commit": git.get("commit", "")[:12] + "+" * git.get("changed", False),
        "device": environment["device"],
        "torch": environment["packages"]["torch"],
    }


def flops(config: Mapping[str, Any]) -> int:
    """Return the FLOPs of one supervision step forward, per example, with the settings of a run."""
    data = config["data"]
    if not data.get("left_out"):  # Else the settings name the categories that their own seed leaves.
        data = {**data, "seed": 0}
    return _flops(json.dumps({**config, "dir": None, "seed": 0, "data": data}))


@cache
def _flops(config: str) -> int:
    return cost(json.loads(config)).flops


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return " ".join(_text(one) or "nan" for one in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write(path: Path, rows: pd.DataFrame) -> None:
    """Write rows as a CSV file, whole or not at all."""
    write_text(path, rows.to_csv(index=False, lineterminator="\n"))


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV file, as text; empty cells are missing values.

    Raises:
        ValueError: There is no such file.
    """
    if not path.exists():
        raise ValueError(f"there are no results in {path}; the study of that name makes them")
    return pd.read_csv(path, **AS_TEXT).rename(columns=EARLIER)


def update(path: Path, rows: pd.DataFrame, runs: Sequence[Run], old: pd.DataFrame) -> int:
    """Write rows, in the order of a grid, and keep those of the file that the grid has too.

    Results outlive run directories: a row of the file is replaced only by a new row of the same run.

    Args:
        path: The CSV file.
        rows: The new rows.
        runs: All runs of the grid; rows of other runs are dropped.
        old: What is outdated; rows of the file that come from there are dropped.

    Returns:
        The number of rows of other runs.
    """
    known = pd.concat([read(path), rows]) if path.exists() else rows
    known = known.drop_duplicates(KEY, keep="last")
    known = known.merge(old[ORIGIN], how="left_anti", on=ORIGIN)
    keys = ((run.task, run.variant, run.seed, " ".join(run.settings)) for run in runs)
    order = frame(dict(zip(KEY, key)) for key in keys)[KEY]
    write(path, order.merge(known, on=KEY))
    return len(known.merge(order, how="left_anti", on=KEY))


def missing(path: Path, runs: Iterable[Run]) -> list[Run]:
    """Return the runs of a grid of which a file has no row, or none with all that is measured."""
    if not path.exists():
        return list(runs)
    rows = {tuple(row[KEY]): set(row.dropna().index) for _, row in read(path).iterrows()}

    def known(run: Run) -> bool:
        filled = rows.get((run.task, run.variant, str(run.seed), " ".join(run.settings)), set())
        return bool(filled) and all(
            any(name.startswith(f"{measure}.") for name in filled) for measure in run.measures
        )

    return [run for run in runs if not known(run)]


def arrange(rows: pd.DataFrame) -> dict[str, Variants]:
    """Return the rows by task and variant, indexed by seed, without the columns that a seed lacks."""
    return {
        str(task): {
            str(variant): of_variant.set_index("seed").dropna(axis=1)
            for variant, of_variant in of_task.groupby("variant", sort=False)
        }
        for task, of_task in rows.groupby("task", sort=False)
    }


def values(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as numbers.

    Raises:
        KeyError: A row lacks the value.
    """
    return pd.Series(rows[name], dtype=float)


def curves(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return the list of numbers in each cell of a column, (rows, n)."""
    return np.array([cell.split() for cell in rows[name]], float)
