"""How the gated linear unit of a block is computed fast on the CPU.

Gradients are written by hand, so that each passes over memory as seldom as it can; on the CPU these passes
are what is left beside the matrix products. Each is tested against its plain formula.
n rows, b batch, d width, f inner width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PART = 2**21
"""Bytes of gate and up that `swiglu` has in hand at a time: the second-level caches of two cores."""


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
    """Return silu(gate) * up for gate and up side by side: (..., 2 f) to (..., f)."""
    return _SiLUGate.apply(gate_up)  # pyright: ignore[reportReturnType]


class _SwiGLU(torch.autograd.Function):
    """Keeps its input, gate and up; whatever else lies between comes and goes in the cache, part by part."""

    @staticmethod
    def forward(ctx, x: Tensor, gate_up: Tensor, down: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        out, inner = _swiglu(x, gate_up, down)
        ctx.save_for_backward(x, gate_up, down, inner)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return _swiglu_backward(gradient, *ctx.saved_tensors)


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Return down(silu(gate(x)) * up(x)), by parts that stay in the CPU's cache, with nothing transposed.

    Args:
        x: (n, width), a unit for each row; or (b, width, d), a unit for each column.
        gate_up: weights, (2 f, width).
        down: weights, (width, f).
    """
    x = x.contiguous()
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, gate_up, down))
    if torch.compiler.is_compiling():  # As one operation: unrolled, the parts would take long to compile.
        ops = torch.ops.memhrm
        return ops.swiglu(x, gate_up, down)[0] if learns else ops.swiglu_fixed(x, gate_up, down)
    if learns:
        return _SwiGLU.apply(x, gate_up, down)  # pyright: ignore[reportReturnType]
    return _swiglu_fixed(x, gate_up, down)


def _swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result, and gate and up for the backward pass."""
    out, inner = torch.empty_like(x), x.new_empty(_inner_shape(x, gate_up))
    for rows in _parts(x, gate_up):
        _unit(x[rows], gate_up, down, inner[rows], out[rows])
    return out, inner


def _swiglu_fixed(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Return the result alone; all parts use the same memory."""
    out, inner = torch.empty_like(x), None
    for rows in _parts(x, gate_up):
        part = x[rows]
        if inner is None:  # The first part is the largest.
            inner = x.new_empty(_inner_shape(part, gate_up))
        _unit(part, gate_up, down, inner[: len(part)], out[rows])
    return out


def _swiglu_backward(
    gradient: Tensor, x: Tensor, gate_up: Tensor, down: Tensor, inner: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    gradient, to_x = gradient.contiguous(), torch.empty_like(x)
    # The parts' gradients add up in float32 at least, as they do inside one product over all rows.
    precision = torch.promote_types(x.dtype, torch.float32)
    to_gate_up, to_down = (torch.zeros_like(weight, dtype=precision) for weight in (gate_up, down))
    for rows in _parts(x, gate_up):
        gate, up = inner[rows].chunk(2, dim=1)
        activated = F.silu(gate)
        to_down += _to_weight(gradient[rows], activated * up)
        to_hidden = _product(down.t(), gradient[rows])
        to_inner = torch.empty_like(inner[rows])
        to_gate, to_up = to_inner.chunk(2, dim=1)
        torch.mul(to_hidden, activated, out=to_up)
        torch.ops.aten.silu_backward.grad_input(to_hidden.mul_(up), gate, grad_input=to_gate)
        to_gate_up += _to_weight(to_inner, x[rows])
        _product(gate_up.t(), to_inner, out=to_x[rows])
    return to_x, to_gate_up.to(gate_up.dtype), to_down.to(down.dtype)


def _unit(x: Tensor, gate_up: Tensor, down: Tensor, inner: Tensor, out: Tensor) -> None:
    """Fill inner with gate and up, and out with the result."""
    gate, up = _product(gate_up, x, out=inner).chunk(2, dim=1)
    _product(down, F.silu(gate).mul_(up), out=out)


def _inner_shape(x: Tensor, gate_up: Tensor) -> tuple[int, ...]:
    """Gate and up side by side, (n, 2 f), or one above the other, (b, 2 f, d)."""
    return (len(x), len(gate_up), *x.shape[2:])


def _parts(x: Tensor, gate_up: Tensor) -> list[slice]:
    """Slices of rows, as equal as can be, whose gate and up take `PART` bytes at most."""
    size = math.prod(_inner_shape(x, gate_up)) * x.element_size()
    step = max(1, math.ceil(len(x) / math.ceil(max(size, 1) / PART)))
    return [slice(start, start + step) for start in range(0, len(x), step)]


def _product(weight: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
    """Return a weight applied to each row of (n, width), or to each column of (b, width, d)."""
    if x.ndim == 2:
        return torch.mm(x, weight.t(), out=out)
    return torch.bmm(weight.expand(len(x), -1, -1), x, out=out)


def _to_weight(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of the weight in `_product(weight, x)`; for columns in float32 at least."""
    if x.ndim == 2:
        return gradient.t() @ x
    precision = torch.promote_types(x.dtype, torch.float32)
    return torch.bmm(gradient, x.transpose(1, 2)).sum(dim=0, dtype=precision)


# The same three for a compiler, to which each is one operation that it does not look into.
_op = torch.library.custom_op("memhrm::swiglu", _swiglu, mutates_args=())
_op_fixed = torch.library.custom_op("memhrm::swiglu_fixed", _swiglu_fixed, mutates_args=())
_op_backward = torch.library.custom_op("memhrm::swiglu_backward", _swiglu_backward, mutates_args=())
_op.register_fake(lambda x, gate_up, down: (torch.empty_like(x), x.new_empty(_inner_shape(x, gate_up))))
_op_fixed.register_fake(lambda x, gate_up, down: torch.empty_like(x))
_op_backward.register_fake(
    lambda gradient, x, gate_up, down, inner: tuple(torch.empty_like(to) for to in (x, gate_up, down))
)
_op.register_autograd(
    lambda ctx, to_out, to_inner: torch.ops.memhrm.swiglu_backward(to_out, *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs, output[1]),
)
