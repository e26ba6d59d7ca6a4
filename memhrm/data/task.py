"""What a task is: how its examples are written, checked, varied and scored.

Token 0 is padding. Inputs hold the question, labels the answer, a label of 0 means "no label here".
n examples, s tokens, l labels of an example: s, or 1; t = s / bag positions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memhrm.data.checks import MOST_IDENTIFIER, in_range, integers, narrow, number, shown
from memhrm.data.examples import Examples, quantiles
from memhrm.data.keys import hashes, row_keys
from memhrm.data.score import score


class Verdict(NamedTuple):
    """What can be said of n answers without knowing the right ones.

    Attributes:
        keeps_givens: whether an answer keeps what the question gives, ``(n,)`` bool.
        keeps_rules: whether it keeps the rules of the task, ``(n,)`` bool.
    """

    keeps_givens: np.ndarray
    keeps_rules: np.ndarray


class Task(ABC):
    """The rules of one kind of example: its text form, its variants, and how answers are scored.

    A task of your own needs `encode` and `decode`; everything else has a default. Grids of one-character
    cells have a base class of their own, `memhrm.data.grid.GridTask`.

    Attributes:
        name: short name in messages and file names, such as ``sudoku9``.
        seq_len: tokens of an example, s.
        vocab_size: number of different tokens, padding included.
        num_identifiers: rows of the puzzle table; 1 where all examples share identifier 0; 0 where
            identifiers are keys, any numbers up to 2^63.
        num_labels: 0 for a label per token, out of the vocabulary; C > 0 for one label per example, 1 to C.
        layout: rows and columns in which the positions are drawn; their product is ``positions``.
        bag: tokens of a position, whose embeddings add up; padding adds nothing. Above 1 only with one label
            per example.
        answers: the last tokens of the vocabulary, which feedback may show as the answer of a cell
            (`pair`); 0 where there is no feedback.
        asks: whether what an episode shows has been asked before, as feedback; else it is told, and may be
            padded.
        labels_from: the first token that can be a label; the model's head leaves out those before it. A head
            that has to learn first that hundreds of cues are never an answer is late to learn anything else.
        classes: what `class_keys` tells apart, for people.
        together: whether the examples of a group come one after another in an epoch of training batches,
            since their variants are drawn together.
    """

    answers = 0
    asks = True
    together = False
    labels_from = 0
    classes = "examples"

    def __init__(
        self,
        *,
        name: str,
        seq_len: int,
        vocab_size: int,
        num_identifiers: int = 1,
        num_labels: int = 0,
        layout: tuple[int, int] | None = None,
        bag: int = 1,
    ) -> None:
        if not isinstance(name, str) or not name or "/" in name or "\0" in name:
            raise ValueError(f"name is {shown(name)}; allowed: a text without '/'")
        self.name = name
        self.seq_len = number("seq_len", seq_len, 1)
        self.vocab_size = number("vocab_size", vocab_size, 2)
        self.num_identifiers = number("num_identifiers", num_identifiers, 0)
        self.num_labels = number("num_labels", num_labels, 0)
        self.bag = number("bag", bag, 1)
        if seq_len % bag or (bag > 1 and not num_labels):
            raise ValueError(f"bag is {bag}; allowed: 1, or with num_labels a divisor of seq_len={seq_len}")
        self.layout = (1, self.positions) if layout is None else layout
        if self.layout[0] * self.layout[1] != self.positions:
            raise ValueError(f"layout is {layout}; allowed: rows and columns with {self.positions} positions")

    @property
    def learns(self) -> bool:
        """Whether its questions are answered by examples that are shown before them."""
        return self.answers > 0

    @property
    def positions(self) -> int:
        """Positions of an example, t."""
        return self.seq_len // self.bag

    @property
    def label_len(self) -> int:
        """Labels of an example, l."""
        return 1 if self.num_labels else self.seq_len

    @abstractmethod
    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of texts.

        Args:
            questions: ``n`` texts.
            answers: as many; None leaves the labels 0.

        Raises:
            ValueError: a text is not one of this task; a `PuzzleError` says which.
        """

    @abstractmethod
    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of the tokens of a question, ``(s,)``; tokens of any value must have one."""

    def decode_answer(self, labels: np.ndarray) -> str:
        """Return the text of the labels of an example, ``(l,)``, or of as many predicted ones."""
        return str(int(labels[0])) if self.num_labels else self.decode(labels)

    def asked(self, inputs: np.ndarray) -> np.ndarray:
        """Return which labels questions ask for, as far as they tell: tokens ``(n, s)`` to ``(n, l)`` bool.

        By default it is those of all tokens that are no padding, or the one label. How sure a model is of an
        answer is how sure it is of these (``sure=confidence``).
        """
        return np.ones((len(inputs), 1), bool) if self.num_labels else inputs > 0

    def pairs(self, questions: Sequence[str], answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of what an episode shows, questions and their answers: ``(n, s)`` each.

        Raises:
            ValueError: a text is not one of this task; a `PuzzleError` says which.
        """
        examples = self.encode(questions, answers)
        return examples.inputs, examples.labels

    def pair(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what shows questions with their answers, a token for each of both: as ``inputs``.

        With v the vocabulary and a answers, a pair is v + a question + answer, the answer counted from 0. A
        question whose label is no answer stays as it is.
        """
        answers = labels.astype(np.int64) - (self.vocab_size - self.answers)
        codes = self.vocab_size + self.answers * inputs.astype(np.int64) + answers
        return narrow("pairs", np.where(answers >= 0, codes, inputs))

    def unpaired(self, pairs: np.ndarray) -> np.ndarray:
        """Return the labels that `pair` joined with questions; where it left a question as it is, that."""
        answers = (pairs.astype(np.int64) - self.vocab_size) % max(1, self.answers)
        labels = answers + (self.vocab_size - self.answers)
        return narrow("labels", np.where(pairs >= self.vocab_size, labels, pairs))

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        """Read the examples of a file, in its order.

        Args:
            path: the file.
            solve: whether answers that it lacks are found by search, or their labels left 0.

        Raises:
            ValueError: the task reads no files, or the file cannot be read or holds something else; the
                message names the file.
        """
        raise ValueError(f"{path}: {self.name} reads no files; define {type(self).__name__}.read")

    def write(self, path: Path, examples: Examples) -> None:
        """Write a file that `read` reads back as the same set.

        Raises:
            ValueError: the task writes no files.
            OSError: the file cannot be written.
        """
        raise ValueError(f"{path}: {self.name} writes no files; define {type(self).__name__}.write")

    def render(self, tokens: np.ndarray) -> str:
        """Return a question, or labels of as many tokens, drawn for people, in one or several lines."""
        return self.decode(tokens)

    def exhibit(self, parts: Sequence[Examples], source: str | None = None) -> tuple[str, str | None]:
        """Return some examples drawn for people: for a terminal, and as SVG if there is such a picture.

        Args:
            parts: the parts of a set, the training examples first where there are any.
            source: which examples (`Examples.sources`); None: those of the first.

        Raises:
            ValueError: no example has this source.
        """
        found = [(part, row) for part in parts for row in range(len(part))
                 if source is None or str(part.sources[row]) == source][:1]  # fmt: skip
        if not found:
            raise ValueError(f"show is {source!r}; allowed: a source of one of the examples")
        part, row = found[0]
        question, answer = self.render(part.inputs[row]).splitlines(), part.labels[row]
        answered = self.decode_answer(answer) if self.num_labels else self.render(answer)
        width = max(map(len, question))
        lines = zip_longest(question, answered.splitlines(), fillvalue="")
        return "\n".join(["an example and its answer:", *(f"  {a:<{width}}    {b}" for a, b in lines)]), None

    def describe(self, examples: Examples) -> str:
        """Return one line on the examples of a set, for `python -m memhrm.data inspect`."""
        if examples.mask is None:
            return quantiles("different tokens", np.array([len(np.unique(row)) for row in examples.inputs]))
        return quantiles("tokens", examples.mask.sum(axis=1))

    def checked(self, name: str, values: Any, low: int = 0) -> np.ndarray:
        """Return inputs ``(n, s)`` or labels ``(n, l)`` of this task, from an array or lists.

        Args:
            name: ``inputs``, or what the labels are called in messages.
            values: whole numbers.
            low: the least that is allowed.

        Raises:
            ValueError: another shape or type, or a number out of range.
        """
        values = integers(name, values, 2)
        one = self.num_labels and name != "inputs"
        width, most = (1, self.num_labels) if one else (self.seq_len, self.vocab_size - 1)
        if values.shape[1] != width:
            raise ValueError(f"{name} have shape {values.shape}; {self.name} has {width} columns")
        return in_range(name, values, low, most)

    def checked_pair(self, inputs: Any, labels: Any, low: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return questions and as many answers, as `checked` does; `low` is for the answers."""
        inputs, labels = self.checked("inputs", inputs), self.checked("labels", labels, low)
        if len(inputs) != len(labels):
            raise ValueError(f"there are {len(labels)} answers; allowed: as many as questions, {len(inputs)}")
        return inputs, labels

    def require(self, examples: Examples) -> Examples:
        """Return examples if their tokens, labels and identifiers are of this task.

        Raises:
            ValueError: another shape, or a number out of range.
        """
        limits = (
            (examples.inputs, (self.seq_len,), self.vocab_size),
            (examples.labels, (self.label_len,), self.num_labels + 1 if self.num_labels else self.vocab_size),
            (examples.identifiers, (), self.num_identifiers or MOST_IDENTIFIER),
        )
        for values, shape, count in limits:  # Every batch comes by here: what fits is seen at once.
            if values.shape[1:] != shape or (values.size and not 0 <= values.min() <= values.max() < count):
                self.checked_pair(examples.inputs, examples.labels, 0)
                most = self.num_identifiers - 1 if self.num_identifiers else MOST_IDENTIFIER
                in_range("identifiers", examples.identifiers, 0, most)
        return examples

    def score(self, inputs: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Return scores of each prediction, float64 arrays ``(n,)`` between 0 and 1.

        ``accuracy`` is the share of the labels that are right, ``exact_accuracy`` is 1 for an exact answer
        (`memhrm.data.score`).

        Args:
            inputs: tokens ``(n, s)``.
            labels: ``(n, l)``; 0 and negative numbers are no labels.
            predictions: ``(n, l)``.

        Raises:
            ValueError: they are no arrays of whole numbers of these shapes.
        """
        shapes = {
            name: integers(name, values, 2).shape
            for name, values in (("inputs", inputs), ("labels", labels), ("predictions", predictions))
        }
        rows, columns = shapes["inputs"]
        if not shapes["labels"] == shapes["predictions"] == (rows, 1 if self.num_labels else columns):
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"shapes differ: {found}; allowed: a prediction for each label")
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        found = score(labels > 0, predictions, labels)
        return {
            "exact_accuracy": found.exact.astype(np.float64),
            "accuracy": found.right / np.maximum(found.total, 1),
        }

    def report(self, labels: np.ndarray, predictions: np.ndarray, confidence: np.ndarray) -> dict[str, Any]:
        """Return what is to be said of all answers to a test together, beside the means of their scores.

        It is asked where there is one label an example.

        Args:
            labels: the right labels, ``(n,)``; 0 where there is none.
            predictions: ``(n,)``.
            confidence: the probability that the model gives each prediction, ``(n,)``.
        """
        return {}

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Check that every answer of ``labels`` ``(n, l)`` solves its question of ``inputs`` ``(n, s)``.

        Raises:
            ValueError: one does not; a `PuzzleError` says which.
        """
        self.checked_pair(inputs, labels)

    def check_questions(self, inputs: np.ndarray) -> None:
        """Check that questions ``(n, s)`` are well formed, whether or not they can be solved.

        Raises:
            ValueError: one is not; a `PuzzleError` says which.
        """
        self.checked("inputs", inputs)

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return the answers to questions ``(n, s)``, found by search: ``(n, l)``.

        Raises:
            ValueError: the task has no search; or a question has no answer, or where only one is right,
                several; a `PuzzleError` says which.
        """
        raise ValueError(f"{self.name} finds no answers by search; give examples with their answers")

    def verdict(self, inputs: np.ndarray, answers: np.ndarray) -> Verdict | None:
        """Return what can be said of answers ``(n, l)``, of any tokens, without knowing the right ones.

        None where nothing can.

        Raises:
            ValueError: they are no arrays of whole numbers of these shapes.
        """
        return None

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return a random variant of each example; of its inputs, labels, mask and identifier any may change.

        A variant of an example is as likely as any other.
        """
        return examples

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hashable key ``(n,)`` of each example that all its variants share.

        Sets whose keys are disjoint are disjoint up to symmetry.
        """
        most = max(self.vocab_size - 1, self.num_labels)
        return row_keys(np.concatenate([inputs, labels], axis=1), most)

    def identities(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hash of each example, ``(n,)`` uint64, by which trained examples are told from new ones.

        All variants of an example have the same hash, and different examples practically never do, even
        where they share an answer.

        Args:
            inputs: tokens ``(n, s)``.
            labels: ``(n, l)``.

        Raises:
            ValueError: wrong shapes or tokens.
        """
        return hashes(self.class_keys(*self.checked_pair(inputs, labels, 0)))

    def trained_identities(self, examples: Examples) -> np.ndarray:
        """Return the identities by which a run remembers examples that it was trained on, ``(n,)`` uint64."""
        return self.identities(examples.inputs, examples.labels)

    def were_used(self, examples: Examples, identities: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Return which test examples a run has used, ``(n,)`` bool.

        Args:
            examples: the test examples.
            identities: theirs (`identities`), ``(n,)``.
            used: those that the run remembers, uint64.
        """
        return np.isin(identities, used)
