"""python -m memhrm.compare RUN RUN ...: compare finished runs, and the use of their memory cells."""

import argparse
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m memhrm.compare", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories")
    parser.add_argument("--figure", metavar="FILE.svg", help="draw accuracy by position in the episode")
    args = parser.parse_args()

    from memhrm.memory.usage import words
    from memhrm.training.record import RunDirectory
    from memhrm.training.report import SCORES, positions

    summaries = {}
    for path in map(Path, args.runs):
        directory = RunDirectory(path)
        directory.config()  # Raises if there is no run.
        summary = directory.summary()
        if summary is None:
            raise ValueError(f"{path} is not finished; run its training command again to resume it")
        summaries[path.name] = summary
    if args.figure:
        draw(args.figure, summaries)
    width = max(len(name) for name in summaries) + 2
    print(" " * 18 + "".join(f"{name:>{max(width, 12)}}" for name in summaries))
    for key, what, form in SCORES:
        if any(key in summary for summary in summaries.values()):
            cells = (form.format(summary[key]) if key in summary else "" for summary in summaries.values())
            print(f"{what:<18}" + "".join(f"{cell:>{max(width, 12)}}" for cell in cells))
    print("\n".join(positions(summaries)))
    for name, summary in summaries.items():
        if "cells" in summary:
            print(f"\n{name}:", *words(summary["cells"]), sep="\n  ")
    return 0


def draw(file: str, summaries: dict[str, Any]) -> None:
    """Write the figure of runs on episodes.

    Raises:
        ValueError: matplotlib is not installed, or the runs are not all on episodes of one kind.
    """
    from memhrm.probes import figures
    from memhrm.probes.sections.episodes import of_summaries

    figures.ready()
    best = [summary.get("optimum_by_position") for summary in summaries.values()]
    if best[0] is None or any(other != best[0] for other in best):
        raise ValueError(f"--figure is {file}; allowed with runs on episodes, all of one kind")
    out = Path(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(of_summaries("episodes", summaries).file(), encoding="utf-8")


if __name__ == "__main__":
    from memhrm.console import run

    run(main)
