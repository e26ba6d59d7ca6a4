"""The baseline, which remembers nothing."""

from torch import Tensor

from memhrm.memory.base import Context, HModule, Memory, MemorySettings, Trace

NO_MEMORY = MemorySettings.of()
"""The settings of a model without a memory."""


class NoMemory(HModule):
    """z_H' = level(z_H, z_L). HRM, arXiv 2506.21734; TRM, arXiv 2510.04871."""

    any_length = True

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory as it is, and an empty trace."""
        return context.level(z_H, z_L), memory, {}
