"""Shapes and symmetries of sudoku grids: units, canonical forms and invariants.

The symmetries of a sudoku relabel the digits, permute the bands and the rows within each band, permute the
stacks and the columns within each stack and, where the boxes are square, transpose the grid.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations, product

import numpy as np

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}  # side -> rows and columns of a box


@dataclass(frozen=True)
class Shape:
    """A grid of ``side`` x ``side`` cells divided into boxes.

    Attributes:
        side: cells in a row, a column and a box.
        box_rows: rows of a box.
        box_columns: columns of a box.
    """

    side: int
    box_rows: int
    box_columns: int

    @property
    def transposable(self) -> bool:
        """Whether the transpose of a grid is a grid of the same shape."""
        return self.box_rows == self.box_columns

    @cached_property
    def units(self) -> np.ndarray:
        """The cells of every row, then of every column, then of every box: ``(3 side, side)`` indices."""
        s, h, w = self.side, self.box_rows, self.box_columns
        cells = np.arange(s * s).reshape(s, s)
        boxes = cells.reshape(s // h, h, s // w, w).swapaxes(1, 2).reshape(s, s)
        return np.concatenate([cells, cells.T, boxes])

    @cached_property
    def cell_units(self) -> np.ndarray:
        """The row, column and box of each cell, as rows of ``units``: ``(side^2, 3)``."""
        order = np.argsort(self.units, axis=None, kind="stable").reshape(-1, 3)
        return order // self.side

    @cached_property
    def row_orders(self) -> np.ndarray:
        """All orders of the rows that keep bands together: ``(m, side)``."""
        return _line_orders(self.side // self.box_rows, self.box_rows)

    @cached_property
    def column_orders(self) -> np.ndarray:
        """All orders of the columns that keep stacks together: ``(m, side)``."""
        return _line_orders(self.side // self.box_columns, self.box_columns)

    @cached_property
    def images(self) -> np.ndarray:
        """Every spatial symmetry as indices: ``(g, side^2)``; image k of a grid is ``grid[images[k]]``.

        There are 128 for side 4 and 3,456 for side 6. Side 9 has 3,359,232, too many to list.
        """
        assert self.side < 9
        cells = self.row_orders[:, None, :, None] * self.side + self.column_orders[None, :, None, :]
        cells = cells.reshape(-1, self.side, self.side)
        if self.transposable:
            cells = np.concatenate([cells, cells.swapaxes(1, 2)])
        return cells.reshape(len(cells), -1)


@cache
def shape_of(side: int) -> Shape:
    """Return the shape of sudokus with this side: 4, 6 or 9."""
    return Shape(side, *BOXES[side])


def _line_orders(blocks: int, size: int) -> np.ndarray:
    within = list(permutations(range(size)))
    return np.array(
        [
            [block * size + line for block, lines in zip(order, choice, strict=True) for line in lines]
            for order in permutations(range(blocks))
            for choice in product(within, repeat=blocks)
        ]
    )


def canonical(grids: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the canonical form of each grid or puzzle: two are symmetric if and only if theirs are equal.

    The canonical form is the smallest image, found in two steps. The first keeps the images whose pattern of
    givens, read as a binary number, is smallest. They are usually few, and one matrix product finds them: a
    pattern is below 2^36, hence exact in double precision. The second renumbers the digits in order of
    appearance and takes the lexicographically smallest of those images, comparing two rows at a time.

    Args:
        grids: tokens ``(n, side^2)``, 1 for an empty cell and ``d + 1`` for digit ``d``; side 4 or 6.
        shape: their shape.

    Returns:
        Tokens ``(n, side^2)`` uint8.
    """
    cells, images = shape.side**2, shape.images
    weights = np.zeros((cells, len(images)))
    weights[images.T, np.arange(len(images))] = 2.0 ** np.arange(cells)[::-1, None]
    forms = np.empty(grids.shape, np.uint8)
    for start in range(0, len(grids), 256):  # bounds the memory of all images of full grids
        chunk = grids[start : start + 256].astype(np.uint8)
        patterns = (chunk > 1).astype(np.float64) @ weights
        rows, chosen = np.nonzero(patterns == patterns.min(axis=1, keepdims=True))
        for end in range(2 * shape.side, cells + 1, 2 * shape.side):  # drops most images early
            form = _renumbered(chunk[rows[:, None], images[chosen, :end]], shape.side)
            number = form[:, -2 * shape.side :] @ 8 ** np.arange(2 * shape.side)[::-1]
            first = np.searchsorted(rows, np.arange(len(chunk)))  # rows is sorted
            least = number == np.minimum.reduceat(number, first)[rows]
            rows, chosen, form = rows[least], chosen[least], form[least]
        forms[start : start + 256] = form[np.searchsorted(rows, np.arange(len(chunk)))]
    return forms


