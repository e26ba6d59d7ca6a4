"""Controls: what remembers without cells, so that the cells have something to be compared with.

b batch, t position, d width, m memory tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from memhrm.config.settings import require
from memhrm.memory.bicross import norms
from memhrm.memory.h_module import Context, HModule, HShape, Memory, MemorySettings, Trace
from memhrm.nn.layers import truncated_normal_


class CarryAdd(HModule):
    """The plainest memory: the previous z_H is added to the injection. z_H' = level(z_H, z_L + m), m' = z_H'.

    It has no weights of its own and starts at zero.
    """

    def __init__(self, settings: MemorySettings, shape: HShape):
        super().__init__(settings, shape)
        self.remember("z_H", torch.zeros(shape.length, shape.width))

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        old = memory["z_H"]
        z_H = context.level(z_H, z_L + old.to(z_L.dtype))
        new = z_H.to(old.dtype)
        if (
            context.present is not None
        ):  # The next example of an episode may fill what is padding in this one.
            new = torch.where(context.present.unsqueeze(-1), new, old)
        return z_H, {"z_H": new}, norms(z_H, new, context.present)


@dataclass(frozen=True, kw_only=True)
class TokensSettings(MemorySettings):
    """tokens: how many memory tokens stand behind the state's."""

    tokens: int

    def __post_init__(self):
        super().__post_init__()
        require(self.tokens >= 1, "memory.tokens", self.tokens, "1 or above")


class Tokens(HModule):
    """Memory tokens without selection: they stand behind the state's tokens, without a position, and the
    transformer level mixes all. (z_H', m') = level([z_H; m], [z_L; 0]).

    After Burtsev et al. 2020, arXiv 2006.11527, and Bulatov et al. 2022, arXiv 2207.06881.
    """

    Settings = TokensSettings

    def __init__(self, settings: TokensSettings, shape: HShape):
        super().__init__(settings, shape)
        require(shape.mixer == "attention", "model.mixer", shape.mixer,
                "attention, with memory=tokens, since an MLP over tokens has a fixed number of them; "
                "model=trm has it")  # fmt: skip
        self.remember("m", truncated_normal_(torch.empty(settings.tokens, shape.width), std=1.0))

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        m, t = memory["m"], z_H.shape[1]
        both = context.level(
            torch.cat((z_H, m.to(z_H.dtype)), dim=1),
            torch.cat((z_L, torch.zeros_like(m, dtype=z_L.dtype)), dim=1),
        )
        z_H, new = both[:, :t], both[:, t:].to(m.dtype)
        return z_H, {"m": new}, norms(z_H, new, context.present)
