"""A hash of 9x9 sudokus: equal for all symmetry images of a puzzle, different for different puzzles."""

import numpy as np

from memhrm.data.sudoku.symmetry import fingerprint, mix, shape_of

CHUNK = 1024  # puzzles hashed at once; their colours, 0.7 MB, stay in the processor's cache
ROUNDS = 4  # one more than are needed to distinguish all cells around a single clue
SIDE = 9


def identities9(given: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return a hash of each puzzle by colour refinement (Weisfeiler and Leman, 1968).

    The first colour of a cell is whether the question gives it. In every round the colour becomes a hash of
    itself, of the colours in its row, column and box, and of the colours of the cells with the same digit in
    the solution. Colours in a unit are summed after mixing, so their order does not matter. Rows and columns
    are treated alike, so transposing does not matter either, nor does relabelling the digits. The hash of a
    puzzle is a hash of the multiset of its colours. Where some cells keep the same colour, as in a puzzle
    that gives whole rows, the colours say too little about the solution: there the fingerprint of the
    solution, with the colours of its lines, is added.

    Args:
        given: ``(n, 81)`` bool, the cells that the question gives.
        digits: ``(n, 81)`` integers, the solution with digits from 0 to 8.

    Returns:
        ``(n,)`` uint64.
    """
    found = np.empty(len(given), np.uint64)
    for start in range(0, len(given), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = _refined(given[part], digits[part].astype(np.intp))
    return found


def _refined(given: np.ndarray, digits: np.ndarray) -> np.ndarray:
    n = len(given)
    puzzles = np.arange(n)
    by_digit = digits.argsort(axis=1, kind="stable").T  # (81, n): the cells of digit 0, of digit 1, ...
    classes = by_digit * n + puzzles  # flat indices into colours
    back = digits.T * n + puzzles  # flat indices into the sums by digit
    colours = mix(given.T.astype(np.uint64))  # (81, n)
    for _ in range(ROUNDS):
        grid = colours.reshape(SIDE, SIDE, n)
        rows = mix(grid.sum(axis=1))
        columns = mix(grid.sum(axis=0))
        boxes = grid.reshape(3, 3, 3, 3, n).sum(axis=(1, 3))
        boxes = mix(boxes + np.uint64(0x5851F42D4C957F2D))  # distinguishes boxes from lines
        numbers = colours.ravel()[classes].reshape(SIDE, SIDE, n).sum(axis=1)
        numbers = mix(numbers + np.uint64(0x14057B7EF767814F))
        new = grid * np.uint64(0xD6E8FEB86659FD93)
        new += rows[:, None]
        new += columns
        new.reshape(3, 3, 3, 3, n)[:] += boxes[:, None, :, None]
        flat = new.reshape(81, n)
        flat += numbers.ravel()[back]
        colours = mix(flat)
    ordered = np.sort(colours.T, axis=1)
    hashes = mix(ordered.sum(axis=1))
    alike = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if alike.size:
        grid = colours.reshape(SIDE, SIDE, n)[:, :, alike]
        lines = mix(grid.sum(axis=1)).T, mix(grid.sum(axis=0)).T
        hashes[alike] = mix(hashes[alike] + fingerprint(digits[alike] + 2, shape_of(SIDE), lines))
    return hashes
