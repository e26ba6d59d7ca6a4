"""One run of a report: what is measured of it is computed once, and shared by the sections."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject
from memhrm.report.settings import ReportSettings


@dataclass
class ProbedRun:
    """A run being probed.

    Attributes:
        index: its place in the report, which sets its colour and marker.
        label: its unique name.
        subject: its model and puzzles.
        settings: how much is measured.
        metrics: the lines that its training logged.
        numbers: what was found, by section.
    """

    index: int
    label: str
    subject: Subject
    settings: ReportSettings
    metrics: list[dict[str, Any]]
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def near(self) -> Rollout:
        """Roll out all puzzles to the training depth."""
        return rollout(self.subject, self.depth)

    @cached_property
    def far(self) -> Rollout:
        """Roll out some puzzles, `few_puzzles` of them, to `settings.depth` times the training depth."""
        return rollout(self.few(), self.depth * self.settings.depth)

    def few(self, most: int | None = None) -> Subject:
        """Return some puzzles: `most` of them, or `few_puzzles` if that is less or nothing is given."""
        few = self.settings.few_puzzles
        return self.subject.select(self.subject.spread(few if most is None else min(most, few)))

    @cached_property
    def near_few(self) -> Rollout:
        """Return what `near` has of the puzzles of `few`."""
        return self.near.select(self.subject.spread(self.settings.few_puzzles))

    @cached_property
    def examples(self) -> dict[str, int]:
        """Return the row of the solved puzzle that takes longest, and of one that is not solved."""
        exact = self.near.exact
        first, solved = exact.argmax(axis=0), exact[-1]
        found = {"solved": int(np.where(solved, first, -1).argmax())} if solved.any() else {}
        return found | ({"failed": int(solved.argmin())} if not solved.all() else {})

    @property
    def depth(self) -> int:
        """Return the supervision steps of training."""
        return self.subject.halt_max_steps

    @property
    def position(self) -> int | None:
        """Return which puzzle of each episode is probed, counted from 1; None for puzzles on their own."""
        episodes = self.subject.episodes
        if episodes is None or episodes.length == 1:
            return None
        return int(self.subject.numbered()[0]) % episodes.length + 1

    def number(self, row: int) -> int:
        """Return the number of a puzzle, or of its episode, among those of the evaluation, from 1."""
        episodes = self.subject.episodes
        return int(self.subject.numbered()[row]) // (1 if episodes is None else episodes.length) + 1

    @property
    def cells(self) -> int:
        """Return the number of memory cells; 0 for a memory without."""
        return self.subject.model.H_module.cells

    @property
    def remembers(self) -> bool:
        """Return whether the model has a memory that it writes."""
        return self.subject.model.H_module.writes


def shared_depth(runs: list[ProbedRun]) -> int | None:
    """Return the training depth if all runs have the same one."""
    depths = {run.depth for run in runs}
    return depths.pop() if len(depths) == 1 else None
