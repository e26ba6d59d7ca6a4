"""The data contract: masks, identifiers and groups reach the batch; parts of a set have whole groups."""

import numpy as np
import pytest
import torch

from memhrm.config.command import compose
from memhrm.data import Examples, Sampler, Sudoku, examples_of, load
from memhrm.data.examples import concatenate
from memhrm.data.keys import row_keys
from memhrm.data.sampler import IGNORE, batch_of
from memhrm.data.score import score


def some(count: int = 6, **arrays) -> Examples:
    tokens = np.arange(count * 4).reshape(count, 4) % 7 + 1
    return examples_of(tokens, tokens, **arrays)


def test_what_is_left_out_is_as_in_sudokus():
    plain = some()
    assert plain.mask is None and plain.identifiers.tolist() == [0] * 6
    assert plain.groups.tolist() == list(range(6)) and plain.ratings.tolist() == [-1] * 6
    assert "mask" not in batch_of(plain)


def test_every_array_follows_its_row():
    mask = np.arange(24).reshape(6, 4) % 5 > 0
    examples = some(mask=mask, identifiers=np.arange(6) * 300, groups=np.array([3, 3, 1, 1, 2, 2]))
    rows = np.array([4, 0])
    part = examples.select(rows)
    assert part.mask is not None and (part.mask == mask[rows]).all()
    assert part.identifiers.tolist() == [1200, 0] and part.groups.tolist() == [2, 3]
    task = Sudoku(side=4)
    task.seq_len, task.vocab_size = 4, 8
    drawn = Sampler(examples, task, batch_size=5, seed=1, augment=False)
    batch, rows = drawn.batch(3), drawn.rows(3)
    assert batch["mask"].dtype == bool and (batch["mask"] == mask[rows]).all()
    assert (batch["identifiers"] == rows * 300).all() and (batch["groups"] == examples.groups[rows]).all()
    whole = batch_of(examples)
    assert (whole["mask"] == mask).all() and (whole["identifiers"] == examples.identifiers).all()


def test_one_label_an_example():
    tokens = np.array([[300, 1, 0], [2, 50_000, 9]])
    examples = examples_of(tokens, np.array([[2], [0]]), mask=tokens > 0)
    batch = batch_of(examples)
    assert batch["inputs"].dtype == np.int32 and batch["inputs"][1].tolist() == [2, 50_000, 9]
    assert batch["labels"].tolist() == [[2], [IGNORE]]


def test_sets_are_put_together_without_mixing_their_groups():
    one, two = some(4, groups=np.array([7, 7, 5, 5])), some(2, mask=np.eye(2, 4) > 0)
    both = concatenate([one, two])
    assert both.groups.tolist() == [1, 1, 0, 0, 2, 3]
    assert both.mask is not None and both.mask[:4].all() and (both.mask[4:] == two.mask).all()
    assert concatenate([one, one]).mask is None


def test_a_part_has_whole_groups():
    groups = np.array([5, 0, 5, 2, 0, 9, 2, 5])
    examples = some(8, groups=groups)
    assert examples.part(4).tolist() == [True, True, True, False, True, False, False, True]
    assert examples.part(3).tolist() == [True, False, True, False, False, False, False, True]
    for seed in range(10):
        chosen = examples.part(3, np.random.default_rng(seed))
        assert not set(groups[chosen]) & set(groups[~chosen]) and 3 <= chosen.sum() <= 5
    alone = some(8)
    assert (np.flatnonzero(alone.part(3)) == [0, 1, 2]).all()
    assert alone.part(3, np.random.default_rng(0)).sum() == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": np.ones((6, 3), bool)}, "mask is an array of shape (6, 3)"),
        ({"mask": np.ones((6, 4), int)}, "mask is an array"),
        ({"identifiers": np.full(6, -1)}, "identifiers has -1 in row 0"),
        ({"identifiers": np.zeros(5, int)}, "identifiers have shape (5,)"),
        ({"groups": np.zeros((6, 1), int)}, "groups has shape (6, 1)"),
    ],
)
def test_bad_arrays_are_named(changes: dict, message: str):
    with pytest.raises(ValueError) as caught:
        some(**changes)
    assert message in str(caught.value)


def test_identifiers_and_labels_are_of_the_task():
    task, rows = Sudoku(side=4), np.full((2, 16), 2)
    with pytest.raises(ValueError, match="identifiers has 1 in row 1; allowed: numbers from 0 to 0"):
        task.require(examples_of(rows, rows, identifiers=np.array([0, 1])))
    with pytest.raises(ValueError, match="labels has 9 in row 0"):
        task.require(examples_of(rows, rows + 7))


def test_exact_is_one_thing_for_numpy_and_torch():
    labels = np.array([[1, 2, -100], [1, 2, 3], [-100, -100, -100], [0, 5, 5]])
    labelled = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 1, 1]], bool)
    answers = np.array([[1, 2, 9], [1, 2, 4], [1, 1, 1], [7, 5, 5]])
    found = score(labelled, answers, labels)
    assert found.exact.tolist() == [True, False, False, True]
    assert found.right.tolist() == [2, 2, 0, 2] and found.total.tolist() == [2, 3, 0, 2]
    tensors = score(*(torch.from_numpy(array) for array in (labelled, answers, labels)))
    for one, other in zip(found, tensors):
        assert one.tolist() == other.tolist()


ASKING = {
    "sudoku4": "",
    "maze": "data.side=5",
    "recall": "data.test_episodes=5",
    "hops": "data.test_episodes=5 data.early=true",
    "contexts": "data.test_episodes=5 data.curve=[]",
}


@pytest.mark.parametrize("name", ASKING)
def test_a_question_tells_which_labels_it_asks_for(name):
    sizes = ["data.train_size=20", "data.test_size=10", *ASKING[name].split()]
    data = load(**compose("train", [f"data={name}", *sizes])["data"])
    episodes = data.held_out()
    for at in episodes.answered:
        assert (data.task.asked(episodes.inputs[:, at]) == (episodes.labels[:, at] > 0)).all()


def test_keys_do_not_depend_on_the_rows_beside():
    small, large = np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 400]])
    assert row_keys(small, 500)[0] == row_keys(large, 500)[0]
