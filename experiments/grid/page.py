"""Tables, figures and numbers as files: LaTeX, CSV and Markdown; PDF and SVG."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.grid.run import slug
from memhrm.report import figures

RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
HEAD = "% Made by python -m experiments.{name} from experiments/results; do not edit.\n"


@dataclass(frozen=True)
class Table:
    """head: the columns' names; rows: their cells, or the title of a group alone; caption: for Markdown."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def of(self, columns: Sequence[int]) -> "Table":
        """Some of its columns; the titles of groups stay."""
        rows = [row if len(row) == 1 else [row[i] for i in columns] for row in self.rows]
        return Table([self.head[i] for i in columns], rows, self.caption)

    def markdown(self) -> str:
        lines = [self.caption, ""] if self.caption else []
        lines += [f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        for row in self.rows:
            cells = row if len(row) > 1 else [f"*{row[0]}*", *[""] * (len(self.head) - 1)]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def tex(self) -> str:
        """A tabular of the package booktabs."""
        columns = "l" + "r" * (len(self.head) - 1)
        lines = [
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            f"{_tex_row(self.head)}",
            r"\midrule",
        ]
        for number, row in enumerate(self.rows):
            if len(row) == 1:
                lines += [r"\addlinespace"] if number else []
                lines.append(rf"\multicolumn{{{len(self.head)}}}{{@{{}}l}}{{\textit{{{tex(row[0])}}}}} \\")
            else:
                lines.append(_tex_row(row))
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def comma_separated(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.head)
        writer.writerows(row for row in self.rows)
        return text.getvalue()


_WRITTEN = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "±": r"$\pm$",
        "−": r"$-$",
        "×": r"$\times$",
        "^": r"\textasciicircum{}",
        **{raised: rf"$^{{{plain}}}$" for raised, plain in zip(RAISED, "0123456789-")},
        "<": r"$<$",
    }
)


def tex(text: str) -> str:
    """Plain text as LaTeX."""
    return text.translate(_WRITTEN)


def scientific(value: float) -> str:
    """As 3.4 × 10⁻⁶."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans('0123456789-', RAISED))}"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(tex, cells)) + r" \\"


@dataclass
class Page:
    """What an experiment gives the paper: tables and figures by name, and numbers for the text."""

    tables: dict[str, Table] = field(default_factory=dict)
    drawings: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def figure(
        self, name: str, paint: Callable[[Any], None], width: float = 5.5, height: float = 3.0
    ) -> None:
        """A figure that `paint` draws on a matplotlib Figure of so many inches."""
        self.drawings[name], self.sizes[name] = paint, (width, height)

    def say(self, about: str, numbers: Mapping[str, str]) -> None:
        """Numbers for the text, as ABOUT/NAME."""
        self.numbers |= {f"{about}/{name}": value for name, value in numbers.items()}

    def files(self, name: str) -> dict[str, bytes]:
        """The files, by their path in paper/. name: of the experiment and its scale."""
        head, texts = HEAD.format(name=name.rpartition("-")[0]), {}
        for one, table in self.tables.items():
            stem = f"tables/{name}" + (f"-{slug(one)}" if one else "")
            texts[f"{stem}.tex"] = head + table.tex()
            texts[f"{stem}.md"] = table.markdown()
            texts[f"{stem}.csv"] = table.comma_separated()
        if self.numbers:
            texts[f"tables/{name}-numbers.tex"] = head + _macros(self.numbers)
        files = {path: text.encode() for path, text in texts.items()}
        for one, paint in self.drawings.items():
            stem = f"figures/{name}" + (f"-{slug(one)}" if one else "")
            files[f"{stem}.pdf"] = _pdf(paint, *self.sizes[one])
            files[f"{stem}.svg"] = figures.draw(name, one or name, paint, *self.sizes[one]).file().encode()
        return files


def _macros(numbers: Mapping[str, str]) -> str:
    r"""The text's numbers: \result{NAME} in main.tex."""
    return "".join(rf"\setresult{{{name}}}{{{tex(value)}}}" + "\n" for name, value in sorted(numbers.items()))


def _pdf(paint: Callable[[Any], None], width: float, height: float) -> bytes:
    figures.ready()
    import matplotlib
    from matplotlib.figure import Figure

    style = {**figures.STYLE, "pdf.fonttype": 42, "text.color": "black"}
    with matplotlib.rc_context(style):
        figure = Figure((width, height), layout="constrained")
        paint(figure)
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
    return buffer.getvalue()
