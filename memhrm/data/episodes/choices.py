"""Random choices of numbers: what is held out, and what is drawn without replacement."""

import numpy as np


def parted(count: int, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers below ``count`` that are for training, and those for the test.

    Args:
        count: how many there are.
        share: the share that is for the test alone; 0: all are for both.
        rng: what chooses.
    """
    if share == 0:
        return np.arange(count), np.arange(count)
    order = rng.permutation(count)
    held_out = round(share * count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def leaves_both(count: int, share: float) -> bool:
    """Return whether holding out a share of ``count`` leaves two or more to training and to the test."""
    return 2 <= round(share * count) <= count - 2


def distinct(below: int, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of random numbers from 0, no two of a row the same: ``(count, size)``.

    However many numbers there are below ``below``, the cost depends on the result's size alone (Floyd's
    algorithm; Bentley, 1987, doi:10.1145/30401.315746).
    """
    found = np.full((count, size), -1)
    for column, top in enumerate(range(below - size, below)):
        one = rng.integers(top + 1, size=count)
        found[:, column] = np.where((found == one[:, None]).any(axis=1), top, one)
    return rng.permuted(found, axis=1)
