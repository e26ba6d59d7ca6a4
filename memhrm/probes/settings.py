"""Settings of `python -m memhrm.probe`."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from memhrm.config.settings import Settings, require, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class ProbeSettings(Settings):
    """The settings, which configs/probe.yaml describes."""

    FILE: ClassVar[str] = "probe"

    run: str | tuple[str, ...]
    checkpoint: Literal["last", "best"]
    weights: Literal["ema", "raw"]
    puzzles: int
    depth: int
    few_puzzles: int
    restarts: int
    causal_puzzles: int
    noise: float
    shuffles: int
    seed: int
    threads: int | None
    progress: bool
    trust: str | tuple[str, ...] | None
    out: str | None
    overwrite: bool

    def __post_init__(self):
        super().__post_init__()
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
