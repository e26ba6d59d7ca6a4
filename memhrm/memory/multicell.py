"""The multi-cell memory: each active cell is read and written by a cross-attention of its own.

b batch, t position, d width, k active cells, l tokens of a cell.
Source: proposal, "parallelized H-module processing".
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cells import CellMemory, Selection
from memhrm.memory.exchange import layer_norm
from memhrm.memory.h_module import HShape, Trace
from memhrm.nn.layers import masked_mean


@dataclass(frozen=True, kw_only=True)
class MultiCellSettings(CellSettings):
    """As `CellSettings`."""

    usual_placement: ClassVar[Literal["replace", "augment"]] = "replace"


class MultiCell(CellMemory):
    """read   dz = sum_{i in A} alpha_i Attn(h, LN(m_i), LN(m_i));
    write  dm_i = Attn(LN(m_i), h+, h+),  m_i' = m_i + dm_i + FFN(LN(m_i + dm_i))  for i in A only.
    """

    Settings = MultiCellSettings

    def __init__(self, settings: CellSettings, shape: HShape):
        super().__init__(settings, shape)
        self.losses |= {"self_sup"}

    def read_cells(
        self, h: Tensor, active: Tensor, selection: Selection, present: Tensor | None
    ) -> tuple[Tensor, Trace]:
        each = self.read(h, layer_norm(active.to(h.dtype)))
        dz = self.read.out(_mixed(each, selection.alpha))
        if not self.training:
            return dz, {}
        # The self-supervision target: what the cells give together, for the cell that scores highest.
        best = selection.scores.gather(1, selection.indices).argmax(dim=1)
        own = self.read.out(_mixed(each, F.one_hot(best, each.shape[2])))
        missed = (dz.detach() - own).square()
        if present is None:
            return dz, {"self_sup": missed.mean(dim=(1, 2), dtype=_wide(dz))}
        return dz, {"self_sup": masked_mean(missed.to(_wide(dz)), present).mean(dim=1)}


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _mixed(each: Tensor, weights: Tensor) -> Tensor:
    """sum_i weights_i each_i: (b, t, k, d) and (b, k) to (b, t, d)."""
    return torch.einsum("btkd,bk->btd", each, weights.to(each.dtype))
