"""The slot of the H-module: what a module is given, what it gives, and what it may declare.

b batch, t position (prefix and tokens), d width, k active cells, u random numbers that one H-step wants.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple, NoReturn, Self

import numpy as np
import torch
from torch import Tensor, nn

from memhrm.config.settings import Settings, require
from memhrm.nn.attention import Attend

Memory = dict[str, Tensor]
"""What an H-module carries from one H-step to the next; every tensor starts with the batch axis."""

Trace = dict[str, Tensor]
"""What one H-step reports to losses, log and probes, by name; every tensor starts with the batch axis."""

HLevel = Callable[[Tensor, Tensor], Tensor]
"""The transformer level of the H-step: (z_H, injection) to z_H, both (b, t, d)."""

Lifetime = Literal["example", "episode", "global"]
"""When a memory starts again; see `MemorySettings`."""

Judge = Callable[[Tensor], Tensor]
"""The loss of each example if z_H (b, t, d) were the answer, (b,)."""


class Context(NamedTuple):
    """What surrounds one H-step.

    Attributes:
        level: the transformer level; it heeds `present` by itself.
        noise: uniform numbers in (0, 1), (b, u), for modules that draw; None: be greedy.
        judge: the loss of a state as an answer; only in training, and not where something is told, which has
            no labels.
        prefer: added to the scores of the cells when they are chosen, and only there, (b, cells): -inf
            keeps a cell out, +inf forces it.
        present: which positions are no padding, (b, t); None: all. What a module itself does across
            positions must leave the others out.
        address: the number of each example's context within its episode, and of its cue among all cues,
            (b, 2) int32; None where the data have no contexts.
        feedback: which rows are shown the answer to the question before, (b,) bool; None: none.
        continues: which rows have had an H-step on their example, or on the question of their feedback, (b,)
            bool; None: none.
        write: False where what the module writes is not kept, but for notes (`HModule.remember`), so that it
            need not be computed.
        maps: whether the trace is to hold `read_map` and `write_map`; see `HModule.has_maps`.
        inputs: tokens of the example, (b, s).
        groups: in training, the group of each example (`Examples.groups`), (b,); else None.
    """

    level: HLevel
    noise: Tensor | None = None
    judge: Judge | None = None
    prefer: Tensor | None = None
    present: Tensor | None = None
    address: Tensor | None = None
    feedback: Tensor | None = None
    continues: Tensor | None = None
    write: bool = True
    maps: bool = False
    inputs: Tensor | None = None
    groups: Tensor | None = None


class HShape(NamedTuple):
    """What an H-module must know of the model around it.

    num_labels is C with one label an example, else 0.
    """

    width: int
    num_heads: int
    expansion: float
    length: int
    mixer: str
    attend: Attend
    vocab_size: int = 0
    num_labels: int = 0


class Situation(NamedTuple):
    """What a loss of a memory looks at.

    Attributes:
        traces: those of a supervision step, one per H-step.
        reward: the reward of each example for what was chosen in the step, (b,); None where no loss asks
            for it.
        baseline: whether the reward is compared with that of the other examples.
    """

    traces: Sequence[Trace]
    reward: Tensor | None = None
    baseline: bool = True


class Loss(NamedTuple):
    """A loss that an H-module declares; `loss.NAME` sets its weight.

    Attributes:
        function: the loss as the sum over the examples of this process.
        weight: its weight where the settings give none; 0 for off.
        needs_reward: whether it asks for `Situation.reward`.
    """

    function: Callable[[Situation], Tensor]
    weight: float = 0.0
    needs_reward: bool = False


@dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    """What every memory can set; a memory's own settings extend these.

    Attributes:
        name: the memory's name, for people.
        module: the class of the H-module, as package.module.Class.
        lifetime: when the memory starts again. example: with each example; episode: with each episode;
            global: never, one bank for all rows is part of the model's state, and after each optimiser step
            the rows' writes are averaged, cell by cell over the rows that wrote the cell, and applied at
            `rate`. null: episode where the data have episodes, else example.
        horizon: supervision steps per optimiser step, over which the memory's graph, and only the memory's,
            stays whole (truncated back-propagation); 1 as published; episode: all of an episode's. Weights
            stand still in between. null: episode where the data have episodes, else 1.
        write_when: when it is written: always, at every H-step; told: only in the steps that tell something,
            feedback or a fact, so that a question leaves it as it is.
        write_in_evaluation: whether evaluation writes; false leaves every example with the memory it starts
            with.
        rate: rate of the bank, above 0, up to 1.
    """

    FILE: ClassVar[str] = "memory/none"
    GROUP: ClassVar[str] = "memory"

    name: str
    module: str
    lifetime: Lifetime | None
    horizon: int | Literal["episode"] | None
    write_when: Literal["always", "told"]
    write_in_evaluation: bool
    rate: float

    def __post_init__(self):
        super().__post_init__()
        fits = not isinstance(self.horizon, int) or self.horizon >= 1
        require(fits, "memory.horizon", self.horizon, "null, episode, or 1 or above")
        require(0 < self.rate <= 1, "memory.rate", self.rate, "above 0, up to 1")

    @property
    def needs_address(self) -> bool:
        """Whether the memory reads `Context.address`, which only data with contexts have."""
        return False

    @property
    def stages(self) -> int:
        """The most equal parts of the training in which the memory has settings of their own."""
        return 1

    def within(self, episodes: bool, contexts: bool = False) -> Self:
        """Return the settings with what null stands for in data with or without episodes and contexts.

        Raises:
            ValueError: the horizon is an episode where there is none.
        """
        allowed = "a number, or null, with data that have no episodes"
        require(episodes or self.horizon != "episode", "memory.horizon", self.horizon, allowed)
        allowed = "always, with data that have no episodes: nothing is told there"
        require(episodes or self.write_when != "told", "memory.write_when", self.write_when, allowed)
        lifetime, horizon = ("episode", "episode") if episodes else ("example", 1)
        return replace(self, lifetime=self.lifetime or lifetime, horizon=self.horizon or horizon)

    @property
    def spans_steps(self) -> bool:
        """Whether the memory's graph goes through more than one supervision step."""
        return self.horizon not in (None, 1)

    @property
    def lasts(self) -> bool:
        """Whether the memory goes on from one example of an episode to the next."""
        return self.lifetime in ("episode", "global")


