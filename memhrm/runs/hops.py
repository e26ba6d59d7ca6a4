"""What runs on hops answer, by the hops of a question: tables for the terminal and curves for a figure."""

from collections.abc import Mapping
from typing import Any

WORDS = {"H_cycles": "H-cycle", "halt_max_steps": "supervision step"}
"""What a depth counts, by the setting that says how many there are in training."""

BY_HOPS, BY_PIECES = (f"exact_accuracy_by_{name}" for name in ("hops", "pieces"))
CHANGES = {
    "before a change": "exact_accuracy_by_before_hops",
    "unaffected by a change": "exact_accuracy_by_unaffected_hops",
    "affected by a change": "exact_accuracy_by_affected_hops",
}


def curves(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return exact accuracy by hops for each run that has it; of a single one at every depth it was given.

    Args:
        summaries: by label.
    """
    found = {name: one for name, one in summaries.items() if BY_HOPS in one}
    if len(found) != 1 or "by_depth" not in next(iter(found.values())):
        return {name: _numbered(one[BY_HOPS]) for name, one in found.items()}
    (only,) = found.values()
    depths = dict(only["by_depth"])
    varied, trained = depths.pop("varied"), depths.pop("trained")
    every = {int(depth): one[BY_HOPS] for depth, one in depths.items()} | {trained: only[BY_HOPS]}
    return {
        _depth(depth, WORDS[varied]) + (" (training)" if depth == trained else ""): _numbered(every[depth])
        for depth in sorted(every)
    }


def table(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return tables of exact accuracy by hops, and by the pieces told before; nothing without such runs."""
    rows: dict[str, Mapping[int, float]] = dict(curves(summaries))
    if not rows:
        return []
    rows |= {
        f"{name}, {said}": _numbered(one[measure])
        for name, one in summaries.items()
        for said, measure in CHANGES.items()
        if measure in one
    }
    lines = _table("exact accuracy by hops", rows)
    early: dict[str, Mapping[int, float]] = {}
    for name, one in summaries.items():
        if BY_PIECES in one:
            early |= {
                "best with memory": _numbered(one["optimum_by_pieces"]),
                name: _numbered(one[BY_PIECES]),
            }
    return lines + (_table("exact accuracy by pieces told, of all", early) if early else [])


def _table(title: str, rows: Mapping[str, Mapping[int, float]]) -> list[str]:
    at = sorted({place for row in rows.values() for place in row})
    width = max(map(len, (title, *rows))) + 2
    lines = [f"{title:<{width}}" + "".join(f"{place:>8}" for place in at)]
    for name, row in rows.items():
        cells = (f"{row[place]:>8.1%}" if place in row else " " * 8 for place in at)
        lines.append(f"{name:<{width}}" + "".join(cells).rstrip())
    return ["", *lines, ""]


def _numbered(row: Mapping[str, float]) -> dict[int, float]:
    return {int(place): value for place, value in row.items()}


def _depth(depth: int, word: str) -> str:
    return f"{depth} {word}{'' if depth == 1 else 's'}"
