"""The settings of episodes with several contexts."""

from dataclasses import dataclass
from math import factorial
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import advise, require
from memhrm.data.collect import Progress
from memhrm.data.episodes.choices import leaves_both
from memhrm.data.episodes.contexts import ContextPlan, Contexts
from memhrm.data.episodes.cued import MOST_SYMBOLS, Cued, cued_strings
from memhrm.data.episodes.recall import DIGITS
from memhrm.data.episodes.visits import Order
from memhrm.data.examples import Examples
from memhrm.data.settings import DrawnSettings
from memhrm.data.task import Task

MOST_CUES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ContextSettings(DrawnSettings):
    """Strings of digits behind cues, in episodes with several contexts (`memhrm.data.episodes.contexts`).

    Attributes:
        alphabet: digits there are.
        length: digits of a string.
        covers: whether every string holds every digit: then one feedback shows all of a rule.
        cue_symbols: symbols of which cues are made.
        cue_length: symbols of a cue.
        held_out_cues: as in `ContextPlan`.
        held_out_rules: likewise.
        contexts: contexts of a training episode; several: each for an equal part of the training, in this
            order.
        visits: as in `ContextPlan`, like the order, `revises` and `asks`.
        revises_from: as in `Contexts`.
        test_contexts: contexts of a test episode.
        curve: contexts of the episodes of further tests, of about as many puzzles each.
    """

    FILE: ClassVar[str] = "data/contexts"

    has_addresses: ClassVar[bool] = True

    alphabet: int
    length: int
    covers: bool
    cue_symbols: int
    cue_length: Literal[1, 2, 3]
    held_out_cues: float
    held_out_rules: float
    contexts: tuple[int, ...]
    visits: int
    order: Order
    test_order: Order
    revises: bool
    revises_from: int
    asks: Literal["known", "all"]
    test_contexts: int
    curve: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(2 <= self.alphabet <= len(DIGITS), "data.alphabet", self.alphabet, f"2 to {len(DIGITS)}")
        least = self.alphabet if self.covers else 1
        covering = f", to hold each of {least} digits" if self.covers else ""
        require(least <= self.length <= 12, "data.length", self.length, f"{least} to 12{covering}")
        require(self.visits >= 2, "data.visits", self.visits, "numbers from 2")
        for name, counts in (("contexts", self.contexts), ("curve", self.curve)):
            require((len(counts) > 0 or name == "curve") and min(counts, default=1) > 0, f"data.{name}",
                    list(counts), "a list of numbers from 1")  # fmt: skip
        require(len(set(self.curve)) == len(self.curve), "data.curve", list(self.curve), "each number once")
        require(self.test_contexts > 0, "data.test_contexts", self.test_contexts, "numbers from 1")
        most = len(self.contexts) - 1 if self.revises else 0
        allowed = f"0 to {most}, the last of data.contexts" if self.revises else "0 without data.revises=true"
        require(0 <= self.revises_from <= most, "data.revises_from", self.revises_from, allowed)
        self._check_held_out()
        advise(self.augment, "data.augment changes nothing: relabelling is the symmetry of contexts")

    def _check_held_out(self) -> None:
        rules, share = factorial(self.alphabet), self.held_out_rules
        allowed = f"0, or a share that leaves at least 2 of {rules} rules to training, and 2 to the test"
        require(share == 0 or leaves_both(rules, share), "data.held_out_rules", share, allowed)
        cues = self.cue_symbols**self.cue_length
        most = int(MOST_CUES ** (1 / self.cue_length) + 1e-9)
        allowed = f"1 to {min(most, MOST_SYMBOLS)}, with data.cue_length={self.cue_length}"
        require(
            1 <= self.cue_symbols <= min(most, MOST_SYMBOLS), "data.cue_symbols", self.cue_symbols, allowed
        )
        share = self.held_out_cues
        require(share == 0 or self.cue_length > 1, "data.held_out_cues", share,
                "0 with data.cue_length=1: of a symbol that training lacks nothing is known")  # fmt: skip
        held_out = round(share * cues)
        require(
            share == 0 or 0 < held_out < cues, "data.held_out_cues", share, f"0, or a share of {cues} cues"
        )
        for name, counts, there in (("contexts", self.contexts, cues - held_out),
                                    ("test_contexts", (self.test_contexts,), held_out or cues),
                                    ("curve", self.curve, held_out or cues)):  # fmt: skip
            given = getattr(self, name)
            require(max(counts, default=0) <= there, f"data.{name}",
                    list(given) if isinstance(given, tuple) else given,
                    f"numbers up to {there}, the cues there are; more with data.cue_symbols or "
                    "data.cue_length")  # fmt: skip

    @property
    def stages(self) -> int:
        """Return the number of parts of the training."""
        return len(self.contexts)

    def task(self) -> Cued:
        """Return the task of the set."""
        return Cued(
            digits=self.alphabet,
            length=self.length,
            symbols=self.cue_symbols,
            cue_length=self.cue_length,
        )

    def maker(self, task: Task) -> Contexts:
        """Return what draws episodes with several contexts."""
        assert isinstance(task, Cued)
        return Contexts(
            task,
            ContextPlan(
                visits=self.visits,
                order=self.order,
                test_order=self.test_order,
                revises=self.revises,
                asks=self.asks,
                held_out_rules=self.held_out_rules,
                held_out_cues=self.held_out_cues,
            ),
            contexts=self.contexts,
            test_contexts=self.test_contexts,
            test_episodes=self.test_episodes,
            curve=self.curve,
            revises_from=self.revises_from,
            seed=self.seed,
        )

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return ``count`` puzzles in random order, no two of the same digits; None for all."""
        return cued_strings(self.task(), count, self.covers, rng, progress)

    def generated_by(self) -> dict[str, Any]:
        """Leave out what makes episodes of the puzzles."""
        strings = ("alphabet", "length", "covers", "cue_symbols", "cue_length")
        own = set(ContextSettings.__annotations__) - set(strings)
        return {name: value for name, value in super().generated_by().items() if name not in own}
