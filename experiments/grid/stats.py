"""Means and differences over seeds, with their intervals and tests.

Intervals and tests are Student's. Pairs are runs of the same seed, which are offered the same puzzles in the
same order and start from the same weights outside the memory.

One rule for p: it is corrected for the number of comparisons of its kind that a study makes in a score, over
all its tasks, by the method of Holm (1979), Scandinavian Journal of Statistics 6. There are two kinds:
a few contrasts that a study names, and variants against their baselines, one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special, stats

from experiments.grid.results import Variants, values


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        half: Half the width of its 95 % interval; NaN for one seed.
        n: Number of seeds.
        p: Two-sided p of the t-test that the mean is 0, for a difference the paired t-test; NaN for one seed,
            and where all seeds have the same difference: their spread, by which a t-test goes, is not known.
    """

    mean: float
    half: float
    n: int
    p: float

    def text(self, sign: str = "", scale: float = 100, digits: int = 1) -> str:
        """Return the mean and its interval times `scale`, in hundredths by default.

        Args:
            sign: The format's, as "+".
            scale: What both are multiplied by.
            digits: Behind the point.
        """
        mean = f"{scale * self.mean:{sign}.{digits}f}".replace("-", "−")
        return mean if np.isnan(self.half) else f"{mean} ± {scale * self.half:.{digits}f}"

    def detectable(self) -> float:
        """Return the true mean that a t-test of such a sample finds four times in five, at p < 0.05.

        With that mean t has a noncentral distribution, of which four fifths lie above the critical t.
        """
        if self.n == 1 or self.half == 0:
            return float("nan")
        free = self.n - 1
        critical = stats.t.ppf(0.975, free)
        return float(self.half / critical * special.nctdtrinc(free, 0.2, critical))


ROUNDING = 1e-12
"""What numbers that are equal may differ by."""

Pairs = dict[str, dict[str, Estimate]]
"""Differences by task and variant."""


def estimate(sample: Sequence[float] | np.ndarray | pd.Series) -> Estimate:
    """Return the mean of a sample, its 95 % interval and its t-test against 0."""
    x = np.asarray(sample, float)
    free, mean = len(x) - 1, float(x.mean())
    if free and np.ptp(x) < ROUNDING:  # All values are the same; if they are 0, any spread would give p = 1.
        return Estimate(mean, 0.0, len(x), 1.0 if abs(mean) < ROUNDING else float("nan"))
    error = float(stats.sem(x)) if free else float("nan")
    half = stats.t.ppf(0.975, free) * error
    return Estimate(mean, float(half), len(x), float(2 * stats.t.sf(abs(mean) / error, free)))


def over_seeds(rows: pd.DataFrame, name: str) -> Estimate:
    """Return the estimate of a column."""
    return estimate(values(rows, name))


def differences(
    found: Mapping[str, Variants], baselines: Mapping[str, str], name: str = "exact_accuracy"
) -> Pairs:
    """Return each variant less its baseline, over the seeds that both have.

    Args:
        found: The rows of each task and variant, indexed by seed.
        baselines: The baseline of each variant; absent variants are left out.
        name: The column that is compared.

    Returns:
        The difference by task and variant; p is corrected for the number of all of them.
    """
    alone = {variant: ([variant], baseline) for variant, baseline in baselines.items()}
    return contrasts(found, alone, name)


def contrasts(
    found: Mapping[str, Variants],
    named: Mapping[str, tuple[Sequence[str], str]],
    name: str = "exact_accuracy",
) -> Pairs:
    """Return the mean of some variants less a baseline, seed by seed, over the seeds that all of them have.

    Args:
        found: The rows of each task and variant, indexed by seed.
        named: The variants and their baseline, by the name of the contrast. Variants that a task lacks are
            left out, and contrasts of which nothing is there.
        name: The column that is compared.

    Returns:
        The contrast by task and name; p is corrected for the number of all of them.
    """
    pairs: Pairs = {task: {} for task in found}
    for task, of_task in found.items():
        for contrast, (variants, baseline) in named.items():
            change = by_seed(of_task, variants, baseline, name)
            if len(change):
                pairs[task][contrast] = estimate(change)
    places = [(task, contrast) for task, of_task in pairs.items() for contrast in of_task]
    for (task, contrast), p in zip(places, holm([pairs[task][contrast].p for task, contrast in places])):
        pairs[task][contrast] = replace(pairs[task][contrast], p=p)
    return pairs


def by_seed(found: Variants, variants: Sequence[str], baseline: str, name: str) -> pd.Series:
    """Return the mean of some variants of a task less a baseline, by the seeds that all of them have."""
    there = [values(found[one], name) for one in variants if one in found]
    if not there or baseline not in found:
        return pd.Series(dtype=float)
    mean = pd.concat(there, axis=1).mean(axis=1, skipna=False)
    return (mean - values(found[baseline], name)).dropna()


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number; NaN stays."""
    p = pd.Series(p_values, dtype=float).dropna().sort_values(kind="stable")
    corrected = (p * np.arange(len(p), 0, -1)).clip(upper=1.0).cummax()
    return corrected.reindex(range(len(p_values))).tolist()


def p_text(p: float) -> str:
    """Return a p-value as tables show it."""
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
