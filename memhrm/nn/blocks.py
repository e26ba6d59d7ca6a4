"""A block mixes tokens, then channels; a level is a stack of blocks: one step of z_L or z_H.

b batch, t position (prefix and tokens), d width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.nn.attention import Attend, SelfAttention
from memhrm.nn.layers import EPS, Linear
from memhrm.nn.swiglu import PART, silu_gate, swiglu


def inner_width(width: int, expansion: float) -> int:
    """Return the inner width of a SwiGLU: two thirds of the expansion, rounded up to a multiple of 256."""
    return -(-round(expansion * width * 2 / 3) // 256) * 256


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)); Shazeer 2020, arXiv 2002.05202.

    With `normed` it is down(sigmoid(gate(x)) * rms(gate(x) * up(x))), whose size does not grow with the
    weights': large steps of Muon need it. Dillon 2026, arXiv 2601.19085.
    """

    def __init__(self, width: int, expansion: float, normed: bool = False):
        super().__init__()
        inner = inner_width(width, expansion)
        self.gate_up = Linear(width, 2 * inner)
        self.down = Linear(inner, width)
        self.normed = normed

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's output, (..., width) to (..., width)."""
        if self.by_parts(x):
            return self._swiglu(x.reshape(-1, x.shape[-1])).view_as(x)
        gate_up = self.gate_up(x)
        return self.down(normed_gate(gate_up) if self.normed else silu_gate(gate_up))

    def across(self, x: Tensor) -> Tensor:
        """Return the unit's output along the last dimension but one: (b, width, d) to (b, width, d)."""
        return self._swiglu(x) if self.by_parts(x) else self(x.transpose(1, 2)).transpose(1, 2)

    def by_parts(self, x: Tensor) -> bool:
        """Return whether `swiglu` computes this unit: on the CPU, if its weights stay in the cache."""
        return x.device.type == "cpu" and not self.normed and 2 * self.gate_up.weight.nbytes <= PART

    def _swiglu(self, x: Tensor) -> Tensor:
        return swiglu(x, self.gate_up.weight.to(x.dtype), self.down.weight.to(x.dtype))


def normed_gate(gate_up: Tensor) -> Tensor:
    """Return sigmoid(gate) * rms(gate * up) for gate and up side by side: (..., 2 f) to (..., f)."""
    gate, up = gate_up.chunk(2, dim=-1)
    product = gate * up
    return torch.sigmoid(gate) * F.rms_norm(product, product.shape[-1:], eps=EPS)


class AttentionMixer(nn.Module):
    """Tokens are mixed by self-attention; the norm runs over channels."""

    def __init__(self, width: int, num_heads: int, attend: Attend):
        super().__init__()
        self.attention = SelfAttention(width, num_heads, attend)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Return x (b, t, d) after the mixing."""
        return add_rms(x, self.attention(x, rotary, mask))


class MLPMixer(nn.Module):
    """Tokens are mixed by a SwiGLU over the token axis (TRM-MLP); the norm runs over tokens too.

    Positions that are padding enter as zeros.
    """

    def __init__(self, length: int, expansion: float, normed: bool = False):
        super().__init__()
        self.mlp = SwiGLU(length, expansion, normed)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Return x (b, t, d) after the mixing; there are no rotary positions."""
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
        """Return x (b, t, d) after the block."""
        x = self.mixer(x, rotary, mask)
        return add_rms(x, self.mlp(x))


class Level(nn.Module):
    """The network of one level: the state plus what is injected, through the blocks in turn."""

    def __init__(self, blocks: list[Block]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self, state: Tensor, injection: Tensor, rotary: Tensor | None, mask: Tensor | None = None
    ) -> Tensor:
        """Return the state (b, t, d) after one step.

        Args:
            state: (b, t, d).
            injection: what is added to it, (b, t, d).
            rotary: the table of rotary positions; None without.
            mask: the positions that are no padding, (b, t); None for all.
        """
        x = state + injection
        for block in self.blocks:
            x = block(x, rotary, mask)
        return x


class _AddRMS(torch.autograd.Function):
    """Keeps only the result y and the inverse norm: dx = (g - y mean(g y)) / norm."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        total = x + y
        precision = torch.promote_types(x.dtype, torch.float32)
        if dim == -1:
            norm = torch.linalg.vector_norm(total, dim=-1, keepdim=True, dtype=precision)
            mean = norm.square() / x.shape[-1]
        else:  # Along another dimension PyTorch's norm is slow on the CPU.
            mean = total.to(precision).square().mean(dim=dim, keepdim=True)
        inverse = torch.rsqrt(mean + EPS)
        return total.mul_(inverse), inverse.to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.dim = inputs[2]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx, gradient: Tensor, _):  # pyright: ignore[reportIncompatibleMethodOverride]
        out, inverse = ctx.saved_tensors
        along = (gradient * out).mean(dim=ctx.dim, keepdim=True)
        gradient = torch.addcmul(gradient, out, along, value=-1).mul_(inverse)
        return gradient, gradient, None


def add_rms(x: Tensor, y: Tensor, dim: int = -1) -> Tensor:
    """Return x + y divided by its root mean square over a dimension, computed in float32 at least."""
    return _AddRMS.apply(x, y, dim)[0]  # pyright: ignore[reportOptionalSubscript]
