"""Test episodes that are drawn at random, always the same ones.

n examples.
"""

from abc import abstractmethod

import numpy as np

from memhrm.data.episodes.episodes import Episodes
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.data.examples import Examples
from memhrm.data.task import Task


class Drawn(EpisodeMaker):
    """Episodes whose test is drawn as their training is; a subclass says how, by `draw`.

    Attributes:
        test_episodes: how many test episodes there are.
    """

    in_step = True

    def __init__(
        self,
        task: Task,
        *,
        lengths: tuple[int, ...],
        test_length: int,
        test_episodes: int,
        augment: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(task, augment=augment, seed=seed)
        self.lengths, self.test_length, self.test_episodes = lengths, test_length, test_episodes

    @abstractmethod
    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes; those of a test with the best possible accuracy in them."""

    def count(self, test: Examples) -> int:
        """Return the number of test episodes, whatever the number of examples is."""
        return self.test_episodes

    def make(self, examples: Examples, count: int) -> Episodes:
        """Return random test episodes, always the same ones, with the best possible accuracy in them."""
        return self._test(examples, count, 0xE5)

    def sample(self, examples: Examples, count: int) -> Episodes:
        """Return test episodes that hold ``count`` training examples, rounded up."""
        return self._test(examples, -(-count // self.test_length), 0x5EE)

    def _test(self, examples: Examples, count: int, key: int) -> Episodes:
        rng = np.random.default_rng((self.seed, key))
        return self.draw(examples, count, self.test_length, rng, test=True)

    def parts(self, test: Examples, size: int) -> tuple[Episodes, Episodes]:
        """Return the last ``size`` of the test episodes, and the others."""
        episodes, count = self.make(test, self.test_episodes), self.test_episodes - size
        return episodes.select(slice(count, None)), episodes.select(slice(count))

    def pools(self, test: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a random share of the test examples, as large as that of ``size`` episodes, and the rest.

        Raises:
            ValueError: there is one test example only.
        """
        total = len(test)
        if total < 2:
            raise ValueError(f"validation_size is {size}; allowed: 0, since there is one test example only")
        count = min(max(round(total * (size / self.test_episodes)), 1), total - 1)
        chosen = test.part(count, np.random.default_rng((self.seed, 0x5A)))
        return np.flatnonzero(chosen), np.flatnonzero(~chosen)
