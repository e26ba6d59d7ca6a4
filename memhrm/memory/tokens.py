"""A control: memory tokens that the transformer level mixes with the state, without selection.

b batch, t position, d width, m memory tokens.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memhrm.config.settings import require
from memhrm.memory.base import NORMS, Context, HModule, HShape, Memory, MemorySettings, Trace, norms
from memhrm.nn.layers import truncated_normal_


@dataclass(frozen=True, kw_only=True)
class TokensSettings(MemorySettings):
    """The settings of memory tokens.

    Attributes:
        tokens: how many memory tokens stand behind the state's.
    """

    FILE: ClassVar[str] = "memory/tokens"

    tokens: int

    def __post_init__(self):
        super().__post_init__()
        require(self.tokens >= 1, "memory.tokens", self.tokens, "1 or above")


class Tokens(HModule):
    """(z_H', m') = level([z_H; m], [z_L; 0]): the tokens stand behind the state's and have no position.

    Equation (13) of docs/memory.md.
    After Burtsev et al. 2020, arXiv 2006.11527, and Bulatov et al. 2022, arXiv 2207.06881.
    """

    Settings = TokensSettings

    def __init__(self, settings: TokensSettings, shape: HShape):
        super().__init__(settings, shape)
        require(shape.mixer == "attention", "model.mixer", shape.mixer,
                "attention, with memory=tokens, since an MLP over tokens has a fixed number of them; "
                "model=trm has it")  # fmt: skip
        self.remember("m", truncated_normal_(torch.empty(settings.tokens, shape.width), std=1.0))
        self.logged = NORMS

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        m, t = memory["m"], z_H.shape[1]
        both = context.level(
            torch.cat((z_H, m.to(z_H.dtype)), dim=1),
            torch.cat((z_L, torch.zeros_like(m, dtype=z_L.dtype)), dim=1),
        )
        z_H, new = both[:, :t], both[:, t:].to(m.dtype)
        return z_H, {"m": new}, norms(z_H, new, context.present)
