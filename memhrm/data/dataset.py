"""A data set: a task with its training and test puzzles, and what is drawn from them."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memhrm.data.checks import number
from memhrm.data.episodes.episodes import Episodes, Relabelled
from memhrm.data.episodes.settings import EpisodeSettings
from memhrm.data.examples import Examples
from memhrm.data.task import Task


@dataclass(frozen=True)
class Dataset:
    """A task with its training and test puzzles; of a set with episodes, those that episodes are made of."""

    name: str
    task: Task
    train: Examples
    test: Examples
    augment: bool  # whether training batches hold random symmetry images
    episodes: EpisodeSettings | None = None
    seed: int = 0

    def held_out(self) -> Examples | Episodes:
        """Return what a result stands on: the test puzzles, or the test episodes made of them."""
        if self.episodes is None:
            return self.test
        return self.drawn(self.test, self.episodes.test_episodes, 0xE5)

    def held_out_count(self) -> int:
        """How many puzzles, or episodes, `held_out` has."""
        return len(self.test) if self.episodes is None else self.episodes.test_episodes

    def seen(self, count: int) -> Examples | Episodes:
        """Return up to `count` training puzzles, evenly spaced because files may be sorted by difficulty.

        With episodes, return enough episodes of test length to contain `count` puzzles, rounded up.

        Raises:
            ValueError: `count` is no number from 1, or there are no training puzzles.
        """
        count = number("count", count, 1)
        if not len(self.train):
            raise ValueError(f"{self.name} was loaded without training puzzles")
        if self.episodes is None:
            count = min(count, len(self.train))
            return self.train.select(np.arange(count) * len(self.train) // count)
        return self.drawn(self.train, -(-count // self.episodes.test_length), 0x5EE)

    @cached_property
    def test_identities(self) -> np.ndarray:
        """The identity of each test puzzle, `Task.identities`, (n,) uint64; worked out once."""
        return self.task.identities(self.test.inputs, self.test.labels)

    def relabelled(self) -> Relabelled:
        """Return how the answers of episodes are relabelled.

        Raises:
            ValueError: the set has no episodes.
        """
        if self.episodes is None:
            raise ValueError(f"{self.name} has no episodes: data.kind is neither recall nor episodes")
        return Relabelled(self.task, self.episodes.plan())

    def digest(self) -> str:
        """Return a SHA-256 of the questions and answers, in their order, as 64 hexadecimal digits.

        It is a matter of the puzzles alone: not of the file's name, place, format, sources or ratings, nor of
        how tokens are stored.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            for tokens in (part.inputs, part.labels):
                digest.update(b"%d x %d;" % tokens.shape)
                for start in range(0, len(tokens), 65536):
                    digest.update(tokens[start : start + 65536].astype("<i4").tobytes())
        return digest.hexdigest()

    def drawn(self, puzzles: Examples, count: int, key: int) -> Episodes:
        """Return random test episodes of these puzzles, and the best that can be done in them.

        key: of the stream of random numbers, beside the set's seed.
        """
        assert self.episodes is not None
        length = self.episodes.test_length
        rng = np.random.default_rng((self.seed, key))
        relabelled = self.relabelled()
        episodes = relabelled.draw(puzzles, count, length, rng, augment=self.augment, test=True)
        return replace(episodes, best=relabelled.optimum(puzzles, length))
