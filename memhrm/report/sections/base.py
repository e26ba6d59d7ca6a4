"""What the sections of a report share: a run being probed, and what was found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.settings import ProbeSettings
from memhrm.probes.subject import Subject
from memhrm.report.page import Section

Numbers = dict[str, Any]
"""What a section found for one run: numbers, texts, arrays, and mappings and lists of these."""


@dataclass
class Looking:
    """A run being probed, with what several sections need.

    metrics: the lines that its training logged.
    """

    subject: Subject
    how: ProbeSettings
    metrics: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def near(self) -> Rollout:
        """Roll out all puzzles to the training depth."""
        return rollout(self.subject, self.trained)

    @cached_property
    def far(self) -> Rollout:
        """Roll out the first `few_puzzles` to `depth` times the training depth."""
        return rollout(self.few(self.how.few_puzzles), self.trained * self.how.depth)

    def few(self, puzzles: int) -> Subject:
        """Return the first puzzles."""
        return self.subject.select(slice(puzzles))

    @cached_property
    def examples(self) -> dict[str, int]:
        """Return the row of the solved puzzle that takes longest, and of one that is not solved."""
        exact = self.near.exact
        first, solved = exact.argmax(axis=0), exact[-1]
        found = {"solved": int(np.where(solved, first, -1).argmax())} if solved.any() else {}
        return found | ({"failed": int(solved.argmin())} if not solved.all() else {})

    @property
    def trained(self) -> int:
        return self.subject.halt_max_steps

    @property
    def position(self) -> int | None:
        """Return which puzzle of each episode is probed, counted from 1; None for puzzles on their own."""
        episodes = self.subject.episodes
        return (
            None
            if episodes is None or episodes.length == 1
            else int(self.subject.numbered()[0]) % episodes.length + 1
        )

    @property
    def cells(self) -> int:
        return self.subject.model.H_module.cells

    @property
    def remembers(self) -> bool:
        """Return whether the model has a memory."""
        return bool(self.subject.model.H_module.starts())


@dataclass(frozen=True)
class Seen:
    """One run of a report. index: its place, which sets its colour and marker. label: its unique name.
    numbers: what was found, by section."""

    index: int
    label: str
    looking: Looking
    numbers: dict[str, Numbers]


@dataclass(frozen=True)
class Topic:
    """One section of the report.

    look: compute the numbers of a run; None if the section does not apply. show: make the section from the
    runs with numbers. say: make sentences on a run for the summary.
    """

    name: str
    look: Callable[[Looking], Numbers | None]
    show: Callable[[list[Seen]], Section]
    say: Callable[[Seen], list[str]] = lambda _seen: []


def depth_of(runs: list[Seen]) -> int | None:
    """Return the training depth if all runs share one."""
    depths = {run.looking.trained for run in runs}
    return depths.pop() if len(depths) == 1 else None


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, in the singular or the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None or not np.isfinite(value) else f"{100 * value:.{digits}f} %"


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays and numbers of nested mappings by path, for an .npz."""
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
    """Return plain data for JSON, without arrays of more than `most` numbers; nan becomes null."""
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
