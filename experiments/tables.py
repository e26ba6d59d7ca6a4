"""Make every table, figure and number of the paper from results alone: `python -m experiments.tables`.

The tables that README.md and docs/ quote, between <!-- paper/tables/NAME.md --> and <!-- end -->, are written
too. `--check` writes nothing, and names the stale files.
"""

import importlib
import re
import sys
from pathlib import Path

from experiments import answer
from experiments.grid.run import ROOT, SCALES
from experiments.grid.study import PAPER, Study, write_files
from memhrm.config import console

QUOTING = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""The pages that quote tables."""

QUOTED = re.compile(r"(<!-- paper/(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = (
    *("main_table", "memory_table", "ablations", "episodes", "contexts", "cells", "scaling"),
    *("cost", "recipes", "parity"),
)


def studies() -> list[Study]:
    """Return all studies."""
    return [importlib.import_module(f"experiments.{name}").STUDY for name in NAMES]


def files() -> dict[str, bytes]:
    """Return the content of all files that the committed results give, by their path in paper/."""
    made: dict[str, bytes] = {}
    for study in studies():
        for scale in SCALES:
            if study.results(scale).exists():
                made |= study.files(scale)
    for scale in SCALES:
        made |= answer.files(scale)
    return made


def stale(made: dict[str, bytes], folder: Path) -> list[str]:
    """Return the files of a folder that differ from what is made, are missing, or belong to nothing."""
    paths = [path for kind in ("tables", "figures") for path in (folder / kind).glob("*.*")]
    present = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return sorted(name for name in made.keys() | present.keys() if made.get(name) != present.get(name))


def quote(text: str, made: dict[str, bytes]) -> str:
    """Return a text with the tables that it quotes as they are made.

    Raises:
        ValueError: It quotes a table that is not made.
    """
    for _, name, _ in QUOTED.findall(text):
        if name not in made:
            raise ValueError(f"paper/{name} is quoted and made by no result")
    return QUOTED.sub(lambda found: found[1] + made[found[2]].decode() + found[3], text)


def main() -> int:
    """Write the files, or check them."""
    parser = console.Parser(prog="python -m experiments.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name the stale files")
    args = parser.parse_args()
    made = files()
    wrong = {PAPER / name: made.get(name) for name in stale(made, PAPER)}
    for page in QUOTING:
        text = page.read_text()
        if (quoted := quote(text, made)) != text:
            wrong[page] = quoted.encode()
    names = [str(file.relative_to(ROOT)) for file in wrong]
    if args.check:
        for name in names:
            print(f"stale: {name}; make tables writes it", file=sys.stderr)
        return int(bool(wrong))
    write_files({file: content for file, content in wrong.items() if content is not None})
    for file in (file for file, content in wrong.items() if content is None):
        file.unlink()
    print(*names, sep="\n")
    return 0


if __name__ == "__main__":
    console.run(main)
