"""Losses of memories, from what their H-steps traced. Each is a sum over the examples of this process.

What belongs to a batch as a whole (a variance over cells, an information) is computed from the shares of the
global batch and counted once per example, so that the sum divided by the global batch is that quantity.
Equations and traps are those of docs/memory.md.
b batch, N cells, k active cells, h H-steps.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from memhrm.memory.base import Situation, Trace
from memhrm.memory.usage import hits
from memhrm.system.ranks import summed


def traced(name: str) -> Callable[[Situation], Tensor]:
    """Return the loss that is the mean over the H-steps of `trace[name]`, (b,), summed over the examples."""

    def loss(situation: Situation) -> Tensor:
        return _mean(situation, name)

    return loss


def straight_through(trace: Trace) -> Tensor:
    """Return `hits` with the gradient of the softmax of the scores, (b, N): counts have none (trap 4)."""
    soft = trace["scores"].softmax(dim=-1)
    return hits(trace) + soft - soft.detach()


def shares(traces: Sequence[Trace]) -> Tensor:
    """Return p_i, (N,), the share of all processes' examples and of the H-steps in which cell i is active."""
    return _global_mean(torch.stack([straight_through(trace) for trace in traces]).mean(dim=0))


def diverse(situation: Situation) -> Tensor:
    """Return -Var(p), equation (14). At its optimum all examples select the same k cells (trap 5)."""
    return -shares(situation.traces).var(correction=0) * _rows(situation)


def balance(situation: Situation, always_active: int = 0) -> Tensor:
    """Return CV^2 of the shares of the cells that compete, all but the first ones; equation (15)."""
    p = shares(situation.traces)[always_active:]
    return p.var(correction=0) / p.mean().square().clamp(min=1e-12) * _rows(situation)


def information(situation: Situation) -> Tensor:
    """Return -(H(p) - mean H(p | example)) in nats, p the softmax of the scores; equation (16).

    It is minus the mutual information of cell and example, which is large where every example is sure of
    its cells and different ones differ. `usage_information` of `memhrm.memory.usage` is the same of the
    selections that were made.
    """
    soft = torch.stack([trace["scores"].softmax(dim=-1) for trace in situation.traces]).mean(dim=0)
    return _entropy(soft).sum() - _entropy(_global_mean(soft)) * _rows(situation)


def policy(situation: Situation) -> Tensor:
    """Return -(reward - baseline) log pi(A), over all selections of the step; equation (19).

    The baseline is the mean reward of the other examples of all processes. REINFORCE, Williams 1992.
    """
    assert situation.reward is not None
    reward = situation.reward.detach()
    advantage = reward
    if situation.baseline:
        total, count = summed(reward.sum()), summed(torch.ones_like(reward).sum())
        advantage = reward - (total - reward) / (count - 1).clamp(min=1)
    return -(advantage * _log_probability(situation)).sum()


def entropy(situation: Situation) -> Tensor:
    """Return minus the entropy of the policy's first draw in nats, mean over H-steps."""
    return -_mean(situation, "entropy")


def imitation(situation: Situation) -> Tensor:
    """Return -log pi(A) per H-step of the cells with the lowest loss: the scorer learns to name them."""
    return -_log_probability(situation).sum() / len(situation.traces)


def _mean(situation: Situation, name: str) -> Tensor:
    return torch.stack([trace[name] for trace in situation.traces]).mean(dim=0).sum()


def _log_probability(situation: Situation) -> Tensor:
    return torch.stack([trace["log_probability"] for trace in situation.traces]).sum(dim=0)


def _rows(situation: Situation) -> int:
    return len(situation.traces[0]["indices"])


def _entropy(p: Tensor) -> Tensor:
    # A probability that has underflowed to 0 has no logarithm to differentiate.
    return -(p * p.clamp(min=torch.finfo(p.dtype).tiny).log()).sum(dim=-1)


def _global_mean(values: Tensor) -> Tensor:
    """Return the mean over the rows (b, N) of all processes, (N,).

    Its gradient is this process's part of it, times the number of processes, since each of them counts what
    is made of the mean for its own rows only.
    """
    own, rows = values.sum(dim=0), torch.tensor(float(len(values)), device=values.device)
    total, count = summed(own.detach()), summed(rows)
    return total / count + (own - own.detach()) / rows
