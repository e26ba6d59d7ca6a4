"""A data set: a task with its training and test examples, and the episodes that are made of them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memhrm.data.checks import MOST, number
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.data.examples import Examples
from memhrm.data.task import Task


@dataclass(frozen=True)
class Dataset:
    """A task with its examples.

    Attributes:
        name: name of the set.
        task: task of every example.
        train, test: training and test examples.
        episodes: what makes episodes of them.
    """

    name: str
    task: Task
    train: Examples
    test: Examples
    episodes: EpisodeMaker

    def held_out(self) -> Episodes:
        """Return the test episodes."""
        return self.episodes.make(self.test, self.held_out_count())

    def held_out_count(self) -> int:
        """Return the number of test episodes."""
        return self.episodes.count(self.test)

    def seen(self, count: int) -> Episodes:
        """Return test episodes that hold up to ``count`` training examples, rounded up to whole episodes.

        Raises:
            ValueError: ``count`` is no number from 1, or there are no training examples.
        """
        count = number("count", count, 1)
        if not len(self.train):
            raise ValueError(f"{self.name} was loaded without training puzzles")
        return self.episodes.sample(self.train, count)

    @cached_property
    def test_identities(self) -> np.ndarray:
        """Return the identity of each test example (`Task.identities`), (n,) uint64."""
        return self.task.identities(self.test.inputs, self.test.labels)

    def test_used(self, used: np.ndarray) -> np.ndarray:
        """Return which test examples a run has used that remembers these identities, (n,) bool."""
        return self.task.were_used(self.test, self.test_identities, used)

    def digest(self) -> str:
        """Return a SHA-256 of the examples in their order, as 64 hexadecimal digits.

        Inputs and labels count, and identifiers, masks and what is told where there are any; not the name,
        place or format of a file, nor sources, ratings, or how tokens are stored.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            arrays = [part.inputs, part.labels]
            arrays += [] if part.mask is None else [part.mask]
            arrays += [part.identifiers[:, None]] if part.identifiers.any() else []
            arrays += [] if part.told is None else [part.told[:, None]]
            for array in arrays:
                digest.update(b"%d x %d;" % array.shape)
                wide = "<i8" if array.size and array.max() > MOST else "<i4"
                for start in range(0, len(array), 65536):
                    digest.update(array[start : start + 65536].astype(wide).tobytes())
        return digest.hexdigest()
