"""The carry: what each row of the batch takes along from one supervision step to the next.

b batch, s token, t position (prefix and tokens), d width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from memhrm.memory.base import Lifetime
from memhrm.models.recursion import State

EXAMPLE = ("inputs", "labels", "identifiers", "mask")
"""What a batch may say of its examples: tokens (b, s), labels (b, s) or (b, 1), identifiers (b,), and which
tokens are no padding, (b, s)."""


class Carry(NamedTuple):
    """state: z_H, z_L and memory. steps: supervision steps spent on the example, (b,). halted: whether the
    row takes a new example next, (b,). data: the example itself, by the names in `EXAMPLE`."""

    state: State
    steps: Tensor
    halted: Tensor
    data: dict[str, Tensor]

    @classmethod
    def empty(cls, state: State, batch: dict[str, Tensor]) -> "Carry":
        """A carry whose rows have all halted, so that the first refill fills every one."""
        rows, device = len(batch["inputs"]), batch["inputs"].device
        steps = torch.zeros(rows, dtype=torch.int32, device=device)
        data = {name: batch[name] for name in EXAMPLE if name in batch}
        return cls(state, steps, torch.ones(rows, dtype=torch.bool, device=device), data)

    def refill(
        self, batch: dict[str, Tensor], initial: State, lifetime: Lifetime | None = "example"
    ) -> "Carry":
        """Rows that halted take the next example and the initial state; the others go on as they are.

        batch: may say by `feedback`, (b,), which rows are shown the answer to what they have just worked on:
            the memory goes on, and so does the count of their steps; and by `begins`, (b,), which take the
            batch's example though they have not halted.
        lifetime: when a row's memory starts anew: with its example; with its episode, whose first examples
            `batch["episode_start"]` marks, (b,) (absent: every example is an episode); or, global, not here.
        """

        def pick(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
            return torch.where(rows.view(-1, *[1] * (old.ndim - 1)), new, old)

        state, memory, halted = self.state, self.state.memory, self.halted
        if "begins" in batch:
            halted = halted | batch["begins"]
        fresh = halted & ~batch["feedback"] if "feedback" in batch else halted
        if lifetime != "global":
            start = fresh
            if lifetime == "episode" and "episode_start" in batch:
                start = fresh & batch["episode_start"]
            memory = {name: pick(start, initial.memory[name], memory[name]) for name in memory}
        return Carry(
            State(pick(halted, initial.z_H, state.z_H), pick(halted, initial.z_L, state.z_L), memory),
            torch.where(fresh, 0, self.steps),
            halted,
            {name: pick(halted, batch[name], self.data[name]) for name in self.data},
        )

    def advance(self, state: State, halted: Tensor, *, keep_memory_graph: bool) -> "Carry":
        """The carry after a supervision step: one step more, the new state cut from its graph.

        keep_memory_graph: leave the memory's graph whole, for an optimiser step that spans several
            supervision steps.
        """
        memory = state.memory
        if not keep_memory_graph:
            memory = {name: tensor.detach() for name, tensor in memory.items()}
        cut = State(state.z_H.detach(), state.z_L.detach(), memory)
        return self._replace(state=cut, steps=self.steps + 1, halted=halted)
