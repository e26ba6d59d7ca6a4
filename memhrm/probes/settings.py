"""Settings of `python -m memhrm.probe`."""

from dataclasses import dataclass
from typing import Literal

from memhrm.config.settings import require, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """The settings, which configs/probe.yaml describes."""

    run: str | tuple[str, ...]
    checkpoint: Literal["last", "best"] = "last"
    weights: Literal["ema", "raw"] = "ema"
    puzzles: int = 512
    depth: int = 16
    few_puzzles: int = 128
    restarts: int = 8
    causal_puzzles: int = 128
    noise: float = 0.5
    shuffles: int = 200
    seed: int = 0
    threads: int | None = None
    progress: bool = True
    trust: str | tuple[str, ...] | None = None
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self):
        runs = self.paths()
        require(len(runs) > 0, "run", list(runs), "one or more run directories")
        require(len(set(runs)) == len(runs), "run", ", ".join(runs), "each run once")
        counts = "puzzles", "depth", "few_puzzles", "restarts", "causal_puzzles", "shuffles"
        for name in counts:
            require_size(name, getattr(self, name))
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        require_threads(self.threads)
        least = self.noise > 0 or (self.noise == 0 and self.restarts == 1)
        require(least, "noise", self.noise, f"above 0, with restarts={self.restarts}")

    def paths(self) -> tuple[str, ...]:
        """Return the run directories, in the order in which they are compared."""
        return (self.run,) if isinstance(self.run, str) else self.run
