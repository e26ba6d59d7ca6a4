"""Random trials within bounds: what they found, and whether there is a chance of more."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np

from memhrm.data.examples import Examples

ENOUGH = 300  # trials after which a chance is estimated
HOPELESS = 1e-5  # chance of one trial, below which the search is given up: a find in hours


class Draw(Protocol):
    """Up to ``count`` random puzzles, those of so many trials that are within the bounds."""

    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples: ...


class Trials(ABC):
    """A `Draw` that keeps count of what its trials were like, within the bounds or not."""

    @abstractmethod
    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples:
        """Return the puzzles of ``count`` trials that are within the bounds."""

    @abstractmethod
    def chance(self) -> float:
        """Return an estimate of the chance that one trial is within the bounds, rather too high."""

    @abstractmethod
    def found(self) -> str:
        """Return what came nearest to each bound that is seldom kept, for messages."""


class Counting:
    """A progress that is told the number of trials, too, before each call."""

    tries = 0

    def __init__(self, show: Callable[[int, int, int], None]) -> None:
        self.show = show

    def __call__(self, done: int, total: int) -> None:
        self.show(done, total, self.tries)


class Reach:
    """Mean, spread and extremes of a quantity over all trials."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0
        self.least, self.most = math.inf, -math.inf

    def add(self, values: np.ndarray) -> None:
        """Count the values of some trials."""
        if not values.size:
            return
        values = values.astype(np.float64)
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.least, self.most = min(self.least, values.min()), max(self.most, values.max())

    def chance_below(self, bound: float, spread: float = 1.0) -> float:
        """Return the chance of a value up to ``bound``, by a normal tail.

        spread: by how much the standard deviation is widened, for tails that are heavier.
        """
        return self._tail(bound + 0.5 - self.mean, spread) if self.count and self.least > bound else 1.0

    def chance_above(self, bound: float, spread: float = 1.0) -> float:
        """Return the chance of a value from ``bound`` on, as `chance_below`."""
        return self._tail(self.mean - bound + 0.5, spread) if self.count and self.most < bound else 1.0

    @property
    def mean(self) -> float:
        """The mean of all values."""
        return self.total / self.count

    def _tail(self, distance: float, spread: float) -> float:
        variance = max(self.squares / self.count - self.mean**2, 1e-12)
        return 0.5 * math.erfc(-distance / (spread * math.sqrt(2 * variance)))
