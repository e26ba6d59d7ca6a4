"""Puzzle tables: a keyed one is the table of all identifiers, in the memory of those that were trained."""

import numpy as np
import pytest
import torch

from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import PuzzleShape
from memhrm.models.weights import load_weights
from memhrm.nn.tables import KeyedTable, PuzzleTable
from memhrm.training.optim import SignSGD, moving_average
from tests.conftest import model_settings

WIDTH = 5


def trained(steps: int = 40) -> tuple[KeyedTable, PuzzleTable, torch.Tensor]:
    """A keyed table and one of all rows after the same steps, and the key of each row."""
    rng = np.random.default_rng(0)
    keys = torch.from_numpy(rng.integers(1 << 62, size=50))
    keyed, dense = KeyedTable(WIDTH), PuzzleTable(len(keys), WIDTH)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(30, size=8))  # The other 20 are never met.
        gradients = torch.from_numpy(rng.standard_normal((8, WIDTH), dtype=np.float32))
        SignSGD(dense, weight_decay=0.1).step(rows, gradients, 0.01)
        SignSGD(keyed, weight_decay=0.1).step(keys[rows], gradients, 0.01)
    return keyed, dense, keys


def test_keyed_table_is_the_table_of_all_rows():
    keyed, dense, keys = trained()
    every = torch.arange(len(keys))
    torch.testing.assert_close(keyed(keys), dense(every), rtol=0, atol=0)
    assert keyed.knows(keys).tolist() == dense.weight.any(dim=1).tolist()
    assert len(keyed.keys) == 30 and len(keyed.rows) < 60  # Of 2^62 possible ones.


def test_reading_allocates_nothing_and_gives_zeros():
    empty = KeyedTable(WIDTH)
    assert not empty(torch.tensor([3, 1 << 60])).any() and not empty.knows(torch.tensor([3])).any()
    keyed, _, _ = trained()
    before = len(keyed.keys)
    assert keyed(torch.tensor([0, 1, (1 << 63) - 1])).tolist() == [[0.0] * WIDTH] * 3
    assert len(keyed.keys) == before


def test_state_is_in_the_order_of_the_keys_however_they_were_met():
    first, second = KeyedTable(WIDTH), KeyedTable(WIDTH)
    rows = {7: torch.full((1, WIDTH), 7.0), 3: torch.full((1, WIDTH), 3.0)}
    for table, order in ((first, (7, 3)), (second, (3, 7))):
        for key in order:
            table.assign(torch.tensor([key]), rows[key])
    torch.testing.assert_close(first.state_dict(), second.state_dict())
    assert first.state_dict()["keys"].tolist() == [3, 7]


@pytest.mark.parametrize("into", ["empty", "other"])
def test_state_is_restored_exactly_and_trains_on(into):
    keyed, _, keys = trained()
    found = KeyedTable(WIDTH) if into == "empty" else trained(3)[0]
    load_weights(found, keyed.state_dict(), "a file")
    for table in (keyed, found):
        SignSGD(table, weight_decay=0.1).step(keys[25:35], torch.ones(10, WIDTH), 0.01)
    torch.testing.assert_close(found.state_dict(), keyed.state_dict(), rtol=0, atol=0)
    kept = keyed.state_dict()["weight"].clone()
    found.assign(keys[:1], torch.ones(1, WIDTH))  # It has a memory of its own.
    torch.testing.assert_close(keyed.state_dict()["weight"], kept, rtol=0, atol=0)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"weight in a file has shape \(2, 3\); the model's weight has"):
        load_weights(KeyedTable(WIDTH), {"keys": torch.tensor([1, 2]), "weight": torch.zeros(2, 3)}, "a file")


def test_moving_average_shares_the_table_with_the_model():
    model = Reasoner(model_settings(), PuzzleShape(vocab_size=6, num_tokens=16, num_identifiers=0))
    average = moving_average(model, 0.9)
    model.puzzles.assign(torch.tensor([1 << 50]), torch.ones(1, model.settings.puzzle_width()))
    average.update_parameters(model)
    assert average.module.puzzles is model.puzzles
    assert average.state_dict()["module.puzzles.keys"].tolist() == [1 << 50]
    assert not any("puzzles" in name for name, _ in model.named_buffers())  # The average copies buffers.
    for key in (9, 1, 5):
        model.puzzles.assign(torch.tensor([key]), torch.ones(1, model.settings.puzzle_width()))
    own, averaged = model.state_dict()["puzzles.weight"], average.state_dict()["module.puzzles.weight"]
    assert own.data_ptr() == averaged.data_ptr()  # So a checkpoint holds it once,
    assert own.untyped_storage().nbytes() == own.nbytes  # without the room for more rows.


def test_table_moves_with_its_model():
    keyed, _, _ = trained()
    keyed.to(torch.float64)
    assert keyed.rows.dtype == torch.float64 and keyed.keys.dtype == torch.int64
