"""The exchange between state and memory, of which BiCrossAttn and the cells are made.

b batch, t position, d width, k active cells, l tokens of a cell.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from memhrm.config.settings import MOST, require, require_size
from memhrm.memory.base import Context, HShape, MemorySettings
from memhrm.memory.cross_attention import Read, Residual, Write, layer_norm


@dataclass(frozen=True, kw_only=True)
class ExchangeSettings(MemorySettings):
    """What memories can set that exchange with the state by cross-attention.

    Attributes:
        placement: where the memory stands. augment: the transformer level runs first and the memory on its
            result; replace: the memory stands in the level's place, as the equations have it. The default
            is augment: in `experiments/results/main_table-cpu.csv` it is as good on Sudoku, and of 30 runs
            with replace on mazes seven end at 5 % exact or less.
        tokens: content tokens of a cell, or of the one memory.
        state_norm: none as in the equations; rms divides z_H and m by their root mean square after each
            update. null: none where the data have episodes, since rms retains less, else rms.
        positions: learned positions of the state that the write's keys see, or the read's queries as well.
        num_heads: heads of the cross-attentions; null: the model's.
        expansion: expansion of their feed-forward nets; null: the model's.
    """

    FILE: ClassVar[str] = "memory/bicross"

    placement: Literal["replace", "augment"]
    tokens: int
    state_norm: Literal["none", "rms"] | None
    positions: Literal["none", "write", "both"]
    num_heads: int | None
    expansion: float | None

    def __post_init__(self):
        super().__post_init__()
        require_size("memory.tokens", self.tokens)
        heads, expansion = self.num_heads, self.expansion
        require(heads is None or 1 <= heads <= MOST, "memory.num_heads", heads, "null, or above 0")
        fits = expansion is None or 0 < expansion <= MOST
        require(fits, "memory.expansion", expansion, f"null, or above 0, up to {MOST:,}")

    def within(self, episodes: bool, contexts: bool = False) -> Self:
        """Return the settings with what null stands for, as in `MemorySettings`."""
        return replace(
            super().within(episodes, contexts), state_norm=self.state_norm or ("none" if episodes else "rms")
        )

    def explicit(self) -> Self:
        """Return the settings without null, as for data without episodes if they were made by hand."""
        return self if self.state_norm else self.within(episodes=False)


class Exchange(nn.Module):
    """Both attentions with their residuals, and the placement.

    A memory calls `start`, then `read` and `read_residual` on the state, then `write` and `write_residual`,
    or `write_cells`, on what it remembers.

    Args:
        settings: the memory's settings, with a `state_norm`.
        shape: the model's sizes.
        norms_write: whether `write_residual` norms what it gives, with state_norm=rms.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, settings: ExchangeSettings, shape: HShape, *, norms_write: bool = True):
        super().__init__()
        heads = shape.num_heads if settings.num_heads is None else settings.num_heads
        allowed = f"divisors of model.hidden_size={shape.width}"
        require(shape.width % heads == 0, "memory.num_heads", heads, allowed)
        expansion = shape.expansion if settings.expansion is None else settings.expansion
        shape = shape._replace(num_heads=heads, expansion=expansion)
        rms = settings.state_norm == "rms"
        self.augments = settings.placement == "augment"
        self.read = Read(shape, positions=settings.positions == "both")
        self.read_residual = Residual(shape, rms)
        self.write = Write(shape, positions=settings.positions != "none")
        self.write_residual = Residual(shape, rms and norms_write)

    def start(self, z_H: Tensor, z_L: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """Return the state that the memory works on, and h = LN(z_H + z_L): (b, t, d) each."""
        if self.augments:
            z_H = context.level(z_H, z_L)
        return z_H, layer_norm(z_H + z_L)

    def write_cells(self, active: Tensor, h: Tensor, present: Tensor | None) -> Tensor:
        """Return the active cells, (b, k, l, d), after the write of h (b, t, d): each token for itself.

        The cells write with one call: their tokens are queries side by side to the same keys.
        """
        tokens = layer_norm(active.to(h.dtype)).flatten(1, 2)
        return self.write_residual(active, self.write(tokens, h, present).unflatten(1, active.shape[1:3]))
