"""The slot of the H-module, and the baseline that fills it: the transformer level, which has no memory.

b batch, t position (prefix and tokens), d width.
"""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

Memory = dict[str, Tensor]
"""What an H-module carries from one H-step to the next; every tensor starts with the batch axis."""

Trace = dict[str, Tensor]
"""What one H-step reports to losses, policy and probes: indices, weights, log-probabilities."""

HLevel = Callable[[Tensor, Tensor], Tensor]
"""The transformer level of the H-step: (z_H, injection) to z_H, both (b, t, d)."""


class HModule(nn.Module):
    """One H-step. A subclass says whether it runs the transformer level and what it remembers.

    A module with a memory overrides `initial_memory` and returns the new memory beside the new state. It
    neither detaches, nor computes a loss, nor branches in Python on the values of tensors.
    """

    needs_level: ClassVar[bool] = True
    """False for a module that stands in the level's place: the reasoner then builds no H-net."""

    def initial_memory(self, batch_size: int) -> Memory:
        """The memory with which an example starts, (batch_size, ...) each."""
        return {}

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, level: HLevel
    ) -> tuple[Tensor, Memory, Trace]:
        raise NotImplementedError


class NoMemory(HModule):
    """The baseline: z_H' = level(z_H, z_L). HRM arXiv 2506.21734; TRM arXiv 2510.04871."""

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, level: HLevel
    ) -> tuple[Tensor, Memory, Trace]:
        return level(z_H, z_L), memory, {}
