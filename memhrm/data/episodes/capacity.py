"""How many contexts cells can hold: reference curves for N cells and c contexts.

A cell holds the context that it was last written for, and each visit reads and writes one cell.
"""


def perfect(cells: int, contexts: int) -> float:
    """Return the share of contexts that are held if each has a cell while there are any: min(1, N/c)."""
    return min(1.0, cells / contexts)


def hashed(cells: int, contexts: int) -> float:
    """Return the mean share of contexts that are held if each has a random cell, for good.

    A cell holds one of the contexts that share it, and of N cells N (1 - (1 - 1/N)^c) have one or more.
    """
    return cells / contexts * (1 - (1 - 1 / cells) ** contexts)
