"""How episodes are made of examples; here each example stands alone, `relabelled.py` makes longer ones.

n examples.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from memhrm.data.episodes.episodes import Course, Episodes, alone, usual_course
from memhrm.data.examples import Examples
from memhrm.data.task import Task


class EpisodeMaker(ABC):
    """What makes episodes of examples.

    Attributes:
        task: the task of the examples.
        augment: whether episodes hold random symmetry images of the examples.
        seed: seed of the test episodes.
        lengths: examples of a training episode; several lengths each have an equal part of the training.
        test_length: examples of a test episode.
        depths: H-cycles, or supervision steps, with which a trained model answers the test as well.
        in_step: whether the rows of a batch go through their episodes in step, every example taking the same
            number of supervision steps. Otherwise a row takes the next example when it has halted.
    """

    lengths: tuple[int, ...] = (1,)
    test_length: int = 1
    depths: tuple[int, ...] = ()
    in_step: bool = False

    def __init__(self, task: Task, *, augment: bool, seed: int) -> None:
        self.task, self.augment, self.seed = task, augment, seed

    @abstractmethod
    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes of examples that are drawn with replacement.

        Args:
            examples: what is drawn from.
            count: the number of episodes.
            length: the number of examples of each.
            rng: what draws.
            test: whether the episodes are for testing.
        """

    def stage(self, examples: Examples, count: int, number: int, rng: np.random.Generator) -> Episodes:
        """Return random training episodes of a stage, the part of the training with one of the `lengths`.

        Args:
            examples: what is drawn from.
            count: the number of episodes.
            number: the number of the stage, from 0.
            rng: what draws.
        """
        return self.draw(examples, count, self.lengths[number], rng)

    def cycles(self, number: int) -> int | None:
        """Return the H-cycles of a question in a stage of the training; None: as many as the model has."""
        return None

    def course(self, length: int) -> Course:
        """Return what is done with each example of an episode of this length."""
        return usual_course(length)

    @abstractmethod
    def count(self, test: Examples) -> int:
        """Return how many test episodes the test examples give."""

    @abstractmethod
    def make(self, examples: Examples, count: int) -> Episodes:
        """Return ``count`` test episodes of the examples, always the same ones."""

    @abstractmethod
    def sample(self, examples: Examples, count: int) -> Episodes:
        """Return test episodes that hold up to ``count`` training examples, rounded up to whole episodes."""

    @abstractmethod
    def parts(self, test: Examples, size: int) -> tuple[Episodes, Episodes]:
        """Return ``size`` test episodes for validation, and the others, where validation chooses nothing."""

    @abstractmethod
    def pools(self, test: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which test examples choose a checkpoint, and which are scored.

        Args:
            test: the test examples, n.
            size: the number of test episodes that choose.

        Returns:
            Two arrays of indices that have no group of examples in common.
        """

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return further test sets by name, which differ in one property of their episodes; none here."""
        return {}

    def figures(self, scores: Mapping[str, Any], cells: int) -> dict[str, Any]:
        """Return what else the scores on test episodes come to (`memhrm.evaluation.evaluate`); nothing here.

        Args:
            scores: the scores.
            cells: the cells of the model's memory; 0: it has none.
        """
        return {}

    def describe(self, test: Examples) -> list[str]:
        """Return sentences about the test episodes; none where each example stands alone."""
        return []


class Alone(EpisodeMaker):
    """Each example is an episode of length one."""

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return ``count`` random examples as episodes; their length is one."""
        assert length == 1
        return alone(examples.select(rng.integers(len(examples), size=count)))

    def count(self, test: Examples) -> int:
        """Return the number of test examples."""
        return len(test)

    def make(self, examples: Examples, count: int) -> Episodes:
        """Return each example as an episode."""
        return alone(examples)

    def sample(self, examples: Examples, count: int) -> Episodes:
        """Return up to ``count`` examples, evenly spaced because files may be sorted by difficulty."""
        count = min(count, len(examples))
        return alone(examples.select(np.arange(count) * len(examples) // count))

    def parts(self, test: Examples, size: int) -> tuple[Episodes, Episodes]:
        """Return the last ``size`` examples, rounded to whole groups, and the others."""
        choosing, scored = self.pools(test, size)
        return alone(test.select(choosing)), alone(test.select(scored))

    def pools(self, test: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last ``size`` examples, rounded to whole groups, and the others.

        Where some have no labels, as texts out of scope, at most half of the others choose.
        """
        known = np.isin(test.groups, test.groups[(test.labels > 0).any(axis=1)])
        rows = np.flatnonzero(known if known.any() else ~known)[::-1]
        chosen = np.zeros(len(test), bool)
        chosen[rows] = test.select(rows).part(size if len(rows) == len(test) else min(size, len(rows) // 2))
        return np.flatnonzero(chosen), np.flatnonzero(~chosen)
