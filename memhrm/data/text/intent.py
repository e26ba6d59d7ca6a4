"""Classification of texts: one label an example, out of a list of categories.

n examples, t positions, g tokens of a position; s = t g tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config.settings import advise
from memhrm.data.checks import PuzzleError
from memhrm.data.episodes.maker import Alone
from memhrm.data.examples import Examples, examples_of, quantiles
from memhrm.data.keys import row_keys
from memhrm.data.task import Task
from memhrm.data.text.files import read_labelled
from memhrm.data.text.scores import classified
from memhrm.data.text.tokens import Tokens


class Intent(Task):
    """Tell the category of a text.

    The source of an example is its text, since hashes cannot be read back.

    Args:
        tokens: what makes tokens of texts.
        categories: the names of the categories, in the order of their labels.
        dropout: share of the positions, and of the tokens of each, that a variant leaves out.
    """

    classes = "texts"

    def __init__(self, tokens: Tokens, categories: Sequence[str], *, dropout: float = 0.0) -> None:
        super().__init__(
            name="intent",
            seq_len=tokens.length * tokens.bag,
            vocab_size=tokens.vocab_size,
            num_labels=len(categories),
            bag=tokens.bag,
        )
        self.tokens, self.categories, self.dropout = tokens, tuple(categories), dropout
        self._labels = {name: number for number, name in enumerate(categories, start=1)}

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of texts, with the labels of their categories."""
        for row, text in enumerate(questions):
            if not text.strip():
                raise PuzzleError(row, "text is empty")
        tokens, longer = self.tokens.encode(questions)
        cut = f"{longer.sum():,} of {len(longer):,} texts are longer than data.length={self.tokens.length}"
        advise(bool(longer.any()), f"{cut}: what is beyond is not read")
        labels = np.zeros((len(questions), 1), np.int32)
        for row, answer in enumerate(answers or ()):
            if not answer:
                continue
            if answer not in self._labels:
                raise PuzzleError(row, f"category is {answer!r}, which no training text has")
            labels[row] = self._labels[answer]
        return examples_of(tokens, labels, sources=questions, mask=self._present(tokens))

    def _present(self, tokens: np.ndarray) -> np.ndarray:
        return np.any(tokens.reshape(len(tokens), self.positions, self.bag) > 0, axis=2)

    def decode(self, tokens: np.ndarray) -> str:
        """Return how many positions there are: hashes cannot be read back."""
        return f"({int(self._present(np.asarray(tokens).reshape(1, -1)).sum())} positions)"

    def decode_answer(self, labels: np.ndarray) -> str:
        """Return the name of a category; nothing where there is no label."""
        label = int(labels[0])
        return self.categories[label - 1] if 1 <= label <= len(self.categories) else ""

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        """Read a CSV file with the columns text and category.

        Without ``solve`` the column category may lack, and what is none of the task's categories is no label.
        """
        found = read_labelled(path, required=solve)
        texts = [one.text for one in found]
        categories = [one.category if solve or one.category in self._labels else "" for one in found]
        try:
            return self.encode(texts, categories)
        except PuzzleError as error:
            raise ValueError(f"{path}:{found[error.row].line}: {error}") from None

    def exhibit(self, parts: Sequence[Examples], source: str | None = None) -> tuple[str, str | None]:
        """Return the first text, with its category."""
        first = parts[0]
        return (
            f"a text and its category:\n  {first.sources[0]}\n  {self.decode_answer(first.labels[0])}",
            None,
        )

    def describe(self, examples: Examples) -> str:
        """Return how long the texts are, and how skewed the categories."""
        assert examples.mask is not None
        counts = np.bincount(examples.labels[:, 0], minlength=len(self.categories) + 1)[1:]
        return (
            f"{quantiles('positions', examples.mask.sum(axis=1))}; {quantiles('texts of a category', counts)}"
        )

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return each text without some of its positions, and each of these without some of its tokens."""
        if not self.dropout:
            return examples
        n, t = len(examples), self.positions
        assert examples.mask is not None
        kept = examples.mask & (rng.random((n, t)) >= self.dropout)
        kept |= examples.mask & ~kept.any(axis=1, keepdims=True)  # A text without any says nothing.
        bags = np.where(rng.random((n, t, self.bag), np.float32) >= self.dropout, 1, 0)
        bags[:, :, 0] |= ~bags.any(axis=2)
        tokens = examples.inputs.reshape(n, t, self.bag) * bags * kept[:, :, None]
        return examples.having(inputs=tokens.reshape(n, -1).astype(np.int32), mask=kept)

    def report(self, labels: np.ndarray, predictions: np.ndarray, confidence: np.ndarray) -> dict[str, Any]:
        """Return the scores of a classifier (`memhrm.data.text.scores.classified`)."""
        return classified(labels, predictions, confidence, self.categories)

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each text, by its tokens."""
        return row_keys(inputs, self.vocab_size)


class Texts(Alone):
    """Each text stands alone; those that choose a checkpoint are drawn, as files may be sorted."""

    def pools(self, test: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``size`` random texts, and the others; of those out of scope as `Alone` does."""
        order = np.random.default_rng((self.seed, 0x5A)).permutation(len(test))
        choosing, scored = super().pools(test.select(order), size)
        return np.sort(order[choosing]), np.sort(order[scored])
