"""Grids on a canvas: the tokens of ARC, as HRM has them (arXiv 2506.21734).

A canvas is a square of tokens: 0 is padding, 1 the mark of an end, 2 to 11 are the colours 0 to 9. A grid
lies somewhere on it, with marks on the row below it and on the column to its right, unless they are beyond
the canvas. So nothing but the marks tells where a grid ends.
n grids, S the side of the canvas.
"""

from collections.abc import Sequence

import numpy as np

PAD, EOS, FIRST = 0, 1, 2
VOCABULARY = 12

TURNED = np.array([0, 1, 0, 1, 0, 0, 1, 1], bool)
FLIPS = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 1], [1, 0], [0, 0], [1, 1]], bool)
"""The eight symmetries of a square in the published order, 0 to 3 quarter turns against the clock, columns
mirrored, rows mirrored, transposed, and transposed along the other diagonal: whether rows and columns change
places, and whether the original is read from its last row, and from its last column."""

INVERSE = np.array([0, 3, 2, 1, 4, 5, 6, 7])
"""The symmetry that undoes each."""


def turned(grid: np.ndarray, symmetry: int) -> np.ndarray:
    """Return a grid under one of the eight symmetries."""
    rows, columns = FLIPS[symmetry]
    flipped = grid[:: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(flipped.T if TURNED[symmetry] else flipped)


def stacked(grids: Sequence[np.ndarray | None], side: int) -> np.ndarray:
    """Return grids at the top left of canvases, ``(n, S, S)`` uint8; None is an empty one.

    Args:
        grids: colours.
        side: S, at least the longest side of a grid.
    """
    tokens = np.zeros((len(grids), side, side), np.uint8)
    for canvas, grid in zip(tokens, grids):
        if grid is not None:
            rows, columns = grid.shape
            canvas[:rows, :columns] = grid + FIRST
            canvas[rows : rows + 1, :columns] = EOS
            canvas[:rows, columns : columns + 1] = EOS
    return tokens


def sizes(tokens: np.ndarray) -> np.ndarray:
    """Return rows and columns of the grids at the top left of canvases ``(n, S, S)``: ``(n, 2)``.

    It is the largest rectangle of colours that begins at the top left: of equal ones that with fewer rows, as
    published. What a model draws need not have any: then both are 0.
    """
    wide = np.cumprod((tokens >= FIRST) & (tokens < VOCABULARY), axis=2, dtype=np.int16).sum(axis=2)
    wide = np.minimum.accumulate(wide, axis=1)
    rows = (wide * np.arange(1, tokens.shape[1] + 1)).argmax(axis=1)
    columns = wide[np.arange(len(tokens)), rows]
    return np.stack((np.where(columns > 0, rows + 1, 0), columns), axis=1)


def cropped(tokens: np.ndarray) -> list[np.ndarray]:
    """Return the grids at the top left of canvases ``(n, S, S)``, as `sizes` finds them."""
    return [
        (canvas[:rows, :columns] - FIRST).astype(np.uint8)
        for canvas, (rows, columns) in zip(tokens, sizes(tokens))
    ]


def drawn(tokens: np.ndarray, symmetries: np.ndarray, colours: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the grids of canvases under a symmetry and other colours, at other places.

    Args:
        tokens: canvases with a grid at the top left each, or nothing, ``(n, S, S)``.
        symmetries: of each, ``(n,)``, 0 to 7.
        colours: what becomes of each colour, ``(n, 10)``.
        places: row and column of the new grid's first cell, ``(n, 2)``, which leave room for it.

    Returns:
        ``(n, S, S)`` uint8, with marks at the ends of the new grids.
    """
    n, side, _ = tokens.shape
    size = np.stack(((tokens[:, :, 0] >= FIRST).sum(axis=1), (tokens[:, 0] >= FIRST).sum(axis=1)), axis=1)
    swap = TURNED[symmetries, None]
    # Of the new grid: its size, and of each line of the canvas the line of the new grid.
    new = np.where(swap, size[:, ::-1], size)
    line = np.arange(side) - places[:, :, None]  # (n, 2, S): rows, columns.
    within = (line >= 0) & (line < new[:, :, None])
    end = (line == new[:, :, None]) & (new[:, :, None] > 0)
    # Of the old grid: the line that each line comes from; an axis of the old one is the other, if they swap.
    axes = np.where(swap, np.array([1, 0]), np.array([0, 1]))  # (n, 2): the old axis of each new one.
    rows = np.arange(n)[:, None]
    last = np.where(FLIPS[symmetries][rows, axes][:, :, None], new[:, :, None] - 1, 0)
    source = np.where(within, np.abs(last - line), 0)
    stride = np.where(axes == 0, side, 1)[:, :, None]
    cells = source[:, 0, :, None] * stride[:, 0, :, None] + source[:, 1, None, :] * stride[:, 1, None, :]
    lookup = np.zeros((n, VOCABULARY), np.uint8)
    lookup[:, FIRST:] = colours + FIRST
    flat = np.take_along_axis(tokens.reshape(n, side * side), cells.reshape(n, side * side), axis=1)
    image = np.take_along_axis(lookup, flat, axis=1).reshape(n, side, side)
    inside = within[:, 0, :, None] & within[:, 1, None, :]
    mark = (end[:, 0, :, None] & within[:, 1, None, :]) | (within[:, 0, :, None] & end[:, 1, None, :])
    return np.where(inside, image, mark.astype(np.uint8))
