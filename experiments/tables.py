"""python -m experiments.tables [--check]: every table, figure and number of the paper, from results alone.

With --check nothing is written: it says which files of paper/ are not what the results give.
"""

import argparse
import importlib
import sys
from pathlib import Path

from experiments.experiment import PAPER, Experiment
from experiments.runs import SCALES

NAMES = (
    "main_table",
    "memory_table",
    "ablations",
    "episodes",
    "cells",
    "scaling",
    "cost",
    "recipes",
    "parity",
)


def experiments() -> list[Experiment]:
    return [importlib.import_module(f"experiments.{name}").EXPERIMENT for name in NAMES]


def files() -> dict[str, bytes]:
    """All files that the committed results give, by their path in paper/."""
    found: dict[str, bytes] = {}
    for experiment in experiments():
        for scale in SCALES:
            if experiment.results(scale).exists():
                found |= experiment.files(scale)
    return found


def stale(made: dict[str, bytes], folder: Path) -> list[str]:
    """The files that differ from what they should be, are missing, or belong to nothing."""
    there = {
        str(path.relative_to(folder))
        for kind in ("tables", "figures")
        for path in (folder / kind).glob("*.*")
    }
    wrong = [
        name for name, content in made.items() if name not in there or (folder / name).read_bytes() != content
    ]
    return sorted([*wrong, *(there - made.keys())])


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tables", description=__doc__, formatter_class=form
    )
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    made = files()
    wrong = stale(made, PAPER)
    if args.check:
        for name in wrong:
            print(f"stale: paper/{name}; make tables writes it anew", file=sys.stderr)
        return int(bool(wrong))
    for name in wrong:
        file = PAPER / name
        if name in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(made[name])
        else:
            file.unlink()
        print(f"paper/{name}")
    return 0


if __name__ == "__main__":
    from memhrm.console import run

    run(main)
