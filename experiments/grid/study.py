"""What an experiment is, and the command that all of them share.

An experiment says which runs it needs and how their results become tables and figures. The rest is the same
for all: `python -m experiments.NAME --scale smoke|cpu|gpu` launches what is missing, collects the rows into
experiments/results/, and renders paper/ from the rows alone.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.grid.launch import launch
from experiments.grid.page import Page
from experiments.grid.results import FOLDER, Row, collect, keep, read, write
from experiments.grid.run import ROOT, RUNS, SCALES, Run, merge

PAPER = ROOT / "paper"


@dataclass(frozen=True)
class Experiment:
    """name: of its module, its results and its files; about: for --help; runs: those of a scale; render:
    from the rows to the files of the paper; measured: rows that no run gives, in place of those of runs."""

    name: str
    about: str | None
    runs: Callable[[str], list[Run]]
    render: Callable[[list[Row]], Page]
    measured: Callable[[str], list[Row]] | None = None

    def results(self, scale: str, folder: Path = FOLDER) -> Path:
        return folder / f"{self.name}-{scale}.csv"

    def files(self, scale: str, folder: Path = FOLDER) -> dict[str, bytes]:
        """The experiment's files of the paper, by their path in it, from its results alone."""
        return self.render(read(self.results(scale, folder))).files(f"{self.name}-{scale}")


def main(experiment: Experiment) -> int:
    """The command line of an experiment."""
    args = _arguments(experiment)
    root = args.runs.resolve() / args.scale
    root.mkdir(parents=True, exist_ok=True)
    every = experiment.runs(args.scale)
    runs = _chosen(every, args.seeds, args.only)
    out = args.out or (ROOT if args.scale != "smoke" else root)
    folder = out / FOLDER.relative_to(ROOT)
    path, wrong = experiment.results(args.scale, folder), {}
    if experiment.measured is not None:
        if not args.tables:
            write(path, experiment.measured(args.scale))
    else:
        if not args.tables:
            settings = [f"workers={args.workers}"] if args.launcher == "local" else []
            wrong = launch(merge(runs, root), root, args.launcher, [*settings, *args.settings])
        keep(path, collect((run for run in every if run.folder(root) not in wrong), root), every)
        print(f"{path}: {len(read(path))} of {len(every)} runs")
    files = {
        out / PAPER.relative_to(ROOT) / name: c for name, c in experiment.files(args.scale, folder).items()
    }
    put(files)
    for file, content in files.items():
        print(file)
        if file.suffix == ".md":
            print(content.decode())
    for path, text in wrong.items():
        print(f"failed: {path.name}: {text} (its output: {path / 'output.txt'})", file=sys.stderr)
    return int(bool(wrong))


def put(files: Mapping[Path, bytes]) -> None:
    """Write all of them before any is spoken of: what reads the output may leave early."""
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _arguments(experiment: Experiment) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    name = f"python -m experiments.{experiment.name}"
    parser = argparse.ArgumentParser(prog=name, description=experiment.about, formatter_class=form)
    parser.add_argument("settings", nargs="*", metavar="setting=value", help="of the launcher")
    parser.add_argument("--scale", choices=SCALES, default="smoke")
    parser.add_argument("--launcher", choices=("local", "slurm", "ray"), default="local")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="runs at once (local), one thread each"
    )
    parser.add_argument("--seeds", help="launch these only: 0,1,2")
    parser.add_argument(
        "--only", action="append", metavar="VARIANT", help="launch these only; may be repeated"
    )
    parser.add_argument("--tables", action="store_true", help="launch nothing")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where the runs are")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="for results and paper, in place of the checkout"
    )
    return parser.parse_intermixed_args()


def _chosen(runs: Sequence[Run], seeds: str | None, only: Sequence[str] | None) -> list[Run]:
    """Those of some seeds and variants.

    Raises:
        ValueError: there is no such seed or variant.
    """
    for name, given, known in (
        ("--seeds", seeds.split(",") if seeds else [], {str(run.seed) for run in runs}),
        ("--only", only or [], {run.variant for run in runs}),
    ):
        for value in given:
            if value not in known:
                raise ValueError(f"{name} names {value!r}; allowed: {', '.join(sorted(known))}")
    return [
        run
        for run in runs
        if (not seeds or str(run.seed) in seeds.split(",")) and (not only or run.variant in only)
    ]
