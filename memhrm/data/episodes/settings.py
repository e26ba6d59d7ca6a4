"""The settings of sets whose puzzles come in episodes."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from math import factorial
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import advise, require
from memhrm.data.collect import Progress
from memhrm.data.episodes.choices import leaves_both
from memhrm.data.episodes.recall import DIGITS, Recall, strings
from memhrm.data.episodes.relabelled import Plan, Relabelled
from memhrm.data.episodes.rules import FAMILIES, MOST_DIGITS
from memhrm.data.examples import Examples
from memhrm.data.settings import DataSettings, DrawnSettings, field_names
from memhrm.data.sudoku.settings import SudokuSettings
from memhrm.data.sudoku.task import Sudoku
from memhrm.data.task import Task


@dataclass(frozen=True, kw_only=True)
class EpisodeSettings(DrawnSettings):
    """A set whose puzzles come in episodes, under a secret relabelling (`memhrm.data.episodes.episodes`).

    Attributes:
        lengths: puzzles of a training episode; several: each for an equal part of the training, in this
            order.
        test_length: puzzles of a test episode.
        rules: any permutation of the digits, or a list of families.
        shows: as in `Plan`, like all that follow.
    """

    FILE: ClassVar[str] = "data/_episodes"

    lengths: tuple[int, ...]
    test_length: int
    rules: Literal["any"] | tuple[str, ...]
    shows: Literal["all", "first", "part"]
    reveal: int
    revises: bool
    favour: float
    held_out_rules: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.favour <= 1, "data.favour", self.favour, "0 to 1")
        self._check_held_out()
        require(len(self.lengths) > 0 and min(self.lengths) > 0, "data.lengths", list(self.lengths),
                "a list of numbers from 1")  # fmt: skip
        require(self.test_length > 0, "data.test_length", self.test_length, "numbers from 1")
        if self.rules != "any":
            known = len(self.rules) > 0 and set(self.rules) <= set(FAMILIES)
            require(known and len(set(self.rules)) == len(self.rules), "data.rules", list(self.rules),
                    f"any, or a list of some of {', '.join(FAMILIES)}")  # fmt: skip
        require(
            1 <= self.reveal <= self.digits, "data.reveal", self.reveal, f"numbers from 1 to {self.digits}"
        )
        shortest = min(*self.lengths, self.test_length)
        require(not self.revises or shortest > 1, "data.revises", self.revises,
                "false, with episodes of one puzzle")  # fmt: skip
        useless = self.reveal != 1 and self.shows != "part"
        advise(useless, f"data.reveal={self.reveal} changes nothing with data.shows={self.shows}")

    def _check_held_out(self) -> None:
        rules, share = factorial(self.digits), self.held_out_rules
        some = leaves_both(rules, share) and self.rules == "any"
        allowed = f"0, or with data.rules=any a share that leaves at least 2 of {rules} rules to each side"
        require(share == 0 or some, "data.held_out_rules", share, allowed)

    @property
    @abstractmethod
    def digits(self) -> int:
        """The number of digits that are relabelled."""

    @property
    def stages(self) -> int:
        """Return the number of parts of the training."""
        return len(self.lengths)

    def maker(self, task: Task) -> Relabelled:
        """Return what draws episodes under a secret relabelling."""
        return Relabelled(
            task,
            self.plan(),
            lengths=self.lengths,
            test_length=self.test_length,
            test_episodes=self.test_episodes,
            augment=self.augment,
            seed=self.seed,
        )

    def generated_by(self) -> dict[str, Any]:
        """Leave out what makes episodes of the puzzles."""
        own = field_names(EpisodeSettings) - field_names(DataSettings)
        return {name: value for name, value in super().generated_by().items() if name not in own}

    def plan(self) -> Plan:
        """Return what the episodes are made of."""
        families = () if self.rules == "any" else self.rules
        return Plan(digits=self.digits, families=families, shows=self.shows, reveal=self.reveal,
                    revises=self.revises, favour=self.favour, held_out_rules=self.held_out_rules)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecallSettings(EpisodeSettings):
    """Strings of `length` digits out of the first `alphabet` ones."""

    FILE: ClassVar[str] = "data/recall"

    alphabet: int
    length: int

    def __post_init__(self) -> None:
        require(2 <= self.alphabet <= len(DIGITS), "data.alphabet", self.alphabet, f"2 to {len(DIGITS)}")
        require(1 <= self.length <= 12, "data.length", self.length, "1 to 12")
        super().__post_init__()
        advise(self.augment, "data.augment changes nothing: relabelling is the symmetry of recall")

    @property
    def digits(self) -> int:
        """Return the number of digits that are relabelled."""
        return self.alphabet

    def task(self) -> Task:
        """Return the task of the set."""
        task = Recall(digits=self.alphabet, length=self.length)
        task.answers = self.digits
        return task

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return ``count`` puzzles in random order, no two symmetric; None for all that can be listed."""
        return strings(Recall(digits=self.alphabet, length=self.length), count, rng)


@dataclass(frozen=True, kw_only=True)
class RelabelledSudokuSettings(EpisodeSettings, SudokuSettings):
    """Sudokus whose solution is relabelled; `hints` as in `Plan`."""

    FILE: ClassVar[str] = "data/episodes"

    hints: float

    def __post_init__(self) -> None:
        require(self.side <= MOST_DIGITS, "data.side", self.side, f"4, 6, with kind={self.kind}")
        super().__post_init__()
        require(self.hints <= 1, "data.hints", self.hints, "0 to 1")
        few = self.path is None and self.side > 4 and self.max_clues is not None and self.max_clues < 9
        require(not few, "data.max_clues", self.max_clues, f"null, or 9 and above, with side={self.side}")

    def plan(self) -> Plan:
        """Return what the episodes are made of."""
        return replace(super().plan(), hints=self.hints)

    def generated_by(self) -> dict[str, Any]:
        """Return the settings that change what is generated."""
        return {name: value for name, value in super().generated_by().items() if name != "hints"}

    @property
    def digits(self) -> int:
        """Return the number of digits that are relabelled."""
        return self.side

    def task(self) -> Sudoku:
        """Return the task of the set."""
        task = super().task()
        task.answers = self.digits
        return task
