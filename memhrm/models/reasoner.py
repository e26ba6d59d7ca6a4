"""The reasoner: one model, built from slots, that is HRM, TRM, TRM-MLP and their controls.

b batch, s token, t position (prefix and tokens), d width, v vocabulary, e puzzle_emb_ndim.
"""

from copy import copy
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.config.settings import require
from memhrm.memory import registry
from memhrm.memory.base import Context, HLevel, HModule, HShape, Judge, Memory, MemorySettings, Trace
from memhrm.memory.none import NO_MEMORY
from memhrm.models.recursion import Recursion, State, gradient_start
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.nn import attention as attend
from memhrm.nn.attention import axial_rotary_table, rotary_table
from memhrm.nn.blocks import AttentionMixer, Block, Level, MLPMixer
from memhrm.nn.decoder import Decoder
from memhrm.nn.embedding import InputEmbedding
from memhrm.nn.layers import Linear, first, masked_mean, truncated_normal_
from memhrm.nn.tables import KeyedTable, puzzle_table


class Guide(NamedTuple):
    """What may be told to one supervision step beside its example.

    Attributes:
        noise: uniform numbers in (0, 1), (b, H_cycles, u), for H-modules that draw (`HModule.noise_size`).
        judge: the loss of each example if z_H were the answer, as in `Context`.
        write: False leaves the memory unwritten.
        prefer: added to the scores of the cells when they are chosen, (b, cells), as in `Context`.
        address: of each example's context and cue, (b, 2), as in `Context`.
        feedback: which rows are shown the answer to the question before, (b,) bool, as in `Context`.
        continues: which rows have had a supervision step on their example, or on the question of their
            feedback, (b,) bool; None: none.
        told: whether the step tells something, feedback or a fact: it then has `told_cycles` H-cycles, and
            with memory.write_when=told only then the memory is written.
        H_cycles: H-cycles of the step; None: as many as the settings say.
        groups: in training, the group of each example, (b,), as in `Context`.
        known: tokens, (b, s), of which a decoder is told those before each; None: the inputs.
    """

    noise: Tensor | None = None
    judge: Judge | None = None
    write: bool = True
    prefer: Tensor | None = None
    address: Tensor | None = None
    feedback: Tensor | None = None
    continues: Tensor | None = None
    told: bool = False
    H_cycles: int | None = None
    groups: Tensor | None = None
    known: Tensor | None = None


NO_GUIDE = Guide()


class Output(NamedTuple):
    """What one supervision step says.

    Attributes:
        logits: of the labels, (b, s, v); (b, 1, C + 1) with one label per example.
        q_halt: value of halting, (b,).
        q_continue: value of going on, (b,).
        traces: what each H-step reports.
    """

    logits: Tensor
    q_halt: Tensor
    q_continue: Tensor
    traces: list[Trace]


