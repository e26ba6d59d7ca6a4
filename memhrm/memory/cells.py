"""Many memory cells, of which each example selects, reads and writes k: what memories with cells are made of.

b batch, t position, d width, N cells, k active cells, l = 1 + M tokens of a cell: its CLS, then its contents.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memhrm.memory import losses
from memhrm.memory.base import NORMS, Context, HModule, HShape, Loss, Memory, Trace
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.selection import Scorer, choose, entropy, plackett_luce
from memhrm.nn.attention import SelfAttention
from memhrm.nn.blocks import add_rms
from memhrm.nn.layers import first, masked_mean, truncated_normal_


class Selection(NamedTuple):
    """Indices and weights of the active cells, (b, k), and the scores of all cells, (b, N)."""

    indices: Tensor
    alpha: Tensor
    scores: Tensor


ReadAlone = Callable[[Tensor], Tensor]
"""One cell of each example, (b, 1, l, d), to z_H (b, t, d) after reading it alone with weight 1."""


class Cells(nn.Module):
    """Selects cells, takes them out of the memory and puts them back.

    A memory calls `select` and `take`, reads and writes the active cells in its own way, and calls
    `put_back`.
    """

    def __init__(self, settings: CellSettings, shape: HShape, num_heads: int):
        super().__init__()
        self.settings, self.active, s = settings, settings.active, settings
        self.scorer = Scorer(shape.width, s.projections, s.combine, s.score_scale == "sqrt")
        self.within = SelfAttention(shape.width, num_heads, shape.attend) if s.self_attention else None

    @classmethod
    def of(cls, module: HModule, settings: CellSettings, shape: HShape, num_heads: int) -> "Cells":
        """Return cells for a module, for which everything is declared that comes with them."""
        made, s = cls(settings, shape, num_heads), settings
        # Every cell starts at a random place of its own: equal cells would never separate (trap 8).
        size = s.cells, 1 + s.tokens, shape.width
        module.remember("cells", truncated_normal_(torch.empty(size), std=1.0))
        module.remember("usage", torch.full((s.cells,), s.active / s.cells))
        module.cells, module.always_active = s.cells, s.shared
        module.noise_size = s.cells if s.selector in ("policy", "random") else 0
        module.noise_in_evaluation = s.selector == "random"
        module.logged = NORMS
        module.losses |= {
            "diverse": Loss(losses.diverse),
            "balance": Loss(partial(losses.balance, always_active=s.shared)),
            "information": Loss(losses.information),
        }
        if s.selector == "policy":
            module.losses["policy"] = Loss(losses.policy, weight=1.0, needs_reward=True)
            module.losses["entropy"] = Loss(losses.entropy, weight=0.01)
            module.logged = (*NORMS, "entropy")
        elif s.selector == "lowest_loss":
            module.losses["imitation"] = Loss(losses.imitation, weight=1.0)
            module.logged = (*NORMS, "entropy")
        return made

    def select(
        self, h: Tensor, memory: Memory, context: Context, read_alone: ReadAlone
    ) -> tuple[Selection, Trace]:
        """Select the active cells of each example.

        Args:
            h: the state that reads, (b, t, d).
            memory: the memory before the step.
            context: the context of the H-step.
            read_alone: what reading one cell alone gives, for selector=lowest_loss.
        """
        s, apart, cls = self.settings, self.settings.shared, memory["cells"][:, :, 0]
        judged = self._judged(memory["cells"], context, read_alone)
        query = (masked_mean if s.pooling == "mean" else first)(h, context.present)
        scores = self.scorer(query, cls)
        rivals = scores[:, apart:]  # A shared cell stands apart from the competition.
        noise, judged, prefer = (
            None if x is None else x[:, apart:] for x in (context.noise, judged, context.prefer)
        )
        winners = choose(s.selector, rivals.detach(), self.active - apart, noise, judged, prefer)
        shared = torch.zeros_like(winners[:, :apart])
        indices = torch.cat((shared, winners + apart), dim=1) if apart else winners

        if s.gate == "none":
            alpha = torch.full_like(winners, 1 / winners.shape[1], dtype=scores.dtype)
        elif s.gate == "all":
            alpha = rivals.softmax(dim=-1).gather(1, winners)
        else:
            alpha = rivals.gather(1, winners).softmax(dim=-1)
        if apart:  # The shared cell weighs as much as one of k equal ones, whatever the scores.
            own = torch.full_like(alpha[:, :apart], 1 / self.active)
            alpha = torch.cat((own, alpha * (1 - apart / self.active)), dim=1)
        trace = {"indices": indices, "alpha": alpha, "scores": scores}
        if self.training and s.selector in ("policy", "lowest_loss"):
            constant = not torch.is_grad_enabled()
            with torch.enable_grad():  # Selections in cycles without gradient are credited too.
                if constant:
                    rivals = self.scorer(query.detach(), cls.detach())[:, apart:]
                trace |= {"log_probability": plackett_luce(rivals, winners), "entropy": entropy(rivals)}
        return Selection(indices, alpha, scores), trace

    @torch.no_grad()
    def _judged(self, cells: Tensor, context: Context, read_alone: ReadAlone) -> Tensor | None:
        """Return the loss of the answer after reading each cell alone, (b, N), for selector=lowest_loss."""
        if self.settings.selector != "lowest_loss" or context.judge is None:
            return None
        # One after the other: all at once would take n times the memory.
        losses = [context.judge(read_alone(cells[:, i : i + 1])) for i in range(cells.shape[1])]
        return torch.stack(losses, dim=1)

    def take(self, memory: Memory, selection: Selection) -> Tensor:
        """Return the active cells, (b, k, l, d); the cost follows k."""
        cells, indices = memory["cells"], selection.indices
        return cells.flatten(0, 1).index_select(0, _rows(cells, indices)).unflatten(0, indices.shape)

    def put_back(self, memory: Memory, active: Tensor, selection: Selection) -> Memory:
        """Return the memory with the written cells, (b, k, l, d), and the usage after the step."""
        s, cells = self.settings, memory["cells"]
        hit = torch.zeros_like(memory["usage"]).scatter(1, selection.indices, 1.0)
        usage = torch.lerp(hit, memory["usage"], s.usage_average)
        if s.decay > 0:
            cells = cells * (1 - s.decay * (1 - usage))[:, :, None, None]
        rows = _rows(cells, selection.indices)
        cells = cells.flatten(0, 1).index_copy(0, rows, active.flatten(0, 1)).view(cells.shape)
        return {**memory, "cells": cells, "usage": usage}

    def attend_within(self, active: Tensor, dtype: torch.dtype) -> Tensor:
        """Return written cells, (b, k, l, d), after self-attention in `dtype`, if there is one."""
        if self.within is None:
            return active
        tokens = layer_norm(active.to(dtype)).flatten(0, 1)
        change = self.within(tokens, None).view(active.shape).to(active.dtype)
        return add_rms(active, change) if self.settings.state_norm == "rms" else active + change


def _rows(cells: Tensor, indices: Tensor) -> Tensor:
    """Return where the cells of `indices` (b, k) stand when (b, N) is one axis."""
    batch, n = cells.shape[:2]
    return (indices + torch.arange(batch, device=indices.device).unsqueeze(1) * n).flatten()