def _renumbered(grids: np.ndarray, side: int) -> np.ndarray:
    """Renumber digits in order of first appearance; the numbers in a prefix depend on that prefix alone."""
    first = np.full((len(grids), side), grids.shape[1])
    for digit in range(side):
        here = grids == digit + 2
        first[:, digit] = np.where(here.any(axis=1), here.argmax(axis=1), grids.shape[1])
    tokens = np.ones((len(grids), side + 2), np.uint8)
    tokens[:, 2:] = first.argsort(axis=1, kind="stable").argsort(axis=1) + 2
    return np.take_along_axis(tokens, grids, axis=1)


def fingerprint(
    grids: np.ndarray, shape: Shape, lines: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Return a symmetry-invariant hash of full grids: symmetric grids have equal fingerprints.

    The converse holds only almost always. That is the safe side for a split: puzzles whose grids have equal
    fingerprints are kept together, so no symmetric pair can be separated.

    Two rows define a permutation of the digits, from each digit to the one in the same column of the other
    row. Its cycle lengths do not change when digits are relabelled (conjugation), columns are permuted
    (reordering) or the two rows are swapped (inversion); the numbers of fixed points of its powers 2 to 5
    summarise them. A row is represented by the multiset of its relations to the other rows, each marked as
    within the band or not; a band by the multiset of its rows; a grid by the multiset of its bands. Columns
    are treated in the same way. The two results are combined symmetrically, or in order where the grid cannot
    be transposed.

    Args:
        grids: tokens ``(n, side^2)`` without empty cells.
        shape: their shape.
        lines: hashes of further properties of each row and each column, two arrays ``(n, side)`` uint64; a
            symmetry of a puzzle must permute them in the same way.

    Returns:
        ``(n,)`` uint64.
    """
    if lines is None:
        nothing = np.zeros((len(grids), shape.side), np.uint64)
        lines = nothing, nothing
    if len(grids) > 8192:  # bounds the memory
        parts = [slice(start, start + 8192) for start in range(0, len(grids), 8192)]
        return np.concatenate([fingerprint(grids[i], shape, (lines[0][i], lines[1][i])) for i in parts])
    digits = grids.reshape(len(grids), shape.side, shape.side).astype(np.intp) - 2
    rows = _line_hash(digits, shape.box_rows, lines[0])
    columns = _line_hash(digits.swapaxes(1, 2), shape.box_columns, lines[1])
    return mix(rows) + mix(columns) if shape.transposable else mix(mix(rows) + columns)


def _line_hash(digits: np.ndarray, size: int, known: np.ndarray) -> np.ndarray:
    n, side, _ = digits.shape
    place = digits.argsort(axis=2)  # place[row, digit]: the digit's column
    relation = np.zeros((n, side, side), np.uint64)
    for a, b in permutations(range(side), 2):
        step = np.take_along_axis(digits[:, b], place[:, a], axis=1)
        power = step
        for k in range(4):
            power = np.take_along_axis(step, power, axis=1)
            relation[:, a, b] += ((power == np.arange(side)).sum(axis=1) * 16**k).astype(np.uint64)
        relation[:, a, b] += 16**4 * (1 + (a // size == b // size))
    row_hash = mix(mix(relation + known[:, None]).sum(axis=2) + known)
    band_hash = mix(row_hash.reshape(n, side // size, size).sum(axis=2))
    return band_hash.sum(axis=1)


def mix(values: np.ndarray) -> np.ndarray:
    """Return the values mixed by splitmix64's finaliser; sums of mixed values hash multisets.

    Source: Steele, Lea and Flood, 2014.
    """
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