class HModule(nn.Module):
    """One H-step: (z_H, z_L, memory) to (z_H', memory', trace).

    A subclass names its settings, calls `remember` for each tensor of its memory and writes `forward`.
    Where the gradient of z_H, z_L and the memory ends is decided outside: `forward` detaches none of them.
    It may stop the gradient of what it only reports, such as the target of a loss. It does not branch in
    Python on the values of tensors. Weights that are no `Linear` are cast where they are used
    (`weight.to(x.dtype)`), since under `checkpoint_activations` a step is computed again from the uncast
    ones.

    What a module promises beside the step, it declares by attributes, of the class or set in `__init__`:

    Attributes:
        losses: its losses by name; each reads what `forward` put into the trace.
        logged: names in the trace of numbers per example, (b,), that are logged as means over examples and
            H-steps.
        needs_level: False for a module that stands in the level's place: the reasoner then builds no H-net.
        noise_size: random numbers that an H-step wants per example, u.
        noise_in_evaluation: whether it draws in evaluation too; else it is greedy there.
        cells: cells among which an H-step selects; the trace then has `indices`, (b, k), and `scores`, (b,
            cells), and, unless it is the selected cells that are written, `written_cells`, (b, n).
        always_active: cells, the first ones, that every example selects.
        any_length: whether it does the same whatever the number of positions, padding left out.
        has_maps: whether the trace has, where `Context.maps` asks for them, `read_map` and `write_map`, (b,
            k, t): how much each position takes from each active cell, and from which positions each is
            written. k is 1 for one memory.
    """

    Settings: ClassVar[type[MemorySettings]] = MemorySettings

    logged: tuple[str, ...] = ()
    needs_level: bool = True
    noise_size: int = 0
    noise_in_evaluation: bool = False
    cells: int = 0
    always_active: int = 0
    any_length: bool = False
    has_maps: bool = False

    def __init__(self, settings: MemorySettings, shape: HShape):
        super().__init__()
        self.settings = settings
        self.losses: dict[str, Loss] = {}
        self._remembered: list[str] = []
        self._notes: list[str] = []

    def remember(self, name: str, start: Tensor, *, note: bool = False) -> None:
        """Have `memory[name]`, (b, ...), start at `start`, (...), for every example.

        The start is a persistent buffer `<name>_init`; with lifetime=global it is the bank itself.

        Args:
            name: its name.
            start: its start.
            note: whether it says what an H-step asked or chose, for later ones: it is kept where the H-step
                writes nothing too.
        """
        self.register_buffer(f"{name}_init", start)
        self._remembered.append(name)
        if note:
            self._notes.append(name)

    @property
    def writes(self) -> bool:
        """Whether an H-step writes a memory: it remembers something that is no note."""
        return len(self._notes) < len(self._remembered)

    def unwritten(self, before: Memory, after: Memory) -> Memory:
        """Return the memory of an H-step that writes nothing: as it was before, with the notes of after.

        The context of the H-step said so (`Context.write`).
        """
        return {**before, **{name: after[name] for name in self._notes}}

    def starts(self) -> dict[str, Tensor]:
        """Return the buffers from which memories start, or the bank, by the memory's names."""
        return {name: self.get_buffer(f"{name}_init") for name in self._remembered}

    def initial_memory(self, batch_size: int) -> Memory:
        """Return the memory with which an example starts, (batch_size, ...) each."""
        return {name: start.expand(batch_size, *start.shape) for name, start in self.starts().items()}

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        raise NotImplementedError

    def require_step(self, z_H: Tensor, memory: Memory, found: object, write: bool) -> None:
        """Refuse what `forward` must not return; for classes that do not come with the package.

        Args:
            z_H: the state before the H-step, (b, t, d).
            memory: the memory before it.
            found: what `forward` has returned.
            write: whether the memory after it is kept; else its notes alone are.

        Raises:
            ValueError: it is something else than a state, a memory and a trace.
        """

        def shapes(tensors: object) -> object:
            if not isinstance(tensors, dict):
                return type(tensors).__name__
            return {
                name: tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
                for name, one in tensors.items()
                if write or name in self._notes
            }

        def refuse(what: str) -> NoReturn:
            raise ValueError(f"memory.module is {self.settings.module!r}, whose forward returns {what}")

        if not isinstance(found, tuple) or len(found) != 3:
            count = f"a tuple of {len(found)}" if isinstance(found, tuple) else type(found).__name__
            refuse(f"{count}; allowed: the three (z_H, memory, trace)")
        state, after, trace = found
        if not isinstance(state, Tensor) or state.shape != z_H.shape:
            is_now = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            refuse(f"z_H as {is_now}; allowed: {tuple(z_H.shape)}")
        if shapes(after) != shapes(memory):
            refuse(f"a memory with {shapes(after)}; allowed: {shapes(memory)}, as remember(...) has declared")
        if not isinstance(trace, dict):
            refuse(f"{type(trace).__name__} as its trace; allowed: a dict of tensors, which may be empty")

    def answer(self, logits: Tensor, memory: Memory) -> Tensor:
        """Return the logits of the answer: as the output head has them, unless the memory has a say.

        Args:
            logits: (b, s, v); with one label an example (b, 1, C + 1), to which labels may be added behind.
            memory: the memory after the supervision step.
        """
        return logits

    def learn_from(self, inputs: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
        """Be given the training examples before training begins; a memory that keeps none ignores them.

        Args:
            inputs: tokens, (n, s).
            labels: (n, s) or (n, 1).
            groups: (n,), as in `memhrm.data.Examples`.
        """

    def schedule(self, step: int, total: int) -> None:
        """Set what changes over the training; called before each optimiser step.

        A run whose memory is not of this package and has a schedule cannot be extended to more steps.

        step: optimiser steps done. total: those of the whole run.
        """

    def settle(self, traces: Sequence[Trace]) -> None:
        """Move the buffers that training moves without a gradient; called after each optimiser step.

        traces: of all H-steps of the optimiser step, of the rows of this process.
        """


NORMS = ("z_H_norm", "memory_norm")
"""What `norms` traces, for `HModule.logged`."""


def norms(z_H: Tensor, m: Tensor, present: Tensor | None) -> Trace:
    """Return root mean squares, (b,), of the state without its padding and of the written memory.

    A state that grows shows in them.
    """
    return {"z_H_norm": _rms(z_H, present), "memory_norm": _rms(m)}


def _rms(x: Tensor, present: Tensor | None = None) -> Tensor:
    precision, size = torch.promote_types(x.dtype, torch.float32), x[0].numel()
    if present is not None:
        x = torch.where(present.unsqueeze(-1), x, 0)
        size = (present.sum(dim=1) * x.shape[-1]).clamp(min=1)
    return torch.linalg.vector_norm(x.detach().flatten(1), dim=1, dtype=precision) * size**-0.5
