"""Batches: their content, and that a batch depends only on the seed and its index."""

from functools import cache

import numpy as np
import pytest

from memhrm.data.examples import Examples, examples_of
from memhrm.data.sampler import IGNORE, Sampler
from memhrm.data.sudoku.generate import Difficulty, all_sudokus4
from memhrm.data.sudoku.task import Sudoku

TASK = Sudoku(side=4)


@cache
def puzzles(count: int = 50) -> Examples:
    return all_sudokus4(TASK, Difficulty.of(max_clues=6), np.random.default_rng(0)).select(slice(count))


def sampler(count: int = 50, *, batch_size: int = 8, seed: int = 3, augment: bool = True) -> Sampler:
    return Sampler(puzzles(count), TASK, batch_size=batch_size, seed=seed, augment=augment)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 130])
def test_every_epoch_is_a_permutation(batch_size: int):
    drawn = sampler(batch_size=batch_size)
    stream = np.concatenate([drawn.rows(index) for index in range(-(-200 // batch_size))])[:200]
    epochs = stream.reshape(4, 50)
    assert (np.sort(epochs, axis=1) == np.arange(50)).all()
    assert len({epoch.tobytes() for epoch in epochs}) == 4


def test_stream_does_not_depend_on_the_batch_size():
    small = sampler(batch_size=6)
    rows = np.concatenate([small.rows(index) for index in range(20)])
    assert (rows == sampler(batch_size=120).rows(0)).all()


def test_batch_is_a_function_of_seed_and_index():
    once = sampler()
    forward = [once.batch(index) for index in range(30)]
    for index in (29, 3, 17):
        for name, array in sampler().batch(index).items():
            assert (array == forward[index][name]).all()
    assert (sampler(seed=4).batch(0)["inputs"] != forward[0]["inputs"]).any()


def test_batch_holds_the_rows_as_int32_with_unlabelled_positions_ignored():
    base = puzzles()
    labels = base.labels.copy()
    labels[:, 0] = 0
    partial = examples_of(base.inputs, labels, base.ratings, base.sources)
    drawn = Sampler(partial, TASK, batch_size=8, seed=0, augment=False)
    batch, rows = drawn.batch(2), drawn.rows(2)
    kinds = {name: array.dtype for name, array in batch.items()}
    assert kinds.pop("identifiers") == np.int64 and set(kinds.values()) == {np.dtype(np.int32)}
    assert (batch["inputs"] == base.inputs[rows]).all()
    assert (batch["labels"][:, 1:] == base.labels[rows, 1:]).all()
    assert (batch["labels"][:, 0] == IGNORE).all()
    assert batch["identifiers"].tolist() == [0] * 8


def test_augmented_batch_holds_images_of_the_rows():
    drawn = sampler(batch_size=32)
    batch = drawn.batch(1)
    original = puzzles().select(drawn.rows(1))
    TASK.check(batch["inputs"], batch["labels"])
    assert (batch["inputs"] != original.inputs).any(axis=1).sum() > 25
    keys = TASK.class_keys(batch["inputs"], batch["labels"])
    assert (keys == TASK.class_keys(original.inputs, original.labels)).all()


def test_augmentation_differs_between_epochs():
    drawn = sampler(1, batch_size=1)
    assert len({drawn.batch(index)["inputs"].tobytes() for index in range(20)}) > 15


@pytest.mark.parametrize(
    ("count", "settings", "message"),
    [
        (0, {}, "empty set of puzzles"),
        (5, {"batch_size": 0}, "batch_size is 0"),
        (5, {"seed": -1}, "seed is -1"),
    ],
)
def test_bad_arguments_are_refused(count: int, settings: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        Sampler(puzzles(count), TASK, **{"batch_size": 4, "seed": 0, "augment": False, **settings})
