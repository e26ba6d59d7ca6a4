"""python -m memhrm.compare RUN RUN ...: compare finished runs, and the use of their memory cells."""

from pathlib import Path
from typing import Any

from memhrm.config.console import Parser

EXAMPLES = """\
examples:
  python -m memhrm.compare runs/demo/baseline runs/demo/multicell
  python -m memhrm.compare runs/a runs/b --figure episodes.svg"""


def main() -> int:
    parser = Parser(prog="python -m memhrm.compare", description=__doc__, epilog=EXAMPLES)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories of finished runs")
    parser.add_argument(
        "--figure", metavar="FILE.svg", help="draw accuracy by position in the episode (default: none)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the figure that is there")
    args = parser.parse_args()

    from memhrm.memory.usage import words
    from memhrm.runs.directory import RunDirectory, labels
    from memhrm.runs.summary import SCORES, positions
    from memhrm.system.files import require_free

    summaries = {}
    paths = [Path(run).expanduser() for run in args.runs]
    for label, path in zip(labels(paths), paths):
        directory = RunDirectory(path)
        directory.config()  # Raises if there is no run.
        summary = directory.summary()
        if summary is None:
            raise ValueError(f"{path} is not finished; run its training command again to resume it")
        summaries[label] = summary
    if args.figure:
        require_free("--figure", Path(args.figure).expanduser(), args.overwrite, "--overwrite")
        require_alike(args.figure, summaries)
    width = max(len(name) for name in summaries) + 2
    print(" " * 18 + "".join(f"{name:>{max(width, 12)}}" for name in summaries))
    for key, what, form in SCORES:
        if any(key in summary for summary in summaries.values()):
            cells = (form.format(summary[key]) if key in summary else "" for summary in summaries.values())
            print(f"{what:<18}" + "".join(f"{cell:>{max(width, 12)}}" for cell in cells))
    print("\n".join(positions(summaries)))
    for name, summary in summaries.items():
        if "cells" in summary:
            print(f"\n{name}:", *words(summary["cells"]), sep="\n  ", flush=True)
    if args.figure:
        draw(Path(args.figure).expanduser(), summaries)
    return 0


def require_alike(file: str, summaries: dict[str, Any]) -> None:
    """Refuse to draw what cannot be drawn.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the runs are not all on episodes of one kind.
    """
    import memhrm.report.sections.episodes  # noqa: F401 (it can be imported)

    best = [summary.get("optimum_by_position") for summary in summaries.values()]
    if best[0] is None or any(other != best[0] for other in best):
        raise ValueError(f"--figure is {file}; allowed with runs on episodes, all of one kind")


def draw(out: Path, summaries: dict[str, Any]) -> None:
    """Write the figure of runs on episodes."""
    from memhrm.report.sections.episodes import position_drawing
    from memhrm.system.files import write_text

    write_text(out, position_drawing("episodes", summaries).file())


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
