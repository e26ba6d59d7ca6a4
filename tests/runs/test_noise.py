"""Noise of the training: random starts, and states that are pushed before each supervision step."""

import pytest
import torch

from memhrm.config.command import compose
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.runs.batches import Batches
from memhrm.runs.build import make_dataset, make_learner
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.step import train_step
from tiny import TINY

CPU = torch.device("cpu")


def offered(rank: int = 0, size: int = 1, *changes: str) -> Batches:
    run = parse(compose("train", [*TINY, "noise=0.3", "batch_size=8", *changes]))
    return Batches(run, make_dataset(run), Ranks(rank, size, CPU), 0)


def shift(batches: Batches, step: int) -> torch.Tensor:
    return batches.take(step)[0][0]["shift"]


def test_it_is_normal_and_a_function_of_seed_and_step():
    batches = offered()
    many = torch.stack([shift(batches, step) for step in range(40)])
    assert many.shape[1] == 8 and many.shape[2] == 2 and many.shape[4] == batches.run.model.hidden_size
    assert many.std() == pytest.approx(0.3, rel=0.02) and abs(many.mean()) < 0.01
    apart = many.flatten(0, 2).flatten(1)  # Of steps, rows, and z_H and z_L.
    assert torch.corrcoef(apart).fill_diagonal_(0).abs().max() < 0.5
    assert torch.equal(many[3], shift(offered(), 3))
    assert not torch.equal(many[3], shift(offered(0, 1, "seed=1"), 3))


def test_several_processes_share_what_one_draws():
    parts = [shift(offered(rank, 2), 5) for rank in range(2)]
    assert torch.equal(torch.cat(parts), shift(offered(), 5))


def test_a_supervision_step_starts_from_the_state_and_the_noise():
    run = parse(compose("train", [*TINY, "noise=0.3", "batch_size=8"]))
    dataset, ranks = make_dataset(run), Ranks(0, 1, CPU)
    torch.manual_seed(0)
    learner = make_learner(run, Reasoner(run.model, puzzle_shape(dataset.task), run.memory), ranks)
    batches, before = Batches(run, dataset, ranks, 0), learner.initial
    for step in range(2):
        taken = batches.take(step)
        seen = train_step(learner, *taken).observed[0]
        pushed = taken[0][0]["shift"]
        fresh = (seen.carry.steps == 0).view(-1, 1, 1)
        for number, name in enumerate(("z_H", "z_L")):
            start = torch.where(fresh, getattr(learner.initial, name), getattr(before, name))
            torch.testing.assert_close(getattr(seen.carry.state, name), start + pushed[:, number])
        assert learner.carry is not None
        before = learner.carry.state


def test_a_deviation_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"noise is -0\.1; allowed: 0 or above"):
        parse(compose("train", [*TINY, "noise=-0.1"]))


def test_without_it_nothing_is_added():
    assert "shift" not in offered(0, 1, "noise=0").take(0)[0][0]
