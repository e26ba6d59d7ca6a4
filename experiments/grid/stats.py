"""Means and differences over seeds, with their intervals and tests.

Intervals and tests are Student's. Pairs are runs of the same seed, which see the same puzzles in the same
order and start from the same weights outside the memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from experiments.grid.results import Variants, values


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        half: Half the width of its 95 % interval; NaN for one seed.
        n: Number of seeds.
        p: Two-sided p of the t-test that the mean is 0, for a difference the paired t-test; NaN for one seed.
    """

    mean: float
    half: float
    n: int
    p: float

    def text(self, sign: str = "", scale: float = 100) -> str:
        """Return the mean and its interval times `scale`, in hundredths by default.

        Args:
            sign: The format's, as "+".
            scale: What both are multiplied by.
        """
        mean = f"{scale * self.mean:{sign}.1f}".replace("-", "−")
        return mean if np.isnan(self.half) else f"{mean} ± {scale * self.half:.1f}"


def estimate(sample: Sequence[float] | np.ndarray | pd.Series) -> Estimate:
    """Return the mean of a sample, its 95 % interval and its t-test against 0."""
    x = np.asarray(sample, float)
    free, mean = len(x) - 1, float(x.mean())
    error = float(stats.sem(x)) if free else float("nan")
    if error == 0:  # All values are the same.
        return Estimate(mean, 0.0, len(x), float(mean == 0))
    half = stats.t.ppf(0.975, free) * error
    return Estimate(mean, float(half), len(x), float(2 * stats.t.sf(abs(mean) / error, free)))


def over_seeds(rows: pd.DataFrame, name: str) -> Estimate:
    """Return the estimate of a column."""
    return estimate(values(rows, name))


def differences(
    found: Variants, baselines: Mapping[str, str], name: str = "exact_accuracy"
) -> dict[str, Estimate]:
    """Return each variant less its baseline, over the seeds that both have.

    Args:
        found: The rows of each variant, indexed by seed.
        baselines: The baseline of each variant; absent variants are left out.
        name: The column that is compared.

    Returns:
        The difference by variant; p is corrected for the number of variants (`holm`).
    """
    pairs = {}
    for variant, baseline in baselines.items():
        if variant in found and baseline in found:
            change = (values(found[variant], name) - values(found[baseline], name)).dropna()
            if len(change):
                pairs[variant] = estimate(change)
    corrected = holm([pair.p for pair in pairs.values()])
    return {variant: replace(pair, p=p) for (variant, pair), p in zip(pairs.items(), corrected)}


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number; NaN stays.

    The method is of Holm (1979), Scandinavian Journal of Statistics 6.
    """
    p = pd.Series(p_values, dtype=float).dropna().sort_values(kind="stable")
    corrected = (p * np.arange(len(p), 0, -1)).clip(upper=1.0).cummax()
    return corrected.reindex(range(len(p_values))).tolist()


def p_text(p: float) -> str:
    """Return a p-value as tables show it."""
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
