"""The settings of generated rules."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memhrm.config.settings import advise, require
from memhrm.data.arc.ruled import ArcRules, Ruled, made_of
from memhrm.data.arc.rules import KINDS, Rule, rules_of
from memhrm.data.arc.tasks import COLOURS, MOST_SIDE
from memhrm.data.examples import Examples
from memhrm.data.settings import DrawnSettings
from memhrm.data.task import Task


@dataclass(frozen=True, kw_only=True)
class ArcRulesSettings(DrawnSettings):
    """Rules on grids of `side` x `side` cells.

    Attributes:
        side: cells of a row.
        colours: colours beside the background.
        shift: the farthest that a grid is shifted, along either axis.
        kinds: the kinds of rules that are trained; with a plus compositions of two, as turns+gravity.
        shares: how often each of them is drawn in training, against the others; null: all alike.
        held_out_kinds: the kinds of which no rule is trained.
        held_out_rules: share of the rules of each trained kind that is held out.
        demonstrations: those of an episode.
        questions: that follow them.
    """

    FILE: ClassVar[str] = "data/arc_rules"

    side: int
    colours: int
    shift: int
    kinds: tuple[str, ...]
    shares: tuple[float, ...] | None
    held_out_kinds: tuple[str, ...]
    held_out_rules: float
    demonstrations: int
    questions: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(4 <= self.side <= MOST_SIDE, "data.side", self.side, f"4 to {MOST_SIDE}")
        require(
            2 <= self.colours <= 5, "data.colours", self.colours, f"2 to 5 of the {COLOURS - 1} there are"
        )
        farthest = self.side - 1
        require(1 <= self.shift <= farthest, "data.shift", self.shift, f"1 to {farthest}, below data.side")
        require(len(self.kinds) > 0, "data.kinds", [], "at least one kind")
        for name in ("kinds", "held_out_kinds"):
            for kind in getattr(self, name):
                parts = kind.split("+")
                fits = len(parts) <= 2 and set(parts) <= set(KINDS)
                require(fits, f"data.{name}", kind, f"{', '.join(KINDS)}, or two of them, as turns+gravity")
        every = (*self.kinds, *self.held_out_kinds)
        require(len(set(every)) == len(every), "data.held_out_kinds", list(self.held_out_kinds),
                "different kinds, none of data.kinds")  # fmt: skip
        if self.shares is not None:
            fits = len(self.shares) == len(self.kinds) and all(0 < one < math.inf for one in self.shares)
            allowed = f"null, or {len(self.kinds)} numbers above 0, one for each of data.kinds"
            require(fits, "data.shares", list(self.shares), allowed)
        require(0 <= self.held_out_rules < 1, "data.held_out_rules", self.held_out_rules, "0 to below 1")
        some = self.held_out_rules > 0 or self.held_out_kinds
        require(bool(some), "data.held_out_rules", self.held_out_rules,
                "above 0 without data.held_out_kinds, as nothing would be left to test on")  # fmt: skip
        for name in ("demonstrations", "questions"):
            require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "numbers from 1")
        for name in ("train_size", "test_size"):
            require(getattr(self, name) is None, f"data.{name}", getattr(self, name),
                    "null; data.held_out_rules says what is trained")  # fmt: skip
        require(self.holdout == 0, "data.holdout", self.holdout, "0")
        advise(self.augment, "data.augment changes nothing: a rule has no variants")

    @property
    def shifts(self) -> bool:
        """Whether a rule of any kind shifts."""
        return any("shifts" in kind.split("+") for kind in (*self.kinds, *self.held_out_kinds))

    def _parts(self) -> tuple[list[Rule], np.ndarray]:
        """Return all rules that differ, and which are trained; one of several kinds counts for the first."""
        listed = list(self._rules())
        _, outputs = made_of([rule for rule, _ in listed], self.side, self.colours)
        _, first = np.unique(outputs.reshape(len(listed), -1), axis=0, return_index=True)
        kept = np.sort(first)
        return [listed[number][0] for number in kept], np.array([listed[number][1] for number in kept])

    def _rules(self) -> Iterator[tuple[Rule, bool]]:
        rng = np.random.default_rng((self.seed, 0xA2C))
        for kind in self.kinds:
            rules = rules_of(kind, self.colours, self.shift)
            out = set(rng.permutation(len(rules))[: round(self.held_out_rules * len(rules))].tolist())
            yield from ((rule, number not in out) for number, rule in enumerate(rules))
        for kind in self.held_out_kinds:
            yield from ((rule, False) for rule in rules_of(kind, self.colours, self.shift))

    def task(self) -> ArcRules:
        """Return the task of the set."""
        return ArcRules(self._parts()[0], side=self.side, colours=self.colours)

    def maker(self, task: Task) -> Ruled:
        """Return what draws episodes of the rules."""
        assert isinstance(task, ArcRules)
        return Ruled(
            task,
            demonstrations=self.demonstrations,
            questions=self.questions,
            seen=np.flatnonzero(self._parts()[1]),
            shares=None if self.shares is None else dict(zip(self.kinds, self.shares)),
            test_episodes=self.test_episodes,
            seed=self.seed,
        )

    def split(self) -> tuple[Examples, Examples]:
        """Return the rules that are trained, and those that are held out."""
        trained = self._parts()[1]
        task = self.task()
        return task.shown(np.flatnonzero(trained)), task.shown(np.flatnonzero(~trained))
