"""Puzzle tables: a row of numbers for each puzzle identifier, zero until it is trained.

b batch, e width of a row, r rows.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class PuzzleTable(nn.Module):
    """One row of `width` numbers for each of a known number of identifiers.

    It is a buffer, since no ordinary optimiser may touch it: only the rows of the batch learn, by sign-SGD
    on the gradient of the looked-up rows (HRM, arXiv 2506.21734).
    """

    weight: Tensor

    def __init__(self, num_identifiers: int, width: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_identifiers, width))

    def forward(self, identifiers: Tensor) -> Tensor:
        """Return the rows of the identifiers: (b,) to (b, e)."""
        return self.weight[identifiers.long()]

    def assign(self, identifiers: Tensor, rows: Tensor) -> None:
        """Put rows (b, e) in the place of those of the identifiers (b,), which are all different."""
        self.weight[identifiers.long()] = rows


class KeyedTable(nn.Module):
    """Rows by key: an identifier is any number up to 2^63, and only rows that were trained take memory.

    A key that was never assigned has a row of zeros, as every row has at the start. So reading allocates
    nothing, and the processes of a run, which assign the same rows, hold the same table. The state holds the
    rows in the order of their keys, in whatever order they were met.

    Attributes:
        keys: those that have a row, in ascending order, (r,) int64.
        slots: where in `rows` each of them has its row, (r,) int64.
        rows: the rows, and room for more, (at least r, e).
    """

    def __init__(self, width: int):
        super().__init__()
        # No buffers: a moving average of the model would copy all of them after every step.
        self.keys, self.slots = torch.zeros(2, 0, dtype=torch.int64)
        self.rows = torch.zeros(0, width)

    def forward(self, identifiers: Tensor) -> Tensor:
        """Return the rows of the identifiers: (b,) to (b, e)."""
        if not len(self.keys):
            return self.rows.new_zeros(len(identifiers), self.rows.shape[1])
        at, known = self._find(identifiers.long())
        return torch.where(known.unsqueeze(1), self.rows[self.slots[at]], 0)

    def knows(self, identifiers: Tensor) -> Tensor:
        """Return which of the identifiers (b,) have a row, (b,) bool."""
        if not len(self.keys):
            return torch.zeros_like(identifiers, dtype=torch.bool)
        return self._find(identifiers.long())[1]

    def assign(self, identifiers: Tensor, rows: Tensor) -> None:
        """Put rows (b, e) in the place of those of the identifiers (b,), which are all different."""
        identifiers = identifiers.long()
        new = identifiers[~self.knows(identifiers)]
        if len(new):
            self._insert(new.sort().values)
        self.rows[self.slots[self._find(identifiers)[0]]] = rows

    def _find(self, identifiers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the place of each identifier among the keys, and whether it is there, (b,) each."""
        at = torch.searchsorted(self.keys, identifiers).clamp(max=len(self.keys) - 1)
        return at, self.keys[at] == identifiers

    def _insert(self, new: Tensor) -> None:
        """Give rows to keys (b,) that have none, in ascending order; the room doubles when it is used up."""
        held, total = len(self.keys), len(self.keys) + len(new)
        if total > len(self.rows):
            room = max(total, 2 * len(self.rows)) - len(self.rows)
            self.rows = torch.cat((self.rows, self.rows.new_zeros(room, self.rows.shape[1])))
        order = torch.cat((self.keys, new)).sort()
        added = torch.arange(held, total, device=new.device)
        self.keys, self.slots = order.values, torch.cat((self.slots, added))[order.indices]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.keys, self.slots, self.rows = fn(self.keys), fn(self.slots), fn(self.rows)
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        # In order and without spare room they are the state themselves: a model and its average, which have
        # one table, stand in a checkpoint with one tensor.
        in_order = torch.arange(len(self.keys), device=self.keys.device)
        if len(self.rows) > len(self.keys) or not torch.equal(self.slots, in_order):
            self.rows, self.slots = self.rows[self.slots], in_order
        destination[prefix + "keys"], destination[prefix + "weight"] = self.keys, self.rows

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        keys, rows = state_dict[prefix + "keys"], state_dict[prefix + "weight"]
        self.keys, self.rows = keys.to(self.keys).clone(), rows.to(self.rows).clone()
        self.slots = torch.arange(len(keys), device=self.keys.device)


def puzzle_table(num_identifiers: int, width: int) -> PuzzleTable | KeyedTable:
    """Return a table for so many identifiers; 0: for any keys."""
    return PuzzleTable(num_identifiers, width) if num_identifiers else KeyedTable(width)
