"""Which of its cells an example reads and which it writes, with what weights.

b batch, N cells, k cells of a part. A shared cell comes first and stands apart from the competition.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.selection import weigh


class Part(NamedTuple):
    """Cells that are read, or written.

    Attributes:
        indices: which, (b, k).
        weights: alpha, (b, k).
        credit: p - sg(p), which is 0 and has the gradient of p, the cell's entry in the softmax of all
            scores, (b, k); None where the scorer is not credited.
    """

    indices: Tensor
    weights: Tensor
    credit: Tensor | None = None

    @property
    def credited(self) -> Tensor:
        """The weights, with the gradient of the credit."""
        return self.weights if self.credit is None else self.weights * (1 + self.credit)


class Parts(NamedTuple):
    """The active cells, those that are read and those that are written."""

    active: Part
    read: Part
    write: Part


def parted(settings: CellSettings, scores: Tensor, winners: Tensor) -> Parts:
    """Return the parts of a selection; equations (7) and (28) of docs/memory.md.

    Args:
        settings: what is read and written, and how it is weighed.
        scores: of all cells, (b, N).
        winners: the active ones among the cells that compete, the first choice first.
    """
    s = settings
    active = read = write = _part(s, scores, winners)
    if "all" in (s.reads, s.writes):
        rivals = scores[:, s.shared :]
        every = _part(s, scores, torch.arange(rivals.shape[1], device=scores.device).expand(rivals.shape))
        read, write = (every if which == "all" else active for which in (s.reads, s.writes))
    if s.written is not None:
        write = Part(write.indices[:, : s.written], write.weights[:, : s.written])
    if s.straight_through in ("read", "both"):
        read = read._replace(credit=_credit(s, scores, read.indices))
    if s.straight_through in ("write", "both"):
        write = write._replace(credit=_credit(s, scores, write.indices))
    return Parts(active, read, write)


def _part(settings: CellSettings, scores: Tensor, winners: Tensor) -> Part:
    apart = settings.shared
    alpha, k = weigh(settings.gate, scores[:, apart:], winners), winners.shape[1] + apart
    if not apart:
        return Part(winners, alpha)
    # The shared cell weighs as much as one of k equal ones, whatever the scores.
    shared, own = torch.zeros_like(winners[:, :apart]), torch.full_like(alpha[:, :apart], 1 / k)
    return Part(torch.cat((shared, winners + apart), dim=1), torch.cat((own, alpha * (1 - apart / k)), dim=1))


def _credit(settings: CellSettings, scores: Tensor, indices: Tensor) -> Tensor:
    """Return the credit of cells; a shared cell, which is certain, has none."""
    apart = settings.shared
    p = F.pad(scores[:, apart:].softmax(dim=-1), (apart, 0)).gather(1, indices)
    return p - p.detach()
