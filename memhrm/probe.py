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
    checkpoint: Literal["last", "best"] = "last"
    weights: Literal["ema", "raw"] = "ema"
    threads: int | None = None
    progress: bool = True
    trust: str | tuple[str, ...] | None = None
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self):
        super().__post_init__()
        runs = self.paths()
        require(len(runs) > 0, "run", list(runs), "one or more run directories")
        require(len(set(runs)) == len(runs), "run", ", ".join(map(str, runs)), "each run once")
        require_threads(self.threads)

    def paths(self) -> list[Path]:
        """Return the run directories, in the order in which they are compared."""
        return [Path(run) for run in ((self.run,) if isinstance(self.run, str) else self.run)]


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the runs, look into each, and write the report."""
    settings = build(ProbeSettings, config, "")

    from memhrm.config.trust import trust
    from memhrm.report.build import open_runs, write_report
    from memhrm.runs.unused_commands import refuse_unused_probe
    from memhrm.system.files import require_new_folder

    trust(settings.trust)
    paths = settings.paths()
    which = {"checkpoint": settings.checkpoint, "weights": settings.weights}
    runs = open_runs(paths, settings, settings.threads, **which)
    refuse_unused_probe(settings, [run.subject.model.H_module.settings for run in runs], given)
    out = Path(settings.out) if settings.out else paths[0] / "probe"
    require_new_folder("out", out, settings.overwrite)
    write_report(out, runs, settings, settings.progress)
    print(f"written to {out / 'report.html'}, with figures/ and numbers.json, .npz beside it")


if __name__ == "__main__":
    command("probe", main)
