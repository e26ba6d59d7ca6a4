"""The multi-cell memory: each active cell is read and written by a cross-attention of its own.

b batch, t position, d width, k active cells, l tokens of a cell.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.memory.base import Context, HShape, Loss, Memory, Trace, norms
from memhrm.memory.cell_module import CellModule
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cells import Selection
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.losses import traced
from memhrm.memory.maps import maps
from memhrm.nn.layers import masked_mean


class MultiCell(CellModule):
    """N cells, of which each example reads and writes the set A of k.

    read   dz = sum_{i in A} alpha_i Attn(h, LN(m_i), LN(m_i));
    write  dm_i = Attn(LN(m_i), h+, h+),  m_i' = m_i + dm_i + FFN(LN(m_i + dm_i))  for i in A only.
    Equations (6) to (9) of docs/memory.md.
    """

    def __init__(self, settings: CellSettings, shape: HShape):
        super().__init__(settings, shape)
        self.losses["self_sup"] = Loss(traced("self_sup"))
        self.logged = (*self.logged, "self_sup")

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        exchange, store, present = self.exchange, self.store, context.present
        z_H, h = exchange.start(z_H, z_L, context)
        selection, trace = store.select(h, memory, context, partial(self._read_alone, z_H, h))

        active, before, selection = store.take(selection)
        tokens = layer_norm(active.to(h.dtype))
        each = exchange.read(h, tokens)
        dz = exchange.read.out(_mixed(each, selection.read.credited))
        if self.training:
            trace["self_sup"] = self._self_sup(each, dz, selection, present)
        z_H = exchange.read_residual(z_H, dz)

        h_plus = layer_norm(z_H + z_L)
        written = before
        if context.write:
            written = store.finish(before, exchange.write_cells(before, h_plus, present), selection, h.dtype)
        trace |= norms(z_H, written, present)
        if context.maps:
            weights, targets = selection.read.weights, layer_norm(before.to(h.dtype))
            found = maps(exchange.read, exchange.write, h, tokens, weights, h_plus, present, targets=targets)
            trace |= store.of_active(found, selection)
        return z_H, store.put_back(memory, written, selection, write=context.write), trace

    def _read_alone(self, z_H: Tensor, h: Tensor, cell: Tensor) -> Tensor:
        """Return z_H after reading one cell of each example, (b, 1, l, d)."""
        dz = self.exchange.read.out(self.exchange.read(h, layer_norm(cell.to(h.dtype))).squeeze(2))
        return self.exchange.read_residual(z_H, dz)

    def _self_sup(self, each: Tensor, dz: Tensor, selection: Selection, present: Tensor | None) -> Tensor:
        """Return mean |sg(dz) - Attn(h, LN(m_j), LN(m_j))|^2, (b,), j the best-scoring cell that is read."""
        best = selection.scores.gather(1, selection.read.indices).argmax(dim=1)
        own = self.exchange.read.out(_mixed(each, F.one_hot(best, each.shape[2])))
        missed, wide = (dz.detach() - own).square(), torch.promote_types(dz.dtype, torch.float32)
        if present is None:
            return missed.mean(dim=(1, 2), dtype=wide)
        return masked_mean(missed.to(wide), present).mean(dim=1)


def _mixed(each: Tensor, weights: Tensor) -> Tensor:
    """Return sum_i weights_i each_i: (b, t, k, d) and (b, k) to (b, t, d)."""
    return torch.einsum("btkd,bk->btd", each, weights.to(each.dtype))
