"""Aggregated cells, the cheap alternative: one cross-attention whatever the number of active cells.

b batch, t position, d width, k active cells, l tokens of a cell.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.memory.base import Context, HShape, Memory, Trace, norms
from memhrm.memory.cell_module import CellModule
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cells import Selection
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.maps import maps
from memhrm.nn.layers import EPS


@dataclass(frozen=True, kw_only=True)
class AggregateSettings(CellSettings):
    """The settings of aggregated cells.

    Attributes:
        aggregation: add, the active cells' tokens are summed with weights alpha into one memory; concat,
            all their tokens stand side by side, the values weighted by k alpha, which is 1 for equal
            scores.
    """

    FILE: ClassVar[str] = "memory/aggregate"

    aggregation: Literal["add", "concat"]


class Aggregate(CellModule):
    """N cells, of which each example's set A of k is read as one memory.

    add:    M = sum_{i in A} alpha_i m_i;  dz = Attn(h, LN(M), LN(M));
            the write changes M into M' as BiCrossAttn would, and m_i' = m_i + alpha_i (M' - M).
    concat: dz = Attn(h, [LN(m_i)], [k alpha_i LN(m_i)]), i in A; each token is written as by MultiCell.
    Equations (10) and (11) of docs/memory.md.
    """

    Settings = AggregateSettings

    def __init__(self, settings: AggregateSettings, shape: HShape):
        # With add the cells are normed after the write; their sum is not.
        adds = settings.aggregation == "add"
        super().__init__(settings, shape, norms_write=not adds)
        self.adds, self.rms = adds, self.store.settings.state_norm == "rms"

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        exchange, store, present = self.exchange, self.store, context.present
        z_H, h = exchange.start(z_H, z_L, context)
        selection, trace = store.select(h, memory, context, partial(self._read_alone, z_H, h))

        active, before, selection = store.take(selection)
        dz, tokens = self._read(h, active, selection.read.credited)
        z_H = exchange.read_residual(z_H, dz)

        h_plus = layer_norm(z_H + z_L)
        written = before
        if context.write:
            written = self._write(active, before, selection, h_plus, present)
            written = store.finish(before, written, selection, h.dtype)
        trace |= norms(z_H, written, present)
        if context.maps:
            trace |= self._maps(h, tokens, h_plus, before, selection, present)
        return z_H, store.put_back(memory, written, selection, write=context.write), trace

    def _read(self, h: Tensor, active: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Return dz, (b, t, d), and the normed tokens that were read: with add those of one memory."""
        read, values = self.exchange.read, None
        if self.adds:
            tokens = known = layer_norm(_sum(active, alpha).to(h.dtype)).unsqueeze(1)
        else:
            tokens = layer_norm(active.to(h.dtype))
            known = tokens.flatten(1, 2).unsqueeze(1)
            values = (alpha * alpha.shape[1]).repeat_interleave(active.shape[2], dim=1).unsqueeze(1)
        return read.out(read(h, known, values).squeeze(2)), tokens

    def _read_alone(self, z_H: Tensor, h: Tensor, cell: Tensor) -> Tensor:
        """Return z_H after reading one cell of each example, (b, 1, l, d)."""
        return self.exchange.read_residual(z_H, self._read(h, cell, torch.ones_like(cell[:, :, 0, 0]))[0])

    def _write(
        self, active: Tensor, before: Tensor, selection: Selection, h: Tensor, present: Tensor | None
    ) -> Tensor:
        """Return the cells that are written, `before`, (b, k, l, d), after the write of h (b, t, d)."""
        exchange = self.exchange
        if not self.adds:
            return exchange.write_cells(before, h, present)
        total, share = _sum(active, selection.read.weights), selection.write.weights.to(before.dtype)
        written = exchange.write_residual(total, exchange.write(layer_norm(total.to(h.dtype)), h, present))
        before = before + share[:, :, None, None] * (written - total).unsqueeze(1)
        return F.rms_norm(before, before.shape[-1:], eps=EPS) if self.rms else before

    def _maps(
        self,
        h: Tensor,
        tokens: Tensor,
        h_plus: Tensor,
        before: Tensor,
        selection: Selection,
        present: Tensor | None,
    ) -> Trace:
        """Return the maps of the one memory, with add, or of the active cells."""
        both, alpha = (self.exchange.read, self.exchange.write), selection.read.weights
        if self.adds:
            return maps(*both, h, tokens, torch.ones_like(alpha[:, :1]), h_plus, present)
        weights, targets = alpha * alpha.shape[1], layer_norm(before.to(h.dtype))
        found = maps(*both, h, tokens, weights, h_plus, present, targets=targets, together=True)
        return self.store.of_active(found, selection)


def _sum(active: Tensor, alpha: Tensor) -> Tensor:
    """Return sum_i alpha_i m_i: (b, k, l, d) and (b, k) to (b, l, d)."""
    return (alpha.to(active.dtype)[:, :, None, None] * active).sum(dim=1)