class Reasoner(nn.Module):
    """Embed, recur, read off. Computes no loss, keeps no state between calls, decides on no gradient.

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
        axial = settings.positions in ("axial", "axial_rope")
        layout = shape.layout or (1, shape.num_tokens)
        allowed = "with data whose positions lie in several rows and columns"
        require(not axial or min(layout) > 1, "model.positions", settings.positions, allowed)
        self.embed = InputEmbedding(
            shape.vocab_size,
            settings.prefix_length(),
            d,
            places=layout if axial else shape.num_tokens if settings.positions == "learned" else None,
            answers=shape.answers,
            bag=shape.bag,
        )
        self.puzzles = None
        if settings.puzzle_width():
            self.puzzles = puzzle_table(shape.num_identifiers, settings.puzzle_width())

        self.H_module = _h_module(settings, memory, shape, length)
        self.outside = type(self.H_module).__module__.partition(".")[0] != "memhrm"
        self.L_net = _level(settings, settings.L_layers, length) if settings.L_layers else None
        # Drawn even where a memory stands in its place, so that what follows has the same weights.
        H_net = _level(settings, settings.H_layers, length) if settings.H_net == "own" else None
        self.H_net = H_net if self.H_module.needs_level else None
        self.recursion = Recursion(
            H_cycles=settings.H_cycles,
            L_cycles=settings.L_cycles,
            gradient_from=gradient_start(settings.window(), settings.H_cycles, settings.L_cycles),
            checkpoint_activations=settings.checkpoint_activations,
            whole_memory_graph=memory.spans_steps,
        )

        self.decoder = None
        if settings.decoder_layers:
            d_settings = settings.num_heads, settings.expansion, settings.decoder_layers
            self.decoder = Decoder(shape.vocab_size, d, *d_settings, settings.unit == "normed")
        labels = shape.num_labels + 1 if shape.num_labels else shape.vocab_size - shape.labels_from
        self.lm_head = Linear(d, labels)
        self.q_head = Linear(d, 2, bias=True)
        nn.init.zeros_(self.q_head.weight)  # Almost zero halting probability at the start.
        nn.init.constant_(self.q_head.bias, -5.0)
        self.register_buffer("H_init", truncated_normal_(torch.empty(d), std=1.0))
        self.register_buffer("L_init", truncated_normal_(torch.empty(d), std=1.0))
        table, head_width = None, d // settings.num_heads
        if settings.positions == "rope" and settings.mixer == "attention":
            table = rotary_table(length, head_width)
        elif settings.positions == "axial_rope":
            table = axial_rotary_table(layout, head_width, settings.prefix_length())
        self.register_buffer("rotary", table, persistent=False)

    def shortened(self, tokens: int) -> "Reasoner":
        """Return the model, with the same weights, for examples of the first so many tokens.

        Where only padding is behind them its answers are the same, and come sooner. A model that knows a
        place for each token, by an MLP over tokens or in its memory, is returned as it is.
        """
        if self.settings.mixer != "attention" or not self.H_module.any_length:
            return self
        short = copy(self)  # Shares its parts; what depends on the length is its own.
        short._buffers = dict(self._buffers)
        short.shape = replace(self.shape, num_tokens=tokens)
        if self.rotary is not None:
            short.rotary = self.rotary[:, : self.embed.prefix_length + tokens]
        return short

    def initial_state(self, batch_size: int, dtype: torch.dtype = torch.float32) -> State:
        """Return the state with which an example starts; one vector for every position."""
        size = (batch_size, self.embed.prefix_length + self.shape.num_tokens, self.settings.hidden_size)
        z_H, z_L = self.H_init.to(dtype).expand(size), self.L_init.to(dtype).expand(size)
        return State(z_H, z_L, self.H_module.initial_memory(batch_size))

    def puzzle_rows(self, identifiers: Tensor) -> Tensor | None:
        """Return the puzzle table's rows of identifiers (b,): (b, e), or None for a model without a table."""
        return None if self.puzzles is None else self.puzzles(identifiers)

    def known(self, first: int, last: int) -> Tensor | None:
        """Return the keys from `first` to `last` that have a row, ascending; None without a table of keys."""
        if not isinstance(self.puzzles, KeyedTable):
            return None
        keys = self.puzzles.keys.cpu()
        return keys[(keys >= first) & (keys <= last)]

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
            inputs: tokens, (b, s), of which `PuzzleShape.bag` share a position.
            puzzle_rows: what the method of this name gives for these examples; they are an argument so that
                they can be a leaf of the graph.
            guide: what else is told to the step.
            mask: which positions are there, (b, t) bool; the others are padding, which nothing that is there
                ever sees. None: all are there.
        """
        x, present = self.embed(inputs, puzzle_rows), self.present(mask)
        write = guide.write and (guide.told or self.H_module.settings.write_when == "always")
        state, traces = self._recursion(guide)(
            state,
            x,
            partial(self.L_level, present=present),
            partial(self.H_level, present=present),
            partial(self._H_step, guide, write, present, inputs),
        )
        z_H = state.z_H
        known = inputs if guide.known is None else guide.known
        logits = self.H_module.answer(self.logits(z_H, known, mask), state.memory)
        return state, Output(logits, *self.q_values(z_H, mask), traces)

    def _recursion(self, guide: Guide) -> Recursion:
        """Return the recursion of a step, whose gradient window has at most as many H-cycles as there are."""
        s = self.settings
        cycles = guide.H_cycles or (s.told_cycles if guide.told else None) or s.H_cycles
        if cycles == s.H_cycles:
            return self.recursion
        window = s.window()
        start = gradient_start(min(window, cycles) if isinstance(window, int) else window, cycles, s.L_cycles)
        return replace(self.recursion, H_cycles=cycles, gradient_from=start)

    def present(self, mask: Tensor | None) -> Tensor | None:
        """Return which positions are no padding, (b, t): the prefix, and the tokens of the mask (b, s)."""
        return None if mask is None else F.pad(mask, (self.embed.prefix_length, 0), value=True)

    def logits(self, z_H: Tensor, known: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Apply the output head to z_H (b, t, d), after its prefix; before it the decoder, if there is one.

        The one label of an example is read off the mean of z_H over its tokens: like the labels of tokens it
        depends on all of them, but not on where they stand among the padding, and position 0 stays the
        Q-head's.

        Args:
            z_H: (b, t, d).
            known: the tokens, (b, s), of which a decoder is told those before each.
            mask: the tokens that are no padding, (b, s); None: all.

        Returns:
            Logits (b, s, v), the least number there is for tokens that are never labels; (b, 1, C + 1) with
            one label per example.
        """
        tokens = z_H[:, self.embed.prefix_length :]
        if self.shape.num_labels:
            return self.lm_head(masked_mean(tokens, mask).unsqueeze(1))
        if self.decoder is not None:
            assert known is not None
            rotary = None if self.rotary is None else self.rotary[:, self.embed.prefix_length :]
            tokens = self.decoder(tokens, known, rotary, mask)
        logits, before = self.lm_head(tokens), self.shape.labels_from
        return F.pad(logits, (before, 0), value=torch.finfo(logits.dtype).min) if before else logits

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
        write: bool,
        present: Tensor | None,
        inputs: Tensor,
        h: int,
        z_H: Tensor,
        z_L: Tensor,
        memory: Memory,
        level: HLevel,
    ) -> tuple[Tensor, Memory, Trace]:
        context = Context(
            level,
            None if guide.noise is None else guide.noise[:, h],
            guide.judge,
            guide.prefer,
            present,
            write=write,
            address=guide.address,
            feedback=guide.feedback,
            continues=guide.continues if h == 0 else torch.ones_like(z_H[:, 0, 0], dtype=torch.bool),
            inputs=inputs,
            groups=guide.groups,
        )
        found = self.H_module(z_H, z_L, memory, context)
        if self.outside:
            self.H_module.require_step(z_H, memory, found, write)
        z_H, after, trace = found
        return z_H, after if write else self.H_module.unwritten(memory, after), trace

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


