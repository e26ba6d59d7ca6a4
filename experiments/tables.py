"""Make every table, figure and number of the paper from results alone: `python -m experiments.tables`.

The tables that README.md and docs/ quote, between <!-- paper/tables/NAME.md --> and <!-- end -->, are written
too. `--check` writes nothing; it names the stale files, and what the paper cites and no result makes.
"""

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import answer, hours, hyperparameters
from experiments.grid.run import ROOT, SCALES
from experiments.grid.study import PAPER, Study, write_files
from memhrm.config import console

QUOTING = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""The pages that quote tables."""

CITED = re.compile(r"\\(result|wide|input|includegraphics)(?:\[[^]]*\])?\{([^}]+)\}")
MACRO = re.compile(r"\\newcommand\{\\(\w+)\}\[\d\]\{\\result\{([^}]*)\}\}")
SET = re.compile(r"\\setresult\{([^}]+)\}")
QUOTED = re.compile(r"(<!-- paper/(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = (
    *("main_table", "memory_table", "ablations", "episodes", "contexts", "hops", "cells", "scaling"),
    *("arc", "text", "robustness", "cost", "recipes", "parity"),
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
    return made | hyperparameters.files("cpu") | hours.files(studies(), "cpu")


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


def unmade(text: str, made: dict[str, bytes]) -> list[str]:
    """Return what a TeX source cites of numbers, tables and figures and no result makes."""
    text = re.sub(r"(?<!\\)%.*", "", text)
    macros = dict(MACRO.findall(text))  # Short forms of numbers' names.
    text = re.sub(r"\\newcommand.*", "", text)
    for name, body in macros.items():
        given = r"\{([^}]+)\}" * body.count("#")
        text = re.sub(rf"\\{name}{given}", lambda use, to=body: _filled(to, use.groups()), text)
    numbers = {name for path, content in made.items() if path.endswith("-numbers.tex")
               for name in SET.findall(content.decode())}  # fmt: skip
    wrong = []
    for kind, cited in CITED.findall(text):
        name = " ".join(cited.split())  # TeX reads the end of a line as a space.
        if kind == "result":
            known = name in numbers
        elif kind == "wide" or name.startswith("tables/"):
            known = f"tables/{name.removeprefix('tables/')}.tex" in made
        else:
            known = not name.startswith("figures/") or f"{name}.pdf" in made
        if not known:
            wrong.append(f"\\{kind}{{{name}}}")
    return wrong


def _filled(body: str, given: Sequence[str]) -> str:
    r"""Return \result{...} with what a macro is given in its body."""
    for number, value in enumerate(given, start=1):
        body = body.replace(f"#{number}", value)
    return f"\\result{{{body}}}"


def main() -> int:
    """Write the files, or check them."""
    parser = console.Parser(prog="python -m experiments.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale or missing")
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
        missing = [
            (file, name) for file in sorted(PAPER.glob("*.tex")) for name in unmade(file.read_text(), made)
        ]
        for file, name in missing:
            print(f"{file.relative_to(ROOT)} cites {name}, which no result makes", file=sys.stderr)
        return int(bool(wrong or missing))
    write_files({file: content for file, content in wrong.items() if content is not None})
    for file in (file for file, content in wrong.items() if content is None):
        file.unlink()
    print(*names, sep="\n")
    return 0


if __name__ == "__main__":
    console.run(main)
