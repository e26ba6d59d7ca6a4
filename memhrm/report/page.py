"""The report: sections of figures, tables and films in one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from memhrm.report.figures import DARK, LIGHT, MARKERS, Drawing


@dataclass(frozen=True)
class Figure:
    """A chart under a heading. says: what it shows. source: the work that introduced it, if any."""

    title: str
    drawing: Drawing
    says: str
    source: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts under a heading; the first column names them. marks: the run whose marker a row has."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    says: str = ""
    source: str = ""
    marks: Sequence[int] = ()


@dataclass(frozen=True)
class Fragment:
    """A piece of HTML, such as a film."""

    html: str
    script: str = ""  # The name of a script in this folder that it needs.


Part = Figure | Table | Fragment


@dataclass(frozen=True)
class Section:
    """slug: its anchor and the prefix of its figures' names. lead: one or two sentences."""

    slug: str
    title: str
    lead: str
    parts: Sequence[Part] = ()

    def drawings(self) -> list[Drawing]:
        return [part.drawing for part in self.parts if isinstance(part, Figure)]


def page(
    title: str,
    opening: Sequence[Part],
    summary: Sequence[tuple[str, Sequence[str]]],
    sections: Sequence[Section],
) -> str:
    """Return the whole file. summary: names of runs, each with sentences about it."""
    scripts = sorted({p.script for s in sections for p in s.parts if isinstance(p, Fragment) and p.script})
    contents = "".join(f'<li><a href="#{s.slug}">{escape(s.title)}</a></li>' for s in sections)
    sentences = "".join(
        f"<h3>{escape(name)}</h3><ul>{''.join(f'<li>{escape(one)}</li>' for one in said)}</ul>"
        for name, said in summary
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',  # Otherwise a browser requests one.
            f"<title>{escape(title)}</title>\n<style>\n{_colours()}{_asset('page.css')}</style>",
            "</head>\n<body>",
            f"<header><h1>{escape(title)}</h1></header>\n<main>",
            *_parts(opening),
            f'<section id="summary"><h2>Summary</h2><div class="summary">{sentences}</div></section>',
            f'<nav aria-label="Contents"><h2>Contents</h2><ol>{contents}</ol></nav>',
            *(html for section in sections for html in _section(section)),
            "</main>",
            *(f"<script>\n{_asset(name)}</script>" for name in scripts),
            "</body>\n</html>\n",
        ]
    )


def _section(section: Section) -> list[str]:
    title, lead = escape(section.title), escape(section.lead)
    head = f'<section id="{section.slug}"><h2>{title}</h2><p class="lead">{lead}</p>'
    return [head, *_parts(section.parts), "</section>"]


def _parts(parts: Sequence[Part]) -> list[str]:
    """Lay out consecutive figures in shared rows; tables and films take the whole width."""
    html: list[str] = []
    row = False
    for part in parts:
        if isinstance(part, Figure) != row:
            html.append("</div>" if row else '<div class="figures">')
            row = not row
        html.append(_html(part))
    return [*html, "</div>"] if row else html


def _html(part: Part) -> str:
    if isinstance(part, Fragment):
        return part.html
    says = _says(part.says, part.source)
    if isinstance(part, Figure):
        return (
            f"<figure><h3>{escape(part.title)}</h3>{part.drawing.svg}<figcaption>{says}</figcaption></figure>"
        )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in part.head)
    rows = "".join(
        f'<tr><th scope="row">{mark(part.marks[i]) if part.marks else ""}{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for i, (first, *rest) in enumerate(part.rows)
    )
    heading = f"<h3>{escape(part.title)}</h3>" if part.title else ""
    note = f'<p class="note">{says}</p>' if says else ""
    return (
        f'<div class="table">{heading}<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(part.title or "Table", quote=True)}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</div>"
    )


def mark(run: int) -> str:
    """Return the colour and marker that the run has in its curves."""
    shape = {
        "o": '<circle cx="6" cy="6" r="4.5"/>',
        "s": '<rect x="1.8" y="1.8" width="8.4" height="8.4"/>',
        "^": '<path d="M6 1.2 11 10.5H1z"/>',
        "D": '<path d="M6 .8 11.2 6 6 11.2.8 6z"/>',
        "v": '<path d="M6 10.8 1 1.5H11z"/>',
        "P": '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3z"/>',
    }[MARKERS[run % len(MARKERS)]]
    hue = f"var(--run-{run % len(LIGHT)})"
    return f'<svg class="mark" viewBox="0 0 12 12" aria-hidden="true" style="fill:{hue}">{shape}</svg>'


def _says(says: str, source: str) -> str:
    return escape(says) + (f' <cite class="source">{escape(source)}</cite>' if source else "")


def _colours() -> str:
    light, dark = (
        "".join(f"--run-{i}:{colour};" for i, colour in enumerate(colours)) for colours in (LIGHT, DARK)
    )
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
