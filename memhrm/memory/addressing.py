"""How cells are addressed: settings that belong together, and the two sets of values null stands for."""

from typing import Literal, NamedTuple

from memhrm.memory.addresses import Address
from memhrm.memory.query import Pooling

AddressingName = Literal["formula", "learned"]
ContentsStart = Literal["own", "same"]
Hold = Literal["none", "feedback", "example"]
ScoreNorm = Literal["none", "layer"]
ScorerStart = Literal["random", "identity"]
StraightThrough = Literal["none", "read", "write", "both"]


class Addressing(NamedTuple):
    """What is asked, matched, chosen and written. The fields are those of `CellSettings`."""

    pooling: Pooling
    scorer_start: ScorerStart
    score_norm: ScoreNorm
    center: float
    fresh: tuple[float, ...]
    contents_start: ContentsStart
    straight_through: StraightThrough
    cls: Address
    hold: Hold
    written: int | None


FORMULA = Addressing("mean", "random", "none", 0.0, (), "own", "none", "evolving", "none", None)
"""The proposal's: a write moves the CLS, by which the cell would be found again (trap 13)."""

LEARNED = Addressing(
    *("attend", "identity", "layer", 0.5, (0.125, 0.25, 0.5, 0.75), "same"),
    *("both", "key", "example", 1),
)
"""An address that stands still and is trained; experiments/LOG.md has the trials without each part."""
