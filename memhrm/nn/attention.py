"""Attention: one function, two backends; self-attention with rotary positions.

b batch, s queries, t keys or positions, n heads, c channels of a head.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from memhrm.nn.layers import Linear


class Attend(Protocol):
    """softmax(q k^T / sqrt(c)) v over the keys that `mask` (b, t) says are there; None: over all."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, /) -> Tensor:
        """Return what queries (b, s, n, c) take from values (b, t, n, c) by their keys, (b, s, n, c)."""
        ...


SHORT = 256
"""Keys up to which attention may keep its (s, t) matrix of probabilities."""


def sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attend by PyTorch.

    Args:
        q: queries (b, s, n, c).
        k: keys (b, t, n, c).
        v: values (b, t, n, c).
        mask: the keys that are there, (b, t); None for all.

    Returns:
        What each query takes from the values, (b, s, n, c).
    """
    keys = None if mask is None else mask[:, None, None]  # For each head and query the same.
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    if q.device.type == "cpu" and q.requires_grad and k.shape[2] <= SHORT:
        # The backward pass of PyTorch's CPU kernel is slow: with it, forward and backward take 1.4 times as
        # long as this in float32 and 5 times in bfloat16 (97 tokens, 8 heads of 64).
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if keys is not None:
            scores = scores.masked_fill(~keys, torch.finfo(scores.dtype).min)
        out = torch.softmax(scores, dim=-1) @ v
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
    return out.transpose(1, 2)


def xformers_backend() -> Attend:
    """Return attention by xformers, which needs a CUDA device.

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

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return memory_efficient_attention(q, k, v, attn_bias=None if mask is None else _bias(q, mask))

    return attend


def _bias(q: Tensor, mask: Tensor) -> Tensor:
    """Return the mask (b, t) as what xformers adds to the scores, (b, n, s, t): 0 or almost -infinity."""
    batch, keys = mask.shape
    wide = -(-keys // 8) * 8  # Its kernels want rows that begin at multiples of 8.
    bias = q.new_full((batch, 1, 1, wide), torch.finfo(q.dtype).min)[..., :keys]
    return bias.masked_fill_(mask[:, None, None], 0).expand(-1, q.shape[2], q.shape[1], -1)


def backend(name: str) -> Attend:
    """Return the attention function of a name: "sdpa" (anywhere) or "xformers" (CUDA only)."""
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

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Return x (b, t, d) after attention to the positions of the mask (b, t), or to all."""
        qk, v = rearrange(self.qkv(x), "b t (three n c) -> b t (three n) c", three=3, n=self.num_heads).split(
            (2 * self.num_heads, self.num_heads), dim=2
        )
        q, k = (qk if rotary is None else rotate(qk, rotary)).chunk(2, dim=2)
        return self.out(rearrange(self.attend(q, k, v, mask), "b t n c -> b t (n c)"))


def rotary_table(length: int, head_width: int, theta: float = 10000.0) -> Tensor:
    """Return cosines and signed sines of rotary positions, (2, length, 1, head_width).

    Su et al., arXiv 2104.09864, in half-rotation form: channel i turns with channel i + head_width / 2. The
    first half of the sines is negative.
    """
    return _table(_angles(torch.arange(length), head_width, theta))


def axial_rotary_table(
    layout: tuple[int, int], head_width: int, prefix: int = 0, theta: float = 100.0
) -> Tensor:
    """Return the table of `rotary_table` for positions in rows and columns.

    A half of the pairs of channels turns with the row, the other half with the column (Heo et al., arXiv
    2403.13298, whose theta it is).

    Args:
        layout: rows and columns.
        head_width: channels of a head, c, divisible by four.
        prefix: positions before those, which do not turn.
        theta: base of the frequencies.

    Returns:
        The table, (2, prefix + rows * columns, 1, c).
    """
    at = torch.arange(layout[0] * layout[1])
    both = [_angles(of, head_width // 2, theta) for of in (at // layout[1], at % layout[1])]
    return _table(F.pad(torch.cat(both, dim=1), (0, 0, prefix, 0)))


def _angles(at: Tensor, width: int, theta: float) -> Tensor:
    """Return by how much each pair of `width` channels turns at places (t,), (t, width / 2)."""
    frequency = theta ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    return torch.outer(at.float(), frequency)


def _table(angle: Tensor) -> Tensor:
    """Return the cosines and signed sines of angles (t, c / 2), (2, t, 1, c)."""
    cos, sin = angle.unsqueeze(1).cos(), angle.unsqueeze(1).sin()
    return torch.stack((torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)))


class _Rotation(torch.autograd.Function):
    """Keeps only the table; the gradient is turned back."""

    @staticmethod
    def forward(x: Tensor, rotary: Tensor) -> Tensor:
        return _turned(x, rotary[0], rotary[1])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (rotary,) = ctx.saved_tensors
        return _turned(gradient, rotary[0], -rotary[1]), None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    wide = x.to(cos.dtype)
    left, right = wide.chunk(2, dim=-1)
    sin_left, sin_right = sin.chunk(2, dim=-1)
    out = wide * cos
    out_left, out_right = out.chunk(2, dim=-1)
    out_left.addcmul_(right, sin_left)
    out_right.addcmul_(left, sin_right)
    return out.to(x.dtype)


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Return x * cos + (halves of x exchanged) * sin, computed in the table's precision.

    Args:
        x: (b, t, n, c).
        rotary: what `rotary_table` returns, (2, t, 1, c).
    """
    return _Rotation.apply(x, rotary)  # pyright: ignore[reportReturnType]
