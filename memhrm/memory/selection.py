"""Which cells are active: scores, the choice of k cells, their weights, the probability of a choice.

b batch, d width, N cells, k active cells, r relevance projections, q queries of an example.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from memhrm.config.settings import require
from memhrm.memory.addresses import given, hashed
from memhrm.memory.cross_attention import layer_norm
from memhrm.nn.layers import truncated_normal_

SelectorName = Literal["topk", "policy", "random", "all", "lowest_loss", "oracle", "hash"]
Gate = Literal["selected", "all", "none"]


class Scored(NamedTuple):
    """How well the queries match the cells.

    Attributes:
        scores: s, (b, N).
        matches: the product of each cell's CLS and what each query asks for, (b, N, q, r).
        wanted: what the queries ask for, W q as it enters the product, (b, q, r, d); (b, N, q, r, d) if
            each cell has projections of its own.
    """

    scores: Tensor
    matches: Tensor
    wanted: Tensor

    def keys(self, indices: Tensor) -> Tensor:
        """Return what was asked of the cells at `indices` (b, k): (b, k, d).

        Of several projections and queries it is the pair that matches the cell best.
        """
        rows = torch.arange(len(indices), device=indices.device).unsqueeze(1)
        best = self.matches.flatten(2).argmax(dim=-1).gather(1, indices)
        wanted = self.wanted.flatten(-3, -2)
        return wanted[rows, best] if wanted.ndim == 3 else wanted[rows, indices, best]


class Scorer(nn.Module):
    """s_i = 1/R sum_r CLS_i^T W_r q, in float32 at least; equation (6) of docs/memory.md.

    Of several queries the one that matches best counts. Equation (23) has the options.

    Args:
        width: d.
        projections: R.
        combine: mean is the equation, in which R projections are one bilinear form, their mean (trap
            3); logsumexp (less log R) and max are forms in which each projection counts for itself.
        scaled: divide by sqrt(d), so that the softmax of the scores does not saturate.
        normed: layer norm of what is asked for and of the CLS.
        own: the number of cells, if each has projections of its own; 0: they share them.
        start: what W_r starts as: random, or the identity, with which a cell is found by what was asked when
            its CLS was written (cls=key).
    """

    def __init__(
        self,
        width: int,
        projections: int,
        combine: Literal["mean", "logsumexp", "max"],
        scaled: bool,
        normed: bool = False,
        own: int = 0,
        start: Literal["random", "identity"] = "random",
    ):
        super().__init__()
        self.combine, self.normed = combine, normed
        self.scale = width**-0.5 if scaled else 1.0
        self.cell = "n" if own else ""
        size = (own, projections, width, width)[not own :]
        self.weight = nn.Parameter(truncated_normal_(torch.empty(size), std=width**-0.5))
        if start == "identity":
            with torch.no_grad():
                self.weight.copy_(torch.eye(width).expand(size))

    def forward(self, queries: Tensor, cls: Tensor, there: Tensor | None = None) -> Scored:
        """Return how queries (b, q, d) match cells with CLS (b, N, d).

        Args:
            queries: the queries.
            cls: the cells' CLS.
            there: which queries are no padding, (b, q); None for all.
        """
        n, precision = self.cell, torch.promote_types(queries.dtype, torch.float32)
        # By way of the query's type: a checkpointed step computed again must find the same scores.
        weight = self.weight.to(queries.dtype).to(precision)
        cls, wanted = cls.to(precision), torch.einsum(f"{n}rde,bqe->b{n}qrd", weight, queries.to(precision))
        if self.combine == "mean":
            wanted = wanted.mean(dim=-2, keepdim=True)
        if self.normed:
            cls, wanted = layer_norm(cls), layer_norm(wanted)
        asked = wanted.flatten(-3, -2)  # Queries and projections side by side.
        matches = self.scale * torch.einsum(f"bnd,b{n}xd->bnx", cls, asked).unflatten(2, wanted.shape[-3:-1])
        if there is not None:
            matches = matches.masked_fill(~there[:, None, :, None], torch.finfo(precision).min)
        if self.combine == "logsumexp":
            scores = matches.logsumexp(dim=-1) - math.log(matches.shape[-1])
        else:
            scores = matches.amax(dim=-1)  # `mean` leaves a single projection, so `amax` is the identity.
        return Scored(scores.amax(dim=-1), matches, wanted)


def unlabelled(judged: Tensor) -> Tensor:
    """Return the rows to which all cells have the same loss, since no label tells it, (b,) bool."""
    return judged.amin(dim=1) == judged.amax(dim=1)


def merits(
    selector: SelectorName,
    scores: Tensor,
    noise: Tensor | None = None,
    judged: Tensor | None = None,
    address: Tensor | None = None,
    spread: float = 0.0,
) -> Tensor:
    """Return what cells are chosen by, the largest first, (b, N).

    Args:
        selector: topk: the score. policy: a draw without replacement from the Plackett-Luce distribution of
            the scores (Gumbel top-k, Kool et al. 2019, arXiv 1903.06059), greedy without noise. random:
            uniform. all: every cell, in their order. lowest_loss: the loss when the cell is read alone
            (winner takes all), the score where no label tells the loss. oracle: the number of the context
            modulo N, then the next cells. hash: a fixed pseudo-random function of cue and cell.
        scores: (b, N).
        noise: uniform numbers, (b, N), or None.
        judged: the loss of each cell, (b, N), or None.
        address: the numbers of context and cue, (b, 2), for oracle and hash.
        spread: standard deviation of normal noise on the scores, for topk.

    Raises:
        ValueError: there is no address, and the selector needs one.
    """
    if selector == "all":
        return -torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype).expand(scores.shape)
    if selector == "random":
        return torch.rand_like(scores) if noise is None else noise
    if selector in ("oracle", "hash"):
        require(address is not None, "memory.selector", selector, "others where examples have no contexts")
        assert address is not None
        context, cue = address.unbind(dim=1)
        found = given(context, scores.shape[1]) if selector == "oracle" else hashed(cue, scores.shape[1])
        return found.to(scores.dtype)
    if selector == "lowest_loss" and judged is not None:
        return torch.where(unlabelled(judged).unsqueeze(1), scores, -judged)
    if noise is None:
        return scores
    if selector == "policy":
        return scores - (-noise.to(scores.dtype).log()).log()  # Gumbel noise is -log(-log(u)).
    if spread > 0:
        return scores + spread * math.sqrt(2) * torch.erfinv(2 * noise.to(scores.dtype) - 1)
    return scores


def choose(merit: Tensor, k: int, prefer: Tensor | None = None) -> Tensor:
    """Return the k of N cells with the greatest merit (b, N), (b, k), the first choice first.

    prefer: added to the merit, (b, N), or None.
    """
    return (merit if prefer is None else merit + prefer).topk(k, dim=-1).indices


def weigh(gate: Gate, scores: Tensor, indices: Tensor) -> Tensor:
    """Return the weights alpha, (b, k), of the cells at `indices` by the scores (b, N) of all.

    gate: selected: the softmax of their own scores; all: their entries in the softmax of all; none: 1/k.
    """
    if gate == "none":
        return torch.full_like(indices, 1 / indices.shape[1], dtype=scores.dtype)
    if gate == "all":
        return scores.softmax(dim=-1).gather(1, indices)
    return scores.gather(1, indices).softmax(dim=-1)


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
