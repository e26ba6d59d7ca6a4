"""The settings of ARC."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import advise, require
from memhrm.data.arc.episodes import Demonstrations, Pairs
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import MOST_SIDE, ArcTask, read_tasks, write_tasks
from memhrm.data.arc.variants import VARIANTS, draw, published
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.data.examples import Examples
from memhrm.data.settings import DataSettings, Part
from memhrm.data.task import Task


@dataclass(frozen=True, kw_only=True)
class ArcSettings(DataSettings):
    """Tasks of ARC; trained are all demonstrations, and the tests of the sets that are not held out.

    Attributes:
        canvas: side of the canvas; tasks with a larger grid are left out.
        sets: the sets of tasks; null: all that are in the files.
        test_sets: those whose tests are held out.
        variants: the most variants of a task beside the task itself.
        draw: own: the variants of a task depend on it and on `seed`; published: they are those of the
            builders of HRM and TRM, of one stream for all tasks.
        translate: whether training pairs lie at a random place of the canvas.
        protocol: transductive: every variant of a task has an identifier, and all demonstrations are trained;
            strict: there are no identifiers, nothing of the held-out sets is trained, and the demonstrations
            of a task are told in episodes (`memhrm.data.arc.episodes`).
        demonstrations: those of an episode, with protocol=strict.
    """

    FILE: ClassVar[str] = "data/arc"

    own_file: ClassVar[str | None] = "arc.json"

    written_by: ClassVar[tuple[str, ...]] = ("path", "sets")

    canvas: int
    sets: tuple[str, ...] | None
    test_sets: tuple[str, ...]
    variants: int
    draw: Literal["own", "published"]
    translate: bool
    protocol: Literal["transductive", "strict"]
    demonstrations: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.canvas <= MOST_SIDE, "data.canvas", self.canvas, f"numbers from 1 to {MOST_SIDE}")
        most = f"numbers up to {VARIANTS - 1:,}, all but the task itself"
        require(self.variants < VARIANTS, "data.variants", self.variants, most)
        for name in ("sets", "test_sets"):
            given = getattr(self, name)
            fits = given is None or (len(given) > 0 and len(set(given)) == len(given) and "" not in given)
            require(fits, f"data.{name}", given, "a list of different names of sets")
        allowed = "0; data.test_sets says which tests are held out"
        require(self.holdout == 0, "data.holdout", self.holdout, allowed)
        allowed = "null; data.sets says what is trained"
        require(self.train_size is None, "data.train_size", self.train_size, allowed)
        require(1 <= self.demonstrations <= 10, "data.demonstrations", self.demonstrations, "1 to 10")
        advise(self.variants == 0 and self.augment and not self.translate,
               "data.augment changes nothing with data.variants=0 and data.translate=false")  # fmt: skip

    @property
    def in_episodes(self) -> bool:
        """Return whether the protocol is strict."""
        return self.strict

    @property
    def held_out(self) -> int | None:
        """Return None: the files tell it."""
        return None

    @property
    def strict(self) -> bool:
        """Return whether the protocol is strict."""
        return self.protocol == "strict"

    def task(self) -> Arc:
        """Return the task of the set."""
        return Arc(canvas=self.canvas, translate=self.translate, identified=not self.strict)

    def maker(self, task: Task) -> EpisodeMaker:
        """Return what makes episodes of the pairs: each stands alone, or comes behind demonstrations."""
        assert isinstance(task, Arc)
        if not self.strict:
            return Pairs(task, augment=self.augment, seed=self.seed)
        return Demonstrations(task, demonstrations=self.demonstrations, augment=self.augment, seed=self.seed)

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return what is trained, or what is held out, of the tasks in a file or a folder.

        Raises:
            ValueError: there are none that fit the canvas, or a file holds something else.
        """
        assert isinstance(task, Arc)
        tasks = self.tasks(task, place)
        if part == "test":
            tests = [one for one in tasks if one.set in self.test_sets]
            return task.require(task.examples(tests, demonstrations=self.strict, tests=True))
        trained = [one for one in tasks if one.set not in self.test_sets]
        if not self.strict:
            trained += [replace(one, tests=()) for one in tasks if one.set in self.test_sets]
        return task.require(task.examples([known(one) for one in trained], demonstrations=True, tests=True))

    def elsewhere(self) -> dict[str, Any]:
        """Return the settings of tasks in another place: all its sets are read.

        Held out are the test sets that are there; where none is, all that there are.
        """
        there = {one.set for one in read_tasks(self._place())} - {""}
        held_out = [name for name in self.test_sets if name in there] or sorted(there) or self.test_sets
        return {"sets": None, "test_sets": tuple(held_out)}

    def _place(self) -> Path:
        return Path(str(self.path)).expanduser()

    def write(self, path: Path) -> str:
        """Write the tasks of the sets, of any size, as one file."""
        allowed = "the folder, or the file, of ARC's tasks, as path=FOLDER"
        require(self.path is not None, "path", None, allowed)
        tasks = read_tasks(self._place(), self.sets)
        write_tasks(path, tasks)
        return f"{len(tasks):,} tasks: {counts(tasks, tasks)}"

    def tasks(self, task: Arc, place: Path) -> list[ArcTask]:
        """Return the tasks of a file or a folder that fit the canvas; `task` knows their variants then."""
        given = list(self.test_sets)
        known = self.sets is None or set(given) <= set(self.sets)
        require(known, "data.test_sets", given, f"sets out of data.sets={self.sets}")
        found = [self._named(one) for one in read_tasks(place, self.sets)]
        fit = [one for one in found if one.side() <= self.canvas]
        task.fitting_tasks = counts(found, fit)
        asked = [one for one in found if one.set in self.test_sets]
        task.too_large = [one for one in asked if one.side() > self.canvas]
        held_out = [one for one in fit if one.set in self.test_sets]
        there = sorted({one.set for one in found})
        twice = [name for name, count in Counter(one.id for one in asked).items() if count > 1]
        require(not twice, "data.test_sets", given, f"sets of which no two have a task {twice[:1]}")
        allowed = f"sets with tasks that fit data.canvas={self.canvas}; {place} has {', '.join(there)}"
        require(len(held_out) > 0, "data.test_sets", given, allowed)
        task.demonstrations |= {one.key: len(one.demonstrations) for one in fit}
        if any(one.key not in task.variants for one in fit):
            task.variants |= self._variants(found, fit)
        return fit

    def _named(self, task: ArcTask) -> ArcTask:
        """Return a task with a set; one of a file that names none is held out."""
        return task if task.set else replace(task, set=self.test_sets[0])

    def _variants(self, found: Sequence[ArcTask], fit: Sequence[ArcTask]) -> dict[int, np.ndarray]:
        if self.draw == "own":
            return {one.key: draw(one, self.variants, self.seed) for one in fit}
        order = self.sets or sorted({one.set for one in found})
        return published([[one for one in found if one.set == name] for name in order], self.variants)

    def split(self) -> tuple[Examples, Examples] | None:
        """Refuse to make tasks: ARC's are in files."""
        raise ValueError(f"data.path is null; allowed: the folder, or the file, of the tasks of {self.name}")


def known(task: ArcTask) -> ArcTask:
    """Return a task with those of its tests whose outputs are known."""
    return replace(task, tests=tuple(pair for pair in task.tests if pair.output is not None))


def counts(found: Sequence[ArcTask], fit: Sequence[ArcTask]) -> str:
    """Say how many of the tasks of each set fit."""
    totals, left = (Counter(one.set for one in tasks) for tasks in (found, fit))
    return ", ".join(
        f"{name} {total:,}" if left[name] == total else f"{name} {left[name]:,} of {total:,}"
        for name, total in sorted(totals.items())
    )
