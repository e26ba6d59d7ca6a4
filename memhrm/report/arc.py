"""A page on ARC tasks, in one HTML file: demonstrations, tests, and what these were answered."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.data.arc.draw import PALETTE
from memhrm.data.arc.tasks import ArcTask, json_of
from memhrm.data.arc.votes import ATTEMPTS, PASSES, Candidate, Voted, place_of

SHOWN = 10
"""Candidates of a test that the page shows; the right one is shown beside them."""


def page(title: str, about: str, scores: Mapping[str, Any], voted: Sequence[Voted]) -> str:
    """Return the page.

    Args:
        title: its title.
        about: a sentence under it.
        scores: pass rates by name (`memhrm.data.arc.votes.pass_rates`); there may be none.
        voted: the votes on each task.
    """
    tasks = json.dumps([_task(*one) for one in voted], separators=(",", ":"))
    parts = {
        "TITLE": escape(title),
        "ABOUT": escape(about),
        "TABLE": _table(scores) if "pass@1" in scores else "",
        "PALETTE": json.dumps(PALETTE),
        "TASKS": tasks.replace("</", "<\\/"),  # Or a name could end the script.
    }
    text = Path(__file__).with_name("arc.html").read_text(encoding="utf-8")
    for name, value in parts.items():  # The tasks last: what they hold is not looked at again.
        text = text.replace(f"__{name}__", value)
    return text


def _table(scores: Mapping[str, Any]) -> str:
    def row(what: str, end: str) -> str:
        cells = (scores[f"pass@{most}{end}"] for most in PASSES)
        return f"<tr><th>{what}</th>{''.join(f'<td>{cell:.1%}</td>' for cell in cells)}</tr>"

    head = "".join(f"<th>pass@{most}</th>" for most in PASSES)
    return f"<table><tr><th></th>{head}</tr>{row('tests', '')}{row('whole tasks', '_whole_task')}</table>"


def _task(task: ArcTask, found: Sequence[Sequence[Candidate]], variants: int) -> dict[str, Any]:
    outputs = [pair.output for pair in task.tests]
    places = [None if output is None else place_of(one, output) for output, one in zip(outputs, found)]
    kind, note = _verdict(outputs, places)
    return {
        "id": task.id,
        **json_of(task),
        "variants": variants,
        "kind": kind,
        "note": note,
        "found": [_candidates(*one) for one in zip(found, outputs, places)],
    }


def _verdict(outputs: Sequence[np.ndarray | None], places: Sequence[int | None]) -> tuple[str, str]:
    if any(output is None for output in outputs):
        return "unknown", "the right answer is not known"
    there = [place for place in places if place is not None]
    if len(there) < len(places):
        return "missed", f"{len(there)} of {len(places)} right answers were given"
    last = max(there)
    return ("solved" if last <= ATTEMPTS else "listed"), f"right at place {', '.join(map(str, there))}"


def _candidates(
    found: Sequence[Candidate], output: np.ndarray | None, place: int | None
) -> list[dict[str, Any]]:
    shown = [*found[:SHOWN], *([found[place - 1]] if place is not None and place > SHOWN else [])]
    return [
        {
            "grid": one.grid.tolist(),
            "votes": one.votes,
            "q": round(one.q, 4),
            "right": None if output is None else bool(np.array_equal(one.grid, output)),
        }
        for one in shown
    ]
