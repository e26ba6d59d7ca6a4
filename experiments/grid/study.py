"""A study, and the command that all of them share.

A study says which runs it needs and how their results become tables and figures. The command is the same for
all: `python -m experiments.NAME --scale smoke|cpu|gpu` launches the runs that have no row yet, collects their
rows in experiments/results/, and renders paper/ from the rows alone.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd

from experiments.grid.again import again
from experiments.grid.launch import launch
from experiments.grid.page import Page
from experiments.grid.results import FOLDER, Variants, arrange, collect, missing, read, update, write
from experiments.grid.run import ROOT, RUNS, SCALES, Run, merge
from memhrm.config import console

PAPER = ROOT / "paper"


@dataclass(frozen=True)
class Study:
    """A study, which has either runs or measurements of its own.

    Attributes:
        name: Name of its module, its results and its files.
        about: Its description in --help.
        render: Makes the page of the rows, by task and variant.
        runs: The runs at a scale.
        measure: The rows at a scale that no run gives.
    """

    name: str
    about: str | None
    render: Callable[[dict[str, Variants]], Page]
    runs: Callable[[str], list[Run]] = lambda scale: []
    measure: Callable[[str], pd.DataFrame] | None = None

    def results(self, scale: str, folder: Path = FOLDER) -> Path:
        """Return the file of the rows at a scale."""
        return folder / f"{self.name}-{scale}.csv"

    def files(self, scale: str, folder: Path = FOLDER) -> dict[str, bytes]:
        """Return the study's files of the paper, by their path in it, from its results alone."""
        return self.render(arrange(read(self.results(scale, folder)))).files(self.name, scale)


def main(study: Study) -> NoReturn:
    """Run the command of a study, and exit."""
    console.run(lambda: _command(study))


def _command(study: Study) -> int:
    args = _arguments(study)
    root = args.runs.resolve() / args.scale
    root.mkdir(parents=True, exist_ok=True)
    runs = study.runs(args.scale)
    chosen = _choose(runs, args.seeds, args.only)
    out = args.out or (ROOT if args.scale != "smoke" else root)
    folder = out / FOLDER.relative_to(ROOT)
    results, failures = study.results(args.scale, folder), {}
    workers = [f"workers={args.workers}"] if args.launcher == "local" else []
    settings = [*workers, *args.settings]
    if args.rows is not None:
        if study.measure is not None:
            raise ValueError(
                f"--rows is {args.rows}; allowed with studies that train, and {study.name} measures"
            )
        table, failures, verdicts = again(
            chosen, results, root / "again", args.rows, args.draw, args.launcher, settings
        )
        print(table.markdown())
        passed, differ = sum(one.passed for one in verdicts), sum(bool(one.beyond) for one in verdicts)
        print(f"{passed} passed, {differ} differ, {len(verdicts) - passed - differ} not judged")
        return _report(failures) or int(differ > 0 or passed == 0)
    if study.measure is None:
        if not args.tables:
            asked = merge(missing(results, chosen), root)
            failures = launch(asked, root, args.launcher, settings)
        rows, old = collect(runs, root)
        others = update(results, rows, runs, old)
        if others:
            print(f"dropped: {console.plural(others, 'row')} of runs that the grid has not", file=sys.stderr)
        if len(old):
            what = f"{console.plural(len(old), 'run')} of other defaults than today's"
            print(f"left out: {what}; the first: {old['outdated'].iloc[0]}", file=sys.stderr)
        print(f"{results}: {len(read(results))} of {len(runs)} runs")
    elif not args.tables:
        write(results, study.measure(args.scale))
    files = {out / PAPER.relative_to(ROOT) / name: c for name, c in study.files(args.scale, folder).items()}
    write_files(files)
    for file, content in files.items():
        print(file)
        if file.suffix == ".md":
            print(content.decode())
    return _report(failures)


def _report(failures: Mapping[Path, str]) -> int:
    """Say which runs failed, and return the exit status."""
    for path, error in failures.items():
        print(f"failed: {path.name}: {error} (its output: {path / 'output.txt'})", file=sys.stderr)
    return int(bool(failures))


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write all files, before anything is printed: a reader of the output may stop the command early."""
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _arguments(study: Study) -> argparse.Namespace:
    parser = console.Parser(prog=f"python -m experiments.{study.name}", description=study.about)
    parser.add_argument("settings", nargs="*", metavar="setting=value", help="of the launcher")
    parser.add_argument("--scale", choices=SCALES, default="smoke")
    parser.add_argument("--launcher", choices=("local", "slurm", "ray"), default="local")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="runs at once (local)")
    parser.add_argument("--seeds", type=lambda text: text.split(","), help="launch these only: 0,1,2")
    parser.add_argument(
        "--only", action="append", metavar="VARIANT", help="launch this only; may be repeated"
    )
    parser.add_argument("--tables", action="store_true", help="launch nothing; render from the rows")
    parser.add_argument(
        "--rows", type=int, metavar="N", help="run N committed rows again, drawn at random, and compare"
    )
    parser.add_argument("--draw", type=int, default=0, help="with --rows: another number, other rows")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where the runs are")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results and paper go")
    return parser.parse_intermixed_args()


def _choose(runs: Sequence[Run], seeds: Sequence[str] | None, only: Sequence[str] | None) -> list[Run]:
    """Return the runs of some seeds and variants.

    Raises:
        ValueError: There is no such seed or variant.
    """
    chosen = list(runs)
    for option, given, name in (("--seeds", seeds, "seed"), ("--only", only, "variant")):
        known = {str(getattr(run, name)) for run in runs}
        for value in given or ():
            if value not in known:
                raise ValueError(f"{option} names {value!r}; allowed: {', '.join(sorted(known))}")
        chosen = [run for run in chosen if not given or str(getattr(run, name)) in given]
    return chosen
