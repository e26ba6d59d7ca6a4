"""Aggregated cells, the cheap alternative: one cross-attention whatever the number of active cells.

b batch, t position, d width, k active cells, l tokens of a cell. Source: proposal, remark in section 1.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cells import CellMemory, Selection
from memhrm.memory.exchange import layer_norm
from memhrm.memory.h_module import HShape, Trace


@dataclass(frozen=True, kw_only=True)
class AggregateSettings(CellSettings):
    """aggregation: add, the active cells' tokens are summed with weights alpha into one memory; concat, all
    their tokens stand side by side, the values weighted by k alpha (1 for equal scores)."""

    aggregation: Literal["add", "concat"] = "add"


class Aggregate(CellMemory):
    """add:    M = sum_{i in A} alpha_i m_i;  dz = Attn(h, LN(M), LN(M));
            the write changes M into M' as BiCrossAttn would, and m_i' = m_i + alpha_i (M' - M).
    concat: dz = Attn(h, [LN(m_i)], [k alpha_i LN(m_i)]), i in A; each token is written as by MultiCell.
    """

    Settings = AggregateSettings
    settings: AggregateSettings

    def __init__(self, settings: AggregateSettings, shape: HShape):
        super().__init__(settings, shape)
        self.adds = settings.aggregation == "add"
        self.rms = self.write_residual.rms
        self.write_residual.rms = self.rms and not self.adds  # The cells are normed, their sum is not.

    def read_cells(
        self, h: Tensor, active: Tensor, selection: Selection, present: Tensor | None
    ) -> tuple[Tensor, Trace]:
        alpha = selection.alpha
        if self.adds:
            known = layer_norm(_sum(active, alpha).to(h.dtype))
            return self.read.out(self.read(h, known.unsqueeze(1)).squeeze(2)), {}
        known = layer_norm(active.to(h.dtype)).flatten(1, 2)
        weights = (alpha * alpha.shape[1]).repeat_interleave(active.shape[2], dim=1)
        return self.read.out(self.read(h, known.unsqueeze(1), weights.unsqueeze(1)).squeeze(2)), {}

    def write_cells(self, active: Tensor, h: Tensor, selection: Selection, present: Tensor | None) -> Tensor:
        if not self.adds:
            return super().write_cells(active, h, selection, present)
        total = _sum(active, selection.alpha)
        written = self.write(layer_norm(total.to(h.dtype)), h, present)
        change = self.write_residual(total, written) - total
        active = active + selection.alpha.to(active.dtype)[:, :, None, None] * change.unsqueeze(1)
        return F.rms_norm(active, active.shape[-1:], eps=1e-5) if self.rms else active


def _sum(active: Tensor, alpha: Tensor) -> Tensor:
    """sum_i alpha_i m_i, (b, k, l, d) and (b, k) to (b, l, d)."""
    return (alpha.to(active.dtype)[:, :, None, None] * active).sum(dim=1)
