"""Cells taken out of a memory and put back, at a cost that follows what is taken in the gradient too.

PyTorch's own gradient of each of these is a tensor as large as the memory, which is added to the others. Here
one tensor goes from H-step to H-step and is changed in place. For that the memory itself goes along: each
function that looks at it returns it again, and what comes next takes that.

b batch, N cells, l tokens of a cell, d width, n cells that are taken, of all examples together.
"""

from typing import Any

import torch
from torch import Tensor

_OURS = "memhrm_ours"
"""Marks a gradient that was made here, which nobody else holds."""


def first_tokens(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first token of each cell, its CLS, (b, N, d), and the memory, (b, N, l, d), again."""
    if _plain(cells):
        return cells[:, :, 0], cells
    return _First.apply(cells)  # pyright: ignore[reportReturnType]


def take(cells: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return cells, (n, l, d), and the memory, (b, N, l, d), again.

    Args:
        cells: the memory.
        rows: where they stand if (b, N) is one axis, (n,), each once.
    """
    if _plain(cells):
        return _taken(cells, rows), cells
    return _Take.apply(cells, rows)  # pyright: ignore[reportReturnType]


def put(cells: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """Return the memory, (b, N, l, d), with other cells, (n, l, d), in `rows`, which are those of `take`."""
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return _with(cells, rows, new)
    return _Put.apply(cells, rows, new)  # pyright: ignore[reportReturnType]


def _plain(cells: Tensor) -> bool:
    """Whether nothing is to be won: no gradient comes back, or the compiler sees to it."""
    return torch.compiler.is_compiling() or not (torch.is_grad_enabled() and cells.requires_grad)


def _taken(cells: Tensor, rows: Tensor) -> Tensor:
    return cells.flatten(0, 1).index_select(0, rows)


def _with(cells: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    return cells.flatten(0, 1).index_copy(0, rows, new).view(cells.shape)


def _own(gradient: Tensor | None, shape: torch.Size, like: Tensor) -> Tensor:
    """Return a gradient of the memory that may be changed in place."""
    if gradient is None:
        found = like.new_zeros(shape)
    elif getattr(gradient, _OURS, False):
        return gradient
    else:
        found = gradient.clone(memory_format=torch.contiguous_format)
    setattr(found, _OURS, True)
    return found


class _First(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.shape = cells.shape
        ctx.set_materialize_grads(False)
        return cells[:, :, 0].contiguous(), cells.view_as(cells)

    @staticmethod
    def backward(ctx: Any, to_first: Tensor | None, to_cells: Tensor | None) -> Tensor | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if to_first is None:
            return to_cells
        gradient = _own(to_cells, ctx.shape, to_first)
        gradient[:, :, 0] += to_first
        return gradient


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.shape = cells.shape
        ctx.save_for_backward(rows)
        ctx.set_materialize_grads(False)
        return _taken(cells, rows), cells.view_as(cells)

    @staticmethod
    def backward(ctx: Any, to_taken: Tensor | None, to_cells: Tensor | None) -> tuple[Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if to_taken is None:
            return to_cells, None
        (rows,) = ctx.saved_tensors
        gradient = _own(to_cells, ctx.shape, to_taken)
        gradient.flatten(0, 1).index_add_(0, rows, to_taken)
        return gradient, None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, rows: Tensor, new: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(rows)
        return _with(cells, rows, new)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (rows,) = ctx.saved_tensors
        to_new = _taken(gradient, rows)
        if not ctx.needs_input_grad[0]:
            return None, None, to_new
        gradient = _own(gradient, gradient.shape, gradient)
        gradient.flatten(0, 1).index_fill_(0, rows, 0)
        return gradient, None, to_new
