"""Strings of digits behind a cue, for episodes in which each cue has a relabelling of its own.

n examples, s tokens of each: first the symbols of the cue, then the digits; a digits.
"""

from collections.abc import Sequence

import numpy as np

from memhrm.data.checks import PuzzleError, number, require_none, shown
from memhrm.data.collect import Progress, collect
from memhrm.data.episodes.recall import DIGITS, MOST_LISTED
from memhrm.data.examples import Examples, examples_of, quantiles
from memhrm.data.grid import GridTask
from memhrm.data.keys import row_keys

MOST_SYMBOLS = 1024
_POINTS = (*range(ord("A"), ord("z") + 1), *range(0xC0, 0x590))
SYMBOLS = "".join(letter for letter in map(chr, _POINTS) if letter.isalpha())[:MOST_SYMBOLS]
"""The symbols of cues, as text: letters, the Latin ones first."""


class Cued(GridTask):
    """Repeat the digits behind a cue; in an episode, the secret relabelling of the cue has to be remembered.

    There are labels at the digits alone, and the text of an answer is its digits.

    Args:
        digits: the number of different digits, up to 6.
        length: the number of digits of a string.
        symbols: the number of different symbols of which cues are made.
        cue_length: the number of symbols of a cue.

    Raises:
        ValueError: a number is out of bounds.
    """

    def __init__(self, *, digits: int, length: int, symbols: int, cue_length: int) -> None:
        self.digits = self.answers = number("digits", digits, 1, len(DIGITS))
        self.length = number("length", length, 1, 1 << 16)
        self.symbols = number("symbols", symbols, 1, MOST_SYMBOLS)
        self.cue_length = number("cue_length", cue_length, 1, 3)
        alphabet = SYMBOLS[:symbols] + DIGITS[:digits]
        super().__init__(name=f"cued{digits}x{length}", side=cue_length + length, rows=1, alphabet=alphabet)
        self.first = self.labels_from = self.vocab_size - digits  # The token of digit 0.

    @property
    def cues(self) -> int:
        """Return the number of different cues."""
        return self.symbols**self.cue_length

    def cue(self, numbers: np.ndarray) -> np.ndarray:
        """Return the tokens of cues, which are numbered from 0: ``(...)`` to ``(..., cue_length)``."""
        return numbers[..., None] // self.symbols ** np.arange(self.cue_length) % self.symbols + 1

    def tokens(self, field: str, texts: Sequence[str]) -> np.ndarray:
        """Return the tokens of texts, ``(n, s)``; those of answers have 0, no label, in the cue's place."""
        listed = isinstance(texts, Sequence | np.ndarray) and not isinstance(texts, str | bytes)
        if field != "answer" or not listed:
            return super().tokens(field, texts)
        for row, text in enumerate(texts):
            if not isinstance(text, str) or len(text) != self.length:
                raise PuzzleError(row, f"answer is {shown(text)}; {self.name} has {self.length} digits")
        tokens = super().tokens(field, [SYMBOLS[0] * self.cue_length + text for text in texts])
        tokens[:, : self.cue_length] = 0
        return tokens

    def asked(self, inputs: np.ndarray) -> np.ndarray:
        """Return where the digits of questions stand, ``(n, s)`` bool."""
        return inputs >= self.first

    def render(self, tokens: np.ndarray) -> str:
        """Return a question or labels for people, with a blank where there is no label."""
        return super().render(tokens).replace("?", " ")

    def decode_answer(self, labels: np.ndarray) -> str:
        """Return the digits of an answer ``(s,)``."""
        return self.decode(labels[self.cue_length :])

    def check_questions(self, inputs: np.ndarray) -> None:
        """Raise a `PuzzleError` unless every question ``(n, s)`` is a cue and digits."""
        inputs = self.checked("inputs", inputs)
        digits = inputs >= self.first
        wrong = digits != (np.arange(self.seq_len) >= self.cue_length)
        require_none(
            wrong.any(axis=1), f"question is no cue of {self.cue_length} symbols and {self.length} digits"
        )

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Raise a `PuzzleError` unless every question is well formed and its answer repeats the digits."""
        inputs, labels = self.checked_pair(inputs, labels, 0)
        self.check_questions(inputs)
        wrong = (labels != self.solve(inputs)).any(axis=1)
        require_none(wrong, "answer does not repeat the digits; the relabelling comes with the episode")

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return the answers ``(n, s)`` without a relabelling: the digits of the questions."""
        inputs = self.checked("inputs", inputs)
        return np.where(np.arange(self.seq_len) < self.cue_length, 0, inputs).astype(inputs.dtype)

    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` repeat the digits of their questions: ``(n,)`` bool."""
        return np.all((inputs == answers)[:, self.cue_length :], axis=1)

    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` have a digit for every digit: ``(n,)`` bool."""
        return np.all(answers[:, self.cue_length :] >= self.first, axis=1)

    def describe(self, examples: Examples) -> str:
        """Return one line on the puzzles of a set."""
        digits = examples.inputs[:, self.cue_length :]
        return quantiles("different digits", np.array([len(np.unique(row)) for row in digits]))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the digits of each question as a key, ``(n,)``: a cue is but a name."""
        return row_keys(inputs[:, self.cue_length :], self.vocab_size - 1)


def cued_strings(
    task: Cued, count: int | None, covers: bool, rng: np.random.Generator, progress: Progress
) -> Examples:
    """Return puzzles with different strings of digits in random order, each behind a random cue.

    Args:
        task: the task, which says how many strings there are.
        count: the number of puzzles; None: all, where they can be listed.
        covers: whether every string holds every digit.
        rng: the source of randomness.
        progress: called with the numbers of puzzles made and wanted.

    Raises:
        ValueError: there are fewer puzzles, or too many to list them.
    """
    every = task.digits**task.length

    def puzzles(numbers: np.ndarray) -> Examples:
        digits = numbers[:, None] // task.digits ** np.arange(task.length) % task.digits
        if covers:
            held = np.bitwise_or.reduce(1 << digits, axis=1)
            digits = digits[held == (1 << task.digits) - 1]
        cues = task.cue(rng.integers(task.cues, size=len(digits)))
        inputs = np.concatenate([cues, digits + task.first], axis=1)
        return examples_of(
            inputs, task.solve(inputs), np.zeros(len(inputs), int), ["generated"] * len(inputs)
        )

    if every > MOST_LISTED:
        return collect(task, count, lambda size, rng: puzzles(rng.integers(every, size=size)), rng, progress)
    found = puzzles(rng.permutation(every))
    if count is not None and count > len(found):
        raise ValueError(
            f"data.train_size, test_size and holdout ask for {count} strings; there are {len(found)}"
        )
    return found.select(slice(count))
