"""How the pairs of ARC tasks come to a model: each alone with an identifier, or in strict episodes.

A strict episode tells the demonstrations of a task, one after the other, then asks a test. There is no
identifier: what a model knows of the task came through its memory. n episodes, D demonstrations.
"""

from collections.abc import Sequence

import numpy as np

from memhrm.data.arc.task import Arc
from memhrm.data.arc.variants import VARIANTS
from memhrm.data.episodes.episodes import Course, Episodes, telling
from memhrm.data.episodes.maker import Alone, EpisodeMaker
from memhrm.data.examples import Examples


class Pairs(Alone):
    """Pairs that stand alone; an identifier says of which task each is."""

    def describe(self, test: Examples) -> list[str]:
        """Return how many tasks there are."""
        assert isinstance(self.task, Arc)
        return [f"tasks that fit the canvas: {self.task.fitting_tasks}"]


class Demonstrations(EpisodeMaker):
    """Episodes of D demonstrations and one question, each of one task in one variant.

    In training any pairs of a task serve, and all variants are equally likely. In the test those that the
    task itself demonstrates are told, and its tests asked. A task of fewer demonstrations tells some of them
    again.

    Args:
        task: ARC without identifiers.
        demonstrations: D.
        augment: whether training episodes are in random variants.
        seed: seed of the episodes of `sample`.
    """

    in_step = True

    def __init__(self, task: Arc, *, demonstrations: int, augment: bool, seed: int) -> None:
        super().__init__(task, augment=augment, seed=seed)
        self.arc, self.demonstrations = task, demonstrations
        self.lengths, self.test_length = (demonstrations + 1,), demonstrations + 1

    def course(self, length: int) -> Course:
        """Return the course that tells all examples but the last, and asks that."""
        return telling([True] * (length - 1) + [False])

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes of tasks that have at least two pairs, all equally likely."""
        order = np.argsort(examples.groups, kind="stable")
        _, begins, sizes = np.unique(examples.groups[order], return_index=True, return_counts=True)
        begins, sizes = begins[sizes > 1], sizes[sizes > 1]
        if not len(begins):
            raise ValueError("no task has two pairs, of which one could be asked and another told")
        chosen = rng.integers(len(begins), size=count)
        rows = [order[begins[one] + self._repeated(rng.permutation(sizes[one]))] for one in chosen]
        codes = rng.integers(VARIANTS, size=count) if self.augment and not test else np.zeros(count, np.int64)
        return self.episodes(examples, np.array(rows), codes)

    def _repeated(self, order: np.ndarray) -> np.ndarray:
        """Return D of the pairs and, behind them, the first, which is asked."""
        asked, told = order[0], order[1:]
        return np.append(np.resize(told, self.demonstrations), asked)

    def asked(self, examples: Examples) -> np.ndarray:
        """Return the rows of the examples that are asked, in order."""
        return np.flatnonzero(examples.asked())

    def rows(
        self, examples: Examples, asked: Sequence[int] | np.ndarray, turns: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return the rows of the episodes that ask these examples: the demonstrations, then the question.

        Args:
            examples: of test tasks.
            asked: rows of those that are asked, ``(n,)``.
            turns: for each, the number of the demonstration that is told first, counted around; None: 0.

        Returns:
            ``(n, D + 1)``.
        """
        assert examples.told is not None
        rows = []
        for row, turn in zip(asked, turns or [0] * len(asked)):
            told = np.flatnonzero(examples.told & (examples.groups == examples.groups[row]))
            rows.append(np.append(np.resize(np.roll(told, -turn), self.demonstrations), row))
        return np.array(rows, np.intp).reshape(-1, self.demonstrations + 1)

    def episodes(self, examples: Examples, rows: np.ndarray, codes: np.ndarray) -> Episodes:
        """Return the episodes of some rows of the examples, ``(n, D + 1)``, each in a variant, ``(n,)``."""
        n, length = rows.shape
        varied = self.arc.varied(examples.select(rows.ravel()), np.repeat(codes, length))
        feedback = self.task.pair(varied.inputs, varied.labels)

        def of_episodes(values: np.ndarray) -> np.ndarray:
            return values.reshape(n, length, *values.shape[1:])

        labels = of_episodes(varied.labels).copy()
        labels[:, :-1] = 0  # What is told is not asked.
        return Episodes(
            inputs=of_episodes(varied.inputs),
            labels=labels,
            feedback=of_episodes(feedback)[:, :-1],
            mask=None,
            identifiers=np.zeros((n, length), np.int64),
            groups=of_episodes(varied.groups),
            rules=np.zeros((n, length), np.int32),
            families=np.zeros(n, np.int32),
            ratings=of_episodes(varied.ratings),
            sources=of_episodes(varied.sources),
            best=np.full((n, length), np.nan),
            course=self.course(length),
        )

    def count(self, test: Examples) -> int:
        """Return the number of tests."""
        return len(self.asked(test))

    def make(self, examples: Examples, count: int) -> Episodes:
        """Return an episode for each of the first ``count`` tests."""
        rows = self.rows(examples, self.asked(examples)[:count])
        return self.episodes(examples, rows, np.zeros(len(rows), np.int64))

    def sample(self, examples: Examples, count: int) -> Episodes:
        """Return ``count`` episodes of training tasks."""
        rng = np.random.default_rng((self.seed, 0x5EE))
        return self.draw(examples, count, self.test_length, rng, test=True)

    def parts(self, test: Examples, size: int) -> tuple[Episodes, Episodes]:
        """Return the episodes of the last tasks, with ``size`` tests, and the others."""
        parts = [test.select(rows) for rows in self.pools(test, size)]
        choosing, scored = (self.make(part, self.count(part)) for part in parts)
        return choosing, scored

    def pools(self, test: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples of the last tasks, with at least ``size`` tests, and the others."""
        asked = self.asked(test)[::-1]
        groups = np.unique(test.groups[asked[:size]])
        chosen = np.isin(test.groups, groups)
        return np.flatnonzero(chosen), np.flatnonzero(~chosen)

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes hold."""
        return [
            f"tasks that fit the canvas: {self.arc.fitting_tasks}",
            f"in episodes that tell {self.demonstrations} demonstrations of a task, then ask a test of it; "
            f"{self.count(test):,} tests",
        ]
