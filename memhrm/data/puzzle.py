"""What a puzzle task is, and a set of puzzles as token arrays.

A puzzle is a grid, square if it is no string, read row by row. Token 0 is padding, token ``k`` is the
``k``-th character of the task's alphabet. Inputs hold the question, labels the answer; a label of 0 means "no
label here".
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PuzzleSet:
    """``n`` original puzzles of ``t`` tokens each, before any augmentation."""

    inputs: np.ndarray  # (n, t) uint8
    labels: np.ndarray  # (n, t) uint8, 0 where a position has no label
    puzzle_identifiers: np.ndarray  # (n,) int32
    ratings: np.ndarray  # (n,) int32, difficulty; -1 where unknown
    sources: np.ndarray  # (n,) str objects, where each puzzle comes from

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, rows: np.ndarray | slice) -> "PuzzleSet":
        """The puzzles at ``rows`` (indices, a boolean mask or a slice), in that order."""
        return PuzzleSet(
            self.inputs[rows],
            self.labels[rows],
            self.puzzle_identifiers[rows],
            self.ratings[rows],
            self.sources[rows],
        )


def puzzle_set(
    inputs: np.ndarray, labels: np.ndarray, ratings: np.ndarray, sources: Sequence[str] | np.ndarray
) -> PuzzleSet:
    """A set whose puzzles all carry identifier 0, as in sudoku and maze sets."""
    return PuzzleSet(
        inputs.astype(np.uint8),
        labels.astype(np.uint8),
        np.zeros(len(inputs), np.int32),
        np.asarray(ratings, np.int32),
        np.array(sources, dtype=object),
    )


class Task(ABC):
    """The rules of one kind of puzzle: its text form, its symmetries, and how answers are graded.

    Attributes:
        name: name for people, such as ``sudoku9``.
        side, rows: cells of a row, and rows of the grid; ``seq_len`` is their product.
        alphabet: the characters of tokens 1, 2, ...; ``vocab_size`` counts the padding token too.
        num_puzzle_identifiers: number of different puzzle identifiers; 1, since all rows share 0.
        answers: the last characters of the alphabet, which feedback may show as the answer of a cell
            (`memhrm.data.episodes`); 0 where there is no feedback.
    """

    num_puzzle_identifiers = 1
    answers = 0

    def __init__(
        self,
        *,
        name: str,
        side: int,
        alphabet: str,
        rows: int | None = None,
        aliases: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.side = side
        self.rows = side if rows is None else rows
        self.seq_len = self.rows * side
        self.alphabet = alphabet
        self.vocab_size = len(alphabet) + 1
        self._token_of = np.zeros(256, np.uint8)
        for token, character in enumerate(alphabet, start=1):
            self._token_of[ord(character)] = token
        for alias, character in (aliases or {}).items():
            self._token_of[ord(alias)] = self._token_of[ord(character)]

    def encode(self, question: str, answer: str) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of one puzzle, two arrays ``(t,)`` uint8.

        Raises:
            ValueError: wrong length, unknown character, or an answer that does not solve the question.
        """
        inputs, labels = self.encode_many([question], [answer])
        return inputs[0], labels[0]

    def encode_many(self, questions: Sequence[str], answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of ``n`` puzzles, two arrays ``(n, t)`` uint8; raises as `encode` for the first bad one."""
        inputs, labels = self.tokens("question", questions), self.tokens("answer", answers)
        self.check(inputs, labels)
        return inputs, labels

    def tokens(self, field: str, texts: Sequence[str]) -> np.ndarray:
        for text in texts:
            if len(text) != self.seq_len:
                raise ValueError(f"{field} has {len(text)} characters; {self.name} has {self.seq_len}")
        # Characters outside Latin-1 become '?', which no alphabet contains.
        characters = np.frombuffer("".join(texts).encode("latin-1", "replace"), np.uint8)
        tokens = self._token_of[characters]
        if not tokens.all():
            row, cell = divmod(int(tokens.argmin()), self.seq_len)
            raise ValueError(
                f"{field} has {texts[row][cell]!r} at character {cell + 1}; allowed are {self.alphabet!r}"
            )
        return tokens.reshape(len(texts), self.seq_len)

    def decode(self, tokens: np.ndarray) -> str:
        """The text of a token array ``(t,)``; anything that is not a token of the alphabet becomes '?'."""
        return "".join(
            self.alphabet[k - 1] if 1 <= k < self.vocab_size else "?" for k in np.ravel(tokens).tolist()
        )

    def render(self, tokens: np.ndarray) -> str:
        """The grid of a token array ``(t,)`` for people, one line per row."""
        text = self.decode(tokens)
        return "\n".join(text[start : start + self.side] for start in range(0, self.seq_len, self.side))

    def place(self, cell: int) -> str:
        """Where a cell is, for messages; rows and columns count from 1."""
        if self.rows == 1:
            return f"character {cell + 1}"
        return f"row {cell // self.side + 1}, column {cell % self.side + 1}"

    def grade(self, inputs: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Score each prediction; returns float64 arrays ``(n,)`` between 0 and 1.

        All arguments are tokens ``(n, t)``; a token whose label is 0 or negative is not scored.
        ``accuracy`` is the share of labelled tokens that are right. ``exact_accuracy`` is 1 for an exact
        answer, which has at least one label and every labelled token right: the definition of
        `memhrm.training.losses.grade` too.
        """
        labelled = labels > 0
        right = (labelled & (predictions == labels)).sum(axis=1)
        total = labelled.sum(axis=1)
        return {
            "exact_accuracy": ((right == total) & (total > 0)).astype(np.float64),
            "accuracy": right / np.maximum(total, 1),
        }

    @abstractmethod
    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Raise ValueError unless every answer of ``labels`` ``(n, t)`` solves its question of ``inputs``."""

    @abstractmethod
    def augment(
        self, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Replace each row of ``inputs`` and ``labels`` ``(n, t)`` by its image under a random symmetry.

        The symmetry is uniform over the task's group and the same for a row's input and label.
        """

    @abstractmethod
    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """A hashable key ``(n,)`` of each puzzle that all its symmetry images share.

        Sets whose keys are disjoint are disjoint up to symmetry.
        """
