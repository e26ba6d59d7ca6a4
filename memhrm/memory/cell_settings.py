"""What memories with cells can set."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from memhrm.config.settings import advise, require, require_size
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.selection import SelectorName


@dataclass(frozen=True, kw_only=True)
class CellSettings(ExchangeSettings):
    """The settings of memories with cells; `tokens` is M.

    Attributes:
        cells: N.
        k: active cells; selector=all takes every cell whatever k is.
        selector: how the active cells are chosen, see `choose`; policy and lowest_loss have their own losses.
        projections: R, bilinear forms of a score.
        combine: how the R forms become one score, see `Scorer`.
        score_scale: sqrt divides a score by the root of the width.
        pooling: what of h scores the cells, the mean over positions or position 0.
        gate: what weighs the active cells. selected: the softmax of their scores, as in the equation; at
            k=1 it is 1 and trains no scorer. all: their entries in the softmax of all scores. none: 1/k
            each.
        shared_cell: cell 0 is always active and weighs 1/k; the others compete for the remaining k - 1
            places and share the rest of the weight. In one softmax with the winners its weight would depend
            on their scores: in episodes such a memory began to learn in some runs only
            (experiments/LOG.md). null: true where the data have episodes and k is 2 or above, since
            question and feedback else choose different cells.
        self_attention: attention within each written cell, after the write.
        usage_average: decay of each cell's running share of selections, `memory["usage"]`, per H-step.
        decay: a cell that is not selected shrinks by decay * (1 - usage) at each H-step; 0 for none.
    """

    FILE: ClassVar[str] = "memory/multicell"

    cells: int
    k: int
    selector: SelectorName
    projections: int
    combine: Literal["mean", "logsumexp", "max"]
    score_scale: Literal["sqrt", "none"]
    pooling: Literal["mean", "first"]
    gate: Literal["selected", "all", "none"]
    shared_cell: bool | None
    self_attention: bool
    usage_average: float
    decay: float

    def __post_init__(self):
        super().__post_init__()
        require_size("memory.cells", self.cells)
        require(1 <= self.k <= self.cells, "k", self.k, f"1 to memory.cells={self.cells}")
        require_size("memory.projections", self.projections)
        require(0 <= self.usage_average < 1, "memory.usage_average", self.usage_average, "0 to below 1")
        require(0 <= self.decay <= 1, "memory.decay", self.decay, "0 to 1")
        require(not self.shared_cell or self.selector == "all" or self.k >= 2, "k", self.k,
                "2 or above with memory.shared_cell=true")  # fmt: skip
        self._advise()

    def within(self, episodes: bool) -> Self:
        """Return the settings with what null stands for, as in `MemorySettings`."""
        made = super().within(episodes)
        if self.shared_cell is not None:
            return made
        return replace(made, shared_cell=episodes and self.selector != "all" and self.k >= 2)

    def _advise(self) -> None:
        """Warn of settings that change nothing beside the others."""
        if self.selector == "all":
            for name, used in (
                (f"k={self.k}", self.k < self.cells),
                ("memory.shared_cell", bool(self.shared_cell)),
                ("memory.decay", self.decay > 0),
            ):
                advise(used, f"{name} changes nothing: memory.selector=all uses every cell at every H-step")
        advise(
            self.projections > 1 and self.combine == "mean",
            f"memory.projections={self.projections} changes only the start: the mean of bilinear forms is "
            "one bilinear form; memory.combine=logsumexp or max keeps them apart",
        )
        advise(
            self.projections == 1 and self.combine != "mean",
            f"memory.combine={self.combine} changes nothing with memory.projections=1",
        )
        trained = self.selector in ("policy", "lowest_loss")
        advise(
            self.active - self.shared == 1 and self.gate == "selected" and not trained,
            f"with k={self.active} the gate is always {1 / self.active:g} and nothing trains the scorer; "
            f"memory.gate=all, k={self.active + 1} or memory.selector=policy train it",
        )
        advise(self.gate == "none" and not trained, "memory.gate=none trains no scorer")

    @property
    def active(self) -> int:
        """Cells that an example reads and writes at an H-step."""
        return self.cells if self.selector == "all" else self.k

    @property
    def shared(self) -> int:
        """Cells that are always active and do not compete."""
        return int(bool(self.shared_cell) and self.selector != "all")
