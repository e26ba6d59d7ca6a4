"""Random trials within bounds: what they found, and the chance of finding more."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np

from memhrm.data.examples import Examples

ENOUGH = 300  # trials before the chance of success is estimated
HOPELESS = 1e-5  # the chance per trial below which the search is given up: one success would take hours


class Draw(Protocol):
    """A source of random puzzles: of ``count`` trials, those within the bounds."""

    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples:
        """Return the puzzles of ``count`` trials that are within the bounds."""
        ...


class Trials(ABC):
    """A `Draw` that keeps statistics of all its trials, within the bounds or not."""

    @abstractmethod
    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples:
        """Return the puzzles of ``count`` trials that are within the bounds."""

    @abstractmethod
    def chance(self) -> float:
        """Return an estimate of the chance that a trial is within the bounds, biased upwards."""

    @abstractmethod
    def found(self) -> str:
        """Return, for messages, what came closest to each bound that trials rarely meet."""


class Counting:
    """A progress callback that also shows the number of trials.

    Args:
        show: called with the number of puzzles found, the number wanted and the number of trials.

    Attributes:
        tries: the number of trials, to be set before each call.
    """

    tries = 0

    def __init__(self, show: Callable[[int, int, int], None]) -> None:
        self.show = show

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` puzzles are found."""
        self.show(done, total, self.tries)


class Reach:
    """Mean, spread and extremes of a quantity over all trials.

    Attributes:
        count: number of values.
        total: their sum.
        squares: the sum of their squares.
        least: the smallest value; infinity before the first.
        most: the largest value; minus infinity before the first.
    """

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0
        self.least, self.most = math.inf, -math.inf

    def add(self, values: np.ndarray) -> None:
        """Add the values of some trials, an array of any shape."""
        if not values.size:
            return
        values = values.astype(np.float64)
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.least, self.most = min(self.least, values.min()), max(self.most, values.max())

    def chance_below(self, bound: float, spread: float = 1.0) -> float:
        """Return the chance of a value of at most ``bound``, from the tail of a normal distribution.

        Args:
            bound: an inclusive upper bound on integers.
            spread: factor on the standard deviation, for heavier tails.

        Returns:
            The chance; 1 if a value within the bound has been seen, or none at all.
        """
        return self._tail(bound + 0.5 - self.mean, spread) if self.count and self.least > bound else 1.0

    def chance_above(self, bound: float, spread: float = 1.0) -> float:
        """Return the chance of a value of at least ``bound``; see `chance_below`."""
        return self._tail(self.mean - bound + 0.5, spread) if self.count and self.most < bound else 1.0

    @property
    def mean(self) -> float:
        """The mean of all values."""
        return self.total / self.count

    def _tail(self, distance: float, spread: float) -> float:
        variance = max(self.squares / self.count - self.mean**2, 1e-12)
        return 0.5 * math.erfc(-distance / (spread * math.sqrt(2 * variance)))
