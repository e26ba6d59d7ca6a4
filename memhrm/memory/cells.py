"""Many memory cells of which each example selects, reads and writes k: what all memories with cells share.

b batch, t position, d width, n cells, k active cells, l = 1 + M tokens of a cell: its CLS, then its contents.
Source: proposal, "non-additive parallelized implementation".
"""

from typing import NamedTuple

import torch
from torch import Tensor

from memhrm.memory.bicross import Exchange, norms
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.exchange import layer_norm
from memhrm.memory.h_module import Context, HShape, Memory, Trace
from memhrm.memory.selector import Scorer, choose, entropy, plackett_luce
from memhrm.nn.attention import SelfAttention
from memhrm.nn.fused import add_rms
from memhrm.nn.layers import first, masked_mean, truncated_normal_


class Selection(NamedTuple):
    """indices and weights of the active cells, (b, k), and the scores of all, (b, n)."""

    indices: Tensor
    alpha: Tensor
    scores: Tensor


class CellMemory(Exchange):
    """Select, read, write, note the usage. A subclass says what is read from the active cells."""

    Settings = CellSettings
    settings: CellSettings

    def __init__(self, settings: CellSettings, shape: HShape):
        super().__init__(settings, shape)
        s, d = settings, shape.width
        self.scorer = Scorer(d, s.projections, s.combine, s.score_scale == "sqrt")
        self.within = None
        if s.self_attention:
            self.within = SelfAttention(d, self.read.num_heads, shape.attend)
        # Every cell starts at a random place of its own: equal cells would never separate.
        self.remember("cells", truncated_normal_(torch.empty(s.cells, 1 + s.tokens, d), std=1.0))
        self.remember("usage", torch.full((s.cells,), s.active / s.cells))
        own = {"policy": {"policy", "entropy"}, "lowest_loss": {"imitation"}}.get(s.selector, set())
        self.losses = frozenset({"diverse", "balance", "information", *own})
        self.cells = s.cells
        self.always_active = int(bool(s.shared_cell) and s.selector != "all")
        self.noise_size = s.cells if s.selector in ("policy", "random") else 0
        self.noise_in_evaluation = s.selector == "random"

    def read_cells(
        self, h: Tensor, active: Tensor, selection: Selection, present: Tensor | None
    ) -> tuple[Tensor, Trace]:
        """dz, (b, t, d), from h (b, t, d) and the active cells (b, k, l, d); and its part of the trace."""
        raise NotImplementedError

    def write_cells(self, active: Tensor, h: Tensor, selection: Selection, present: Tensor | None) -> Tensor:
        """The active cells, (b, k, l, d), after the write of h (b, t, d): each token for itself.

        The cells write with one call: their tokens are queries side by side to the same keys.
        """
        tokens = layer_norm(active.to(h.dtype)).flatten(1, 2)
        return self.write_residual(active, self.write(tokens, h, present).unflatten(1, active.shape[1:3]))

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        z_H, h = self.start(z_H, z_L, context)
        cells = memory["cells"]
        judged = self._judged(z_H, h, cells, context)
        selection, trace = self._select(h, cells[:, :, 0], context, judged)

        active = _gather(cells, selection.indices)
        dz, read = self.read_cells(h, active, selection, context.present)
        z_H = self.read_residual(z_H, dz)
        active = self.write_cells(active, layer_norm(z_H + z_L), selection, context.present)
        if self.within is not None:
            active = self._attend_within(active, h.dtype)

        memory = self._put_back(memory, active, selection)
        return z_H, memory, {**trace, **read, **norms(z_H, active, context.present)}

    def _select(
        self, h: Tensor, cls: Tensor, context: Context, judged: Tensor | None
    ) -> tuple[Selection, Trace]:
        s, apart = self.settings, self.always_active
        query = (masked_mean if s.pooling == "mean" else first)(h, context.present)
        scores = self.scorer(query, cls)
        rivals = scores[:, apart:]  # A shared cell stands apart from the competition.
        noise, judged, prefer = (
            None if x is None else x[:, apart:] for x in (context.noise, judged, context.prefer)
        )
        winners = choose(s.selector, rivals.detach(), s.active - apart, noise, judged, prefer)
        shared = torch.zeros_like(winners[:, :apart])
        indices = torch.cat((shared, winners + apart), dim=1) if apart else winners

        if s.gate == "none":
            alpha = torch.full_like(winners, 1 / winners.shape[1], dtype=scores.dtype)
        elif s.gate == "all":
            alpha = rivals.softmax(dim=-1).gather(1, winners)
        else:
            alpha = rivals.gather(1, winners).softmax(dim=-1)
        if apart:  # The shared cell weighs as much as one of k equal ones, whatever the scores.
            own = torch.full_like(alpha[:, :apart], 1 / s.active)
            alpha = torch.cat((own, alpha * (1 - apart / s.active)), dim=1)
        trace = {"indices": indices, "alpha": alpha, "scores": scores}
        if self.training and s.selector in ("policy", "lowest_loss"):
            constant = not torch.is_grad_enabled()
            with torch.enable_grad():  # Selections in cycles without gradient are credited too.
                if constant:
                    rivals = self.scorer(query.detach(), cls.detach())[:, apart:]
                trace |= {"log_probability": plackett_luce(rivals, winners), "entropy": entropy(rivals)}
        return Selection(indices, alpha, scores), trace

    @torch.no_grad()
    def _judged(self, z_H: Tensor, h: Tensor, cells: Tensor, context: Context) -> Tensor | None:
        """The loss of the answer after reading each cell alone, (b, n); with selector=lowest_loss only."""
        if self.settings.selector != "lowest_loss" or context.judge is None:
            return None
        one = torch.ones_like(cells[:, :1, 0, 0])
        alone = Selection(torch.zeros_like(one, dtype=torch.long), one, one)
        losses = []
        for i in range(cells.shape[1]):  # One after the other: all at once would take n times the memory.
            dz, _ = self.read_cells(h, cells[:, i : i + 1], alone, context.present)
            losses.append(context.judge(self.read_residual(z_H, dz)))
        return torch.stack(losses, dim=1)

    def _attend_within(self, active: Tensor, dtype: torch.dtype) -> Tensor:
        assert self.within is not None
        tokens = layer_norm(active.to(dtype)).flatten(0, 1)
        change = self.within(tokens, None).view(active.shape).to(active.dtype)
        return add_rms(active, change) if self.settings.state_norm == "rms" else active + change

    def _put_back(self, memory: Memory, active: Tensor, selection: Selection) -> Memory:
        s, cells = self.settings, memory["cells"]
        hit = torch.zeros_like(memory["usage"]).scatter(1, selection.indices, 1.0)
        usage = torch.lerp(hit, memory["usage"], s.usage_average)
        if s.decay > 0:
            cells = cells * (1 - s.decay * (1 - usage))[:, :, None, None]
        return {**memory, "cells": _scatter(cells, selection.indices, active), "usage": usage}


def _rows(cells: Tensor, indices: Tensor) -> Tensor:
    """Where the cells of `indices` (b, k) stand when (b, n) is one axis."""
    batch, n = cells.shape[:2]
    return (indices + torch.arange(batch, device=indices.device).unsqueeze(1) * n).flatten()


def _gather(cells: Tensor, indices: Tensor) -> Tensor:
    """The cells (b, k, l, d) at indices (b, k) of cells (b, n, l, d); the cost follows k."""
    return cells.flatten(0, 1).index_select(0, _rows(cells, indices)).unflatten(0, indices.shape)


def _scatter(cells: Tensor, indices: Tensor, active: Tensor) -> Tensor:
    """Cells (b, n, l, d) with those at indices (b, k) replaced."""
    return cells.flatten(0, 1).index_copy(0, _rows(cells, indices), active.flatten(0, 1)).view(cells.shape)
