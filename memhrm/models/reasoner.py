"""The reasoner: one model, built from slots, that is HRM, TRM, TRM-MLP and their controls.

b batch, s token, t position (prefix and tokens), d width, v vocabulary, e puzzle_emb_ndim.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.config.settings import MOST, check_types, require, require_size
from memhrm.memory import choice
from memhrm.memory.h_module import Context, HModule, HShape, Judge, Memory, MemorySettings, Trace
from memhrm.models.recursion import Recursion, State, gradient_start
from memhrm.nn import attention as attend
from memhrm.nn.blocks import AttentionMixer, Block, Level, MLPMixer
from memhrm.nn.embedding import InputEmbedding, PuzzleTable
from memhrm.nn.layers import Linear, first, masked_mean, rotary_table, truncated_normal_

NO_MEMORY = MemorySettings(name="none", module="memhrm.memory.h_module.NoMemory")


@dataclass(frozen=True, kw_only=True)
class PuzzleShape:
    """What the model must know of the data: sizes only.

    Attributes:
        vocab_size: tokens, v.
        num_tokens: positions of an example, s.
        num_identifiers: rows of the puzzle table.
        answers: answers that feedback may show at a token.
        num_labels: 0, a label per token, out of the vocabulary; C, one label per example, 1 to C.
    """

    vocab_size: int
    num_tokens: int
    num_identifiers: int
    answers: int = 0
    num_labels: int = 0

    def __post_init__(self):
        for name, least in (
            ("vocab_size", 1),
            ("num_tokens", 1),
            ("num_identifiers", 1),
            ("answers", 0),
            ("num_labels", 0),
        ):
            require_size(name, getattr(self, name), least)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The architecture; configs/model/ has one file per published model.

    mixer: how tokens are mixed, by attention or by an MLP over the token axis.
    H_net: own blocks for z_H (HRM), or those of z_L shared (TRM).
    gradient_window: one_step (HRM), last_cycle (TRM), or {cycles: g}, the last g whole H-cycles; null: see
        `beside`.
    puzzle_emb_ndim: numbers per puzzle identifier; 0 for none. null: the width.
    puzzle_emb_len: tokens of the prefix they fill; 0 for as few as hold them.
    unit: of the blocks' gated linear units, see `SwiGLU`.
    """

    name: str = "reasoner"
    mixer: Literal["attention", "mlp"] = "attention"
    hidden_size: int
    num_heads: int
    expansion: float = 4.0
    L_layers: int
    H_layers: int = 0
    H_net: Literal["own", "shared"]
    H_cycles: int
    L_cycles: int
    gradient_window: str | dict | None = None
    positions: Literal["rope", "learned", "none"] = "rope"
    puzzle_emb_ndim: int | None = None
    puzzle_emb_len: int = 0
    attention: Literal["sdpa", "xformers"] = "sdpa"
    unit: Literal["swiglu", "normed"] = "swiglu"
    checkpoint_activations: bool = False

    def __post_init__(self):
        check_types(self, "model")
        for name, least in (("hidden_size", 1), ("num_heads", 1), ("L_layers", 0), ("H_layers", 0),
                            ("H_cycles", 1), ("L_cycles", 0), ("puzzle_emb_len", 0)):  # fmt: skip
            require_size(f"model.{name}", getattr(self, name), least)
        d, n = self.hidden_size, self.num_heads
        wide = d * self.expansion  # Of a feed-forward net; what is larger overflows further on.
        require(self.expansion > 0 and wide <= MOST, "model.expansion", self.expansion,
                f"a number above 0, up to {MOST // d:,} with model.hidden_size={d}")  # fmt: skip
        if self.mixer == "attention":
            paired = 2 if self.positions == "rope" else 1  # Rotation pairs the channels of a head.
            if d % (n * paired):
                fits = [str(i) for i in range(1, min(d, 1024) + 1) if d % (i * paired) == 0]
                few = ", ".join(fits) or "no number; choose an even width"
                require(False, "model.num_heads", n, f"with model.hidden_size={d}: {few}")
        own = self.H_net == "own"
        require(own == (self.H_layers > 0), "model.H_layers", self.H_layers,
                "above 0 with H_net=own, 0 with H_net=shared")  # fmt: skip
        require((self.L_cycles > 0) == (self.L_layers > 0), "model.L_layers", self.L_layers,
                "above 0 with L_cycles above 0, else 0")  # fmt: skip
        require(own or self.L_cycles > 0, "model.H_net", self.H_net, "own, since there is no L-net to share")
        self.window()
        ndim, length = self.puzzle_width(), self.prefix_length()
        require(0 <= ndim <= length * d, "model.puzzle_emb_ndim", ndim,
                f"0 to puzzle_emb_len * hidden_size = {length * d}")  # fmt: skip

    def window(self) -> str | int:
        """The gradient window in the form that `gradient_start` takes; null is the published one."""
        window, setting = self.gradient_window, "model.gradient_window"
        if window is None:
            return self._published_window()
        if isinstance(window, dict):
            cycles = window.get("cycles")
            fits = list(window) == ["cycles"] and type(cycles) is int and 1 <= cycles <= self.H_cycles
            require(fits, setting, window, f"{{cycles: g}} with g from 1 to H_cycles={self.H_cycles}")
            return window["cycles"]
        require(window in ("one_step", "last_cycle"), setting, window, "one_step, last_cycle, {cycles: g}")
        return window

    def beside(self, memory: MemorySettings) -> Self:
        """The settings with an explicit gradient window, where it is null, for a model with this memory.

        With a memory the window is the last two H-cycles, so that the next read trains the write, or the only
        one; without, the published one: one_step where both levels have a net of their own (HRM),
        last_cycle elsewhere (TRM).
        """
        if self.gradient_window is not None:
            return self
        if memory.module == NO_MEMORY.module:
            return replace(self, gradient_window=self._published_window())
        return replace(self, gradient_window={"cycles": min(2, self.H_cycles)})

    def _published_window(self) -> str:
        return "one_step" if self.H_net == "own" and self.L_cycles > 0 else "last_cycle"

    def puzzle_width(self) -> int:
        """Numbers per puzzle identifier, e."""
        return self.hidden_size if self.puzzle_emb_ndim is None else self.puzzle_emb_ndim

    def prefix_length(self) -> int:
        """Tokens of the puzzle's prefix, p."""
        if self.puzzle_width() == 0:
            return 0
        return self.puzzle_emb_len or -(-self.puzzle_width() // self.hidden_size)


class Guide(NamedTuple):
    """What may be told to one supervision step beside its example.

    noise: uniform numbers in (0, 1), (b, H_cycles, u), for H-modules that draw (`HModule.noise_size`).
    judge: the loss of each example if z_H were the answer; only in training.
    write: False leaves the memory unwritten.
    prefer: added to the scores of the cells when they are chosen, (b, cells), as in `Context`.
    """

    noise: Tensor | None = None
    judge: Judge | None = None
    write: bool = True
    prefer: Tensor | None = None


NO_GUIDE = Guide()


class Output(NamedTuple):
    """What one supervision step says: logits (b, s, v), or (b, 1, C + 1) with one label per example; q_halt
    and q_continue (b,); a trace per H-step."""

    logits: Tensor
    q_halt: Tensor
    q_continue: Tensor
    traces: list[Trace]


class Reasoner(nn.Module):
    """Embed, recur, read off. Computes no loss, keeps no state between calls, detaches nothing.

    Sources: HRM, arXiv 2506.21734; TRM, arXiv 2510.04871.
    """

    H_init: Tensor
    L_init: Tensor
    rotary: Tensor | None

    def __init__(self, settings: ModelSettings, shape: PuzzleShape, memory: MemorySettings = NO_MEMORY):
        super().__init__()
        self.settings = settings = settings.beside(memory)
        self.shape = shape
        d, length = settings.hidden_size, settings.prefix_length() + shape.num_tokens
        learned = settings.positions == "learned"
        self.embed = InputEmbedding(
            shape.vocab_size, shape.num_tokens, settings.prefix_length(), d, learned, shape.answers
        )
        self.puzzles = None
        if settings.puzzle_width():
            self.puzzles = PuzzleTable(shape.num_identifiers, settings.puzzle_width())

        self.H_module = _h_module(settings, memory, length)
        self.L_net = _level(settings, settings.L_layers, length) if settings.L_layers else None
        own_H_net = settings.H_net == "own" and self.H_module.needs_level
        self.H_net = _level(settings, settings.H_layers, length) if own_H_net else None
        self.recursion = Recursion(
            H_cycles=settings.H_cycles,
            L_cycles=settings.L_cycles,
            gradient_from=gradient_start(settings.window(), settings.H_cycles, settings.L_cycles),
            checkpoint_activations=settings.checkpoint_activations,
            whole_memory_graph=memory.spans_steps,
        )

        self.lm_head = Linear(d, shape.num_labels + 1 if shape.num_labels else shape.vocab_size)
        self.q_head = Linear(d, 2, bias=True)
        nn.init.zeros_(self.q_head.weight)  # Almost zero halting probability at the start.
        nn.init.constant_(self.q_head.bias, -5.0)
        self.register_buffer("H_init", truncated_normal_(torch.empty(d), std=1.0))
        self.register_buffer("L_init", truncated_normal_(torch.empty(d), std=1.0))
        rotary = settings.positions == "rope" and settings.mixer == "attention"
        table = rotary_table(length, d // settings.num_heads) if rotary else None
        self.register_buffer("rotary", table, persistent=False)

    def initial_state(self, batch_size: int, dtype: torch.dtype = torch.float32) -> State:
        """The state with which an example starts; one vector for every position."""
        size = (batch_size, self.embed.prefix_length + self.shape.num_tokens, self.settings.hidden_size)
        z_H, z_L = self.H_init.to(dtype).expand(size), self.L_init.to(dtype).expand(size)
        return State(z_H, z_L, self.H_module.initial_memory(batch_size))

    def puzzle_rows(self, identifiers: Tensor) -> Tensor | None:
        """The puzzle table's rows of the identifiers, (b,) to (b, e); None for a model without a table."""
        return None if self.puzzles is None else self.puzzles(identifiers)

    def forward(
        self,
        state: State,
        inputs: Tensor,
        puzzle_rows: Tensor | None,
        guide: Guide = NO_GUIDE,
        mask: Tensor | None = None,
    ) -> tuple[State, Output]:
        """Run one supervision step.

        Args:
            state: as the step before left it, or `initial_state`.
            inputs: tokens, (b, s).
            puzzle_rows: what the method of this name gives for these examples; they are an argument so that
                they can be a leaf of the graph.
            guide: what else is told to the step.
            mask: which tokens are there, (b, s) bool; the others are padding, which nothing that is there
                ever sees. None: all are there.
        """
        x, present = self.embed(inputs, puzzle_rows), self.present(mask)
        state, traces = self.recursion(
            state,
            x,
            partial(self.L_level, present=present),
            partial(self._H_step, guide, present),
            write=guide.write,
        )
        z_H = state.z_H
        return state, Output(self.logits(z_H, mask), *self.q_values(z_H, mask), traces)

    def present(self, mask: Tensor | None) -> Tensor | None:
        """Return which positions are no padding, (b, t): the prefix, and the tokens of the mask (b, s)."""
        return None if mask is None else F.pad(mask, (self.embed.prefix_length, 0), value=True)

    def logits(self, z_H: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the output head to z_H (b, t, d), after its prefix.

        The one label of an example is read off the mean of z_H over its tokens: like the labels of tokens it
        depends on all of them, but not on where they stand among the padding, and position 0 stays the
        Q-head's.

        Returns:
            Logits (b, s, v); (b, 1, C + 1) with one label per example.
        """
        tokens = z_H[:, self.embed.prefix_length :]
        if self.shape.num_labels:
            tokens = masked_mean(tokens, mask).unsqueeze(1)
        return self.lm_head(tokens)

    def q_values(self, z_H: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the Q-head, in float32, to the first position that is there, which is 0 with a prefix.

        Returns:
            q_halt and q_continue, (b,) each.
        """
        z_H = z_H[:, 0] if self.embed.prefix_length else first(z_H, mask)
        q = self.q_head(z_H.to(self.q_head.weight.dtype))
        return q[:, 0], q[:, 1]

    def L_level(self, z_L: Tensor, injection: Tensor, present: Tensor | None = None) -> Tensor:
        """Apply the L-net, as the recursion does: (b, t, d) each; present (b, t) or None."""
        assert self.L_net is not None
        return self.L_net(z_L, injection, self.rotary, present)

    def _H_step(
        self,
        guide: Guide,
        present: Tensor | None,
        h: int,
        z_H: Tensor,
        z_L: Tensor,
        memory: Memory,
        learns: bool,
    ) -> tuple[Tensor, Memory, Trace]:
        level = partial(self.H_level if learns else self._fixed_H_level, present=present)
        noise = None if guide.noise is None else guide.noise[:, h]
        return self.H_module(z_H, z_L, memory, Context(level, noise, guide.judge, guide.prefer, present))

    def H_level(self, z_H: Tensor, injection: Tensor, present: Tensor | None = None) -> Tensor:
        """Apply the H-net, the L-net where they are shared, as an H-module does: (b, t, d) each.

        An H-module may add tokens behind the state's; they have no position and are no padding.
        """
        net = self.H_net if self.H_net is not None else self.L_net
        assert net is not None
        rotary, extra = self.rotary, z_H.shape[1] - self.embed.prefix_length - self.shape.num_tokens
        if extra:
            if rotary is not None:  # Without a position a token does not turn.
                still = torch.tensor([1.0, 0.0], device=rotary.device).view(2, 1, 1, 1)
                still = still.to(rotary.dtype).expand(2, extra, 1, rotary.shape[-1])
                rotary = torch.cat((rotary, still), dim=1)
            if present is not None:
                present = F.pad(present, (0, extra), value=True)
        return net(z_H, injection, rotary, present)

    def _fixed_H_level(self, z_H: Tensor, injection: Tensor, present: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            return self.H_level(z_H, injection, present)


def _h_module(settings: ModelSettings, memory: MemorySettings, length: int) -> HModule:
    """The H-module, drawn beside the stream of random numbers, so that a seed gives the rest of the model the
    weights that it gives without a memory."""
    shape = HShape(
        width=settings.hidden_size,
        num_heads=settings.num_heads,
        expansion=settings.expansion,
        length=length,
        mixer=settings.mixer,
        attend=attend.backend(settings.attention),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((torch.initial_seed() + 0x3E) % 2**63)  # Else it would draw what the L-net draws.
        return choice.make(memory, shape)


def _level(settings: ModelSettings, layers: int, length: int) -> Level:
    d, expansion, normed = settings.hidden_size, settings.expansion, settings.unit == "normed"

    def mixer() -> AttentionMixer | MLPMixer:
        if settings.mixer == "mlp":
            return MLPMixer(length, expansion, normed)
        return AttentionMixer(d, settings.num_heads, attend.backend(settings.attention))

    return Level([Block(mixer(), d, expansion, normed) for _ in range(layers)])


def count_parameters(model: nn.Module) -> int:
    """Trained numbers, without the puzzle table (as published counts have it)."""
    return sum(p.numel() for p in model.parameters())


def puzzle_shape(task: Any) -> PuzzleShape:
    """The shape of a task's puzzles (see memhrm.data)."""
    return PuzzleShape(
        vocab_size=task.vocab_size,
        num_tokens=task.seq_len,
        num_identifiers=task.num_identifiers,
        answers=task.answers,
        num_labels=getattr(task, "num_labels", 0),
    )
