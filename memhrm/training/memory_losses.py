"""The losses of a memory, from what its H-steps traced. Each is a sum over the examples of this process.

What belongs to a batch as a whole (a variance over cells, an information) is computed from the shares of the
global batch and counted once per example, so that the sum divided by the global batch is that quantity.
b batch, n cells, k active cells, h H-steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memhrm.memory.h_module import Trace
from memhrm.memory.usage import hits
from memhrm.system.ranks import summed


@dataclass(frozen=True)
class Situation:
    """What the losses look at.

    traces: of a supervision step, one per H-step. reward: of each example for the selections made in it,
        (b,), if there is one. always_active: how many cells, the first, do not compete. baseline: whether the
        reward is compared with that of the other examples.
    """

    traces: Sequence[Trace]
    reward: Tensor | None
    always_active: int = 0
    baseline: bool = True


def memory_losses(names: Sequence[str], situation: Situation) -> dict[str, Tensor]:
    """The losses of these names, as sums over the examples of this process."""
    return {name: LOSSES[name](situation) for name in names}


def straight_through(trace: Trace) -> Tensor:
    """`hits` in value, the softmax of the scores in gradient, (b, n): counts have none of their own."""
    soft = trace["scores"].softmax(dim=-1)
    return hits(trace) + soft - soft.detach()


def shares(traces: Sequence[Trace]) -> Tensor:
    """p_i, the share of the examples of all processes and of the H-steps in which cell i is active, (n,)."""
    return _global_mean(torch.stack([straight_through(trace) for trace in traces]).mean(dim=0))


def diverse(situation: Situation) -> Tensor:
    """-Var(p), the proposal's. Its optimum is that all examples select the same k cells."""
    return -shares(situation.traces).var(correction=0) * _rows(situation)


def balance(situation: Situation) -> Tensor:
    """CV^2 of the shares of the cells that compete: all but a shared one (proposal, L_balance)."""
    p = shares(situation.traces)[situation.always_active :]
    return p.var(correction=0) / p.mean().square().clamp(min=1e-12) * _rows(situation)


def information(situation: Situation) -> Tensor:
    """-(H(p) - mean H(p | example)) in nats, p the softmax of the scores: minus the mutual information of
    cell and example, which is large where every example is sure of its cells and different ones differ.

    `usage_information` of `memhrm.memory.usage` is the same of the selections that were made."""
    soft = torch.stack([trace["scores"].softmax(dim=-1) for trace in situation.traces]).mean(dim=0)
    return _entropy(soft).sum() - _entropy(_global_mean(soft)) * _rows(situation)


def self_sup(situation: Situation) -> Tensor:
    """mean |sg(dz) - Attn(h, LN(m_j), LN(m_j))|^2, j the highest scoring cell (proposal, L_self-sup)."""
    return torch.stack([trace["self_sup"] for trace in situation.traces]).mean(dim=0).sum()


def policy(situation: Situation) -> Tensor:
    """-(reward - baseline) log pi(A), over all selections of the supervision step (Williams 1992, REINFORCE).

    The baseline is the mean reward of the other examples of all processes.
    """
    assert situation.reward is not None
    reward = situation.reward.detach()
    advantage = reward
    if situation.baseline:
        total, count = summed(reward.sum()), summed(torch.ones_like(reward).sum())
        advantage = reward - (total - reward) / (count - 1).clamp(min=1)
    return -(advantage * _log_probability(situation)).sum()


def entropy(situation: Situation) -> Tensor:
    """Minus the entropy of the policy's first draw in nats, mean over H-steps: minimised, it is a bonus."""
    return -torch.stack([trace["entropy"] for trace in situation.traces]).mean(dim=0).sum()


def imitation(situation: Situation) -> Tensor:
    """-log pi(A) per H-step of the cells with the lowest loss: the scorer learns to name them."""
    return -_log_probability(situation).sum() / len(situation.traces)


LOSSES: dict[str, Callable[[Situation], Tensor]] = {
    "diverse": diverse,
    "balance": balance,
    "information": information,
    "self_sup": self_sup,
    "policy": policy,
    "entropy": entropy,
    "imitation": imitation,
}

BY_SELECTOR = ("policy", "entropy", "imitation")
"""Losses that come with a selector, and have a weight by default that no other selector uses."""


def _log_probability(situation: Situation) -> Tensor:
    return torch.stack([trace["log_probability"] for trace in situation.traces]).sum(dim=0)


def _rows(situation: Situation) -> int:
    return len(situation.traces[0]["indices"])


def _entropy(p: Tensor) -> Tensor:
    # A probability that has underflowed to 0 has no logarithm to differentiate.
    return -(p * p.clamp(min=torch.finfo(p.dtype).tiny).log()).sum(dim=-1)


def _global_mean(values: Tensor) -> Tensor:
    """The mean over the rows (b, n) of all processes, (n,).

    Its gradient is this process's part of it, times the number of processes, since each of them counts what
    is made of the mean for its own rows only.
    """
    own, rows = values.sum(dim=0), torch.tensor(float(len(values)), device=values.device)
    total, count = summed(own.detach()), summed(rows)
    return total / count + (own - own.detach()) / rows
