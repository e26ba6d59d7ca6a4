"""Run committed rows again, and compare: `python -m experiments.NAME --scale cpu --rows 3`.

On the processor and with the PyTorch of the committed row every cell but the time must be equal. Elsewhere
rounding differs, a training parts from the committed one after some hundred steps, and is then like that of
another seed: counts must be equal, and scores no further from the committed ones than two seeds are from each
other. A row whose device is only "cpu" names no processor, and counts as made elsewhere.
"""

import random
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
FREE = 3
"""Degrees of freedom from which a spread is known, and as which that of the other variants counts."""
COUNTS = (
    *("puzzles", "episodes", "contexts", "parameters", "flops", "depth", "steps", "step"),
    *("series.*.puzzles", "series.*.episodes", "series.*.contexts", "series.*.steps"),
    *("curve_steps", "agreement_steps", "out_of_scope", "added.texts", "added.tests", "votes.tasks"),
    *("depth.times", "noisy.depth_times", "noisy.restarts", "by_depth.trained", "by_depth.varied"),
)
"""The cells that follow from the settings, on every processor."""
UNTRAINED = (
    *("*optimum*", "*held_by_*", "positions.best", "linear.*", "told.*", "grams.*"),
    *("votes.copy", "votes.one_colour", "addresses.*_chance", "addresses.*_hash", "addresses.bound"),
)
"""The cells that follow from the data, on every processor but for rounding."""
SCORES = (
    *("accuracy", "exact_accuracy", "exact_accuracy_by_*", "over_training", "curve_exact", "optimal_path"),
    *("series.*.exact_accuracy", "by_depth.*.exact_accuracy", "by_depth.*_by_hops.*", "*contexts_held"),
    *("macro_f1", "oos_auroc", "series.masked=*.lm_loss", "added.*", "shots.*", "reset.*", "votes.pass@*"),
    *("positions.*", "depth.exact", "noisy.*", "inside.*_change", "inside.alike_cls", "inside.*_value"),
    *("addresses.agreement", "addresses.overwritten", "addresses.information", "agreement_curve"),
)
"""The cells of the tables and figures that say how good a run is, and what it does.

Left out is what right rows may have any of: which cells a training comes to use, how many and how evenly, the
step at which a curve is best, and what `FEW` names.
"""
FEW = ("*_by_gap.0", "*_by_gap.1-2")
"""Scores of so few answers that one answer more is points."""


@dataclass(frozen=True)
class Verdict:
    """How a row that was run again compares with the committed one.

    Attributes:
        equal: Cells that are equal.
        compared: Cells of the committed row.
        beyond: Names of the cells that are missing or differ by more than they may.
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
    """Compare a row with the committed one; what only the new one has does not count.

    Args:
        old: The committed row.
        new: The row of the run that was done again.
        rows: The committed rows of the task, of which the old one is one.
    """
    names = [name for name in old if name not in FIRST and not name.endswith("seconds")]
    differ = [name for name in names if old[name] != new.get(name)]
    equal = len(names) - len(differ)
    if all(old.get(name) == new.get(name) for name in ("device", "torch")):
        return Verdict(equal, len(names), differ, True)
    if counts := [name for name in differ if name not in new or _among(name, COUNTS)]:
        return Verdict(equal, len(names), counts, True)
    scores = _scores(old)
    level = 1 - (1 - SURE) / max(len(scores), 1)  # Bonferroni's: all are right together with SURE.
    others = [row for row in rows if _key(row) != _key(old)]  # A wrong row must not widen its own interval.
    found = {
        name: expected(_mean(old, [name]), _mean(new, [name]), 0.0)
        for name in differ
        if _among(name, UNTRAINED)
    }
    for score, columns in scores.items():
        if not {*columns}.isdisjoint(differ):
            most = spread(others, old["variant"], columns, level)
            found[score] = expected(_mean(old, columns), _mean(new, columns), most)
    beyond = [score for score, right in found.items() if right is False]
    return Verdict(equal, len(names), beyond, bool(scores) and None not in found.values())


def _scores(row: Row) -> dict[str, list[str]]:
    """Return the columns of each score of a row: those whose names differ in numbers alone are one."""
    scores: dict[str, list[str]] = {}
    for name in row:
        score = _among(name, SCORES) and not _among(name, (*COUNTS, *UNTRAINED, *FEW))
        if score and not np.isnan(_mean(row, [name])):
            scores.setdefault(re.sub(r"\d+(-\d+|\+)?", "*", name), []).append(name)
    return {name if len(columns) > 1 else columns[0]: columns for name, columns in scores.items()}


def _among(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a column is among those of some patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _mean(row: Row, columns: Iterable[str]) -> float:
    """Return the mean of all numbers in some cells; NaN if one is not there, or has words."""
    try:
        return float(np.mean([float(word) for name in columns for word in row[name].split()]))
    except (KeyError, ValueError):
        return float("nan")


def expected(old: float, new: float, most: float | None) -> bool | None:
    """Return whether a score differs by no more than `most`, or hardly at all; None if that is not known."""
    if most is None:
        return None
    return abs(new - old) <= max(most, FLOOR * max(1.0, abs(old)))


def spread(rows: Sequence[Row], variant: str, columns: Sequence[str], level: float) -> float | None:
    """Return what two seeds of a variant differ by at most, with a probability of `level`.

    The variance is the variant's own, averaged with the median of the other variants' variances, which counts
    as `FREE` degrees of freedom, or as many as they have. So a variant that varies much has a wide interval,
    and does not widen those of others.

    Args:
        rows: Rows of a task.
        variant: The variant.
        columns: The columns of a score, of which the mean counts.
        level: The probability.

    Returns:
        The difference; None with fewer than `FREE` degrees of freedom.
    """
    scores: dict[str, list[float]] = {}
    for row in rows:
        if not np.isnan(score := _mean(row, columns)):
            scores.setdefault(row["variant"], []).append(score)
    found = {name: (np.var(of, ddof=1), len(of) - 1) for name, of in scores.items() if len(of) > 1}
    own, free = found.pop(variant, (0.0, 0))
    more = min(FREE, sum(of for _, of in found.values()))
    if free + more < FREE:
        return None
    others = np.median([variance for variance, _ in found.values()]) if found else 0.0
    error = np.sqrt((free * own + more * others) / (free + more))
    return float(stats.t.ppf((1 + level) / 2, free + more) * error * np.sqrt(2))
