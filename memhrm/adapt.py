"""python -m memhrm.adapt run=DIR FILE: train identifiers for new ARC tasks on their demonstrations.

The weights stand still, as in test-time training with identifiers (HRM, arXiv 2506.21734). What comes of it
is a run like any other: the same command again resumes it, memhrm.evaluate puts its tests to the vote.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import command
from memhrm.config.settings import Settings, build, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class AdaptSettings(Settings):
    """The settings, which configs/adapt.yaml describes."""

    FILE: ClassVar[str] = "adapt"

    run: str
    file: str
    checkpoint: Literal["last", "best"]
    out: str | None
    steps: int
    batch_size: int | None
    variants: int | None
    seed: int
    device: str
    threads: int | None
    progress: bool
    trust: str | tuple[str, ...] | None

    def __post_init__(self):
        super().__post_init__()
        require_size("steps", self.steps)
        if self.batch_size is not None:
            require_size("batch_size", self.batch_size)
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> int:
    """Train the identifiers, or go on with it; return 128 and the number of the signal if one stopped it."""
    from memhrm.runs.signals import Interrupted
    from memhrm.runs.train import train_run
    from memhrm.weights.adapted import adaptation
    from memhrm.weights.initial import start_from

    settings = build(AdaptSettings, config)
    run = adaptation(settings)
    path = Path(str(run.dir))
    try:
        if train_run(run, path, start_from, lambda *_: None) is not None:
            print(f"to put the tests to the vote: python -m memhrm.evaluate run={path}")
    except Interrupted as stop:
        if stop.first:
            print(f"stopped at step {stop.step}, saved in {path}; the same command goes on", file=sys.stderr)
        return 128 + stop.signal_number
    return 0


if __name__ == "__main__":
    command("adapt", main, bare="file")
