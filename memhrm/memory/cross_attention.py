"""The layers with which state and memory exchange: cross-attention in both directions, and what follows it.

b batch, t position, d width, n heads, c channels of a head, k cells read at once, l tokens of a cell.
Linear maps have no bias and layer norms no weights: the maps that follow a norm take its scale.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from memhrm.memory.base import HShape
from memhrm.nn.blocks import SwiGLU, add_rms
from memhrm.nn.layers import Linear, truncated_normal_


def layer_norm(x: Tensor) -> Tensor:
    """Return LN over the width, (..., d), without weights."""
    return F.layer_norm(x, x.shape[-1:])


class Residual(nn.Module):
    """x + change, then + FFN(LN(.)); with `rms`, the sum divided by its root mean square.

    Without the norm nothing bounds the state: it grows with every H-step.
    """

    def __init__(self, shape: HShape, rms: bool):
        super().__init__()
        self.ffn = SwiGLU(shape.width, shape.expansion)
        self.rms = rms

    def forward(self, x: Tensor, change: Tensor) -> Tensor:
        """Return x (..., d), in any precision, after the change that attention makes to it, (..., d)."""
        x = x + change
        update = self.ffn(layer_norm(x.to(change.dtype)))
        return add_rms(x, update.to(x.dtype)) if self.rms else x + update


class CrossAttention(nn.Module):
    """Attn(queries, keys, values), multi-head; with `positions`, learned ones on the side of the state."""

    def __init__(self, shape: HShape, positions: bool):
        super().__init__()
        d = shape.width
        self.num_heads, self.attend = shape.num_heads, shape.attend
        self.q, self.kv, self.out = Linear(d, d), Linear(d, 2 * d), Linear(d, d)
        self.positions = None
        if positions:
            self.positions = nn.Parameter(truncated_normal_(torch.empty(shape.length, d), std=1.0))


class Read(CrossAttention):
    """What the state takes from the memory: dz = sum_i alpha_i Attn(h, LN(m_i), LN(m_i))."""

    def forward(self, h: Tensor, cells: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return what each cell gives, before the output projection, which commutes with a sum over cells.

        All cells are read by one call: they stand side by side as heads.

        Args:
            h: the state that reads, (b, t, d).
            cells: the cells after their norm, (b, k, l, d).
            weights: weights of the values, (b, k, l); None for 1.

        Returns:
            What each position takes from each cell, (b, t, k, d).
        """
        k, n = cells.shape[1], self.num_heads
        if self.positions is not None:
            h = h + self.positions.to(h.dtype)
        q = repeat(self.q(h), "b t (n c) -> b t (k n) c", k=k, n=n)
        keys, values = self.kv(cells).chunk(2, dim=-1)
        if weights is not None:
            values = values * weights.to(values.dtype).unsqueeze(-1)
        keys, values = (rearrange(x, "b k l (n c) -> b l (k n) c", n=n) for x in (keys, values))
        return rearrange(self.attend(q, keys, values), "b t (k n) c -> b t k (n c)", k=k)


class Write(CrossAttention):
    """What the memory takes from the state: dm = Attn(LN(m), h+, h+)."""

    def forward(self, tokens: Tensor, h: Tensor, present: Tensor | None = None) -> Tensor:
        """Return what each token of the memory takes from the state.

        Args:
            tokens: tokens after their norm, of any number of cells, (b, l, d).
            h: the state that is written, (b, t, d).
            present: the positions of h that are no padding, (b, t); None for all.

        Returns:
            dm, (b, l, d).
        """
        n = self.num_heads
        q = rearrange(self.q(tokens), "b l (n c) -> b l n c", n=n)
        keys, values = self.keys_and_values(h)
        keys, values = (rearrange(x, "b t (n c) -> b t n c", n=n) for x in (keys, values))
        return self.out(rearrange(self.attend(q, keys, values, present), "b l n c -> b l (n c)"))

    def keys_and_values(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys, which say where, and the values, which say what: (b, t, d) each."""
        keys, values = self.kv(h).chunk(2, dim=-1)
        if self.positions is not None:
            width = self.positions.shape[-1]
            keys = keys + F.linear(self.positions.to(h.dtype), self.kv.weight[:width].to(h.dtype))
        return keys, values
