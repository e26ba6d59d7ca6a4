"""Votes of a model on the tests of ARC tasks: it answers every variant, and the answers are turned back.

b rows of a batch, s tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from memhrm.data.arc.canvas import cropped
from memhrm.data.arc.episodes import Demonstrations
from memhrm.data.arc.task import NO_VARIANTS, Arc
from memhrm.data.arc.tasks import ArcTask
from memhrm.data.arc.variants import VARIANTS, identifiers_of, undone
from memhrm.data.arc.votes import Voted, candidates
from memhrm.data.episodes.episodes import Episodes, alone
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.models.reasoner import Reasoner


class Row(NamedTuple):
    """One answer that is wanted.

    Attributes:
        task: the number of the task.
        test: the number of its test, from 0.
        turn: the number of the variant among those of the task that vote, from 0.
        code: the number of the variant among all there are.
        place: what is drawn for the answer is a function of it.
    """

    task: int
    test: int
    turn: int
    code: int
    place: int


@dataclass(frozen=True)
class Ballot:
    """How tasks are put to the vote.

    Attributes:
        model: the model, on its device.
        arc: the task of the examples, which knows the variants of each task.
        maker: what makes episodes of them.
        settings: how each variant is answered.
        variants: the most variants of a task beside itself; None: all that there are.
        dtype: the precision of the computation.
    """

    model: Reasoner
    arc: Arc
    maker: EpisodeMaker
    settings: EvaluationSettings
    variants: int | None = None
    dtype: torch.dtype = torch.float32

    def codes(self, task: ArcTask) -> np.ndarray:
        """Return the numbers of the variants of a task that vote, the task itself (0) first.

        With identifiers they are those that the model was trained on, in a random order: a row that never was
        says nothing. It may have been trained on none.
        """
        codes = np.append(0, self.arc.variants.get(task.key, NO_VARIANTS))
        if (trained := trained_variants(self.model, task)) is not None:
            codes = np.random.default_rng(task.key).permutation(trained)
            codes = codes[np.argsort(codes > 0, kind="stable")]
        return codes if self.variants is None else codes[: self.variants + 1]

    def votes(self, tasks: Sequence[ArcTask], done: Callable[[int], object] = bool) -> Iterator[Voted]:
        """Yield the votes on tasks, in their order.

        Args:
            tasks: the tasks, whose grids fit the canvas.
            done: is told how many answers were found, as they are.
        """
        codes = [self.codes(task) for task in tasks]
        rows = [
            Row(number, test, turn, code, place)
            for number, task in enumerate(tasks)
            for test in range(len(task.tests))
            for turn, (code, place) in enumerate(
                zip(codes[number].tolist(), places(task, test, codes[number]))
            )
        ]
        left = [len(task.tests) * len(own) for task, own in zip(tasks, codes)]
        answers: list[list[list[tuple[np.ndarray, float]]]] = [[[] for _ in task.tests] for task in tasks]
        ready = 0

        def finished() -> Iterator[Voted]:
            nonlocal ready
            while ready < len(tasks) and not left[ready]:
                found = [candidates(one) for one in answers[ready]]
                answers[ready] = []
                yield Voted(tasks[ready], found, len(codes[ready]))
                ready += 1

        yield from finished()
        for start in range(0, len(rows), self.settings.batch_size):
            part = rows[start : start + self.settings.batch_size]
            for row, (grid, q) in zip(part, self._answers(tasks, part)):
                answers[row.task][row.test].append((undone(grid, row.code), q))
                left[row.task] -= 1
            done(len(part))
            yield from finished()

    def _answers(self, tasks: Sequence[ArcTask], rows: Sequence[Row]) -> Iterator[tuple[np.ndarray, float]]:
        """Return a grid and sigmoid(q_halt) for each row."""
        device, first = self.model.H_init.device, np.array([row.place for row in rows], np.int64)
        episodes = self._episodes(tasks, rows)
        *_, last = walk(
            self.model, episodes, self.settings, task=self.arc, first=first, device=device, dtype=self.dtype
        )
        side = self.arc.canvas
        grids = cropped(last.answers.tokens.cpu().numpy().reshape(-1, side, side))
        return zip(grids, torch.sigmoid(last.answers.q_halt.double()).tolist())

    def _episodes(self, tasks: Sequence[ArcTask], rows: Sequence[Row]) -> Episodes:
        strict, numbers = (
            self.maker if isinstance(self.maker, Demonstrations) else None,
            [row.task for row in rows],
        )
        there, group = np.unique(numbers, return_inverse=True)
        examples = self.arc.examples(
            [_unanswered(tasks[number]) for number in there], demonstrations=strict is not None, tests=True
        )
        before = np.searchsorted(examples.groups, group)
        shown = [len(tasks[row.task].demonstrations) if strict else 0 for row in rows]
        asked = before + shown + np.array([row.test for row in rows])
        codes = np.array([row.code for row in rows], np.int64)
        if strict is None:
            return alone(self.arc.varied(examples.select(asked), codes))
        return strict.episodes(examples, strict.rows(examples, asked, [row.turn for row in rows]), codes)


def trained_variants(model: Reasoner, task: ArcTask) -> np.ndarray | None:
    """Return the numbers of the variants of a task that a model was trained on; None: it has no keys."""
    first, last = identifiers_of(task.key, np.array([0, VARIANTS - 1])).tolist()
    known = model.known(first, last)
    return None if known is None else known.numpy() - first


def places(task: ArcTask, test: int, codes: np.ndarray) -> list[int]:
    """Return what decides the random numbers of a vote: the task, its test and the variant, nothing else.

    So a vote that goes on, or that several processes share, is that of one process without a stop. They stay
    far below 2^63, as places in episodes are numbered from them.
    """
    return (identifiers_of(task.key >> 16, codes) * 256 + test % 256).tolist()


def _unanswered(task: ArcTask) -> ArcTask:
    """Return a task without the outputs of its tests, which no vote may see."""
    return replace(task, tests=tuple(replace(pair, output=None) for pair in task.tests))