def _h_module(settings: ModelSettings, memory: MemorySettings, puzzle: PuzzleShape, length: int) -> HModule:
    """Make the H-module, drawn beside the stream of random numbers.

    A seed then gives the rest of the model the weights that it gives without a memory.
    """
    shape = HShape(
        width=settings.hidden_size,
        num_heads=settings.num_heads,
        expansion=settings.expansion,
        length=length,
        mixer=settings.mixer,
        attend=attend.backend(settings.attention),
        vocab_size=puzzle.vocab_size,
        num_labels=puzzle.num_labels,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((torch.initial_seed() + 0x3E) % 2**63)  # Else it would draw what the L-net draws.
        return registry.make(memory, shape)


def _level(settings: ModelSettings, layers: int, length: int) -> Level:
    d, expansion, normed = settings.hidden_size, settings.expansion, settings.unit == "normed"

    def mixer() -> AttentionMixer | MLPMixer:
        if settings.mixer == "mlp":
            return MLPMixer(length, expansion, normed)
        return AttentionMixer(d, settings.num_heads, attend.backend(settings.attention))

    return Level([Block(mixer(), d, expansion, normed) for _ in range(layers)])


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained numbers, without the puzzle table, as published counts have it."""
    return sum(p.numel() for p in model.parameters())
