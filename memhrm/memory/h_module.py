"""The slot of the H-module, what every memory has in common, and the baseline, which remembers nothing.

b batch, t position (prefix and tokens), d width, u random numbers that one H-step wants.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple, Self

from torch import Tensor, nn

from memhrm.config.settings import check_types, require
from memhrm.nn.attention import Attend

Memory = dict[str, Tensor]
"""What an H-module carries from one H-step to the next; every tensor starts with the batch axis."""

Trace = dict[str, Tensor]
"""What one H-step reports to losses, policy and probes: indices, weights, log-probabilities."""

HLevel = Callable[[Tensor, Tensor], Tensor]
"""The transformer level of the H-step: (z_H, injection) to z_H, both (b, t, d)."""

Lifetime = Literal["example", "episode", "global"]
"""When a memory starts anew; see `MemorySettings`."""

Judge = Callable[[Tensor], Tensor]
"""The loss of each example if z_H (b, t, d) were the answer, (b,)."""


class Context(NamedTuple):
    """What surrounds one H-step. noise: uniform numbers in (0, 1), (b, u), for modules that draw; None: be
    greedy. judge: only in training, where the labels are known. prefer: added to the scores of the cells
    when they are chosen, and only there, (b, cells): -inf keeps a cell out, +inf forces it. present: which
    positions are no padding, (b, t); None: all. `level` heeds it; what a module itself does across
    positions must heed it too."""

    level: HLevel
    noise: Tensor | None = None
    judge: Judge | None = None
    prefer: Tensor | None = None
    present: Tensor | None = None


class HShape(NamedTuple):
    """What an H-module must know of the model around it."""

    width: int
    num_heads: int
    expansion: float
    length: int
    mixer: str
    attend: Attend


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """What every memory can set; a memory's own settings extend these.

    module: the class of the H-module, as package.module.Class.
    lifetime: example, the memory starts anew with each example; episode, with each episode; null: episode
        where the data have episodes, else example; global, one bank for all rows, part of the model's state:
        after each optimiser step the rows' writes are averaged, cell by cell over the rows that wrote the
        cell, and applied at `rate`.
    horizon: supervision steps per optimiser step, over which the memory's graph, and only the memory's,
        stays whole (truncated back-propagation); 1 as published; episode: all of an episode's. Weights stand
        still in between. null: episode where the data have episodes, else 1.
    write_in_evaluation: whether evaluation writes; false leaves every example with the memory it starts with.
    """

    name: str
    module: str
    lifetime: Lifetime | None = None
    horizon: int | Literal["episode"] | None = None
    write_in_evaluation: bool = True
    rate: float = 0.1

    def __post_init__(self):
        check_types(self, "memory")
        fits = not isinstance(self.horizon, int) or self.horizon >= 1
        require(fits, "memory.horizon", self.horizon, "null, episode, or 1 or above")
        require(0 < self.rate <= 1, "memory.rate", self.rate, "above 0, up to 1")

    def within(self, episodes: bool) -> Self:
        """Return the settings with what null stands for in data with or without episodes.

        Raises:
            ValueError: a horizon of an episode where there is none.
        """
        allowed = "a number, or null, with data that have no episodes"
        require(episodes or self.horizon != "episode", "memory.horizon", self.horizon, allowed)
        lifetime, horizon = ("episode", "episode") if episodes else ("example", 1)
        return replace(self, lifetime=self.lifetime or lifetime, horizon=self.horizon or horizon)

    @property
    def spans_steps(self) -> bool:
        """Whether the memory's graph goes through more than one supervision step."""
        return self.horizon not in (None, 1)


class HModule(nn.Module):
    """One H-step: (z_H, z_L, memory) to (z_H', memory', trace).

    A subclass names its settings, calls `remember` for each tensor of its memory and writes `forward`. It
    neither detaches, nor computes a loss, nor branches in Python on the values of tensors. Weights that are
    no `Linear` are cast where they are used (`weight.to(x.dtype)`), since under `checkpoint_activations`
    a step is computed again from the uncast ones.
    """

    Settings: ClassVar[type[MemorySettings]] = MemorySettings

    needs_level: bool = True
    """False for a module that stands in the level's place: the reasoner then builds no H-net."""

    losses: frozenset[str] = frozenset()
    """The memory losses that the trace has what is needed for (`training/memory_losses.py`)."""

    noise_size: int = 0
    """Random numbers that an H-step wants per example, u."""

    noise_in_evaluation: bool = False
    """Whether it draws in evaluation too; else it is greedy there."""

    cells: int = 0
    """Cells among which an H-step selects; its trace then has `indices`, (b, k), and `scores`, (b, cells)."""

    always_active: int = 0
    """Cells, the first ones, that every example selects; losses over the competition leave them out."""

    def __init__(self, settings: MemorySettings, shape: HShape):
        super().__init__()
        self.settings = settings
        self._remembered: list[str] = []

    def remember(self, name: str, start: Tensor) -> None:
        """Have `memory[name]`, (b, ...), start at `start`, (...), for every example.

        The start is a persistent buffer `<name>_init`; with lifetime=global it is the bank itself.
        """
        self.register_buffer(f"{name}_init", start)
        self._remembered.append(name)

    def starts(self) -> dict[str, Tensor]:
        """The buffers from which memories start, or the bank, by the memory's names."""
        return {name: self.get_buffer(f"{name}_init") for name in self._remembered}

    def initial_memory(self, batch_size: int) -> Memory:
        """The memory with which an example starts, (batch_size, ...) each."""
        return {name: start.expand(batch_size, *start.shape) for name, start in self.starts().items()}

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        raise NotImplementedError


class NoMemory(HModule):
    """The baseline: z_H' = level(z_H, z_L). HRM arXiv 2506.21734; TRM arXiv 2510.04871."""

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        return context.level(z_H, z_L), memory, {}
