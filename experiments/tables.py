"""Make every table, figure and number of the paper from results alone: `python -m experiments.tables`.

The tables and numbers that README.md and docs/ quote, between <!-- paper/tables/NAME.md --> or
<!-- result: NAME --> and <!-- end -->, are written too. `--check` writes nothing; it names the stale files,
what the paper cites and no result makes, and measured numbers that are typed by hand without their command.
"""

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import answer, hours, hyperparameters
from experiments.grid.page import plain
from experiments.grid.run import ROOT, SCALES
from experiments.grid.study import PAPER, Study, write_files
from memhrm.config import console

QUOTING = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""The pages that quote tables."""
RESULTS = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("results", "episodes", "hops"))]
"""The pages that say what was measured."""

CITED = re.compile(r"\\(result|wide|input|includegraphics|ref|cite)(?:\[[^]]*\])?\{([^}]+)\}")
MACRO = re.compile(r"\\newcommand\{\\(\w+)\}\[\d\]\{\\result\{([^}]*)\}\}")
SET = re.compile(r"\\setresult\{([^}]+)\}\{(.*)\}$", re.MULTILINE)
_END = "<!-- end -->"
QUOTED = re.compile(rf"(<!-- paper/(\S+) -->\n).*?({_END})", re.DOTALL)
NUMBER = re.compile(rf"(<!-- result: ([^>]+) -->).*?({_END})", re.DOTALL)
MEASURED = re.compile(r"\d+\.\d+|\d+ %|\d+\\,\\%|\d+ points")
"""What a measured number looks like, in Markdown or TeX."""
SOURCE = re.compile(r"python -m |make demo|LOG\.md\)|paper/tables/")
"""What a paragraph with a measured number says of where it comes from."""
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
ASIDE = re.compile(
    r"\b95(?: |\\,\\)% interval"  # A convention, and no measurement.
    r"|`[^`]*`|\[[^]]*\]\([^)]*\)"  # Markdown: code and links.
    r"|^ *%[^\n]*|\$[^$]*\$|\\begin\{tikz.*?\\end|\\\w+(?:\[[^]]*\])?\{[^{}]*\}",  # TeX: these and comments.
    re.DOTALL | re.MULTILINE,
)
"""What is not the prose of a page."""
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
    return made | hyperparameters.files() | hours.files(studies(), "cpu")


def stale(made: dict[str, bytes], folder: Path) -> list[str]:
    """Return the files of a folder that differ from what is made, are missing, or belong to nothing."""
    paths = [path for kind in ("tables", "figures") for path in (folder / kind).glob("*.*")]
    present = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return sorted(name for name in made.keys() | present.keys() if made.get(name) != present.get(name))


def numbers(made: dict[str, bytes]) -> dict[str, str]:
    """Return the numbers for texts, as plain text, by name."""
    return {
        name: plain(value)
        for path, content in made.items()
        if path.endswith("-numbers.tex")
        for name, value in SET.findall(content.decode())
    }


def quote(text: str, made: dict[str, bytes]) -> str:
    """Return a text with the tables and numbers that it quotes as they are made.

    Raises:
        ValueError: It quotes a table or a number that is not made.
    """
    known = numbers(made)
    for quoted, offered in ((QUOTED, made), (NUMBER, known)):
        for _, name, _ in quoted.findall(text):
            if name not in offered:
                raise ValueError(f"{name} is quoted and made by no result")
    text = QUOTED.sub(lambda found: found[1] + made[found[2]].decode() + found[3], text)
    return NUMBER.sub(lambda found: found[1] + known[found[2]] + found[3], text)


def typed(text: str) -> list[str]:
    """Return the measured numbers of a page that are not quoted, and whose paragraph names no source."""
    for left_out in (QUOTED, NUMBER, FENCED):
        text = left_out.sub("", text)
    return [
        found
        for one in text.split("\n\n")
        if not SOURCE.search(one)
        for found in MEASURED.findall(ASIDE.sub("", one))
    ]


def paper() -> tuple[str, str]:
    """Return the paper's TeX sources, joined, and its bibliography."""

    def joined(kind: str) -> str:
        return "\n".join(file.read_text() for file in sorted(PAPER.glob(f"*.{kind}")))

    return joined("tex"), joined("bib")


def unmade(text: str, made: dict[str, bytes], bibliography: str = "") -> list[str]:
    """Return what the TeX sources of a paper cite and nothing makes.

    Numbers, tables and figures are made by results, where a number is only known if the sources input the
    file that sets it; labels stand in the sources, works in the bibliography.
    """
    text = re.sub(r"(?<!\\)%.*", "", text)
    macros = dict(MACRO.findall(text))  # Short forms of numbers' names.
    text = re.sub(r"\\newcommand.*", "", text)
    for name, body in macros.items():
        given = r"\{([^}]+)\}" * body.count("#")
        text = re.sub(rf"\\{name}{given}", lambda use, to=body: _filled(to, use.groups()), text)
    cites = CITED.findall(text)
    inputs = {f"{name}.tex" for kind, name in cites if kind == "input"}
    known_numbers = numbers({path: made[path] for path in inputs & made.keys()})
    stands = {
        "ref": {*re.findall(r"\\label\{([^}]+)\}", text)},
        "cite": {*re.findall(r"^@\w+\{([^,]+),", bibliography, re.MULTILINE)},
    }
    wrong = []
    for kind, cited in cites:
        name = " ".join(cited.split())  # TeX reads the end of a line as a space.
        if kind == "result":
            known = name in known_numbers
        elif kind in stands:
            known = {one.strip() for one in name.split(",")} <= stands[kind]
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
        sources, bibliography = paper()
        missing = unmade(sources, made, bibliography)
        for name in missing:
            print(f"the paper cites {name}, which nothing makes", file=sys.stderr)
        told = [*RESULTS, *sorted(PAPER.glob("*.tex"))]
        by_hand = [(page, one) for page in told for one in typed(page.read_text())]
        for page, one in by_hand:
            said = f"{one!r} is typed: quote it (<!-- result: NAME -->), or name its command"
            print(f"{page.relative_to(ROOT)}: {said}", file=sys.stderr)
        return int(bool(wrong or missing or by_hand))
    write_files({file: content for file, content in wrong.items() if content is not None})
    for file in (file for file, content in wrong.items() if content is None):
        file.unlink()
    print(*names, sep="\n")
    return 0


if __name__ == "__main__":
    console.run(main)
