"""BiCrossAttn: bidirectional cross-attention with one persistent memory.

b batch, t position, d width, m memory tokens.
"""

import torch
from torch import Tensor

from memhrm.memory.base import NORMS, Context, HModule, HShape, Memory, Trace, norms
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.exchange import Exchange, ExchangeSettings
from memhrm.memory.maps import maps
from memhrm.nn.layers import truncated_normal_


class BiCross(HModule):
    """One memory that every example reads and writes at every H-step.

    read  dz = Attn(h, LN(m), LN(m));  z_H' = z_H + dz + FFN(LN(z_H + dz));
    write dm = Attn(LN(m), h+, h+);    m' = m + dm + FFN(LN(m + dm)),        h+ = LN(z_H' + z_L).
    Equations (3) to (5) of docs/memory.md.
    """

    Settings = ExchangeSettings
    has_maps = True

    def __init__(self, settings: ExchangeSettings, shape: HShape):
        settings = settings.explicit()
        super().__init__(settings, shape)
        self.exchange = Exchange(settings, shape)
        self.needs_level = self.exchange.augments
        self.remember("m", truncated_normal_(torch.empty(settings.tokens, shape.width), std=1.0))
        self.logged = NORMS

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        exchange, m, present = self.exchange, memory["m"], context.present
        z_H, h = exchange.start(z_H, z_L, context)
        known = layer_norm(m.to(h.dtype))
        dz = exchange.read.out(exchange.read(h, known.unsqueeze(1)).squeeze(2))
        z_H = exchange.read_residual(z_H, dz)
        h_plus = layer_norm(z_H + z_L)
        if context.write:
            m = exchange.write_residual(m, exchange.write(known, h_plus, present))
        trace = norms(z_H, m, present)
        if context.maps:
            one = torch.ones_like(known[:, :1, 0])
            trace |= maps(exchange.read, exchange.write, h, known.unsqueeze(1), one, h_plus, present)
        return z_H, {"m": m}, trace
