"""What memories with cells can set."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from memhrm.config.settings import advise, require, require_size
from memhrm.memory.addresses import Address
from memhrm.memory.addressing import (
    FORMULA,
    LEARNED,
    Addressing,
    AddressingName,
    ContentsStart,
    Hold,
    ScoreNorm,
    ScorerStart,
    StraightThrough,
)
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.query import Pooling
from memhrm.memory.selection import Gate, SelectorName


@dataclass(frozen=True, kw_only=True)
class CellSettings(ExchangeSettings):
    """The settings of memories with cells; `tokens` is M.

    Attributes:
        cells: N.
        k: active cells; selector=all takes every cell whatever k is.
        selector: how the active cells are chosen, see `merits`; policy and lowest_loss have their own
            losses; oracle and hash need data with contexts.
        addressing: what null stands for in the fields of `Addressing`: the proposal's formula, or a learned
            address; null: learned with topk where the data have contexts, else formula.
        k_stages: active cells in equal parts of the training, the last of which is k; null: k in all.
        projections: R, bilinear forms of a score.
        own_projections: whether each cell has R projections of its own.
        combine: how the R forms become one score, see `Scorer`.
        score_scale: sqrt divides a score by the root of the width.
        scorer_start: what W_r starts as. random, or identity: a CLS that holds what was asked (cls=key) is
            then found by asking it again.
        score_norm: layer takes the layer norm of what is asked for and of the CLS.
        score_noise: standard deviation of normal noise on the scores when cells are chosen, in training.
        pooling: what of h scores the cells: the mean over positions, position 0, a mean by learned attention,
            or each position, of which the one that scores highest counts.
        center: rate of the running mean of the query, which is taken off it; 0: nothing is.
        load_bias: step of a bias per cell, for the choice alone, which rises for cells that are used less
            than the others (Wang et al. 2024, arXiv 2408.15664); 0: none.
        fresh: what the best of the cells that have not been written since the memory began scores, as a share
            of the score of an exact match; one number for each part of the training, the last one in
            evaluation too; none: its own score. Between the scores of cells that match and of those that do
            not, it sends what is known to its cell and what is new to an unused one (compare Santoro et al.
            2016, arXiv 1605.06065). Small at first, it lets a question come back to its cell before it has
            learned to.
        contents_start: whether the contents of each cell start as random numbers of its own, or all cells'
            alike, so that it does not matter which unused cell is read; the CLS differ in both.
        gate: what weighs the active cells. selected: the softmax of their scores, as in the equation; at
            k=1 it is 1 and trains no scorer. all: their entries in the softmax of all scores. none: 1/k
            each.
        straight_through: where the scorer gets a gradient through the choice: each cell's read, its write, or
            both are multiplied by 1 + p - sg(p), p its entry in the softmax of all scores.
        reads: which cells are read, the selected ones, or all.
        writes: which cells are written, likewise.
        written: how many of the selected cells are written, the first choices; null: all of them, with a
            learned address one.
        cls: what a write does to the CLS: evolving, it is written like the contents; frozen, it stays; key,
            it becomes what the query asked for, and stays at feedback, which asks nothing. With
            write_when=told feedback writes what its question asked for, with hold=none what it asks itself.
        hold: what keeps the cells of an earlier H-step: none; feedback, which then has those of its
            question's last one; or example: all H-steps of an example, and its feedback, have those of its
            first one.
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
    addressing: AddressingName | None
    k_stages: tuple[int, ...] | None
    projections: int
    own_projections: bool
    combine: Literal["mean", "logsumexp", "max"]
    score_scale: Literal["sqrt", "none"]
    scorer_start: ScorerStart | None
    score_norm: ScoreNorm | None
    score_noise: float
    pooling: Pooling | None
    center: float | None
    load_bias: float
    fresh: tuple[float, ...] | None
    contents_start: ContentsStart | None
    gate: Gate
    straight_through: StraightThrough | None
    reads: Literal["selected", "all"]
    writes: Literal["selected", "all"]
    written: int | None
    cls: Address | None
    hold: Hold | None
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
        for name in ("score_noise", "load_bias"):
            require(getattr(self, name) >= 0, f"memory.{name}", getattr(self, name), "0 or above")
        fresh = self.fresh or ()
        require(all(0 <= f <= 1 for f in fresh), "memory.fresh", list(fresh), "[], or numbers from 0 to 1")
        require(0 <= (self.center or 0) <= 1, "memory.center", self.center, "0 to 1")
        self._check_stages()
        if self.written is not None:
            require(self.writes == "selected", "memory.written", self.written, "null with memory.writes=all")
            most = f"null, or 1 to {self.fewest}, the fewest active cells"
            require(1 <= self.written <= self.fewest, "memory.written", self.written, most)
        self._advise()

    def _check_stages(self) -> None:
        """Refuse numbers of active cells that there cannot be."""
        stages = self.k_stages
        if stages is None:
            return
        least = 2 if self.shared_cell else 1
        require(self.selector != "all", "memory.k_stages", stages, "null with memory.selector=all")
        fits = len(stages) > 0 and all(least <= k <= self.cells for k in stages) and stages[-1] == self.k
        allowed = (
            f"null, or numbers from {least} to memory.cells={self.cells}, the last of which is k={self.k}"
        )
        require(fits, "memory.k_stages", list(stages), allowed)

    def within(self, episodes: bool, contexts: bool = False) -> Self:
        """Return the settings with what null stands for, as in `MemorySettings`."""
        made = super().within(episodes, contexts)
        addressing = self.addressing or ("learned" if contexts and made._can_learn else "formula")
        usual = (LEARNED if addressing == "learned" else FORMULA)._asdict()
        if self.fewest == 1 or self.writes == "all":
            usual["written"] = None
        null = {name: value for name, value in usual.items() if getattr(self, name) is None}
        if self.shared_cell is None:
            apart = episodes and addressing == "formula" and self.selector != "all" and self.k >= 2
            null["shared_cell"] = apart
        made = replace(made, addressing=addressing, **null)
        advise(
            addressing == "learned" and bool(made.shared_cell),
            "memory.shared_cell=true reads a cell beside those asked for, from which one context can be "
            "answered: memory.addressing=learned then learns no address",
        )
        if made.lifetime == "global":
            allowed = "{} with memory.lifetime=global, which never begins again"
            require(not made.fresh, "memory.fresh", list(made.fresh or ()), allowed.format("[]"))
            require(made.hold == "none", "memory.hold", made.hold, allowed.format("none"))
        return made

    def explicit(self) -> Self:
        """Return the settings without null, as in `ExchangeSettings`."""
        return super().explicit() if self.addressing else self.within(episodes=False)

    @property
    def _can_learn(self) -> bool:
        """Whether a learned address fits the rest."""
        return self.selector == "topk" and self.lifetime != "global"

    @property
    def address(self) -> Addressing:
        """How cells are addressed; of settings without null."""
        values = Addressing(*(getattr(self, name) for name in Addressing._fields))
        assert None not in values._replace(written=0)
        return values

    @property
    def needs_address(self) -> bool:
        """Whether the task must say where to look."""
        return self.selector in ("oracle", "hash")

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
        learns = trained or self.needs_address or self.straight_through != "none"
        advise(
            self.one_weight and self.gate == "selected" and not learns,
            f"with k={self.active} the gate is always {1 / self.active:g} and nothing trains the scorer; "
            f"memory.gate=all, k={self.active + 1} or memory.selector=policy train it",
        )
        advise(self.gate == "none" and not learns, "memory.gate=none trains no scorer")
        advise(
            self.fewest == self.cells and "all" in (self.reads, self.writes),
            f"memory.reads and memory.writes change nothing with all {self.cells} cells active",
        )
        advise(
            self.written == self.active == self.fewest,
            f"memory.written={self.written} changes nothing with k={self.k}",
        )

    @property
    def one_weight(self) -> bool:
        """Whether all cells that are read weigh the same whatever their scores are."""
        rivals = (self.cells if self.reads == "all" else self.active) - self.shared
        return self.gate == "none" or (self.gate == "selected" and rivals == 1)

    @property
    def learns_once(self) -> bool:
        """Whether the scorer learns through the first H-step of an example alone."""
        return self.selector == "topk" and self.hold == "example"

    @property
    def active(self) -> int:
        """Cells that an example reads and writes at an H-step."""
        return self.cells if self.selector == "all" else self.k

    @property
    def fewest(self) -> int:
        """The fewest active cells over the training."""
        return min(self.k_stages or (self.active,))

    @property
    def stages(self) -> int:
        """As `MemorySettings.stages`: those of `k_stages` or of `fresh`."""
        return max(len(self.k_stages or ()), len(self.fresh or ()), 1)

    @property
    def most_written(self) -> int:
        """The most cells that an example writes at an H-step."""
        return self.cells if self.writes == "all" else self.written or max(self.k_stages or (self.active,))

    @property
    def notes_keys(self) -> bool:
        """Whether a question notes what it asks for, since it writes no CLS from which that could be had."""
        return self.cls == "key" and self.hold != "none" and self.write_when == "told"

    @property
    def shared(self) -> int:
        """Cells that are always active and do not compete."""
        return int(bool(self.shared_cell) and self.selector != "all")
