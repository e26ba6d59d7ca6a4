"""What a puzzle task is: how its puzzles are written, checked, solved, turned and graded.

A puzzle is a grid, square if it is no string, read row by row. Token 0 is padding, token ``k`` is the
``k``-th character of the task's alphabet. Inputs hold the question, labels the answer; a label of 0 means "no
label here".
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from memhrm.data.checks import PuzzleError, in_range, integers, narrow, shown


class Verdict(NamedTuple):
    """What can be said of n answers without knowing the right ones, ``(n,)`` bool each."""

    keeps_givens: np.ndarray
    keeps_rules: np.ndarray


class Task(ABC):
    """The rules of one kind of puzzle: its text form, its symmetries, and how answers are graded.

    Attributes:
        name: name for people, such as ``sudoku9``.
        side, rows: cells of a row, and rows of the grid; ``seq_len`` is their product.
        alphabet: the characters of tokens 1, 2, ...; ``vocab_size`` counts the padding token too.
        num_identifiers: number of different puzzle identifiers; 1, since all rows share 0.
        answers: the last characters of the alphabet, which feedback may show as the answer of a cell
            (`memhrm.data.episodes.episodes`); 0 where there is no feedback.
    """

    num_identifiers = 1
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
        aliases = aliases or {}
        if not isinstance(alphabet, str) or not alphabet or len(set(alphabet)) < len(alphabet):
            raise ValueError(f"alphabet is {shown(alphabet)}; allowed: a text of different characters")
        self.name = name
        self.side = side
        self.rows = side if rows is None else rows
        self.seq_len = self.rows * side
        self.alphabet = alphabet
        self.vocab_size = len(alphabet) + 1
        # A table over code points; the last entry, 0, is for all that are beyond it.
        table = np.zeros(max(map(ord, (*alphabet, *aliases))) + 2, np.int32)
        for token, character in enumerate(alphabet, start=1):
            table[ord(character)] = token
        for alias, character in aliases.items():
            table[ord(alias)] = table[ord(character)]
        self._token_of = narrow("alphabet", table)

    def encode(self, question: str, answer: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of one puzzle, two arrays ``(t,)``.

        Raises:
            ValueError: wrong length, unknown character, or an answer that does not solve the question.
        """
        inputs, labels = self.encode_many([question], [answer])
        return inputs[0], labels[0]

    def encode_many(self, questions: Sequence[str], answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of ``n`` puzzles, two arrays ``(n, t)``.

        Raises:
            ValueError: as `encode`, for the first bad puzzle; or there are not as many answers as questions.
        """
        inputs, labels = self.tokens("question", questions), self.tokens("answer", answers)
        self.check(inputs, labels)
        return inputs, labels

    def tokens(self, field: str, texts: Sequence[str]) -> np.ndarray:
        """Return the tokens of texts, ``(n, t)``.

        Args:
            field: what the texts are called in messages.
            texts: ``n`` texts of ``t`` characters.

        Raises:
            ValueError: no texts, wrong length, or a character that is not in the alphabet.
        """
        if not isinstance(texts, Sequence | np.ndarray) or isinstance(texts, str | bytes):
            raise ValueError(f"{field} is {shown(texts)}; allowed: a list of texts")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise PuzzleError(row, f"{field} is {shown(text)}; allowed: a text")
            if len(text) != self.seq_len:
                raise PuzzleError(row, f"{field} has {len(text)} characters; {self.name} has {self.seq_len}")
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        tokens = self._token_of[np.minimum(characters, len(self._token_of) - 1)]
        if not tokens.all():
            row, cell = divmod(int((tokens == 0).argmax()), self.seq_len)
            raise PuzzleError(
                row,
                f"{field} has {texts[row][cell]!r} at character {cell + 1}; allowed are {self.alphabet!r}",
            )
        return tokens.reshape(len(texts), self.seq_len)

    def grids(self, name: str, tokens: Any, low: int = 1) -> np.ndarray:
        """Return tokens ``(n, t)`` of this task, from an array or lists.

        Raises:
            ValueError: another shape or type, or a token below ``low`` or outside the vocabulary.
        """
        values = integers(name, tokens, 2)
        if values.shape[1] != self.seq_len:
            raise ValueError(f"{name} have shape {values.shape}; {self.name} has {self.seq_len} cells")
        return in_range(name, values, low, self.vocab_size - 1)

    def pair_of_grids(self, inputs: Any, labels: Any, low: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return questions and as many answers as tokens ``(n, t)``, checked as by `grids`."""
        inputs, labels = self.grids("inputs", inputs), self.grids("labels", labels, low)
        if len(inputs) != len(labels):
            raise ValueError(f"there are {len(labels)} answers; allowed: as many as questions, {len(inputs)}")
        return inputs, labels

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of tokens of any shape; what is no token of the alphabet becomes '?'.

        Raises:
            ValueError: it is no array of whole numbers.
        """
        values = np.ravel(tokens)
        if values.size and values.dtype.kind not in "iu":
            raise ValueError(f"tokens are {shown(tokens)}; allowed: whole numbers")
        return "".join(self.alphabet[k - 1] if 1 <= k < self.vocab_size else "?" for k in values.tolist())

    def render(self, tokens: np.ndarray) -> str:
        """Return the grid of a token array ``(t,)`` for people, one line per row."""
        text = self.decode(tokens)
        return "\n".join(text[start : start + self.side] for start in range(0, self.seq_len, self.side))

    def place(self, cell: int) -> str:
        """Return where a cell is, for messages; rows and columns count from 1."""
        if self.rows == 1:
            return f"character {cell + 1}"
        return f"row {cell // self.side + 1}, column {cell % self.side + 1}"

    def grade(self, inputs: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Return scores of each prediction, float64 arrays ``(n,)`` between 0 and 1.

        ``accuracy`` is the share of the labelled tokens that are right. ``exact_accuracy`` is 1 for an exact
        answer, which has at least one label and every labelled token right: the definition of
        `memhrm.training.losses.grade` too.

        Args:
            inputs, labels, predictions: tokens ``(n, t)``; no label, 0 or negative, is no score.

        Raises:
            ValueError: they are no arrays of whole numbers of one shape.
        """
        shapes = {
            name: integers(name, values, 2).shape
            for name, values in (("inputs", inputs), ("labels", labels), ("predictions", predictions))
        }
        if len(set(shapes.values())) > 1:
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"shapes differ: {found}; allowed: one shape")
        inputs, labels, predictions = map(np.asarray, (inputs, labels, predictions))
        labelled = labels > 0
        right = (labelled & (predictions == labels)).sum(axis=1)
        total = labelled.sum(axis=1)
        return {
            "exact_accuracy": ((right == total) & (total > 0)).astype(np.float64),
            "accuracy": right / np.maximum(total, 1),
        }

    @abstractmethod
    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Check that every answer of ``labels`` ``(n, t)`` solves its question of ``inputs``.

        Raises:
            ValueError: one does not; a `PuzzleError` says which.
        """

    def check_questions(self, inputs: np.ndarray) -> None:
        """Check that questions ``(n, t)`` are well formed, whether or not they can be solved.

        Raises:
            ValueError: one is not; a `PuzzleError` says which.
        """
        self.grids("inputs", inputs)

    def verdict(self, inputs: np.ndarray, answers: np.ndarray) -> "Verdict":
        """Return what can be said of answers ``(n, t)``, of any tokens, without knowing the right ones.

        Where the answers are relabelled by an episode's rule (`answers` above 0), the givens are kept if one
        relabelling explains them all.

        Raises:
            ValueError: they are no arrays of whole numbers of one shape.
        """
        inputs, answers = self.grids("inputs", inputs), integers("answers", answers, 2)
        if inputs.shape != answers.shape:
            raise ValueError(f"answers have shape {answers.shape}; the inputs have {inputs.shape}")
        keeps = self.keeps_givens(inputs, answers)
        if self.answers:
            keeps = np.array([self._relabels(*row) for row in zip(inputs, answers)], bool)
        return Verdict(keeps, self.keeps_rules(inputs, answers))

    def _relabels(self, question: np.ndarray, answer: np.ndarray) -> bool:
        first = self.vocab_size - self.answers
        pairs = {(int(x), int(y)) for x, y in zip(question, answer) if x >= first}
        return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})

    @abstractmethod
    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, t)``, of any tokens, keep what the questions give: ``(n,)`` bool."""

    @abstractmethod
    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, t)``, of any tokens, keep the rules of the task: ``(n,)`` bool."""

    @abstractmethod
    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return the answers to questions ``(n, t)``, found by search: ``(n, t)``.

        Raises:
            ValueError: a question has no answer, or where only one is right, several; a `PuzzleError` says
                which.
        """

    @abstractmethod
    def augment(
        self, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Replace each row of ``inputs`` and ``labels`` ``(n, t)`` by its image under a random symmetry.

        The symmetry is uniform over the task's group and the same for a row's input and label.
        """

    @abstractmethod
    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hashable key ``(n,)`` of each puzzle that all its symmetry images share.

        Sets whose keys are disjoint are disjoint up to symmetry.
        """

    def identities(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hash of each puzzle, ``(n,)`` uint64, by which trained puzzles are told from new ones.

        All symmetry images of a puzzle have the same hash, and different puzzles practically never do, even
        where they share a solution.

        Args:
            inputs, labels: tokens ``(n, t)`` of questions and their answers.

        Raises:
            ValueError: wrong shapes or tokens.
        """
        keys = self.class_keys(*self.pair_of_grids(inputs, labels, low=0)).tolist()
        digests = (blake2b(key if isinstance(key, bytes) else b"%d" % key, digest_size=8) for key in keys)
        return np.frombuffer(b"".join(digest.digest() for digest in digests), "<u8").astype(np.uint64)
