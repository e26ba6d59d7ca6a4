"""Votes on the outputs of tests, submissions, and their scores.

A model answers every variant of a test; each answer, turned back, is a vote for a grid.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memhrm.data.arc.tasks import ArcTask, grid_of, read_tasks
from memhrm.data.checks import shown
from memhrm.system.files import read_json

ATTEMPTS = 2
"""Answers to each test in a submission."""

PASSES = (1, 2, 5, 10, 100, 1000)
"""How many candidates may be tried, as published."""

NOTHING = ((0,),)
"""What stands in a submission where there is no answer: one black cell."""


@dataclass(frozen=True)
class Candidate:
    """A grid that votes were given to.

    Attributes:
        grid: its colours, ``(rows, columns)`` uint8.
        votes: how many answers it was.
        q: the mean of sigmoid(q_halt) over these, how sure the model was.
    """

    grid: np.ndarray
    votes: int
    q: float


class Voted(NamedTuple):
    """The votes on one task.

    Attributes:
        task: the task.
        candidates: of each of its tests, the best first.
        variants: how many variants of the task were answered.
    """

    task: ArcTask
    candidates: list[list[Candidate]]
    variants: int


def candidates(answers: Iterable[tuple[np.ndarray, float]]) -> list[Candidate]:
    """Return the grids that were answered to one test, the best first.

    First come those of most votes, among equal ones those of the higher mean q, then those met first. An
    answer without cells is a vote for nothing.

    Args:
        answers: grids and sigmoid(q_halt) of each.
    """
    grids: dict[tuple[tuple[int, ...], bytes], np.ndarray] = {}
    sure: dict[tuple[tuple[int, ...], bytes], list[float]] = defaultdict(list)
    for grid, q in answers:
        if grid.size:
            key = (grid.shape, grid.astype(np.uint8).tobytes())
            grids.setdefault(key, grid)
            sure[key].append(q)
    found = [Candidate(grids[key], len(values), sum(values) / len(values)) for key, values in sure.items()]
    return sorted(found, key=lambda one: (-one.votes, -one.q))


def place_of(found: Sequence[Candidate], output: np.ndarray) -> int | None:
    """Return the place of the right output among the candidates, from 1; None if it is not there."""
    return next((at for at, one in enumerate(found, start=1) if np.array_equal(one.grid, output)), None)


def pass_rates(
    places: Mapping[str, Sequence[int | None]], passes: Sequence[int] = PASSES
) -> dict[str, float]:
    """Return the share of tasks that are solved if so many candidates of each test may be tried.

    Args:
        places: the place of the right output of each test, by task; of a task that was not answered, all
            None.
        passes: numbers of candidates.

    Returns:
        ``pass@K``: the mean over tasks of the share of their tests (TRM, arXiv 2510.04871), and
        ``pass@K_whole_task``: the share of tasks all of whose tests are solved (HRM, arXiv 2506.21734).
        Nothing where there are no tasks.
    """
    result = {}
    for most in passes if places else ():
        solved = [[place is not None and place <= most for place in of_task] for of_task in places.values()]
        result[f"pass@{most}"] = float(np.mean([np.mean(one) for one in solved]))
        result[f"pass@{most}_whole_task"] = float(np.mean([all(one) for one in solved]))
    return result


def controls(tasks: Iterable[ArcTask]) -> dict[str, float]:
    """Return what is solved without a model, as ``pass@1`` of `pass_rates`.

    Args:
        tasks: those whose outputs are known.

    Returns:
        ``copy``: each test is answered by its input; ``one_colour``: by a grid of that size in the colour
        that most cells of the demonstrations' outputs have. Nothing where there are no tasks.
    """
    copied: dict[str, list[int | None]] = {}
    painted: dict[str, list[int | None]] = {}
    for task in tasks:
        cells = [pair.output.ravel() for pair in task.demonstrations if pair.output is not None]
        colour = np.bincount(np.concatenate(cells)).argmax()
        one_colour = [np.full_like(pair.input, colour) for pair in task.tests]
        for places, answers in ((copied, [pair.input for pair in task.tests]), (painted, one_colour)):
            pairs = zip(answers, (pair.output for pair in task.tests))
            right = [output is not None and np.array_equal(one, output) for one, output in pairs]
            places[task.id] = [1 if one else None for one in right]
    found = {"copy": copied, "one_colour": painted}
    return {name: pass_rates(places, (1,))["pass@1"] for name, places in found.items() if places}


def submission(found: Mapping[str, Sequence[Sequence[np.ndarray]]]) -> dict[str, list[dict[str, Any]]]:
    """Return what Kaggle takes: two attempts for each test, by task.

    The first fills the place of a second that is missing; where there is none, both are one black cell, so
    that no other test takes its place.

    Args:
        found: the grids that were answered to each test, the best first, by task.
    """
    return {name: [_attempts(one) for one in tests] for name, tests in found.items()}


def _attempts(found: Sequence[np.ndarray]) -> dict[str, Any]:
    grids = [grid.tolist() for grid in found[:ATTEMPTS]] or [[list(row) for row in NOTHING]]
    return {f"attempt_{n + 1}": grids[min(n, len(grids) - 1)] for n in range(ATTEMPTS)}


def read_submission(path: Path, tasks: Mapping[str, int]) -> dict[str, list[list[np.ndarray]]]:
    """Return the attempts of a submission, by task and test.

    Args:
        path: the file.
        tasks: how many tests each task has. Of a task that the file lacks no test is answered.

    Raises:
        ValueError: the file is no submission for these tasks; the message says where.
    """
    values = read_json(path)
    if not isinstance(values, Mapping):
        raise ValueError(f"{path} holds {shown(values)}; allowed: an object of tasks")
    for name, tests in values.items():
        if not isinstance(tests, list):
            raise ValueError(f"{path}: task {name} is {shown(tests)}; allowed: a list of tests")
        if name not in tasks:
            raise ValueError(f"{path} has task {name}, which is none of the solutions")
        if len(tests) != tasks[name]:
            raise ValueError(f"{path}: task {name} has {len(tests)} tests; allowed: {tasks[name]}")
    lacking = {name: [[]] * count for name, count in tasks.items() if name not in values}
    return lacking | {
        name: [_read(one, f"{path}: task {name}, test {n}") for n, one in enumerate(tests, start=1)]
        for name, tests in values.items()
    }


def _read(values: Any, where: str) -> list[np.ndarray]:
    wanted = [f"attempt_{n + 1}" for n in range(ATTEMPTS)]
    if not isinstance(values, Mapping) or sorted(values) != wanted:
        raise ValueError(f"{where} is {shown(values)}; allowed: an object with {' and '.join(wanted)}")
    return [grid_of(values[name], f"{where}, {name}") for name in wanted]


def read_solutions(path: Path) -> dict[str, list[np.ndarray]]:
    """Return the outputs of the tests of each task: Kaggle's solutions, or tasks that have them.

    Raises:
        ValueError: the file holds something else, or an output is not known.
    """
    values = read_json(path) if path.is_file() else None
    if isinstance(values, Mapping) and values and all(isinstance(one, list) for one in values.values()):
        return {
            name: [grid_of(grid, f"{path}: task {name}, output {n}") for n, grid in enumerate(grids, start=1)]
            for name, grids in values.items()
        }
    return outputs_of(read_tasks(path), str(path))


def outputs_of(tasks: Iterable[ArcTask], where: str) -> dict[str, list[np.ndarray]]:
    """Return the outputs of the tests of each task.

    Raises:
        ValueError: one is not known, or two tasks of one name have other outputs.
    """
    found: dict[str, list[np.ndarray]] = {}
    for task in tasks:
        grids = [pair.output for pair in task.tests if pair.output is not None]
        if len(grids) < len(task.tests):
            raise ValueError(f"{where}: the outputs of task {task.id} are not known")
        if not _same(found.setdefault(task.id, grids), grids):
            allowed = "allowed: each name once, as in the folder or the file of one set"
            raise ValueError(f"{where} has two tasks {task.id} with other outputs; {allowed}")
    return found


def _same(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def score(
    attempts: Mapping[str, Sequence[Sequence[np.ndarray]]], solutions: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, float]:
    """Return the pass rates of a submission with one attempt and with both (`pass_rates`).

    Args:
        attempts: those at each test, by task.
        solutions: the right output of each test, by task.
    """
    places = {
        name: [
            next((n for n, grid in enumerate(tried, start=1) if np.array_equal(grid, output)), None)
            for tried, output in zip(attempts[name], outputs)
        ]
        for name, outputs in solutions.items()
    }
    return pass_rates(places, (1, ATTEMPTS))
