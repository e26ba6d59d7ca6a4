"""The accuracy of runs on generated rules, trained and others, as a table for the terminal."""

from collections.abc import Mapping
from typing import Any

PREFIX = "rules="
BEST, BLIND = "best possible", "best without memory"


def test_sets(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of the test sets of a summary by the kind of their rules."""
    every = summary.get("series") or {}
    return {name.removeprefix(PREFIX): one for name, one in every.items() if name.startswith(PREFIX)}


def table(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of exact accuracy by the kind of rules; nothing if no run was tested on rules."""
    runs = {name: found for name, summary in summaries.items() if (found := test_sets(summary))}
    if not runs:
        return []
    kinds = list(dict.fromkeys(kind for found in runs.values() for kind in found))
    lines: dict[str, dict[str, float]] = {BEST: {}, BLIND: {}}
    for name, found in runs.items():
        lines[name] = {kind: one["exact_accuracy"] for kind, one in found.items()}
        for kind, one in found.items():
            best = one["optimum_by_position"]
            lines[BEST][kind], lines[BLIND][kind] = sum(best) / len(best), one["optimum_without_memory"]
    heads = [kind.replace("_", " ") for kind in kinds]
    width, column = max(map(len, lines)) + 2, max(map(len, heads)) + 2
    rows = [
        f"{name:<{width}}"
        + "".join(f"{values[kind]:>{column}.1%}" if kind in values else " " * column for kind in kinds)
        for name, values in lines.items()
    ]
    head = f"{'rules':<{width}}" + "".join(f"{kind:>{column}}" for kind in heads)
    return ["", "exact accuracy by rules", head, *rows, ""]
