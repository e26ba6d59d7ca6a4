"""A block mixes tokens, then channels; a level is a stack of blocks: one step of z_L or z_H.

b batch, t position (prefix and tokens), d width.
"""

import torch
from torch import Tensor, nn

from memhrm.nn.attention import Attend, SelfAttention
from memhrm.nn.fused import add_rms
from memhrm.nn.layers import SwiGLU


class AttentionMixer(nn.Module):
    """Tokens are mixed by self-attention; the norm runs over channels."""

    def __init__(self, width: int, num_heads: int, attend: Attend):
        super().__init__()
        self.attention = SelfAttention(width, num_heads, attend)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        return add_rms(x, self.attention(x, rotary, mask))


class MLPMixer(nn.Module):
    """Tokens are mixed by a SwiGLU over the token axis (TRM-MLP); the norm runs over tokens too.

    Positions that are padding enter as zeros.
    """

    def __init__(self, length: int, expansion: float, normed: bool = False):
        super().__init__()
        self.mlp = SwiGLU(length, expansion, normed)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = torch.where(mask.unsqueeze(-1), x, 0)
        if self.mlp.by_parts(x):
            return add_rms(x, self.mlp.across(x), dim=-2)
        x = x.transpose(1, 2)
        return add_rms(x, self.mlp(x)).transpose(1, 2)


class Block(nn.Module):
    """Post-norm block: x = mixer(x); x = rms(x + swiglu(x)). (b, t, d) to (b, t, d)."""

    def __init__(self, mixer: AttentionMixer | MLPMixer, width: int, expansion: float, normed: bool = False):
        super().__init__()
        self.mixer = mixer
        self.mlp = SwiGLU(width, expansion, normed)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        x = self.mixer(x, rotary, mask)
        return add_rms(x, self.mlp(x))


class Level(nn.Module):
    """The network of one level: the state plus what is injected, through the blocks in turn.

    mask: the positions that are no padding, (b, t); None: all.
    """

    def __init__(self, blocks: list[Block]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self, state: Tensor, injection: Tensor, rotary: Tensor | None, mask: Tensor | None = None
    ) -> Tensor:
        x = state + injection
        for block in self.blocks:
            x = block(x, rotary, mask)
        return x
