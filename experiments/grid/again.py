"""Run committed rows again, and compare: `python -m experiments.NAME --scale cpu --rows 3`.

On the processor and with the PyTorch of the committed row every cell but the time must be equal. Elsewhere
rounding differs, a training parts from the committed one after some hundred steps, and is then like that of
another seed: its numbers must lie where those of one more seed are expected.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from experiments.grid.launch import launch
from experiments.grid.page import Table
from experiments.grid.results import FIRST, KEY, collect, read
from experiments.grid.run import Run

Row = dict[str, str]
SURE = 0.99
"""Probability with which all numbers of a right row are found right on another processor."""
FLOOR = 0.01
"""What a number may always differ by on another processor, relative to its size if that is above 1."""


@dataclass(frozen=True)
class Verdict:
    """How a row that was run again compares with the committed one.

    Attributes:
        equal: Cells that are equal.
        compared: Cells of both rows.
        beyond: Names of the cells that differ by more than they may.
        alone: Whether the variant has one seed, so that nothing is known of the spread.
    """

    equal: int
    compared: int
    beyond: list[str]
    alone: bool

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.beyond:
            more = f" and {len(self.beyond) - 3} more" if len(self.beyond) > 3 else ""
            return f"differs: {', '.join(self.beyond[:3])}{more}"
        if self.equal == self.compared:
            return "equal"
        return "one seed, not judged" if self.alone else "within the spread of seeds"


def again(
    runs: Sequence[Run], results: Path, root: Path, count: int, draw: int, workers: int | None
) -> tuple[Table, dict[Path, str], bool]:
    """Run a few of the committed rows again.

    Args:
        runs: The runs of the study from which they are drawn.
        results: The file of the committed rows.
        root: The folder of the new runs; those that are finished there are not run once more.
        count: How many rows.
        draw: The number of the draw: another number, other rows.
        workers: Runs at once; None for the launcher's own number.

    Returns:
        A line for each row, the reason of each failure, and whether all rows are as they should be.

    Raises:
        ValueError: There are no rows, or fewer than are asked for.
    """
    committed = _texts(read(results))
    of_run = {_key(row): row for row in committed}
    known = [run for run in runs if (run.task, run.variant, str(run.seed), " ".join(run.settings)) in of_run]
    if not 1 <= count <= len(known):
        allowed = f"1 to {len(known)}, the committed rows of {results.name}"
        raise ValueError(f"--rows is {count}; allowed: {allowed}")
    chosen = random.Random(draw).sample(known, count)
    failures = launch(chosen, root, "local", [f"workers={workers}"] if workers else [])
    lines, right = [], not failures
    for new in _texts(collect(chosen, root)[0]):
        old = of_run[_key(new)]
        verdict = compare(old, new, [row for row in committed if _key(row)[:2] == _key(old)[:2]])
        right = right and not verdict.beyond
        exact = [f"{100 * float(row['exact_accuracy']):.2f}" for row in (old, new)]
        place = [old.get(name, "") for name in ("task", "variant", "seed", "commit")]
        lines.append([*place, f"{verdict.equal} of {verdict.compared}", *exact, str(verdict)])
    head = ["task", "variant", "seed", "committed at", "equal cells", "exact, %", "again", "verdict"]
    return Table(head, lines), failures, right


def _texts(rows: pd.DataFrame) -> list[Row]:
    """Return rows without their empty cells."""
    return [row.dropna().to_dict() for _, row in rows.iterrows()]


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def compare(old: Row, new: Row, seeds: Sequence[Row]) -> Verdict:
    """Compare a row with the committed one.

    Args:
        old: The committed row.
        new: The row of the run that was done again.
        seeds: The committed rows of the same variant and task.
    """
    names = [name for name in old if name in new and name not in FIRST and not name.endswith("seconds")]
    differ = [name for name in names if old[name] != new[name]]
    if all(old.get(name) == new.get(name) for name in ("device", "torch")):
        beyond = differ
    else:  # Bonferroni's level: all of them are right together with probability SURE.
        level = 1 - (1 - SURE) / max(len(differ), 1)
        known = {name: [row[name] for row in seeds if name in row] for name in differ}
        beyond = [name for name in differ if not expected(new[name], known[name], level)]
    return Verdict(len(names) - len(differ), len(names), beyond, len(seeds) < 2)


def expected(cell: str, seeds: Sequence[str], level: float) -> bool:
    """Return whether a cell lies in the prediction interval for one more seed; a list by its mean."""
    try:
        value, known = _mean(cell), np.array([_mean(one) for one in seeds])
    except ValueError:  # Text is equal or wrong, unless it differs from seed to seed.
        return cell in seeds or len(set(seeds)) > 1
    if len(known) < 2:
        return True
    if all(one.isdigit() for one in (cell, *seeds)) and np.ptp(known) == 0:  # A count that no seed changes.
        return False
    n, mean = len(known), known.mean()
    half = stats.t.ppf((1 + level) / 2, n - 1) * known.std(ddof=1) * np.sqrt(1 + 1 / n)
    return bool(abs(value - mean) <= max(half, FLOOR * max(1.0, abs(mean))))


def _mean(cell: str) -> float:
    return float(np.mean([float(one) for one in cell.split()]))
