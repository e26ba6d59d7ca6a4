"""Sets of puzzles as token arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memhrm.data.checks import MOST, in_range, integers, narrow, shown


@dataclass(frozen=True)
class Examples:
    """``n`` original puzzles of ``t`` tokens each, before any augmentation.

    Tokens are stored as uint8 where all of them fit and as int32 otherwise; batches are int32 always.

    Raises:
        ValueError: a field is no array of its shape, or holds something else than whole numbers.
    """

    inputs: np.ndarray  # (n, t) whole numbers
    labels: np.ndarray  # (n, t) whole numbers, 0 where a position has no label
    identifiers: np.ndarray  # (n,) int32
    ratings: np.ndarray  # (n,) int32, difficulty; -1 where unknown
    sources: np.ndarray  # (n,) str objects, where each puzzle comes from

    def __post_init__(self) -> None:
        for name, dimensions in (("inputs", 2), ("labels", 2), ("identifiers", 1), ("ratings", 1)):
            values = getattr(self, name)
            if not isinstance(values, np.ndarray):
                raise ValueError(f"{name} is {shown(values)}; allowed: an array of whole numbers")
            integers(name, values, dimensions)
            in_range(name, values, -MOST if name == "ratings" else 0, MOST)
        if self.labels.shape != self.inputs.shape:
            raise ValueError(f"labels have shape {self.labels.shape}; the inputs have {self.inputs.shape}")
        for name in ("identifiers", "ratings", "sources"):
            shape = np.shape(getattr(self, name))
            if shape != self.inputs.shape[:1]:
                raise ValueError(f"{name} have shape {shape}; there are {len(self.inputs)} puzzles")

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, rows: np.ndarray | slice) -> "Examples":
        """Return the puzzles at ``rows`` (indices, a boolean mask or a slice), in that order."""
        return Examples(
            self.inputs[rows],
            self.labels[rows],
            self.identifiers[rows],
            self.ratings[rows],
            self.sources[rows],
        )

    def without(self, rows: np.ndarray) -> "Examples":
        """Return the puzzles at which the boolean mask ``rows`` ``(n,)`` is False."""
        return self.select(~np.asarray(rows, bool))


def examples_of(
    inputs: np.ndarray, labels: np.ndarray, ratings: np.ndarray, sources: Sequence[str] | np.ndarray
) -> Examples:
    """Return a set whose puzzles all carry identifier 0, as in sudoku and maze sets.

    Args:
        inputs, labels: tokens ``(n, t)`` of any integer type.
        ratings: ``(n,)``, -1 where unknown.
        sources: ``(n,)``.

    Raises:
        ValueError: wrong shapes or types, or a number that int32 cannot hold.
    """
    inputs, labels = integers("inputs", inputs, 2), integers("labels", labels, 2)
    rated = np.asarray(ratings) if isinstance(ratings, Sequence | np.ndarray) else ratings
    if isinstance(rated, np.ndarray) and rated.dtype.kind == "f" and (np.abs(rated) <= MOST).all():
        rated = rated.astype(np.int64) if (rated == np.trunc(rated)).all() else rated
    ratings = in_range("ratings", integers("ratings", rated, 1), -MOST, MOST)
    if not isinstance(sources, Sequence | np.ndarray) or isinstance(sources, str | bytes):
        raise ValueError(f"sources is {shown(sources)}; allowed: one text for each puzzle")
    return Examples(
        narrow("inputs", inputs),
        narrow("labels", labels),
        np.zeros(len(inputs), np.int32),
        ratings.astype(np.int32),
        np.array(sources, dtype=object),
    )


def no_examples(length: int) -> Examples:
    """Return a set without puzzles, for puzzles of ``length`` tokens."""
    nothing = np.zeros((0, length), np.uint8)
    return examples_of(nothing, nothing, np.zeros(0, np.int32), [])
