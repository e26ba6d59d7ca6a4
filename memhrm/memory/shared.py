"""The shared memory of `lifetime=global`: one for all rows, which their writes change together.

N cells, b batch. With the other lifetimes a row starts again at some step
(`memhrm.training.carry.Carry.refill`).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from memhrm.memory.base import Memory


@torch.no_grad()
def absorb(
    shared: Mapping[str, Tensor],
    written: Memory,
    wrote: Tensor | None,
    rate: float,
    summed: Callable[[Tensor], Tensor],
) -> None:
    """Move the shared memory towards what the rows made of their copies of it, in place, at `rate`.

    The change of a cell is the mean over the rows, of all processes, that wrote it; the change of a cell that
    no row wrote, or of what is no cell, the mean over all rows.

    Args:
        shared: what each memory starts from, (N, ...) each.
        written: the memory of the rows after the step, (b, N, ...) each.
        wrote: how often each row wrote each cell, (b, N); None without cells.
        rate: rate of the move, above 0, up to 1.
        summed: returns the sum of a tensor over processes.
    """
    for name, start in shared.items():
        change = written[name] - start
        weight = torch.ones_like(change[:, :1].flatten(1)[:, :1])
        if wrote is not None and change.ndim > 2:
            writers = (wrote > 0).to(change.dtype)
            weight = torch.where(summed(writers.sum(dim=0)) > 0, writers, weight)
        count = summed(weight.sum(dim=0)).view(-1, *[1] * (start.ndim - 1))
        total = summed((change * weight.view(*weight.shape, *[1] * (change.ndim - 2))).sum(dim=0))
        start.add_(rate * total / count)
