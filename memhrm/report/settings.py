"""How much a report measures; `memhrm.probe` adds which runs, and where the report goes."""

from dataclasses import dataclass

from memhrm.config.settings import require, require_size


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """The settings of the measurements, which configs/probe.yaml describes."""

    puzzles: int = 512
    depth: int = 16
    few_puzzles: int = 128
    restarts: int = 8
    causal_puzzles: int = 128
    noise: float = 0.5
    shuffles: int = 200
    seed: int = 0

    def __post_init__(self):
        for name in ("puzzles", "depth", "few_puzzles", "restarts", "causal_puzzles", "shuffles"):
            require_size(name, getattr(self, name))
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        least = self.noise > 0 or (self.noise == 0 and self.restarts == 1)
        require(least, "noise", self.noise, f"above 0, with restarts={self.restarts}")
