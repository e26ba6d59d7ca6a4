"""The report as one HTML file that needs nothing else: its parts, and their words from texts.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from memhrm.config.console import plural
from memhrm.report.figures import DARK, LIGHT, MARKERS, Drawing
from memhrm.report.run import ProbedRun

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class ReportPart:
    """What stands in a section.

    Attributes:
        kind: figure, table or film.
        words: its title, caption and labels, as `worded` gives them.
        drawing: of a figure.
        rows: of a table, the first text of which names it.
        marks: the run whose marker each row has; none without.
        film: what film.js reads.
    """

    kind: str
    words: Mapping[str, Any]
    drawing: Drawing | None = None
    rows: Sequence[Sequence[str]] = ()
    marks: Sequence[int] = ()
    film: Mapping[str, Any] = field(default_factory=dict)


def worded(key: str, **fields: Any) -> dict[str, Any]:
    """Return the words at a key of texts.yaml, without the sentences, with these fields filled in."""
    return {name: _filled(value, fields) for name, value in _texts()[key].items() if name != "short"}


def sentences(section: str, run: ProbedRun) -> list[str]:
    """Return what is to be said in short of a section of a run."""
    found = run.numbers[section]
    values = {name: value for name, value in found.items() if name.isidentifier()}
    return [
        *filter(None, _filled(_texts()[section].get("short", []), {**values, "found": found, "run": run}))
    ]


def table(key: str, rows: Sequence[Sequence[str]], head: Sequence[str] = (), **fields: Any) -> ReportPart:
    """Return a table; `head` names the columns where texts.yaml does not."""
    return ReportPart(kind="table", words={"head": head, **worded(key, **fields)}, rows=rows)


def render(title: str, **content: Any) -> str:
    """Return the whole file, of what page.html shows."""
    pages = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, undefined=StrictUndefined,
    )  # fmt: skip
    colours = {"light": LIGHT, "dark": DARK}
    return pages.get_template("page.html").render(title=title, colours=colours, markers=MARKERS, **content)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent; nothing if there is none."""
    return "" if value is None or not np.isfinite(value) else f"{100 * value:.{digits}f} %"


def change(value: float, low: float, high: float) -> str:
    """Say how exact accuracy changes, without a claim if the interval covers zero."""
    value, low, high = 100 * value, 100 * low, 100 * high
    if low <= 0 <= high:
        numbers = f"{value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
        return f"does not measurably change exact accuracy ({numbers})"
    verb, (low, high) = ("lowers", (-high, -low)) if value < 0 else ("raises", (low, high))
    return f"{verb} exact accuracy by {abs(value):.1f} points (95 % interval {low:.1f} to {high:.1f})"


@cache
def _texts() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((FOLDER / "texts.yaml").read_text(encoding="utf-8"))


def _filled(value: Any, fields: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_filled(one, fields) for one in value]
    return " ".join(_template(value).render(fields).split())


@cache
def _template(text: str) -> Any:
    templates = Environment(undefined=StrictUndefined)
    templates.globals |= {"np": np, "percent": percent, "plural": plural, "change": change}
    return templates.from_string(text)
