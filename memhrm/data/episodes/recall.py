"""Recall: strings of digits that are their own answers, for episodes that relabel the digits."""

import numpy as np

from memhrm.data.checks import PuzzleError, number
from memhrm.data.examples import Examples, examples_of, quantiles
from memhrm.data.grid import GridTask
from memhrm.data.keys import row_keys

DIGITS = "123456"
MOST_LISTED = 1 << 20  # up to this number of strings, all are shuffled in order to draw some of them
MOST_SHUFFLED = 1 << 27  # up to this number of strings, any number can be drawn; above it, a small share


class Recall(GridTask):
    """Repeat the digits of a string; in an episode, its secret relabelling has to be remembered.

    Args:
        digits: the number of different digits, up to 6.
        length: the number of digits of a string.

    Raises:
        ValueError: a number is out of bounds.
    """

    def __init__(self, *, digits: int, length: int) -> None:
        digits, length = number("digits", digits, 1, len(DIGITS)), number("length", length, 1, 1 << 16)
        super().__init__(name=f"recall{digits}x{length}", side=length, rows=1, alphabet=DIGITS[:digits])
        self.digits = digits

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Raise a `PuzzleError` unless every answer ``(n, s)`` equals its question."""
        inputs, labels = self.checked_pair(inputs, labels)
        wrong = inputs != labels
        if wrong.any():
            row, cell = np.argwhere(wrong)[0].tolist()
            given, found = self.decode(inputs[row, cell]), self.decode(labels[row, cell])
            raise PuzzleError(
                row,
                f"answer has {found!r} at {self.place(cell)}, where the question has {given!r}; "
                "the relabelling comes with the episode",
            )

    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` equal their questions: ``(n,)`` bool."""
        return np.all(inputs == answers, axis=1)

    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` have a token everywhere: ``(n,)`` bool."""
        return np.all(answers >= 1, axis=1)

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return a copy of the questions ``(n, s)``: without a relabelling they are the answers."""
        return self.checked("inputs", inputs).copy()

    def describe(self, examples: Examples) -> str:
        """Return one line on the puzzles of a set."""
        return quantiles("different digits", np.array([len(np.unique(row)) for row in examples.inputs]))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each string, ``(n,)``: a number, or bytes where int64 is too small."""
        if (self.digits + 1) ** self.seq_len >= 1 << 63:
            return row_keys(inputs)
        return (inputs.astype(np.int64) * (self.digits + 1) ** np.arange(inputs.shape[1])).sum(axis=1)


def strings(task: Recall, count: int | None, rng: np.random.Generator) -> Examples:
    """Return different strings in random order.

    Args:
        task: the task, which says how many strings there are.
        count: the number of strings; None: all.
        rng: the source of randomness.

    Raises:
        ValueError: there are fewer than `count` strings, or too many to draw so many of them.
    """
    every = task.digits**task.seq_len
    if count is not None and count > every:
        raise ValueError(f"data.train_size, test_size and holdout ask for {count} strings; there are {every}")
    if count is None and every > MOST_LISTED:
        raise ValueError(f"data.train_size is null; allowed: a number, since there are {every:,} strings")
    if count is not None and every > MOST_SHUFFLED and count > every // 50:
        raise ValueError(
            f"data.train_size, test_size and holdout ask for {count} strings; allowed: up to {every // 50}"
        )
    listed = every <= MOST_LISTED
    numbers = rng.permutation(every)[:count] if listed else rng.choice(every, count, replace=False)
    tokens = numbers[:, None] // task.digits ** np.arange(task.seq_len) % task.digits + 1
    return examples_of(tokens, tokens, np.zeros(len(tokens), np.int32), ["generated"] * len(tokens))
