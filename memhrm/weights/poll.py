"""What a vote on all tasks that are held out comes to: scores, and a submission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memhrm.data.arc.tasks import ArcTask
from memhrm.data.arc.votes import Voted, controls, pass_rates, place_of, submission
from memhrm.system.files import to_json, write_text


class HeldOut(NamedTuple):
    """A task of the test sets.

    Attributes:
        task: the task.
        scored: of each of its tests whether it is scored; else the run has used it, or the task does not fit.
        fits: whether the task fits the canvas.
    """

    task: ArcTask
    scored: tuple[bool, ...]
    fits: bool = True

    def asked(self) -> ArcTask:
        """Return the task with the tests that are scored."""
        return replace(self.task, tests=tuple(compress(self.task.tests, self.scored)))


@dataclass(frozen=True)
class Poll:
    """The votes on all test tasks.

    Attributes:
        tasks: the tasks.
        voted: of each task that was put to the vote, with the tests that are scored.
    """

    tasks: Sequence[HeldOut]
    voted: Sequence[Voted]

    @property
    def unknown(self) -> list[ArcTask]:
        """Return the tasks of which the run knows no variant; they count as not solved."""
        voted = {one.task.id for one in self.voted}
        return [one.asked() for one in self.tasks if any(one.scored) and one.task.id not in voted]

    @property
    def tests(self) -> int:
        """Return the number of all tests."""
        return sum(len(one.scored) for one in self.tasks)

    @property
    def left_out(self) -> int:
        """Return the number of those that are not scored, as the run has used them."""
        return sum(one.scored.count(False) for one in self.tasks if one.fits)

    @property
    def too_large(self) -> int:
        """Return the number of tasks that do not fit the canvas; they are not scored either."""
        return sum(not one.fits for one in self.tasks)

    def scores(self) -> dict[str, Any]:
        """Return the pass rates over all tasks whose outputs are known, those of the controls, and counts.

        Where no output is known there are counts alone.
        """
        places: dict[str, list[int | None]] = {
            one.task.id: [
                None if pair.output is None else place_of(found, pair.output)
                for pair, found in zip(one.task.tests, one.candidates)
            ]
            for one in self.voted
            if _solved(one.task)
        }
        unknown = self.unknown
        places |= {task.id: [None] * len(task.tests) for task in unknown if _solved(task)}
        known = [task for task in (*(one.task for one in self.voted), *unknown) if _solved(task)]
        counts = {
            "tasks": len(known),
            "tests": sum(map(len, places.values())),
            "unknown": len(unknown),
            "left_out": self.left_out,
            "too_large": self.too_large,
            "all_tasks": len(self.tasks),
            "all_tests": self.tests,
        }
        return {**pass_rates(places), **controls(known), **counts}

    def about(self) -> str:
        """Say how many tasks there are, how many variants of each voted, and what is left out."""
        counts, unknown = [one.variants for one in self.voted], len(self.unknown)
        text = f"{len(counts):,} tasks, {min(counts):,} to {max(counts):,} variants of each voted"
        text += f"; {unknown:,} more are unknown to the run" if unknown else ""
        text += f"; {self.too_large:,} more are too large for the canvas" if self.too_large else ""
        if not self.left_out:
            return text
        whole = len(self.tasks) - len(counts) - unknown - self.too_large
        return (
            f"{text}; left out {self.left_out:,} of {self.tests:,} tests, and with them {whole:,} of "
            f"{len(self.tasks):,} tasks: the run was trained on them, or they chose its best checkpoint"
        )

    def tell(self) -> None:
        """Print the pass rates."""
        scores = self.scores()
        print(f"{table(scores)}\n{self.about()}" if scores["tasks"] else self.about())

    def write(self, place: Path, page: str) -> None:
        """Write the submission and the page into a folder."""
        for name, text in (("submission.json", to_json(self.submission()) + "\n"), ("arc.html", page)):
            write_text(place / name, text)
            print(f"written to          {place / name}")

    def submission(self) -> dict[str, Any]:
        """Return what Kaggle takes, of all tests of all tasks; those that are not scored have no answer."""
        found = {one.task.id: iter(one.candidates) for one in self.voted}

        def grids(one: HeldOut) -> list[list[np.ndarray]]:
            asked = found.get(one.task.id, iter(()))
            return [[each.grid for each in next(asked, ())] if scored else [] for scored in one.scored]

        return submission({one.task.id: grids(one) for one in self.tasks})


def _solved(task: ArcTask) -> bool:
    return all(pair.output is not None for pair in task.tests)


def table(scores: Mapping[str, Any]) -> str:
    """Return the pass rates for people: of tests, as TRM reports them, and of whole tasks, as HRM does."""
    passes = [name.removeprefix("pass@") for name in scores if name.startswith("pass@") and "_" not in name]
    lines = [
        f"{'pass@':<18}" + "".join(f"{most:>8}" for most in passes),
        f"{'tests':<18}" + "".join(f"{scores[f'pass@{most}']:>8.1%}" for most in passes),
        f"{'whole tasks':<18}" + "".join(f"{scores[f'pass@{most}_whole_task']:>8.1%}" for most in passes),
        f"of {scores['tasks']:,} tasks with {scores['tests']:,} tests; a copy of the input solves "
        f"{scores['copy']:.1%}, one colour {scores['one_colour']:.1%}",
    ]
    return "\n".join(lines)
