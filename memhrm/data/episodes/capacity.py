"""How many contexts cells can hold: reference curves for N cells and c contexts.

A cell holds the context that it was last written for, and each visit reads and writes one cell.
"""

from math import comb

from memhrm.data.episodes.visits import Order


def perfect(cells: int, contexts: int) -> float:
    """Return the share of contexts that are held if each has a cell while there are any: min(1, N/c)."""
    return min(1.0, cells / contexts)


def hashed(cells: int, contexts: int, order: Order = "two_phase") -> float:
    """Return the mean share of contexts that are held at the second visit if each has a random cell for good.

    With j contexts in a cell, one of them is held in two phases if it comes last at first and first when all
    come again, with a chance of 1/j^2; interleaved, if no other comes between its first two visits, 1/j. Of
    the c contexts a share j Pr(j) N/c is in such cells, where j is binomial, of c and 1/N.
    """
    power = 1 if order == "two_phase" else 0
    held = sum(  # In whole numbers, as these are too large to be anything else.
        comb(contexts, j) * (cells - 1) ** (contexts - j) / cells**contexts / j**power
        for j in range(1, contexts + 1)
    )
    return cells / contexts * held
