"""The carry: what each row of the batch keeps from one supervision step to the next.

b batch, s token, t position (prefix and tokens), d width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from memhrm.memory.base import Lifetime
from memhrm.models.recursion import State

EXAMPLE = ("inputs", "labels", "identifiers", "groups", "mask", "address")
"""What a batch may say of its examples: tokens (b, s), labels (b, s) or (b, 1), identifiers and groups (b,),
and which tokens are no padding, (b, s); and the numbers of their contexts and cues, (b, 2)
(`Episodes.address`)."""


class Carry(NamedTuple):
    """The state and the example of each row of the batch.

    Attributes:
        state: z_H and z_L, (b, t, d), and the memory.
        steps: (b,) int32, supervision steps spent on the example.
        halted: (b,) bool, whether the row takes a new example next.
        data: the example, by the names in `EXAMPLE`.
    """

    state: State
    steps: Tensor
    halted: Tensor
    data: dict[str, Tensor]

    @classmethod
    def empty(cls, state: State, batch: dict[str, Tensor]) -> "Carry":
        """Return a carry whose rows have all halted, so that the first refill fills all of them."""
        rows, device = len(batch["inputs"]), batch["inputs"].device
        steps = torch.zeros(rows, dtype=torch.int32, device=device)
        data = {name: batch[name] for name in EXAMPLE if name in batch}
        return cls(state, steps, torch.ones(rows, dtype=torch.bool, device=device), data)

    def refill(
        self, batch: dict[str, Tensor], initial: State, lifetime: Lifetime | None = "example"
    ) -> "Carry":
        """Return the carry in which halted rows hold the next example and the initial state.

        The other rows are unchanged.

        Args:
            batch: the next example of every row, and up to three marks, (b,) bool. `feedback` marks rows that
                are shown the answer to the example they have just worked on: they keep their memory and their
                count of steps. `begins` marks rows that take the next example although they have not halted.
                `episode_start` marks the first example of an episode; without it every example is an episode.
            initial: the state in which an example begins.
            lifetime: when the memory of a row is reset: "example": with each example; "episode": with the
                first example of each episode; "global": never here.
        """

        def pick(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
            if rows.is_cpu and not rows.any():
                return old  # A copy of many cells takes time; other devices would have to be waited for.
            return torch.where(rows.view(-1, *[1] * (old.ndim - 1)), new, old)

        state, memory, halted = self.state, self.state.memory, self.halted
        halted = halted | batch["begins"]
        fresh = halted & ~batch["feedback"]
        if lifetime != "global":
            start = fresh
            if lifetime == "episode":
                start = fresh & batch["episode_start"]
            memory = {name: pick(start, initial.memory[name], memory[name]) for name in memory}
        return Carry(
            State(pick(halted, initial.z_H, state.z_H), pick(halted, initial.z_L, state.z_L), memory),
            torch.where(fresh, 0, self.steps),
            halted,
            {name: pick(halted, batch[name], self.data[name]) for name in self.data},
        )

    def advance(self, state: State, halted: Tensor, *, keep_memory_graph: bool) -> "Carry":
        """Return the carry after a supervision step: one more step, and the new state without its graph.

        Args:
            state: the state after the step.
            halted: (b,) bool, the rows that halted.
            keep_memory_graph: keep the graph of the memory, for an optimiser step that spans several
                supervision steps.
        """
        memory = state.memory
        if not keep_memory_graph:
            memory = {name: tensor.detach() for name, tensor in memory.items()}
        cut = State(state.z_H.detach(), state.z_L.detach(), memory)
        return self._replace(state=cut, steps=self.steps + 1, halted=halted)
