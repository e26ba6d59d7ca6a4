"""Addresses: the CLS by which a cell is found, what a write does to it, and addresses that the task gives.

b batch, d width, N cells, k cells that are written, l tokens of a cell, the first of which is its CLS.
"""

from typing import Literal

import torch
from torch import Tensor

Address = Literal["evolving", "frozen", "key"]


def readdressed(
    address: Address, before: Tensor, after: Tensor, keys: Tensor | None, answered: Tensor | None
) -> Tensor:
    """Return written cells, (b, k, l, d), with the CLS that they keep or get; equation (25).

    Args:
        address: evolving: the CLS is written like the contents. frozen: it stays. key: it becomes what the
            query asked for.
        before: the cells before the write.
        after: the cells after it.
        keys: what was asked for, (b, k, d), with key.
        answered: rows that ask nothing, (b,) bool, whose CLS stays; None for none.
    """
    if address == "evolving":
        return after
    cls = before[:, :, 0]
    if address == "key":
        assert keys is not None
        keys = keys.to(after.dtype)
        cls = keys if answered is None else torch.where(answered[:, None, None], cls, keys)
    return torch.cat((cls.unsqueeze(2), after[:, :, 1:]), dim=2)


def given(context: Tensor, cells: int) -> Tensor:
    """Return what prefers the cell of a context, its number modulo N, then the next ones: (b,) to (b, N)."""
    place = torch.arange(cells, device=context.device)
    return -((place - context.long().unsqueeze(1)) % cells).to(torch.float32)


def hashed(cue: Tensor, cells: int) -> Tensor:
    """Return pseudo-random numbers in [0, 1), a fixed function of cue and cell: (b,) to (b, N) float64."""
    word = 2**32 - 1
    x = cue.long().unsqueeze(1) * 0x9E3779B1 + torch.arange(cells, device=cue.device) * 0x85EBCA6B + 1
    x = x & word
    for _ in range(2):  # Integers below 2^32 times one below 2^31: nothing overflows.
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & word
    return (x ^ (x >> 16)).to(torch.float64) / 2**32
