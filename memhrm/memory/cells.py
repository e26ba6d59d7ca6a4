"""Many memory cells of which each example selects, reads and writes k: what all memories with cells share.

b batch, t position, d width, n cells, k active cells, l = 1 + M tokens of a cell: its CLS, then its contents.
Source: proposal, "non-additive parallelized implementation".
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from memhrm.memory.bicross import Exchange, ExchangeSettings, norms
from memhrm.memory.exchange import layer_norm
from memhrm.memory.h_module import Context, HShape, Memory, Trace
from memhrm.memory.selector import Scorer, SelectorName, choose, entropy, plackett_luce
from memhrm.models.attend import SelfAttention
from memhrm.models.fused import add_rms
from memhrm.models.layers import truncated_normal_
from memhrm.settings import advise, require


@dataclass(frozen=True, kw_only=True)
class CellSettings(ExchangeSettings):
    """The settings of memories with cells; `tokens` is M.

    cells: N. k: active cells; selector=all takes every cell whatever k is.
    selector: how the active cells are chosen (`selector.choose`); policy and lowest_loss have a loss of their own.
    projections, combine, score_scale: R and the form of the score (`selector.Scorer`).
    pooling: q(h), the mean over positions or position 0.
    gate: what weighs the active cells: the softmax of their scores (the formula; at k=1 it is 1 and trains no
        scorer), their entries in the softmax of all scores, or 1/k each.
    shared_cell: cell 0 is always active, the others compete for the remaining k - 1 places.
    self_attention: within each written cell, after the write.
    usage_average: decay of each cell's running share of selections, `memory["usage"]`, per H-step.
    decay: a cell that is not selected shrinks by decay * (1 - usage) at each H-step; 0 for none.
    """

    cells: int
    k: int
    selector: SelectorName = "topk"
    projections: int = 1
    combine: Literal["mean", "logsumexp", "max"] = "mean"
    score_scale: Literal["sqrt", "none"] = "sqrt"
    pooling: Literal["mean", "first"] = "mean"
    gate: Literal["selected", "all", "none"] = "selected"
    shared_cell: bool = False
    self_attention: bool = False
    usage_average: float = 0.9
    decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        require(self.cells >= 1, "memory.cells", self.cells, "1 or above")
        require(1 <= self.k <= self.cells, "k", self.k, f"1 to memory.cells={self.cells}")
        require(self.projections >= 1, "memory.projections", self.projections, "1 or above")
        require(0 <= self.usage_average < 1, "memory.usage_average", self.usage_average, "0 to below 1")
        require(0 <= self.decay <= 1, "memory.decay", self.decay, "0 to 1")
        require(not self.shared_cell or self.selector == "all" or self.k >= 2, "k", self.k,
                "2 or above with memory.shared_cell=true")  # fmt: skip
        every = self.selector == "all"
        advise(
            every and self.k < self.cells, f"k={self.k} changes nothing: memory.selector=all takes all cells"
        )
        advise(every and self.shared_cell, "memory.shared_cell changes nothing with memory.selector=all")
        advise(
            every and self.decay > 0,
            "memory.decay changes nothing with memory.selector=all: every cell is used",
        )
        advise(
            self.projections > 1 and self.combine == "mean",
            f"memory.projections={self.projections} changes "
            "only the start: the mean of bilinear forms is one; memory.combine=logsumexp or max keeps them apart",
        )
        advise(self.projections == 1 and self.combine != "mean",
               f"memory.combine={self.combine} changes nothing with memory.projections=1")  # fmt: skip
        alone = self.active == 1 and self.gate == "selected" and self.selector in ("topk", "random")
        advise(alone, "with k=1 the gate is always 1 and nothing trains the scorer; memory.gate=all, k=2 or "
               "memory.selector=policy train it")  # fmt: skip
        advise(
            self.gate == "none" and self.selector in ("topk", "random", "all"),
            "memory.gate=none trains no scorer",
        )

    @property
    def active(self) -> int:
        """Cells that an example reads and writes at an H-step."""
        return self.cells if self.selector == "all" else self.k


class Selection(NamedTuple):
    """indices and weights of the active cells, (b, k), and the scores of all, (b, n)."""

    indices: Tensor
    alpha: Tensor
    scores: Tensor


class CellMemory(Exchange):
    """Select, read, write, note the usage. A subclass says what is read from the active cells and how they
    are written."""

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
        self.always_active = int(s.shared_cell and s.selector != "all")
        self.noise_size = s.cells if s.selector in ("policy", "random") else 0
        self.noise_in_evaluation = s.selector == "random"

    def read_cells(self, h: Tensor, active: Tensor, selection: Selection) -> tuple[Tensor, Trace]:
        """dz, (b, t, d), from h (b, t, d) and the active cells (b, k, l, d); and what it adds to the trace."""
        raise NotImplementedError

    def write_cells(self, active: Tensor, h: Tensor, selection: Selection) -> Tensor:
        """The active cells, (b, k, l, d), after the write of h (b, t, d)."""
        raise NotImplementedError

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        z_H, h = self.start(z_H, z_L, context)
        cells = memory["cells"]
        judged = self._judged(z_H, h, cells, context)
        selection, trace = self._select(h, cells[:, :, 0], context.noise, judged)

        active = _gather(cells, selection.indices)
        dz, read = self.read_cells(h, active, selection)
        z_H = self.read_residual(z_H, dz)
        active = self.write_cells(active, layer_norm(z_H + z_L), selection)
        if self.within is not None:
            active = self._attend_within(active, h.dtype)

        memory = self._put_back(memory, active, selection)
        return z_H, memory, {**trace, **read, **norms(z_H, active)}

    def _select(
        self, h: Tensor, cls: Tensor, noise: Tensor | None, judged: Tensor | None
    ) -> tuple[Selection, Trace]:
        s, apart = self.settings, self.always_active
        query = h.mean(dim=1) if s.pooling == "mean" else h[:, 0]
        scores = self.scorer(query, cls)
        rivals = scores[:, apart:]  # A shared cell stands apart from the competition.
        noise, judged = (None if x is None else x[:, apart:] for x in (noise, judged))
        winners = choose(s.selector, rivals.detach(), s.active - apart, noise, judged)
        shared = torch.zeros_like(winners[:, :apart])
        indices = torch.cat((shared, winners + apart), dim=1) if apart else winners

        if s.gate == "none":
            alpha = torch.full_like(indices, 1 / s.active, dtype=scores.dtype)
        elif s.gate == "all":
            alpha = scores.softmax(dim=-1).gather(1, indices)
        else:
            alpha = scores.gather(1, indices).softmax(dim=-1)
        trace = {"indices": indices, "alpha": alpha, "scores": scores}
        if self.training and s.selector in ("policy", "lowest_loss"):
            if (
                not torch.is_grad_enabled()
            ):  # Selections without gradient are credited too, as of constant inputs.
                with torch.enable_grad():
                    rivals = self.scorer(query.detach(), cls.detach())[:, apart:]
                    trace |= _credit(rivals, winners)
            else:
                trace |= _credit(rivals, winners)
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
            dz, _ = self.read_cells(h, cells[:, i : i + 1], alone)
            losses.append(context.judge(self.read_residual(z_H, dz)))
        return torch.stack(losses, dim=1)

    def _attend_within(self, active: Tensor, dtype: torch.dtype) -> Tensor:
        assert self.within is not None
        change = (
            self.within(layer_norm(active.to(dtype)).flatten(0, 1), None).view(active.shape).to(active.dtype)
        )
        return add_rms(active, change) if self.settings.state_norm == "rms" else active + change

    def _put_back(self, memory: Memory, active: Tensor, selection: Selection) -> Memory:
        s, cells = self.settings, memory["cells"]
        hit = torch.zeros_like(memory["usage"]).scatter(1, selection.indices, 1.0)
        usage = torch.lerp(hit, memory["usage"], s.usage_average)
        if s.decay > 0:
            cells = cells * (1 - s.decay * (1 - usage))[:, :, None, None]
        return {**memory, "cells": _scatter(cells, selection.indices, active), "usage": usage}


def _credit(rivals: Tensor, winners: Tensor) -> Trace:
    return {"log_probability": plackett_luce(rivals, winners), "entropy": entropy(rivals)}


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
