"""Which cells are active: scores, the choice of k cells, the probability of a choice.

b batch, d width, N cells, k active cells, r relevance projections.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from memhrm.nn.layers import truncated_normal_

SelectorName = Literal["topk", "policy", "random", "all", "lowest_loss"]


class Scorer(nn.Module):
    """s_i = 1/R sum_r CLS_i^T W_r q, in float32 at least; equation (6) of docs/memory.md.

    Args:
        width: d.
        projections: R.
        combine: mean is the equation, in which R projections are one bilinear form, their mean (trap
            3); logsumexp (less log R) and max are forms in which each projection counts for itself.
        scaled: divide by sqrt(d), so that the softmax of the scores does not saturate.
    """

    def __init__(
        self, width: int, projections: int, combine: Literal["mean", "logsumexp", "max"], scaled: bool
    ):
        super().__init__()
        self.combine = combine
        self.scale = width**-0.5 if scaled else 1.0
        self.weight = nn.Parameter(truncated_normal_(torch.empty(projections, width, width), std=width**-0.5))

    def forward(self, query: Tensor, cls: Tensor) -> Tensor:
        """Return the scores (b, N) of cells with CLS (b, N, d) for queries (b, d)."""
        precision = torch.promote_types(query.dtype, torch.float32)
        # By way of the query's type: a checkpointed step computed again must find the same scores.
        weight = self.weight.to(query.dtype).to(precision)
        wanted = torch.einsum("rde,be->brd", weight, query.to(precision))
        if self.combine == "mean":
            wanted = wanted.mean(dim=1, keepdim=True)
        scores = self.scale * torch.einsum("bnd,brd->bnr", cls.to(precision), wanted)
        if self.combine == "logsumexp":
            return scores.logsumexp(dim=-1) - math.log(scores.shape[-1])
        return scores.amax(dim=-1)  # `mean` leaves a single projection, so `amax` is the identity.


def choose(
    selector: SelectorName,
    scores: Tensor,
    k: int,
    noise: Tensor | None,
    judged: Tensor | None,
    prefer: Tensor | None = None,
) -> Tensor:
    """Return the k of N cells that each example selects, (b, k), the first choice first.

    Args:
        selector: topk: by score. policy: a draw without replacement from the Plackett-Luce distribution of
            the scores (Gumbel top-k, Kool et al. 2019, arXiv 1903.06059), greedy without noise. random:
            uniform. all: every cell. lowest_loss: by the loss when the cell is read alone (winner takes
            all), by score where no label tells the loss.
        scores: (b, N).
        k: active cells.
        noise: uniform numbers, (b, N), or None.
        judged: the loss of each cell, (b, N), or None.
        prefer: added to what the cells are chosen by, (b, N), or None; it changes nothing with `all`.
    """
    if selector == "all":
        return torch.arange(scores.shape[1], device=scores.device).expand(scores.shape)
    if selector == "random":
        scores = torch.rand_like(scores) if noise is None else noise
    elif selector == "policy" and noise is not None:
        scores = scores - (-noise.to(scores.dtype).log()).log()  # Gumbel noise is -log(-log(u)).
    elif selector == "lowest_loss" and judged is not None:
        scores = -judged
    if prefer is not None:
        scores = scores + prefer
    return scores.topk(k, dim=-1).indices


def plackett_luce(scores: Tensor, indices: Tensor) -> Tensor:
    """Return the log-probability of drawing cells in this order without replacement, (b,).

    It is sum_j s(a_j) - log sum_{i not among a_1..a_{j-1}} exp s(i), equation (18) of docs/memory.md.

    Args:
        scores: s, (b, N).
        indices: a, (b, k).
    """
    chosen = scores.gather(1, indices)
    left, total = scores, torch.zeros_like(scores[:, 0])
    for j in range(indices.shape[1]):
        total = total + chosen[:, j] - left.logsumexp(dim=1)
        left = left.scatter(1, indices[:, j : j + 1], -torch.inf)
    return total


def entropy(scores: Tensor) -> Tensor:
    """Return the entropy in nats of the first draw, softmax(scores): (b, N) to (b,)."""
    log_p = scores.log_softmax(dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1)
