"""BiCrossAttn: bidirectional cross-attention with one persistent memory (proposal, section 1).

b batch, t position, d width, m memory tokens.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from memhrm.config.settings import MOST, require, require_size
from memhrm.memory.exchange import Read, Residual, Write, layer_norm
from memhrm.memory.h_module import Context, HModule, HShape, Memory, MemorySettings, Trace
from memhrm.nn.layers import truncated_normal_


@dataclass(frozen=True, kw_only=True)
class ExchangeSettings(MemorySettings):
    """What memories have that exchange with the state by cross-attention.

    placement: replace, the memory stands in the transformer level's place (the proposal); augment, the level
        runs first and the memory on its result; null: augment where the data have episodes, else
        `usual_placement`.
    tokens: content tokens of a cell, or of the one memory.
    state_norm: none as in the formulas; rms divides z_H and m by their root mean square after each update;
        null: none where the data have episodes, since rms retains less, else rms.
    positions: learned positions of the state that the write's keys see, or the read's queries as well.
    num_heads, expansion: of the cross-attentions and their feed-forward nets; null: the model's.
    """

    usual_placement: ClassVar[Literal["replace", "augment"]] = "augment"

    placement: Literal["replace", "augment"] | None = "augment"
    tokens: int
    state_norm: Literal["none", "rms"] | None = "none"
    positions: Literal["none", "write", "both"] = "none"
    num_heads: int | None = None
    expansion: float | None = None

    def __post_init__(self):
        super().__post_init__()
        require_size("memory.tokens", self.tokens)
        heads, expansion = self.num_heads, self.expansion
        require(heads is None or 1 <= heads <= MOST, "memory.num_heads", heads, "null, or above 0")
        fits = expansion is None or 0 < expansion <= MOST
        require(fits, "memory.expansion", expansion, f"null, or above 0, up to {MOST:,}")

    def within(self, episodes: bool) -> Self:
        """As in `MemorySettings`."""
        placement, norm = ("augment", "none") if episodes else (self.usual_placement, "rms")
        return replace(
            super().within(episodes),
            placement=self.placement or placement,
            state_norm=self.state_norm or norm,
        )


class Exchange(HModule):
    """What BiCrossAttn and the cells share: both attentions, their residuals, the placement."""

    def __init__(self, settings: ExchangeSettings, shape: HShape):
        if settings.placement is None or settings.state_norm is None:  # Made by hand: as without episodes.
            settings = settings.within(episodes=False)
        super().__init__(settings, shape)
        heads = shape.num_heads if settings.num_heads is None else settings.num_heads
        require(
            shape.width % heads == 0,
            "memory.num_heads",
            heads,
            f"divisors of model.hidden_size={shape.width}",
        )
        expansion = shape.expansion if settings.expansion is None else settings.expansion
        shape = shape._replace(num_heads=heads, expansion=expansion)
        rms = settings.state_norm == "rms"
        self.augments = settings.placement == "augment"
        self.needs_level = self.augments
        self.read = Read(shape, positions=settings.positions == "both")
        self.read_residual = Residual(shape, rms)
        self.write = Write(shape, positions=settings.positions != "none")
        self.write_residual = Residual(shape, rms)

    def start(self, z_H: Tensor, z_L: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """The state that the memory works on, and h = LN(z_H + z_L)."""
        if self.augments:
            z_H = context.level(z_H, z_L)
        return z_H, layer_norm(z_H + z_L)


class BiCross(Exchange):
    """read  dz = Attn(h, LN(m), LN(m));    z_H' = z_H + dz + FFN(LN(z_H + dz));
    write dm = Attn(LN(m), h+, h+);      m' = m + dm + FFN(LN(m + dm)),      h+ = LN(z_H' + z_L).
    """

    Settings = ExchangeSettings

    def __init__(self, settings: ExchangeSettings, shape: HShape):
        super().__init__(settings, shape)
        self.remember("m", truncated_normal_(torch.empty(settings.tokens, shape.width), std=1.0))

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        z_H, h = self.start(z_H, z_L, context)
        m = memory["m"]
        known = layer_norm(m.to(h.dtype))
        z_H = self.read_residual(z_H, self.read.out(self.read(h, known.unsqueeze(1)).squeeze(2)))
        m = self.write_residual(m, self.write(known, layer_norm(z_H + z_L), context.present))
        return z_H, {"m": m}, norms(z_H, m, context.present)


def norms(z_H: Tensor, m: Tensor, present: Tensor | None) -> Trace:
    """Root mean squares of the state, without its padding, and of the written memory, (b,) each; what shows a
    state that grows."""
    return {"z_H_norm": _rms(z_H, present), "memory_norm": _rms(m)}


def _rms(x: Tensor, present: Tensor | None = None) -> Tensor:
    precision, size = torch.promote_types(x.dtype, torch.float32), x[0].numel()
    if present is not None:
        x = torch.where(present.unsqueeze(-1), x, 0)
        size = (present.sum(dim=1) * x.shape[-1]).clamp(min=1)
    return torch.linalg.vector_norm(x.detach().flatten(1), dim=1, dtype=precision) * size**-0.5
