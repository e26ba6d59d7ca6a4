"""Answer a file of ARC's tasks with a trained model: their tests are put to the vote."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from memhrm.config.settings import require
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask, read_tasks
from memhrm.data.arc.votes import submission
from memhrm.evaluation.votes import trained_variants
from memhrm.models.reasoner import Reasoner
from memhrm.runs.used import UsedPuzzles, whole
from memhrm.system.files import to_json
from memhrm.weights.solver import Solver

MOST_NAMED = 8
"""Tasks that a message names."""


@dataclass(frozen=True)
class ArcAnswers:
    """Answers to the tests of ARC tasks.

    Attributes:
        tasks: the tasks.
        attempts: for each up to two grids for each of its tests, the best first.
        used: for each of its tests whether the run has used it.
    """

    tasks: Sequence[ArcTask]
    attempts: Sequence[Sequence[Sequence[np.ndarray]]]
    used: Sequence[Sequence[bool]]

    def table(self) -> str:
        """Return the answers as JSON, as Kaggle takes them."""
        return to_json(submission({task.id: tests for task, tests in zip(self.tasks, self.attempts)})) + "\n"

    def verdict(self) -> str:
        """Say how many answers there are and, where the file has the right ones, how many agree.

        Tests that the run has used do not count.
        """
        tests = sum(len(task.tests) for task in self.tasks)
        solved = known = left_out = 0
        for task, attempts, used in zip(self.tasks, self.attempts, self.used):
            for pair, tried, barred in zip(task.tests, attempts, used):
                if pair.output is not None:
                    left_out += barred
                    known += not barred
                    solved += not barred and any(np.array_equal(one, pair.output) for one in tried)
        text = f"two answers to each of {tests:,} tests of {len(self.tasks):,} tasks"
        text += f"; {solved:,} are solved of the {known:,} whose outputs the file has" if known else ""
        reason = "the run was trained on them, or they chose its best checkpoint"
        return f"{text}; {left_out:,} whose outputs it has do not count: {reason}" if left_out else text


def answers_to_tasks(solver: Solver, settings: Any, used: UsedPuzzles) -> ArcAnswers:
    """Put the tests of a file of tasks to the vote; arguments and errors are those of `answers_to`."""
    allowed = "null, as a task of ARC has its examples with it"
    require(settings.examples is None, "examples", settings.examples, allowed)
    tasks, arc = read_tasks(Path(settings.file)), solver.task
    assert isinstance(arc, Arc)
    _require_answerable(solver.model, arc, tasks, settings.file)
    bar = tqdm(tasks, desc="solve", unit="task", disable=not settings.progress)
    attempts = [solver.attempts(task, settings.halt_max_steps) for task in bar]
    return ArcAnswers(tasks, attempts, _were_used(arc, tasks, used))


def _require_answerable(model: Reasoner, arc: Arc, tasks: Sequence[ArcTask], file: str) -> None:
    """Raise a ValueError that names the tasks that have no answer, before any other is put to the vote."""
    large = [task.id for task in tasks if task.side() > arc.canvas]
    trained = ((task.id, trained_variants(model, task)) for task in tasks)
    new = [name for name, codes in trained if codes is not None and not len(codes)]
    twice = [name for name, count in Counter(task.id for task in tasks).items() if count > 1]
    learn = "`python -m memhrm.adapt` trains on others"
    for names, fault, allowed in (
        (large, "too large for the canvas", f"tasks whose grids have up to {arc.canvas} cells a side"),
        (new, "new to the model", f"tasks that the model was trained on; {learn}"),
        (twice, "there twice", "tasks of different names, as those of one set"),
    ):
        if names:
            more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
            named = ", ".join(names[:MOST_NAMED]) + more
            raise ValueError(f"file is {file}, of whose tasks {named} are {fault}; allowed: {allowed}")


def _were_used(arc: Arc, tasks: Sequence[ArcTask], used: UsedPuzzles) -> list[list[bool]]:
    """Return of each test of tasks whether a run has used it: strictly, with any pair of its task."""
    strict = arc.num_identifiers == 1
    pairs = arc.examples(tasks, demonstrations=strict, tests=True)
    left = whole(pairs, ~arc.were_used(pairs, arc.identities(pairs.inputs, pairs.labels), used.all()))
    barred = iter((~left if pairs.told is None else ~left[~pairs.told]).tolist())
    return [list(islice(barred, len(task.tests))) for task in tasks]
