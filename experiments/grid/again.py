"""Run committed rows again, and compare: `python -m experiments.NAME --scale cpu --rows 3`.

On the processor and with the PyTorch of the committed row every cell but the time must be equal. Elsewhere
rounding differs, a training parts from the committed one after some hundred steps, and is then like that of
another seed: counts must be equal, and scores no further from the committed ones than two seeds are from each
other.
"""

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from experiments.grid.launch import launch
from experiments.grid.page import Table
from experiments.grid.results import FIRST, KEY, collect, provenance, read
from experiments.grid.run import Run
from memhrm.runs.directory import environment

Row = dict[str, str]
SURE = 0.99
"""Probability with which all scores of a right row are found right on another processor."""
FLOOR = 0.01
"""What a score may always differ by on another processor, relative to its size if that is above 1."""
FREE = 5
"""Degrees of freedom from which a spread is known; with fewer nearly every score would be expected."""
COUNTS = (
    *("puzzles", "episodes", "contexts", "parameters", "flops", "depth", "steps", "step"),
    *("curve_steps", "agreement_steps"),
)
"""The cells that follow from the settings, on every processor."""
SCORES = (
    *("exact_accuracy", "over_training", "contexts_held"),
    *("added.added", "votes.pass@1", "votes.pass@2", "votes.pass@5"),
)
"""The cells that say how good a run is."""


@dataclass(frozen=True)
class Verdict:
    """How a row that was run again compares with the committed one.

    Attributes:
        equal: Cells that are equal.
        compared: Cells of both rows.
        beyond: Names of the cells that differ by more than they may.
        judged: Whether it is known how much the scores may differ.
    """

    equal: int
    compared: int
    beyond: list[str]
    judged: bool

    @property
    def passed(self) -> bool:
        """Whether the row is as it should be."""
        return self.judged and not self.beyond

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.beyond:
            more = f" and {len(self.beyond) - 3} more" if len(self.beyond) > 3 else ""
            return f"differs: {', '.join(self.beyond[:3])}{more}"
        if not self.judged:
            return "not judged"
        return "equal" if self.equal == self.compared else "within the spread of seeds"


def again(
    runs: Sequence[Run],
    results: Path,
    root: Path,
    count: int,
    draw: int,
    launcher: str,
    settings: Sequence[str],
) -> tuple[Table, dict[Path, str], list[Verdict]]:
    """Run a few of the committed rows again.

    Args:
        runs: The runs of the study from which they are drawn.
        results: The file of the committed rows.
        root: The folder of the new runs, in one of the commit; those that it finished are not run once more.
        count: How many rows.
        draw: The number of the draw: another number, other rows.
        launcher: local, slurm or ray, as of `launch`.
        settings: Overrides of the launcher's configuration.

    Returns:
        A line for each row, the reason of each failure, and the verdict on each row.

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
    root = _of_this_code(chosen, root)
    failures = launch(chosen, root, launcher, settings)
    lines, verdicts = [], []
    for new in _texts(collect(chosen, root)[0]):
        old = of_run[_key(new)]
        verdict = compare(old, new, [row for row in committed if row["task"] == old["task"]])
        verdicts.append(verdict)
        exact = [f"{100 * float(row['exact_accuracy']):.2f}" for row in (old, new)]
        place = [old.get(name, "") for name in ("task", "variant", "seed", "commit")]
        lines.append([*place, f"{verdict.equal} of {verdict.compared}", *exact, str(verdict)])
    head = ["task", "variant", "seed", "committed at", "equal cells", "exact, %", "again", "verdict"]
    return Table(head, lines), failures, verdicts


def _of_this_code(runs: Sequence[Run], root: Path) -> Path:
    """Return the folder of this commit in `root`, without the runs if the code may have changed since."""
    commit = provenance(environment(torch.device("cpu")))["commit"]
    folder = root / (commit or "no commit")
    for path in (run.folder(folder) for run in runs):
        if path.exists() and (not commit or commit.endswith("+")):
            shutil.rmtree(path)
    return folder


def _texts(rows: pd.DataFrame) -> list[Row]:
    """Return rows without their empty cells."""
    return [row.dropna().to_dict() for _, row in rows.iterrows()]


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def compare(old: Row, new: Row, rows: Sequence[Row]) -> Verdict:
    """Compare a row with the committed one.

    Args:
        old: The committed row.
        new: The row of the run that was done again.
        rows: The committed rows of the task, of which the old one is one.
    """
    judged = {*COUNTS, *SCORES}
    left_out = [name for name in old if name in FIRST or name.endswith("seconds")]
    names = [name for name in old if name not in left_out and (name in new or name in judged)]
    differ = [name for name in names if old[name] != new.get(name)]
    equal = len(names) - len(differ)
    if all(old.get(name) == new.get(name) for name in ("device", "torch")):
        return Verdict(equal, len(names), differ, True)
    if counts := [name for name in differ if name in COUNTS]:
        return Verdict(equal, len(names), counts, True)
    scores = [name for name in SCORES if name in old]
    level = 1 - (1 - SURE) / max(len(scores), 1)  # Bonferroni's: all are right together with SURE.
    others = [row for row in rows if _key(row) != _key(old)]  # A wrong row must not widen its own interval.
    found = {
        name: expected(old[name], new.get(name, "nan"), spread(others, name, level))
        for name in scores
        if name in differ
    }
    beyond = [name for name, right in found.items() if right is False]
    return Verdict(equal, len(names), beyond, bool(scores) and None not in found.values())


def expected(old: str, new: str, most: float | None) -> bool | None:
    """Return whether a score differs by no more than `most`, or hardly at all; None if that is not known."""
    if most is None:
        return None
    return abs(float(new) - float(old)) <= max(most, FLOOR * max(1.0, abs(float(old))))


def spread(rows: Sequence[Row], name: str, level: float) -> float | None:
    """Return what two seeds of a variant differ by at most, with a probability of `level`.

    The variance is that within a variant, pooled over all of them.

    Args:
        rows: Rows of a task.
        name: The column of a score.
        level: The probability.

    Returns:
        The difference; None with fewer than `FREE` degrees of freedom.
    """
    scores = pd.DataFrame(
        [(row["variant"], float(row[name])) for row in rows if name in row], columns=["variant", "score"]
    )
    by_variant = scores.groupby("variant")["score"]
    free = len(scores) - by_variant.ngroups
    if free < FREE:
        return None
    error = np.sqrt(((scores["score"] - by_variant.transform("mean")) ** 2).sum() / free)
    return float(stats.t.ppf((1 + level) / 2, free) * error * np.sqrt(2))
