"""How much a report measures; `memhrm.probe` adds which runs, and where the report goes."""

from dataclasses import dataclass
from typing import ClassVar

from memhrm.config.settings import Settings, require, require_size


@dataclass(frozen=True, kw_only=True)
class ReportSettings(Settings):
    """The settings of the measurements, which configs/probe.yaml describes."""

    FILE: ClassVar[str] = "probe"

    puzzles: int
    depth: int
    few_puzzles: int
    restarts: int
    causal_puzzles: int
    noise: float
    shuffles: int
    seed: int

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ValueError: a setting is of another type or out of range.
        """
        super().__post_init__()
        for name in ("puzzles", "depth", "few_puzzles", "restarts", "causal_puzzles", "shuffles"):
            require_size(name, getattr(self, name))
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        enough = self.noise > 0 or (self.noise == 0 and self.restarts == 1)
        require(enough, "noise", self.noise, f"above 0, with restarts={self.restarts}")
