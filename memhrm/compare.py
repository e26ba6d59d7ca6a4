"""python -m memhrm.compare RUN RUN ...: compare finished runs, and the use of their memory cells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import command
from memhrm.config.settings import Settings, build, refuse


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """The settings, which configs/compare.yaml describes."""

    FILE: ClassVar[str] = "compare"

    run: str | tuple[str, ...]
    figure: str | None
    overwrite: bool


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Read the results of the runs, show them side by side, and draw them if that is asked."""
    from memhrm.runs.summary import of_runs, require_alike, side_by_side
    from memhrm.system.files import require_free, write_text

    settings = build(CompareSettings, config)
    paths = [settings.run] if isinstance(settings.run, str) else settings.run
    summaries = of_runs([Path(path) for path in paths])
    refuse(settings.overwrite and settings.figure is None, "overwrite", True, "without figure")
    if settings.figure is not None:
        from memhrm.report.sections.episodes import drawing

        require_free("figure", Path(settings.figure), settings.overwrite)
        require_alike("figure", settings.figure, summaries)
    print(side_by_side(summaries), flush=True)
    if settings.figure is not None:
        write_text(Path(settings.figure), drawing(summaries).file())


if __name__ == "__main__":
    command("compare", main, bare="run")
