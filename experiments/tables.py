"""python -m experiments.tables [--check]: every table, figure and number of the paper, from results alone.

The tables that README.md and docs/ quote, between <!-- paper/tables/NAME.md --> and <!-- end -->, too. With
--check nothing is written: it says which files are not what the results give.
"""

import argparse
import importlib
import re
import sys
from pathlib import Path

from experiments import answer
from experiments.experiment import PAPER, Experiment, put
from experiments.runs import ROOT, SCALES

QUOTING = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""The pages that quote tables."""

QUOTED = re.compile(r"(<!-- paper/(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

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
    for scale in SCALES:
        found |= answer.files(scale)
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


def quoting(text: str, made: dict[str, bytes]) -> str:
    """A text with the tables that it quotes as they are made.

    Raises:
        ValueError: it quotes one that is not made.
    """
    for _, name, _ in QUOTED.findall(text):
        if name not in made:
            raise ValueError(f"paper/{name} is quoted and made by no result")
    return QUOTED.sub(lambda found: found[1] + made[found[2]].decode() + found[3], text)


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tables", description=__doc__, formatter_class=form
    )
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    made = files()
    wrong = {PAPER / name: made.get(name) for name in stale(made, PAPER)}
    for page in QUOTING:
        text = page.read_text()
        if (quoted := quoting(text, made)) != text:
            wrong[page] = quoted.encode()
    names = [str(file.relative_to(ROOT)) for file in wrong]
    if args.check:
        for name in names:
            print(f"stale: {name}; make tables writes it anew", file=sys.stderr)
        return int(bool(wrong))
    put({file: content for file, content in wrong.items() if content is not None})
    for file in (file for file, content in wrong.items() if content is None):
        file.unlink()
    for name in names:
        print(name)
    return 0


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
