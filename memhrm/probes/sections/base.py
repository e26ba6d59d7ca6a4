"""What the sections of a report share: a run while it is looked at, and what was found of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from memhrm.probes.page import Section
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.settings import ProbeSettings
from memhrm.probes.subject import Subject

Numbers = dict[str, Any]
"""What a section found of one run: numbers, texts, arrays, and mappings and lists of these."""


@dataclass
class Looking:
    """A run while it is looked at, with what several sections need of it.

    metrics: the lines that its training logged.
    """

    subject: Subject
    how: ProbeSettings
    metrics: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def near(self) -> Rollout:
        """All puzzles, to the training depth."""
        return rollout(self.subject, self.trained)

    @cached_property
    def far(self) -> Rollout:
        """The first `few_puzzles`, to `depth` times the training depth."""
        return rollout(self.few(self.how.few_puzzles), self.trained * self.how.depth)

    def few(self, puzzles: int) -> Subject:
        """The first puzzles."""
        return self.subject.select(slice(puzzles))

    @cached_property
    def examples(self) -> dict[str, int]:
        """A puzzle that is solved at the training depth, the one that takes longest, and one that is not."""
        exact = self.near.exact
        first, solved = exact.argmax(axis=0), exact[-1]
        found = {"solved": int(np.where(solved, first, -1).argmax())} if solved.any() else {}
        return found | ({"failed": int(solved.argmin())} if not solved.all() else {})

    @property
    def trained(self) -> int:
        return self.subject.halt_max_steps

    @property
    def position(self) -> int | None:
        """Of a run on episodes, which puzzle of each is looked at, counted from 1."""
        episodes = self.subject.episodes
        return None if episodes is None else int(self.subject.numbered()[0]) % episodes.length + 1

    @property
    def cells(self) -> int:
        return self.subject.model.H_module.cells

    @property
    def remembers(self) -> bool:
        """Whether there is a memory."""
        return bool(self.subject.model.H_module.starts())


@dataclass(frozen=True)
class Seen:
    """One run of a report. index: its place, which gives its colour and marker. label: its name, unlike the
    others'. numbers: by section."""

    index: int
    label: str
    looking: Looking
    numbers: dict[str, Numbers]


@dataclass(frozen=True)
class Topic:
    """One section of the report.

    look: what it finds of a run, None where it has no meaning. show: the section, from the runs of which
    something was found. say: sentences for the summary, which go on from the run's name.
    """

    name: str
    look: Callable[[Looking], Numbers | None]
    show: Callable[[list[Seen]], Section]
    say: Callable[[Seen], list[str]] = lambda _seen: []


def depth_of(runs: list[Seen]) -> int | None:
    """The training depth, where all runs have the same."""
    depths = {run.looking.trained for run in runs}
    return depths.pop() if len(depths) == 1 else None


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None or not np.isfinite(value) else f"{100 * value:.{digits}f} %"


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays and numbers of nested mappings by path, for an .npz."""
    found: dict[str, np.ndarray] = {}
    for name, value in numbers.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}/")
        elif isinstance(value, np.ndarray | np.generic | int | float) or (
            isinstance(value, list) and value and all(isinstance(v, int | float | np.generic) for v in value)
        ):
            found[path] = np.asarray(value)
    return found


def small(value: Any, most: int = 256) -> Any:
    """The same as plain data for JSON, without the arrays of more than `most` numbers; nan becomes null."""
    if isinstance(value, Mapping):
        parts = {str(name): small(one, most) for name, one in value.items()}
        return {name: one for name, one in parts.items() if one is not _LEFT_OUT}
    if isinstance(value, np.ndarray):
        return _LEFT_OUT if value.size > most else small(value.tolist(), most)
    if isinstance(value, list | tuple):
        return [one for one in (small(one, most) for one in value) if one is not _LEFT_OUT]
    if isinstance(value, np.generic):
        return small(value.item(), most)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


_LEFT_OUT = object()
