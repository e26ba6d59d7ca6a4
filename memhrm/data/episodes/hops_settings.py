"""The settings of sets of functions that are told and asked about."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import MOST_STEPS, advise, require
from memhrm.data.collect import Progress
from memhrm.data.episodes.facts import Facts
from memhrm.data.episodes.hops import SYMBOLS, Hops, functions
from memhrm.data.episodes.told import Told
from memhrm.data.examples import Examples
from memhrm.data.settings import DrawnSettings
from memhrm.data.task import Task

MOST_HOPS = 64


@dataclass(frozen=True, kw_only=True)
class HopsSettings(DrawnSettings):
    """Functions of `symbols` symbols; `train_size` and `test_size` are numbers of functions.

    Attributes:
        symbols: the number of symbols.
        tells: as in `Facts`, like all that follow.
        hops: the most hops of a question; several: each for an equal part of the training, in this order.
    """

    FILE: ClassVar[str] = "data/hops"

    symbols: int
    tells: Literal["pieces", "once"]
    questions: int
    hops: tuple[int, ...]
    cycles: tuple[int, ...] | None
    test_hops: int
    test_depths: tuple[int, ...]
    early: bool
    early_hops: int | None
    changes: bool
    changes_from: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(5 <= self.symbols <= len(SYMBOLS), "data.symbols", self.symbols, f"5 to {len(SYMBOLS)}")
        fits = len(self.hops) > 0 and 1 <= min(self.hops) <= max(self.hops) <= MOST_HOPS
        require(fits, "data.hops", list(self.hops), f"a list of numbers from 1 to {MOST_HOPS}")
        require(1 <= self.test_hops <= MOST_HOPS, "data.test_hops", self.test_hops, f"1 to {MOST_HOPS}")
        fits = self.cycles is None or (len(self.cycles) == len(self.hops) and min(self.cycles) >= 1)
        given = None if self.cycles is None else list(self.cycles)
        require(fits, "data.cycles", given, "null, or a number from 1 for each of data.hops")
        fits = len(set(self.test_depths)) == len(self.test_depths) and all(
            1 <= depth <= MOST_STEPS for depth in self.test_depths
        )
        allowed = f"a list of different numbers from 1 to {MOST_STEPS}; [] for none"
        require(fits, "data.test_depths", list(self.test_depths), allowed)
        least = 1 + self.changes
        allowed = f"numbers from {least}{' with data.changes=true' if self.changes else ''}"
        require(self.questions >= least, "data.questions", self.questions, allowed)
        few = self.early_hops
        fits = few is None or 1 <= few <= MOST_HOPS
        require(fits, "data.early_hops", few, f"null, or 1 to {MOST_HOPS}")
        most = len(self.hops) - 1
        allowed = f"0 to {most}, the last of data.hops" if self.changes else "0 without data.changes=true"
        fits = 0 <= self.changes_from <= (most if self.changes else 0)
        require(fits, "data.changes_from", self.changes_from, allowed)
        advise(self.augment, "data.augment changes nothing: a function has no variants")

    @property
    def stages(self) -> int:
        """Return the number of parts of the training."""
        return len(self.hops)

    def task(self) -> Hops:
        """Return the task of the set."""
        return Hops(symbols=self.symbols, hops=max(*self.hops, self.test_hops))

    def maker(self, task: Task) -> Told:
        """Return what draws episodes about the functions."""
        assert isinstance(task, Hops)
        facts = Facts(
            tells=self.tells,
            questions=self.questions,
            hops=self.hops,
            test_hops=self.test_hops,
            cycles=self.cycles,
            test_depths=self.test_depths,
            early=self.early,
            early_hops=self.early_hops,
            changes=self.changes,
            changes_from=self.changes_from,
        )
        return Told(task, facts, test_episodes=self.test_episodes, seed=self.seed)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return ``count`` functions in random order; None for all."""
        return functions(self.task(), count, rng)

    def generated_by(self) -> dict[str, Any]:
        """Leave out what makes episodes of the functions; the hops count, on which the tokens depend."""
        own = (
            "tells",
            "questions",
            "cycles",
            "test_depths",
            "early",
            "early_hops",
            "changes",
            "changes_from",
            "test_episodes",
        )
        return {name: value for name, value in super().generated_by().items() if name not in own}
