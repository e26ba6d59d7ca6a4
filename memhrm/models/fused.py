"""Three operations whose gradient is written by hand, so that each passes over memory as seldom as it can.

On the CPU these passes are what is left beside the matrix products; a compiler fuses them anyway. Each is
tested against its plain formula. b batch, t position, n heads, c channels of a head, d width, f inner width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5


class _AddRMS(torch.autograd.Function):
    """Keeps only the result y and the inverse norm: dx = (g - y mean(g y)) / norm."""

    @staticmethod
    def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        total = x + y
        precision = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(total, dim=-1, keepdim=True, dtype=precision)
        inverse = torch.rsqrt(norm.square() / x.shape[-1] + EPS)
        return total.mul_(inverse), inverse.to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx, gradient: Tensor, _):  # pyright: ignore[reportIncompatibleMethodOverride]
        out, inverse = ctx.saved_tensors
        along = (gradient * out).mean(dim=-1, keepdim=True)
        gradient = torch.addcmul(gradient, out, along, value=-1).mul_(inverse)
        return gradient, gradient


def add_rms(x: Tensor, y: Tensor) -> Tensor:
    """x + y, (..., d), divided by its root mean square over d, which is computed in float32 at least."""
    return _AddRMS.apply(x, y)[0]  # pyright: ignore[reportOptionalSubscript]


class _SiLUGate(torch.autograd.Function):
    """Keeps only its input; both halves of the gradient go straight into one tensor."""

    @staticmethod
    def forward(gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        out = torch.empty_like(gate_up)
        to_gate, to_up = out.chunk(2, dim=-1)
        to_gate.copy_(torch.ops.aten.silu_backward(gradient * up, gate))
        to_up.copy_(F.silu(gate)).mul_(gradient)
        return out


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) * up for gate and up side by side, (..., 2 f) to (..., f)."""
    return _SiLUGate.apply(gate_up)  # pyright: ignore[reportReturnType]


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
    """x * cos + (halves of x exchanged) * sin: x (b, t, n, c), rotary (2, t, 1, c) from `rotary_table`.

    The rotation runs in the table's precision.
    """
    return _Rotation.apply(x, rotary)  # pyright: ignore[reportReturnType]
