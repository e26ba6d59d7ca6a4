"""python -m memhrm.probe run=DIR [run=DIR2 ...]: look inside trained models; writes numbers and a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from memhrm.config.command import command
from memhrm.config.settings import build, require, require_threads
from memhrm.report.settings import ReportSettings


@dataclass(frozen=True, kw_only=True)
class ProbeSettings(ReportSettings):
    """The settings of the command, which configs/probe.yaml describes."""

    run: str | tuple[str, ...]
    checkpoint: Literal["last", "best"]
    weights: Literal["ema", "raw"]
    threads: int | None
    progress: bool
    trust: str | tuple[str, ...] | None
    out: str | None
    overwrite: bool

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ValueError: a setting is of another type or out of range.
        """
        super().__post_init__()
        require_threads(self.threads)
        require(len(self.run) > 0, "run", list(self.run), "one or more run directories")


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the runs, look into each, and write the report."""
    from memhrm.config.trust import trust
    from memhrm.report.build import open_runs, write_report
    from memhrm.runs.unused_commands import refuse_unused_probe
    from memhrm.system.files import require_new_folder

    settings = build(ProbeSettings, config)
    trust(settings.trust)
    paths = [Path(run) for run in ((settings.run,) if isinstance(settings.run, str) else settings.run)]
    which = {"checkpoint": settings.checkpoint, "weights": settings.weights}
    runs = open_runs(paths, settings, settings.threads, **which)
    refuse_unused_probe(settings, [run.subject for run in runs], given)
    out = Path(settings.out) if settings.out else paths[0] / "probe"
    require_new_folder("out", out, settings.overwrite)
    write_report(out, runs, settings, settings.progress)
    print(f"written to {out / 'report.html'}, with figures/ and numbers.json, .npz beside it")


if __name__ == "__main__":
    command("probe", main)
