"""What the choice of cells tells about the puzzle: part of the section on memory cells."""

from typing import Any

from memhrm.report.maps import Interval, intervals
from memhrm.report.page import Figure, Table
from memhrm.report.sections.base import Seen

NAME = "cells"


def show(runs: list[Seen]) -> list[Any]:
    names = list(dict.fromkeys(name for run in runs for name in run.numbers[NAME]["information"]))
    if not names:
        return []

    def value(run: Seen, name: str) -> tuple[float, float, float] | None:
        found = run.numbers[NAME]["information"].get(name)
        return None if found is None else (found["excess"], found["low"], found["high"])

    rows = [Interval(f"the {name}", [value(run, name) for run in runs]) for name in names]
    table = []
    for run in runs:
        for name, found in run.numbers[NAME]["information"].items():
            null = f"{found['null_mean']:.4f} ({found['null_low']:.4f} to {found['null_high']:.4f})"
            table.append([f"{run.label}, {name}", f"{found['value']:.4f}", null])
    return [
        Figure(
            "Null-corrected information",
            intervals(
                f"{NAME}-information",
                "Null-corrected information about the puzzle",
                rows,
                [r.label for r in runs],
                "nats above the null",
                hues=[r.index for r in runs],
            ),
            "Mutual information between the active cell and the puzzle, or a label of the puzzle, minus "
            "that of shuffled data (the null), with a 95 % interval. Above zero, the selection depends "
            "on it; an interval that covers zero shows no dependence; below zero, the cells are used "
            "more evenly than by chance, as when every puzzle takes the same cells in turn.",
        ),
        Table("Mutual information, nats", ["run and label", "measured", "null (95 %)"], table),
    ]


def tells(name: str, found: dict[str, float]) -> str:
    """Say what the active cells tell about a label; no claim is made within the null."""
    null = f"{found['null_low']:.3f} to {found['null_high']:.3f}"
    numbers = f"{found['value']:.3f} nats of mutual information; {null} by chance"
    if found["low"] > 0:
        return f"The active cells depend on the {name} ({numbers})."
    if found["high"] < 0:
        return (
            f"Each {name} uses the cells more evenly than by chance ({numbers}), so they do not identify it."
        )
    return f"There is no evidence that the active cells depend on the {name} ({numbers})."
