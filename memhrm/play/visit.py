"""What one visitor of the page has done."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memhrm.play.frames import Frame
    from memhrm.weights.solver import Solver


@dataclass
class Visit:
    """What one visitor has done.

    Attributes:
        told: the examples that the models are shown before a question.
        seen: the frames of each answer, by model.
        own: copies of the models whose bank of texts was edited; those of others stay as they are.
    """

    told: list[tuple[str, str]] = field(default_factory=list)
    seen: "dict[str, list[Frame]]" = field(default_factory=dict)
    own: "dict[str, Solver]" = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Frames of the longest answer."""
        return max(map(len, self.seen.values()), default=0)
