"""Means and differences over seeds, with their intervals.

Few seeds: intervals are Student's, and pairs are runs of the same seed, which see the same puzzles in the
same order and start from the same weights outside the memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds and half the width of its 95 % interval; NaN for one seed."""

    mean: float
    half: float
    n: int

    def text(self, factor: float = 100.0, digits: int = 1) -> str:
        if np.isnan(self.half):
            return f"{factor * self.mean:.{digits}f}"
        return f"{factor * self.mean:.{digits}f} ± {factor * self.half:.{digits}f}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean and its 95 % interval (Student's t)."""
    x = np.asarray(values, float)
    if len(x) < 2:
        return Estimate(float(x.mean()), float("nan"), len(x))
    half = stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return Estimate(float(x.mean()), float(half), len(x))


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean difference of pairs; p of the paired t-test of no difference, two-sided; NaN for one pair."""

    p: float


def difference(after: Sequence[float], before: Sequence[float]) -> Difference:
    """after - before, pair by pair."""
    assert len(after) == len(before)
    d = np.asarray(after, float) - np.asarray(before, float)
    found = estimate(d.tolist())
    if len(d) < 2:
        p = float("nan")
    elif d.std() == 0:
        p = 1.0 if d[0] == 0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(d.mean()) / stats.sem(d), len(d) - 1))
    return Difference(found.mean, found.half, found.n, p)


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979, Scandinavian Journal of Statistics 6); NaN stays."""
    p = np.asarray(values, float)
    known = np.flatnonzero(~np.isnan(p))
    corrected, largest = p.copy(), 0.0
    for rank, index in enumerate(known[np.argsort(p[known], kind="stable")]):
        largest = max(largest, min(1.0, (len(known) - rank) * p[index]))
        corrected[index] = largest
    return [float(value) for value in corrected]
