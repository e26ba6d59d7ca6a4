"""95 % intervals.

n cases.
"""

import numpy as np
from scipy.stats import binomtest, norm

NORMAL = float(norm.ppf(0.975))
"""Half the width of a 95 % interval of a normal variable, in standard deviations."""


def paired(after: np.ndarray, before: np.ndarray, pseudo: bool = False) -> tuple[float, float, float]:
    """Return the mean of `after - before` and its 95 % interval, by the normal approximation.

    Args:
        after: scores with a change, (n,).
        before: scores of the same cases without it, (n,).
        pseudo: whether scores are 0 or 1; adds half a case to each of the four outcomes of a pair, so that an
            interval keeps its width where nothing changed (Agresti & Min 2005, Statistics in Medicine 24).

    Returns:
        The mean, and the lower and the upper end of its interval.
    """
    d = after.astype(np.float64) - before.astype(np.float64)
    n, squares = len(d) + 2.0 * pseudo, np.sum(d**2) + 1.0 * pseudo
    middle = d.sum() / n
    half = NORMAL * np.sqrt(max(squares / n - middle**2, 0.0) / n)
    return float(d.mean()), float(max(middle - half, -1.0)), float(min(middle + half, 1.0))


def wilson(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % intervals of shares of n cases, which have a width even at 0 and 1.

    Args:
        share: whole counts divided by n, (m,).
        n: the number of cases.

    Returns:
        The lower and the upper ends, (m,) each (Wilson 1927, Journal of the American Statistical Association
        22).
    """
    found = [binomtest(round(n * float(p)), n).proportion_ci(method="wilson") for p in share]
    return np.array([one.low for one in found]), np.array([one.high for one in found])
