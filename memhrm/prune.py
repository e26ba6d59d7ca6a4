"""python -m memhrm.prune run=DIR keep=...: drop the memory cells that are used least, and see the cost."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import RunSource, command
from memhrm.config.settings import build, require_size


@dataclass(frozen=True, kw_only=True)
class PruneSettings(RunSource):
    """The settings, which configs/prune.yaml describes."""

    FILE: ClassVar[str] = "prune"

    keep: int | float | tuple[int, ...]
    puzzles: int
    batch_size: int
    device: str
    threads: int | None
    progress: bool

    def __post_init__(self):
        super().__post_init__()
        require_size("puzzles", self.puzzles)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, drop cells, say what they were worth, write the run that is left."""
    from memhrm.runs.build import prepare_machine
    from memhrm.runs.directory import RunDirectory
    from memhrm.system.ranks import ranks as joined
    from memhrm.weights.prune import prepare, prune
    from memhrm.weights.restore import open_run
    from memhrm.weights.transfer import check_free, write_run

    settings = build(PruneSettings, config)
    source = RunDirectory(Path(settings.run))
    out = Path(settings.out or f"{source.path if source.path.name else source.path.resolve()}-pruned")
    restored = open_run(settings)
    prepare(restored, settings.keep)
    check_free(out, source.path, settings.overwrite)
    with joined(settings.device) as ranks:
        prepare_machine(replace(restored.run, threads=settings.threads))
        bar = settings.progress and ranks.first
        result = prune(restored, settings.keep, settings.puzzles, settings.batch_size, ranks, bar)
        if ranks.first:
            print(result.report())
            about = {"command": "prune", "checkpoint": settings.checkpoint, "weights": settings.weights}
            write_run(out, source, result.small, about | result.origin())
            print(f"written to {out}")


if __name__ == "__main__":
    command("prune", main)
