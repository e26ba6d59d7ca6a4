"""The recursion of one supervision step: H_cycles times (L_cycles L-steps, then one H-step).

Equations (1) and (2) of docs/memory.md.
The order of z_L and z_H, and which of the steps have a gradient, are decided here and nowhere else. What is
cut between supervision steps is decided by `memhrm.training.carry.Carry.advance`.
b batch, t position (prefix and tokens), d width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from memhrm.memory.base import HLevel, Memory, Trace


class State(NamedTuple):
    """What passes from one supervision step to the next: z_H and z_L (b, t, d), and the memory."""

    z_H: Tensor
    z_L: Tensor
    memory: Memory

    def shifted(self, shift: Tensor) -> "State":
        """Return the state with a shift, (b, 2, t, d), added to z_H and z_L: noise."""
        shift = shift.to(self.z_H)
        return self._replace(z_H=self.z_H + shift[:, 0], z_L=self.z_L + shift[:, 1])


LStep = Callable[[Tensor, Tensor], Tensor]
"""(z_L, injection) to z_L."""

HStep = Callable[[int, Tensor, Tensor, Memory, HLevel], tuple[Tensor, Memory, Trace]]
"""(H-cycle, z_H, z_L, memory, transformer level) to (z_H, memory, trace)."""


@dataclass(frozen=True, kw_only=True)
class Recursion:
    """How often each level steps, and from which step on the gradient flows.

    Without L-steps (L_cycles = 0, the recurrent transformer) there is no z_L: the H-step receives x.

    Attributes:
        H_cycles: H-steps of a supervision step.
        L_cycles: L-steps before each H-step.
        gradient_from: the first (H-cycle, L-step) with gradient, counted from 0. Everything before runs
            without. The H-step of cycle h counts as L-step L_cycles of that cycle.
        checkpoint_activations: keep only each step's input for the backward pass and compute the rest again.
        whole_memory_graph: the memory's path has a gradient from the first H-step on. Before
            `gradient_from` its graph, and only the memory's, goes through the H-steps: z_H and z_L are cut
            before and after each, and the transformer level runs without.
    """

    H_cycles: int
    L_cycles: int
    gradient_from: tuple[int, int]
    checkpoint_activations: bool = False
    whole_memory_graph: bool = False

    def __call__(
        self, state: State, x: Tensor, L_step: LStep, level: HLevel, H_step: HStep
    ) -> tuple[State, list[Trace]]:
        """Run the recursion.

        Args:
            state: the state before it.
            x: the embedded input, (b, t, d).
            L_step: the step of z_L.
            level: the transformer level that is given to each H-step.
            H_step: the step of z_H and the memory.

        Returns:
            The state after it, and one trace per H-step.
        """
        z_H, z_L, memory = state
        traces: list[Trace] = []
        learning = torch.is_grad_enabled()
        for h in range(self.H_cycles):
            injection = z_H + x  # z_H stands still while z_L steps.
            for step in range(self.L_cycles):
                with torch.set_grad_enabled(learning and (h, step) >= self.gradient_from):
                    z_L = self._run(L_step, z_L, injection)
            learns = learning and (h, self.L_cycles) >= self.gradient_from
            with torch.set_grad_enabled(learns or (learning and self.whole_memory_graph)):
                injection = z_L if self.L_cycles else (x if learns else x.detach())
                given = level if learns else partial(_fixed, level)
                z_H, memory, trace = self._run(H_step, h, z_H, injection, memory, given)
            if not learns:
                z_H = z_H.detach()
            traces.append(trace)
        return State(z_H, z_L, memory), traces

    def _run(self, step, *args):
        if self.checkpoint_activations and torch.is_grad_enabled():
            return checkpoint(step, *args, use_reentrant=False)
        return step(*args)


@torch.no_grad()
def _fixed(level: HLevel, z_H: Tensor, injection: Tensor) -> Tensor:
    """Apply the level without gradient."""
    return level(z_H, injection)


def gradient_start(window: str | int, H_cycles: int, L_cycles: int) -> tuple[int, int]:
    """Return where a gradient window begins, as `Recursion.gradient_from`.

    Args:
        window: "one_step", the last L-step and the last H-step (HRM); "last_cycle", the last whole H-cycle
            (TRM); "whole", all of them; or an integer g, the last g whole H-cycles.
        H_cycles: H-steps of a supervision step.
        L_cycles: L-steps before each H-step.
    """
    if window == "one_step":
        return H_cycles - 1, max(L_cycles - 1, 0)
    if window == "whole":
        return 0, 0
    cycles = 1 if window == "last_cycle" else int(window)
    return H_cycles - cycles, 0
