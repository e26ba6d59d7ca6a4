"""What the state asks the cells for: from h to the queries that are scored.

b batch, t position, d width.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from memhrm.memory.base import Trace
from memhrm.nn.layers import first, masked_mean
from memhrm.system.ranks import summed

Pooling = Literal["mean", "first", "attend", "max"]


class Query(nn.Module):
    """h to its queries, one, or with pooling=max one for each position.

    With a rate, the running mean of each query over what is asked is taken off: what all examples ask alike
    tells no cells apart. The mean is a buffer that moves between optimiser steps (`settle`), in training. The
    gradient has its mean taken off too: else all queries learn to move together, ahead of the running mean,
    and agree on a cell without content. Equations (21) and (22) of docs/memory.md.

    Args:
        pooling: mean over positions; first, position 0; attend, a mean weighted by a learned attention,
            which starts as the plain mean; max, every position.
        width: d.
        length: t.
        rate: rate of the running mean; 0 takes nothing off.
    """

    def __init__(self, pooling: Pooling, width: int, length: int, rate: float):
        super().__init__()
        self.pooling, self.rate = pooling, rate
        self.attention = nn.Parameter(torch.zeros(width)) if pooling == "attend" else None
        self.mean: Tensor | None
        places = length if pooling == "max" else 1
        self.register_buffer("mean", torch.zeros(places, width) if rate > 0 else None)

    def forward(
        self, h: Tensor, present: Tensor | None, held: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Trace]:
        """Return the queries of h (b, t, d).

        Args:
            h: the state that reads.
            present: the positions that are no padding, (b, t); None for all.
            held: rows whose query chooses nothing, (b,) bool, and does not count for the running mean; None
                for none.

        Returns:
            Queries, 1 or t of them: (b, 1 or t, d); which of them are there, (b, t), None for all; and in
            training, with a rate, what `settle` reads.
        """
        if self.pooling == "max":
            queries, there = h, present
        else:
            queries, there = self._pooled(h, present).unsqueeze(1), None
        if self.mean is None:
            return queries, there, {}
        trace = {}
        if self.training:
            asked = torch.ones_like(queries[..., 0], dtype=torch.bool) if there is None else there
            if held is not None:
                asked = asked & ~held.unsqueeze(1)
            asked = asked.to(self.mean.dtype)
            trace = {"queries": queries.detach(), "queries_there": asked}
            queries = _Centred.apply(queries, asked)
        return queries - self.mean.to(queries.dtype), there, trace

    def _pooled(self, h: Tensor, present: Tensor | None) -> Tensor:
        if self.attention is None:
            return (masked_mean if self.pooling == "mean" else first)(h, present)
        weights = h @ self.attention.to(h.dtype)
        if present is not None:
            weights = weights.masked_fill(~present, torch.finfo(weights.dtype).min)
        return torch.einsum("bt,btd->bd", weights.softmax(dim=-1), h)

    @torch.no_grad()
    def settle(self, traces: Sequence[Trace]) -> None:
        """Move the running mean towards the mean over the rows of all processes and the H-steps."""
        if self.mean is None:
            return
        total, count = torch.zeros_like(self.mean), torch.zeros_like(self.mean[:, :1])
        for trace in traces:
            there = trace["queries_there"].unsqueeze(-1)
            total += (trace["queries"].to(total.dtype) * there).sum(dim=0)
            count += there.sum(dim=0)
        total, count = summed(total), summed(count)
        there = count > 0
        self.mean += torch.where(there, self.rate * (total / count.clamp(min=1) - self.mean), 0)


class _Centred(torch.autograd.Function):
    """Take its mean off the gradient of queries (b, q, d), over those that are asked in all processes.

    The queries themselves stay as they are.
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, asked: Tensor) -> Tensor:
        ctx.save_for_backward(asked)
        return queries.view_as(queries)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        asked, gradient = ctx.saved_tensors[0].unsqueeze(-1), gradients[0]
        total, count = summed((asked * gradient).sum(dim=0)), summed(asked.sum(dim=0))
        return gradient - (asked * (total / count.clamp(min=1))).to(gradient.dtype), None
