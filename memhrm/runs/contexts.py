"""How many contexts runs hold apart, as a table for the terminal and as curves for a figure.

c contexts.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

BEST, CHANCE = "best possible", "best without memory"
KEPT, HASHED = "{} cells, one context each", "{} cells, by a hash"


class Curve(NamedTuple):
    """What is held in episodes of c contexts, by c.

    Attributes:
        held: K, the contexts held.
        exact: exact accuracy at the second visit to a context.
        scored: second visits that were scored; 0 for a reference.
    """

    held: dict[int, float]
    exact: dict[int, float]
    scored: dict[int, int]


def test_sets(summary: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return the scores of the test sets of a summary, or of its only one, by their numbers of contexts."""
    every = summary.get("series") or {"": summary}
    return {one["contexts"]: one for one in every.values() if "contexts_held" in one}


def held_by(summary: Mapping[str, Any]) -> Curve:
    """Return what a run holds."""
    every = test_sets(summary)
    return Curve(
        {c: one["contexts_held"] for c, one in every.items()},
        {c: one["exact_accuracy_by_visit"]["2"] for c, one in every.items()},
        {c: one["episodes"] * c for c, one in every.items()},
    )


def references(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """Return what could be held at best, and by the cells of runs that have any, by name."""
    known: dict[str, Curve] = {}
    for summary in summaries:
        for name, curve in _references(summary).items():
            held, exact, scored = known.get(name, Curve({}, {}, {}))
            known[name] = Curve({**held, **curve.held}, {**exact, **curve.exact}, scored)
    return known


def _references(summary: Mapping[str, Any]) -> dict[str, Curve]:
    every = test_sets(summary)
    curves = {BEST: {c: float(c) for c in every}, CHANCE: dict.fromkeys(every, 0.0)}
    if "cells" in summary:
        cells = len(summary["cells"]["usage"])
        curves[KEPT.format(cells)] = {c: one["held_by_perfect"] for c, one in every.items()}
        curves[HASHED.format(cells)] = {c: one["held_by_hash"] for c, one in every.items()}

    def exact(held: float, at: int) -> float:
        first, second = (every[at]["optimum_by_visit"][visit] for visit in ("1", "2"))
        return first + held / at * (second - first)

    return {name: Curve(held, {c: exact(k, c) for c, k in held.items()}, {}) for name, held in curves.items()}


def table(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of the contexts held by the runs that were tested on contexts; nothing if none was."""
    runs = {name: held_by(summary) for name, summary in summaries.items() if test_sets(summary)}
    if not runs:
        return []
    known = references(summaries[name] for name in runs)
    at = sorted({c for curve in runs.values() for c in curve.held})
    width = max(map(len, ("contexts of an episode", *known, *runs))) + 2

    def row(name: str, values: Mapping[int, float], form: str) -> str:
        return f"{name:<{width}}" + "".join(f"{form.format(values[c]) if c in values else '':>8}" for c in at)

    return [
        "",
        "contexts held",
        row("contexts of an episode", {c: c for c in at}, "{}"),
        *(row(name, curve.held, "{:z.1f}") for name, curve in {**known, **runs}.items()),
        "",
        "exact accuracy at the second visit to a context",
        *(row(name, curve.exact, "{:.1%}") for name, curve in {**known, **runs}.items()),
        "",
    ]
