"""What a reasoner is made from: the architecture, and the sizes of the examples."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from memhrm.config.settings import MOST, Settings, require, require_size
from memhrm.memory.base import MemorySettings
from memhrm.memory.none import NO_MEMORY
from memhrm.nn.blocks import inner_width


@dataclass(frozen=True, kw_only=True)
class PuzzleShape:
    """What the model must know of the data: sizes only.

    Attributes:
        vocab_size: tokens, v.
        num_tokens: positions of an example, t.
        num_identifiers: rows of the puzzle table; 0 where identifiers are keys (`memhrm.nn.tables`).
        answers: answers that feedback may show at a token.
        num_labels: 0, a label per token, out of the vocabulary; C, one label per example, 1 to C.
        labels_from: the first token that can be a label.
        bag: tokens of a position, whose embeddings add up.
        layout: rows and columns in which the positions lie, row by row; None: one row.
    """

    vocab_size: int
    num_tokens: int
    num_identifiers: int
    answers: int = 0
    num_labels: int = 0
    labels_from: int = 0
    bag: int = 1
    layout: tuple[int, int] | None = None

    def __post_init__(self):
        for name, least in (
            ("vocab_size", 1),
            ("num_tokens", 1),
            ("num_identifiers", 0),
            ("answers", 0),
            ("num_labels", 0),
            ("labels_from", 0),
            ("bag", 1),
        ):
            require_size(name, getattr(self, name), least)


def puzzle_shape(task: Any) -> PuzzleShape:
    """Return the shape of a task's examples (see memhrm.data)."""
    return PuzzleShape(
        vocab_size=task.vocab_size,
        num_tokens=task.positions,
        num_identifiers=task.num_identifiers,
        answers=task.answers,
        num_labels=task.num_labels,
        labels_from=task.labels_from,
        bag=task.bag,
        layout=task.layout,
    )


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """The architecture; configs/model/ has one file per published model.

    Attributes:
        name: the model's name, for people.
        mixer: how tokens are mixed, by attention or by an MLP over the token axis.
        hidden_size: width, d.
        num_heads: heads of attention.
        expansion: inner width of the gated linear units over the width, see `inner_width`.
        L_layers: blocks of the L-net.
        H_layers: blocks of the H-net, if it has its own; drawn and left out where a memory replaces it.
        H_net: own blocks for z_H (HRM), or those of z_L shared (TRM).
        H_cycles: H-steps of a supervision step.
        told_cycles: those of a step that tells something, feedback or a fact; null: as many.
        L_cycles: L-steps before each H-step.
        gradient_window: one_step (HRM), last_cycle (TRM), {cycles: g}, the last g whole H-cycles, or whole,
            all of them; null: see `beside`.
        positions: positions of the tokens, rotary or learned; axial: learned ones of the row and of the
            column, added, for what lies in rows and columns; axial_rope: these, and rotary ones of both.
        puzzle_emb_ndim: numbers per puzzle identifier, e; 0 for none; null: the width.
        puzzle_emb_len: tokens of the prefix that they fill; 0 for as few as hold them.
        decoder_layers: blocks of a decoder that says masked tokens one after the other; 0: all at once.
        attention: the kernel of attention.
        unit: form of the gated linear units, see `SwiGLU`.
        checkpoint_activations: whether activations are computed again in the backward pass, to save memory.
    """

    FILE: ClassVar[str] = "model/trm"
    GROUP: ClassVar[str] = "model"

    name: str
    mixer: Literal["attention", "mlp"]
    hidden_size: int
    num_heads: int
    expansion: float
    L_layers: int
    H_layers: int
    H_net: Literal["own", "shared"]
    H_cycles: int
    told_cycles: int | None
    L_cycles: int
    gradient_window: str | dict | None
    positions: Literal["rope", "learned", "axial", "axial_rope", "none"]
    puzzle_emb_ndim: int | None
    puzzle_emb_len: int
    decoder_layers: int
    attention: Literal["sdpa", "xformers"]
    unit: Literal["swiglu", "normed"]
    checkpoint_activations: bool

    def __post_init__(self):
        super().__post_init__()
        for name, least in (("hidden_size", 1), ("num_heads", 1), ("L_layers", 0), ("H_layers", 0),
                            ("H_cycles", 1), ("L_cycles", 0), ("puzzle_emb_len", 0),
                            ("decoder_layers", 0)):  # fmt: skip
            require_size(f"model.{name}", getattr(self, name), least)
        d, n = self.hidden_size, self.num_heads
        wide = d * self.expansion  # Of a feed-forward net; what is larger overflows further on.
        require(self.expansion > 0 and wide <= MOST, "model.expansion", self.expansion,
                f"a number above 0, up to {MOST // d:,} with model.hidden_size={d}")  # fmt: skip
        if self.mixer == "attention" or self.decoder_layers:
            # Rotation pairs the channels of a head, those of rows and those of columns.
            paired = {"rope": 2, "axial_rope": 4}.get(self.positions, 1)
            if d % (n * paired):
                fits = [str(i) for i in range(1, min(d, 1024) + 1) if d % (i * paired) == 0]
                few = ", ".join(fits) or f"no number; choose a width that {paired} divides"
                require(False, "model.num_heads", n, f"with model.hidden_size={d}: {few}")
        turns = self.mixer == "attention" or self.positions != "axial_rope"
        require(turns, "model.positions", self.positions, "with model.mixer=attention")
        own = self.H_net == "own"
        require(own == (self.H_layers > 0), "model.H_layers", self.H_layers,
                "above 0 with H_net=own, 0 with H_net=shared")  # fmt: skip
        require((self.L_cycles > 0) == (self.L_layers > 0), "model.L_layers", self.L_layers,
                "above 0 with L_cycles above 0, else 0")  # fmt: skip
        require(own or self.L_cycles > 0, "model.H_net", self.H_net, "own, since there is no L-net to share")
        told = self.told_cycles
        allowed = f"null, or 1 to model.H_cycles={self.H_cycles}"
        require(told is None or 1 <= told <= self.H_cycles, "model.told_cycles", told, allowed)
        self.window()
        ndim, length = self.puzzle_width(), self.prefix_length()
        require(0 <= ndim <= length * d, "model.puzzle_emb_ndim", ndim,
                f"0 to puzzle_emb_len * hidden_size = {length * d}")  # fmt: skip

    def window(self) -> str | int:
        """Return the gradient window in the form that `gradient_start` takes; null is the published one."""
        window, setting = self.gradient_window, "model.gradient_window"
        if window is None:
            return self._published_window()
        if isinstance(window, dict):
            cycles = window.get("cycles")
            fits = list(window) == ["cycles"] and type(cycles) is int and 1 <= cycles <= self.H_cycles
            require(fits, setting, window, f"{{cycles: g}} with g from 1 to H_cycles={self.H_cycles}")
            return window["cycles"]
        allowed = "one_step, last_cycle, whole, {cycles: g}"
        require(window in ("one_step", "last_cycle", "whole"), setting, window, allowed)
        return window

    def beside(self, memory: MemorySettings) -> Self:
        """Return the settings with an explicit gradient window for a model with this memory.

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

    def inner_width(self, expansion: float | None = None) -> int:
        """Return the inner width of a gated linear unit over the channels.

        expansion: None: the model's.
        """
        return inner_width(self.hidden_size, self.expansion if expansion is None else expansion)

    def puzzle_width(self) -> int:
        """Return the numbers per puzzle identifier, e."""
        return self.hidden_size if self.puzzle_emb_ndim is None else self.puzzle_emb_ndim

    def prefix_length(self) -> int:
        """Return the tokens of the puzzle's prefix, p."""
        if self.puzzle_width() == 0:
            return 0
        return self.puzzle_emb_len or -(-self.puzzle_width() // self.hidden_size)
