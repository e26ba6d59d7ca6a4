"""What a study gives the paper: tables, figures and numbers, and their files."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.grid.run import slug
from memhrm.report import figures

SUPERSCRIPTS = dict(zip("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
HEAD = "% Made by python -m experiments.{name} from experiments/results; do not edit.\n"
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "±": r"$\pm$",
        "−": r"$-$",
        "×": r"$\times$",
        "^": r"\textasciicircum{}",
        **{raised: rf"$^{{{plain}}}$" for plain, raised in SUPERSCRIPTS.items()},
        "<": r"$<$",
    }
)
_PLAIN = {made: chr(character) for character, made in _LATEX.items()}
_MADE = re.compile("|".join(map(re.escape, sorted(_PLAIN, key=len, reverse=True))))


def latex(text: str) -> str:
    """Return plain text as LaTeX."""
    return text.translate(_LATEX)


def plain(text: str) -> str:
    """Return what `latex` made of plain text as plain text again."""
    return _MADE.sub(lambda found: _PLAIN[found[0]], text)


def scientific(value: float) -> str:
    """Return a number in the form 3.4 × 10⁻⁶."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans(SUPERSCRIPTS))}"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        head: Names of the columns; a name may stand twice.
        rows: The cells of each row, or the title of a group alone.
        caption: Shown above the Markdown.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @staticmethod
    def grouped(head: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]]) -> "Table":
        """Return a table of groups of rows, each below its title; an empty group or title is left out."""
        rows: list[Sequence[str]] = []
        for title, group in groups.items():
            rows += [[title], *group] if title and group else group
        return Table(head, rows)

    @staticmethod
    def read(path: Path) -> "Table":
        """Return the table in a CSV file."""
        with open(path, newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
        return Table(head, rows)

    def select(self, columns: Sequence[int]) -> "Table":
        """Return some of the columns; the titles of groups stay."""
        rows = [row if len(row) == 1 else [row[i] for i in columns] for row in self.rows]
        return Table([self.head[i] for i in columns], rows, self.caption)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rows = [row if len(row) > 1 else [f"*{row[0]}*", *[""] * (len(self.head) - 1)] for row in self.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.head, *rows)]
        lines.insert(1, f"|{'---|' * len(self.head)}")
        return "\n".join([*([self.caption, ""] if self.caption else []), *lines]) + "\n"

    def tabular(self) -> str:
        """Return the table as a LaTeX tabular of the package booktabs."""
        width = len(self.head)
        lines = [rf"\begin{{tabular}}{{@{{}}l{'r' * (width - 1)}@{{}}}}", r"\toprule"]
        for number, row in enumerate([self.head, *self.rows]):
            cells = " & ".join(map(latex, row))
            if len(row) == 1 < width:
                lines += [r"\addlinespace"] if number > 1 else []
                cells = rf"\multicolumn{{{width}}}{{@{{}}l}}{{\textit{{{cells}}}}}"
            lines += [rf"{cells} \\", *([r"\midrule"] if number == 0 else [])]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def comma_separated(self) -> str:
        """Return the table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()


@dataclass
class Page:
    """The tables, figures and numbers of a study, by name."""

    tables: dict[str, Table] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    figures: dict[str, tuple[Callable[[Any], None], tuple[float, float]]] = field(default_factory=dict)

    def add_figure(self, name: str, draw: Callable[..., None], *args: Any, size: tuple[float, float]) -> None:
        """Add a figure.

        Args:
            name: Its name; "" for the only one.
            draw: Draws on a matplotlib Figure, its first argument.
            args: The further arguments of `draw`.
            size: Width and height in inches.
        """
        self.figures[name] = (lambda figure: draw(figure, *args), size)

    def add_numbers(self, prefix: str, numbers: Mapping[str, str]) -> None:
        """Add numbers for the text of the paper, each as PREFIX/NAME."""
        self.numbers |= {f"{prefix}/{name}": value for name, value in numbers.items()}

    def files(self, study: str, scale: str) -> dict[str, bytes]:
        """Return the content of each file, by its path in paper/."""

        def stem(kind: str, part: str) -> str:
            return f"{kind}/" + "-".join(filter(None, (study, scale, slug(part))))

        head, texts = HEAD.format(name=study), {}
        for part, table in self.tables.items():
            texts[stem("tables", part) + ".tex"] = head + table.tabular()
            texts[stem("tables", part) + ".md"] = table.markdown()
            texts[stem("tables", part) + ".csv"] = table.comma_separated()
        if self.numbers:  # \result{NAME} in main.tex.
            macros = [rf"\setresult{{{key}}}{{{latex(text)}}}" for key, text in sorted(self.numbers.items())]
            texts[stem("tables", "numbers") + ".tex"] = head + "\n".join(macros) + "\n"
        files = {path: text.encode() for path, text in texts.items()}
        for part, (draw, size) in self.figures.items():
            files[stem("figures", part) + ".pdf"] = _pdf(draw, size)
            svg = figures.draw(f"{study}-{scale}", part or f"{study}-{scale}", draw, *size)
            files[stem("figures", part) + ".svg"] = svg.file().encode()
        return files


def log2_axis(axes: Any, ticks: Sequence[float]) -> None:
    """Scale the x-axis of a matplotlib plot by powers of two, with whole numbers as ticks."""
    axes.set_xscale("log", base=2, subs=[])
    axes.set_xticks(ticks, [f"{int(tick)}" for tick in ticks])


def line_style(number: int) -> dict[str, str]:
    """Return the colour and marker of a line, by its number in the plot."""
    return {"color": figures.hue(number), "marker": figures.marker(number)}


def _pdf(draw: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**figures.STYLE, "pdf.fonttype": 42, "text.color": "black"}):
        figure = Figure(size, layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        figure.savefig(buffer, format="pdf", metadata=undated)
    return buffer.getvalue()
