"""How many contexts cells can hold: reference curves for N cells and c contexts.

A cell holds the context that it was last written for, and each visit reads and writes one cell. All contexts
are visited once, and then all again, each time in a random order.
"""

from math import comb


def perfect(cells: int, contexts: int) -> float:
    """Return the share of contexts that are held if each has a cell while there are any: min(1, N/c)."""
    return min(1.0, cells / contexts)


def hashed(cells: int, contexts: int) -> float:
    """Return the mean share of contexts that are held at the second visit if each has a random cell for good.

    Of K + 1 contexts that share a cell, one is held if it comes last at first and first when all come again:
    E[1 / (K + 1)^2], where K is binomial, of c - 1 others and a chance of 1/N.
    """
    others = contexts - 1
    return sum(
        comb(others, k) * (1 - 1 / cells) ** (others - k) * (1 / cells) ** k / (k + 1) ** 2
        for k in range(contexts)
    )
