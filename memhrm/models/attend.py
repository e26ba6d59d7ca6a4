"""Attention: one function, two backends.

b batch, s queries, t keys, n heads, c channels of a head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.models.layers import Linear, rotate

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(c)) v without a mask, by PyTorch; q (b, s, n, c), k and v (b, t, n, c)."""
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return out.transpose(1, 2)


def xformers_backend() -> Attend:
    """The same attention by xformers, which needs a CUDA device.

    Raises:
        ValueError: there is no CUDA device, or xformers is not installed.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            "attention=xformers needs a CUDA device, and PyTorch finds none here; use attention=sdpa"
        )
    try:  # Imported only when chosen: on a machine without CUDA the import prints warnings.
        from xformers.ops import memory_efficient_attention  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            f"attention=xformers cannot import xformers ({error}); "
            "install it with `pip install xformers`, or use attention=sdpa"
        ) from error
    return memory_efficient_attention


def backend(name: str) -> Attend:
    """The attention function of a name: "sdpa" (anywhere) or "xformers" (CUDA only)."""
    if name == "sdpa":
        return sdpa
    if name == "xformers":
        return xformers_backend()
    raise ValueError(f"model.attention is {name!r}; allowed: sdpa, xformers")


class SelfAttention(nn.Module):
    """Non-causal multi-head self-attention without bias; (b, t, d) to (b, t, d)."""

    def __init__(self, width: int, num_heads: int, attend: Attend):
        super().__init__()
        self.num_heads = num_heads
        self.attend = attend
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, x: Tensor, rotary: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
        return self.out(self.attend(q, k, v).flatten(-2))
