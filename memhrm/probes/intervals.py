"""95 % intervals.

n cases.
"""

import numpy as np

NORMAL = 1.959964
"""Half the width of a 95 % interval of a normal variable, in standard deviations."""


def paired(after: np.ndarray, before: np.ndarray, pseudo: bool = False) -> tuple[float, float, float]:
    """Return the mean of after - before, (n,) each, and its 95 % interval, by the normal approximation.

    pseudo: for scores that are 0 or 1; adds half a puzzle to each of the four outcomes of a pair, so that an
    interval keeps its width where nothing changed (Agresti & Min 2005, Statistics in Medicine 24).
    """
    d = after.astype(np.float64) - before.astype(np.float64)
    n, squares = len(d) + 2.0 * pseudo, np.sum(d**2) + 1.0 * pseudo
    middle = d.sum() / n
    half = NORMAL * np.sqrt(max(squares / n - middle**2, 0.0) / n)
    return float(d.mean()), float(max(middle - half, -1.0)), float(min(middle + half, 1.0))


def wilson(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of shares of n cases, which has a width even at 0 and 1."""
    z = NORMAL
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (middle - half).clip(0, 1), (middle + half).clip(0, 1)
