"""A control: the plainest memory, without cells and without weights."""

import torch
from torch import Tensor

from memhrm.memory.base import NORMS, Context, HModule, HShape, Memory, MemorySettings, Trace, norms


class CarryAdd(HModule):
    """The previous z_H is added to the injection: z_H' = level(z_H, z_L + m), m' = z_H'; m starts at zero.

    Equation (12) of docs/memory.md.
    """

    def __init__(self, settings: MemorySettings, shape: HShape):
        super().__init__(settings, shape)
        self.remember("z_H", torch.zeros(shape.length, shape.width))
        self.logged = NORMS

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        old = memory["z_H"]
        z_H = context.level(z_H, z_L + old.to(z_L.dtype))
        new = z_H.to(old.dtype)
        if (
            context.present is not None
        ):  # The next example of an episode may fill what is padding in this one.
            new = torch.where(context.present.unsqueeze(-1), new, old)
        return z_H, {"z_H": new}, norms(z_H, new, context.present)
