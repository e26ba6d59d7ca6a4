"""The policy is credited with what its choices earn later: a write with later answers."""

import itertools

import pytest
import torch
from torch import Tensor

from conftest import SHAPE, model_settings
from memhrm.config.command import compose
from memhrm.data.sampler import IGNORE, schedule
from memhrm.memory import registry
from memhrm.memory.base import Situation
from memhrm.memory.losses import policy
from memhrm.memory.selection import plackett_luce
from memhrm.models.reasoner import Reasoner
from memhrm.runs.settings import parse
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, returns, train_step
from memhrm.training.supervision import LossSettings
from tiny import TINY

CELLS = {
    "name": "multicell",
    "module": "memhrm.memory.multicell.MultiCell",
    "tokens": 2,
    "cells": 2,
    "k": 1,
    "selector": "policy",
    "lifetime": "episode",
    "horizon": 2,
}


def test_a_return_is_the_sum_of_later_rewards():
    rewards = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([4.0, 8.0])]
    found = [x.tolist() for x in returns(rewards, 0.5)]
    assert found == [[2.0, 3.0], [2.0, 6.0], [4.0, 8.0]]
    assert returns([None, None], 1.0) == [None, None]


def test_the_mean_estimate_credits_the_write_of_a_two_step_episode():
    """A write, rewarded with nothing, and a read that chooses in vain: only the write's cell earns."""
    scores = torch.tensor([[0.3, -0.2, 0.8], [0.1, 0.5, -0.4]], dtype=torch.float64)
    earned = torch.tensor([0.2, 1.0, -0.5], dtype=torch.float64)
    means = {}
    for kind in ("step", "episode"):
        mean = torch.zeros_like(scores)
        for cells in itertools.product(range(3), repeat=2):
            leaf = scores.clone().requires_grad_()
            logs = [plackett_luce(leaf[t : t + 1], torch.tensor([[cells[t]]])) for t in range(2)]
            rewards = [torch.zeros(1, dtype=torch.float64), earned[cells[0] : cells[0] + 1]]
            credited = returns(rewards, 1.0) if kind == "episode" else rewards
            losses = []
            for t in range(2):
                trace = {"indices": torch.tensor([[cells[t]]]), "log_probability": logs[t]}
                losses.append(policy(Situation([trace], credited[t], baseline=False)))
            (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), leaf)
            mean += sum(logs).exp().item() * gradient
        means[kind] = mean
    leaf = scores.clone().requires_grad_()
    (exact,) = torch.autograd.grad(-(leaf[0].softmax(dim=0) * earned).sum(), leaf)
    torch.testing.assert_close(means["episode"], exact)
    assert exact[0].abs().max() > 0.1 and not exact[1].any()
    assert not means["step"][0].any()  # The reward of its step credits a write with nothing.


def learner_of(returned: str, window: str, discount: float) -> Learner:
    torch.manual_seed(0)
    model = Reasoner(model_settings(gradient_window=window), SHAPE, registry.parse(CELLS)).double()
    return Learner.build(
        model,
        halting=Halting.of(rule="sigmoid", halt_max_steps=1, halt_exploration_prob=0.0),
        loss=LossSettings.parse({"lm": 0, "q_halt": 0, "entropy": 0, "reward": "fall", "baseline": "none",
                                 "returns": returned, "discount": discount}),
        optim=OptimSettings.of(name="adamw", lr=0.0, warmup=0),
        total_steps=1,
        local_batch_size=1,
        dtype=torch.float64,
    )  # fmt: skip


def episode() -> list[dict[str, Tensor]]:
    """What is told, and a question, for one row."""
    random, found = torch.Generator().manual_seed(3), []
    for at, told in ((0, True), (1, False)):
        labels = torch.randint(1, 6, (1, 16), generator=random).int()
        batch = {
            "inputs": torch.randint(1, 6, (1, 16), generator=random).int(),
            "labels": torch.full_like(labels, IGNORE) if told else labels,
            "identifiers": torch.zeros(1, dtype=torch.int32),
        }
        marks = schedule(1, begins=True, episode_start=at == 0)
        found.append(batch | {name: torch.from_numpy(mark) for name, mark in marks.items()})
    return found


def taken(learner: Learner, noise: list[Tensor]) -> tuple[list, Tensor]:
    """The supervision steps of the episode, with their graphs, and the gradient of the scorer."""
    weight = learner.model.get_parameter("H_module.store.scorer.weight")
    learner.carry, kept, original = None, [], learner.supervise.forward
    learner.optimisers.step = lambda *_: (torch.zeros(()), 0.0)  # The weights stay, and their gradients.

    def noted(*args):
        kept.append(original(*args))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner.supervise, "forward", noted)
        backward = Tensor.backward
        patch.setattr(Tensor, "backward", lambda loss: backward(loss, retain_graph=True))
        train_step(learner, episode(), [torch.ones(1)] * 2, noise)
    assert weight.grad is not None
    found, weight.grad = weight.grad, None
    return kept, found


@pytest.mark.parametrize(("window", "discount"), [("last_cycle", 1.0), ("one_step", 0.6)])
def test_the_mean_over_all_choices_of_an_episode_is_the_gradient_of_the_expected_return(window, discount):
    """Through `train_step`: of a step's two H-steps one has no gradient, and is credited too.

    The exact gradient credits each choice with earlier rewards as well, which cancel in the mean.
    Discounted, a reward counts for a choice by the steps between them.
    """
    of_episode, of_step = (learner_of(name, window, discount) for name in ("episode", "step"))
    weight = of_episode.model.get_parameter("H_module.store.scorer.weight")
    mean, exact, only_step = (torch.zeros_like(weight) for _ in range(3))
    for choices in itertools.product((0, 1), repeat=4):  # Two H-steps of two supervision steps.
        noise = torch.full((2, 1, 2, 2), 1e-9, dtype=torch.float64)
        for h, cell in enumerate(choices):
            noise[h // 2, 0, h % 2, cell] = 1 - 1e-9
        done, estimate = taken(of_episode, list(noise))
        assert [t["indices"].item() for d in done for t in d.out.traces] == list(choices)
        logs = [torch.stack([t["log_probability"] for t in d.out.traces]).sum() for d in done]
        p = torch.stack(logs).sum().exp().item()
        mean += p * estimate
        only_step += p * taken(of_step, list(noise))[1]
        rewards = [d.reward.item() for d in done]
        assert rewards[0] == 0 != rewards[1]
        credits = [sum(r * discount ** max(u - t, 0) for u, r in enumerate(rewards)) for t in range(2)]
        total = torch.stack([credit * log for credit, log in zip(credits, logs)]).sum()
        exact -= p * torch.autograd.grad(total, weight)[0]
    torch.testing.assert_close(mean, exact)
    assert (mean - only_step).norm() > 0.1 * mean.norm()


def test_returns_want_a_whole_episode():
    words = ["+memory=multicell", "memory.selector=policy", "loss.returns=episode"]
    with pytest.raises(ValueError, match=r"loss\.returns is 'episode'; allowed: step without memory.horizon"):
        parse(compose("train", [*TINY, *words]))
    assert parse(compose("train", [*TINY, "data=recall", *words])).loss.returns == "episode"
