"""What the choice of cells tells about the puzzle: a part of the section on cells."""

from typing import Any

from memhrm.probes.maps import Interval, intervals
from memhrm.probes.page import Figure, Table
from memhrm.probes.sections.base import Seen

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
            "What the cells tell",
            intervals(
                f"{NAME}-information",
                "Mutual information above its null",
                rows,
                [r.label for r in runs],
                "nats above the shuffled null",
                hues=[r.index for r in runs],
            ),
            "Mutual information between the active cell and the puzzle, or what is known of it, less that "
            "of a shuffled null, with the null's 95 % interval. Right of zero the cells depend on it; one "
            "that covers zero shows no dependence; left of zero each is spread over the cells more evenly "
            "than by chance: all take the same turns.",
        ),
        Table("Mutual information, nats", ["run and label", "found", "null (95 %)"], table),
    ]


def tells(name: str, found: dict[str, float]) -> str:
    """What the active cells tell about a label, in words that claim nothing within the null."""
    numbers = f"{found['value']:.3f} nats, by chance {found['null_low']:.3f} to {found['null_high']:.3f}"
    if found["low"] > 0:
        return f"has cells that tell about the {name} ({numbers})"
    if found["high"] < 0:
        return (
            f"spreads each {name} over its cells more evenly than by chance ({numbers}): they do not tell it"
        )
    return f"shows no cells that tell about the {name} ({numbers})"
