"""An autoregressive decoder: each token is said from the state of its position and from the tokens before it.

b batch, s token, d width, v vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.nn.blocks import AttentionMixer, Block, Level
from memhrm.nn.layers import truncated_normal_


def causal(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attend as `memhrm.nn.attention.sdpa` does, each query to the keys up to its own place."""
    before = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device).tril()
    keys = before if mask is None else before & mask[:, None, None]
    out = F.scaled_dot_product_attention(*(one.transpose(1, 2) for one in (q, k, v)), attn_mask=keys)
    return out.transpose(1, 2)


class Decoder(nn.Module):
    """Causal blocks over the refined state, to which the token before each position is added.

    Args:
        vocab_size: v.
        width: d.
        num_heads: heads of attention.
        expansion: inner width of the gated linear units over the width.
        layers: blocks.
        normed: form of the gated linear units, as in `memhrm.nn.blocks.SwiGLU`.
    """

    def __init__(
        self, vocab_size: int, width: int, num_heads: int, expansion: float, layers: int, normed: bool
    ) -> None:
        super().__init__()
        self.tokens = nn.Parameter(truncated_normal_(torch.empty(vocab_size, width), std=width**-0.5))
        blocks = [
            Block(AttentionMixer(width, num_heads, causal), width, expansion, normed) for _ in range(layers)
        ]
        self.level = Level(blocks)

    def forward(self, z: Tensor, known: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Return what each token is read off, (b, s, d), which no token at its place or behind it changes.

        Args:
            z: the refined state of each position, (b, s, d).
            known: the tokens, (b, s); those at and behind a position do not matter to it.
            rotary: the table of rotary positions of the tokens; None without.
            mask: the positions that are no padding, (b, s); None for all.
        """
        before = F.pad(known[:, :-1], (1, 0))  # Padding stands before the first.
        x = F.embedding(before, self.tokens) * self.tokens.shape[-1] ** 0.5
        return self.level(z, x.to(z.dtype), rotary, mask)
