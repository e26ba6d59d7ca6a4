"""Sudoku of side 4, 6 or 9: token 1 is an empty cell, token ``d + 1`` is digit ``d``."""

import numpy as np

from memhrm.data.checks import PuzzleError, require_none, shown
from memhrm.data.examples import Examples, quantiles
from memhrm.data.grid import GridTask
from memhrm.data.keys import row_keys
from memhrm.data.sudoku.identity import identities9
from memhrm.data.sudoku.solver import solve
from memhrm.data.sudoku.symmetry import BOXES, canonical, fingerprint, shape_of

BLANK = 1
UNITS = ("row", "column", "box")
MOST_GUESSES = 5000
"""Guesses after which the search for an answer is given up: hard puzzles take hundreds, few of them more."""


class Sudoku(GridTask):
    """Fill a grid so that each row, column and box has every digit once.

    Boxes are 2 x 2 for side 4, 2 rows x 3 columns for side 6, and 3 x 3 for side 9.
    """

    def __init__(self, *, side: int) -> None:
        if isinstance(side, bool) or not isinstance(side, int) or side not in BOXES:
            raise ValueError(f"side is {shown(side)}; allowed: {', '.join(map(str, BOXES))}")
        digits = "".join(str(digit) for digit in range(1, side + 1))
        blanks = dict.fromkeys("0*_-", ".")  # as other programs write an empty cell
        super().__init__(name=f"sudoku{side}", side=side, alphabet="." + digits, aliases=blanks)
        self.shape = shape_of(side)
        if side == 9:
            self.classes = "solution grids (by fingerprint)"

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Check that every answer ``(n, s)`` solves its question."""
        inputs, labels = self.checked_pair(inputs, labels)
        clash = (inputs > BLANK) & (labels != inputs)
        if clash.any():
            row, cell = np.argwhere(clash)[0].tolist()
            given, found = self.decode(inputs[row, cell]), self.decode(labels[row, cell])
            raise PuzzleError(
                row, f"answer has {found!r} at {self.place(cell)}, where the question gives {given!r}"
            )
        if (labels == BLANK).any():
            row, cell = np.argwhere(labels == BLANK)[0].tolist()
            raise PuzzleError(row, f"answer has no digit at {self.place(cell)}")
        complete = self.complete_units(labels)
        if not complete.all():
            row, unit = np.argwhere(~complete)[0].tolist()
            raise PuzzleError(row, f"answer repeats a digit in {self._unit(unit)}")

    def _unit(self, unit: int) -> str:
        kind, number = divmod(unit, self.side)
        return f"{UNITS[kind]} {number + 1}"

    def check_questions(self, inputs: np.ndarray) -> None:
        """Check that questions ``(n, s)`` are well formed."""
        inputs = self.checked("inputs", inputs)
        digits = np.arange(BLANK + 1, self.vocab_size)
        repeated = (inputs[:, self.shape.units][..., None] == digits).sum(axis=2) > 1  # (n, units, digits)
        if repeated.any():
            row, unit, digit = np.argwhere(repeated)[0].tolist()
            raise PuzzleError(row, f"question repeats {digit + 1} in {self._unit(unit)}: it has no answer")

    def describe(self, examples: Examples) -> str:
        """Return one line on the puzzles of a set."""
        return quantiles("clues", (examples.inputs > BLANK).sum(axis=1))

    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` keep what the questions give, ``(n,)`` bool."""
        return np.all((inputs <= BLANK) | (answers == inputs), axis=1)

    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` keep the rules, ``(n,)`` bool."""
        return np.all(self.complete_units(answers), axis=1)

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return the only answers to questions ``(n, s)``, found by search: ``(n, s)``.

        Raises:
            ValueError: a question contradicts itself, has no answer or several, or the search takes more than
                `MOST_GUESSES`; a `PuzzleError` says which.
        """
        inputs = self.checked("inputs", inputs)
        self.check_questions(inputs)
        found = solve(inputs, self.shape, limit=2, most_guesses=MOST_GUESSES)
        slow = f"question takes too long to solve: its search needs more than {MOST_GUESSES:,} guesses"
        require_none(found.guesses > MOST_GUESSES, slow)
        require_none(found.solutions == 0, "question has no answer")
        require_none(found.solutions > 1, "question has several answers")
        return found.grids

    def complete_units(self, grids: np.ndarray) -> np.ndarray:
        """Return whether each row, column and box of grids has every digit.

        Args:
            grids: tokens ``(n, s)`` without empty cells.

        Returns:
            ``(n, 3 side)`` bool; rows come first, then columns, then boxes.
        """
        bits = (1 << np.arange(self.vocab_size, dtype=np.uint16))[grids]
        found = np.bitwise_or.reduce(bits[:, self.shape.units], axis=2)
        return found == (1 << self.vocab_size) - (1 << BLANK + 1)

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return each puzzle under a random symmetry; all symmetries are equally likely."""
        n, shape = len(examples), self.shape
        rows = shape.row_orders[rng.integers(len(shape.row_orders), size=n)]
        columns = shape.column_orders[rng.integers(len(shape.column_orders), size=n)]
        cells = rows[:, :, None] * self.side + columns[:, None, :]
        if shape.transposable:
            flipped = rng.random(n) < 0.5
            cells[flipped] = cells[flipped].swapaxes(1, 2)
        cells = cells.reshape(n, self.seq_len)
        tokens = np.tile(np.arange(self.vocab_size, dtype=examples.inputs.dtype), (n, 1))
        tokens[:, BLANK + 1 :] = rng.permuted(tokens[:, BLANK + 1 :], axis=1)

        def image(grids: np.ndarray) -> np.ndarray:
            return np.take_along_axis(tokens, np.take_along_axis(grids, cells, axis=1), axis=1)

        return examples.having(inputs=image(examples.inputs), labels=image(examples.labels))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the canonical form of the puzzle; for side 9 a fingerprint of its solution.

        The second is coarser: puzzles with one solution grid share a key, so a split by key separates grids.
        """
        if self.side == 9:
            return fingerprint(labels, self.shape)
        return row_keys(canonical(inputs, self.shape))

    def identities(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hash of each puzzle, ``(n,)`` uint64, that its symmetry images share."""
        if self.side != 9:
            return super().identities(inputs, labels)
        inputs, labels = self.checked_pair(inputs, labels)
        require_none((labels == BLANK).any(axis=1), "answer has an empty cell; allowed: full grids")
        return identities9(inputs > BLANK, labels - (BLANK + 1))

    def render(self, tokens: np.ndarray) -> str:
        """Return the grid drawn for people, one line per row."""
        lines = super().render(tokens).splitlines()
        width, height = self.shape.box_columns, self.shape.box_rows
        rule = "+".join(["-" * (2 * width + 1)] * (self.side // width))[1:-1]
        drawn = []
        for row, line in enumerate(lines):
            if row and row % height == 0:
                drawn.append(rule)
            drawn.append(" | ".join(" ".join(line[c : c + width]) for c in range(0, self.side, width)))
        return "\n".join(drawn)
