"""The global bank: one memory for all rows, which their writes change together.

b batch. The other lifetimes are a matter of when a row starts anew (`training/carry.py`).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from memhrm.memory.h_module import Memory


@torch.no_grad()
def absorb(
    bank: Mapping[str, Tensor], written: Memory, rate: float, summed: Callable[[Tensor], Tensor]
) -> None:
    """Move the bank towards what the rows made of their copies of it, in place.

    For each cell (or token: the first axis of a bank's tensor) the changes are averaged over the rows in which
    it changed, of all processes, and applied at `rate`. What no row wrote stays.

    bank: (n, ...) each; written: (b, n, ...) each. summed: the sum over processes.
    """
    for name, start in bank.items():
        change = written[name] - start
        wrote = (change != 0).flatten(2).any(dim=2) if change.ndim > 2 else change != 0
        total, count = summed(change.sum(dim=0)), summed(wrote.sum(dim=0).to(change.dtype))
        start.add_(rate * total / count.clamp(min=1).view(-1, *[1] * (start.ndim - 1)))
