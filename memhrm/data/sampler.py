"""Batches as a pure function of a seed and an index, so that resuming needs no state."""

from functools import lru_cache

import numpy as np

from memhrm.data.checks import number, shown
from memhrm.data.examples import Examples
from memhrm.data.task import Task

IGNORE = -100  # the label of positions that carry no loss
MOST_SEED = (1 << 64) - 1  # half of the key of the generator
_ORDER, _AUGMENT = 0, 1  # separate streams of random numbers under one seed


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Return a counter-based generator for (seed, index); streams start 2^192 counter steps apart."""
    return np.random.Generator(
        np.random.Philox(key=np.array([seed, index], np.uint64), counter=[0, 0, 0, stream])
    )


def arrays(
    inputs: np.ndarray,
    labels: np.ndarray,
    identifiers: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    address: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return a batch as `Sampler.batch` does, of arrays as in `Examples`.

    Args:
        inputs: tokens ``(b, s)``.
        labels: ``(b, l)``, 0 where there is none.
        identifiers: ``(b,)``; None for 0.
        groups: ``(b,)``; None for 0.
        mask: ``(b, s)`` bool; None where nothing is padded.
        address: ``(b, 2)``, as in `Episodes`; None where there are no contexts.
    """
    count = len(inputs)
    batch = {
        "inputs": inputs.astype(np.int32),
        "labels": np.where(labels > 0, labels.astype(np.int32), np.int32(IGNORE)),
        "identifiers": np.zeros(count, np.int64) if identifiers is None else identifiers.astype(np.int64),
        "groups": np.zeros(count, np.int32) if groups is None else groups.astype(np.int32),
    }
    others = {"mask": mask, "address": address}
    return batch | {name: values for name, values in others.items() if values is not None}


def batch_of(examples: Examples) -> dict[str, np.ndarray]:
    """Return all examples as one batch, as `Sampler.batch` does."""
    return arrays(examples.inputs, examples.labels, examples.identifiers, examples.groups, examples.mask)


def schedule(
    rows: int, *, begins: bool = False, feedback: bool = False, episode_start: bool = True
) -> dict[str, np.ndarray]:
    """Return what a supervision step does to each row beside the batch, ``(rows,)`` bool each.

    Args:
        rows: the number of rows.
        begins: whether the rows take the batch's example though they have not halted.
        feedback: whether the batch shows the answer to the example that the rows have just worked on. A fact
            that is told without a question before it is an example like any other.
        episode_start: whether the batch's example is the first of its episode.
    """
    flags = {"begins": begins, "feedback": feedback, "episode_start": episode_start}
    return {name: np.full(rows, flag) for name, flag in flags.items()}


class Sampler:
    """An endless stream of training batches.

    The stream is a sequence of epochs, each a permutation of the puzzles drawn from (seed, epoch), in which
    with `Task.together` those of a group stand side by side. Batch ``i`` takes stream positions
    ``i * batch_size`` onwards; it may span epochs and may exceed the set.
    With ``augment`` every drawn puzzle is replaced by a random symmetry image, drawn from (seed, i); with
    `Task.together` those of a group in one epoch, all by the same.
    All ranks of a distributed run compute the same global batch and slice it.
    """

    def __init__(self, puzzles: Examples, task: Task, *, batch_size: int, seed: int, augment: bool) -> None:
        if not isinstance(puzzles, Examples):
            raise ValueError(f"puzzles is {shown(puzzles)}; allowed: Examples")
        if not isinstance(task, Task):
            raise ValueError(f"task is {shown(task)}; allowed: a Task")
        if not len(puzzles):
            raise ValueError("cannot sample batches from an empty set of puzzles")
        if not isinstance(augment, bool):
            raise ValueError(f"augment is {shown(augment)}; allowed: True or False")
        batch_size = number("batch_size", batch_size, 1)
        seed = number("seed", seed, 0, MOST_SEED)
        self.puzzles, self.task = puzzles, task
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        self._order = lru_cache(maxsize=2)(self._permutation)  # batches of one epoch share its permutation

    def _permutation(self, epoch: int) -> np.ndarray:
        rng = _generator(self.seed, epoch, _ORDER)
        order = rng.permutation(len(self.puzzles))
        if not self.task.together:
            return order
        groups, member = np.unique(self.puzzles.groups[order], return_inverse=True)
        return order[np.argsort(rng.permutation(len(groups))[member], kind="stable")]

    def rows(self, index: int) -> np.ndarray:
        """Return the rows of the puzzle set that batch ``index`` holds: ``(batch_size,)``."""
        epochs, offsets = self._positions(index)
        return np.concatenate(
            [self._order(int(epoch))[offsets[epochs == epoch]] for epoch in np.unique(epochs)]
        )

    def _positions(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the epoch of each row of a batch and its place there, ``(batch_size,)`` each."""
        number("index", index, 0, (1 << 62) // self.batch_size)
        return np.divmod(index * self.batch_size + np.arange(self.batch_size), len(self.puzzles))

    def batch(self, index: int) -> dict[str, np.ndarray]:
        """Return batch ``index``, from 0.

        Returns:
            int32 ``inputs`` ``(b, s)``, ``labels`` ``(b, l)``, -100 where there is none, and ``groups``
            ``(b,)``; int64 ``identifiers`` ``(b,)``; and, unless nothing is padded, ``mask`` ``(b, s)`` bool,
            False at padding.

        Raises:
            ValueError: a variant that the task made of an example is none of the task.
        """
        part = self.puzzles.select(self.rows(index))
        if self.augment:
            rng, groups = _generator(self.seed, index, _AUGMENT), part.groups
            if self.task.together:  # A group that comes again in the next epoch draws again.
                both = np.stack((self._positions(index)[0], groups))
                part = part.having(groups=np.unique(both, axis=1, return_inverse=True)[1].reshape(-1))
            part = self.task.require(self.task.augment(part, rng)).having(groups=groups)
        return batch_of(part)
