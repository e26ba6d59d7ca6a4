"""The table that all comparisons share: a line for each variant, with its difference from a baseline."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from experiments.grid.page import Table
from experiments.grid.results import Variants, curves, values
from experiments.grid.run import Variant
from experiments.grid.stats import Estimate, over_seeds, p_text

COLUMNS: dict[str, Callable[[pd.DataFrame], str]] = {
    "seeds": lambda rows: f"{len(rows)}",
    "exact, %": lambda rows: over_seeds(rows, "exact_accuracy").text(),
    "over training, %": lambda rows: over_seeds(rows, "over_training").text(),
    "90 % from step": lambda rows: first_step(rows, 0.9),
    "tokens, %": lambda rows: over_seeds(rows, "accuracy").text(),
    "optimal path, %": lambda rows: over_seeds(rows, "optimal_path").text(),
    "steps": lambda rows: f"{values(rows, 'steps').mean():.1f}",
    "parameters": lambda rows: f"{int(values(rows, 'parameters').mean()):,}",
    "MFLOP": lambda rows: f"{answer_mflop(rows):.1f}",
    "seconds": lambda rows: f"{values(rows, 'seconds').mean():.0f}",
    "usage entropy": lambda rows: f"{values(rows, 'cells.usage_entropy').mean():.2f}",
    # Plus 0.0: a negative zero would show its sign.
    "usage information": lambda rows: f"{round(values(rows, 'cells.usage_information').mean(), 2) + 0.0:.2f}",
    "dead": lambda rows: f"{values(rows, 'cells.dead_cells').mean():.1f}",
}
"""The text of each column, from a variant's rows.

Over training: the mean of the validation curve. MFLOP: matrix products of one answer. Seconds: of training.
Usage entropy and usage information: in nats.
"""


def comparison(
    found: Variants,
    groups: Mapping[str, Iterable[Variant]],
    columns: Sequence[str],
    pairs: Mapping[str, Estimate],
) -> Table:
    """Return the table of a task, in which each variant is compared with its baseline.

    A cell is empty where a run lacks its value, and a column is left out if all its cells are empty.

    Args:
        found: The rows of each variant.
        groups: Variants, by the title above them.
        columns: Names in `COLUMNS`; the second shows the score.
        pairs: The difference of each variant from its baseline, of this task in `differences`.
    """

    def line(name: str) -> list[str]:
        cells = [_cell(column, found[name]) for column in columns]
        pair = pairs.get(name)
        difference = [pair.text("+"), p_text(pair.p)] if pair else ["", ""]
        return [name, *cells[:2], *difference, *cells[2:]]

    lines = {
        title: [line(variant.name) for variant in group if variant.name in found]
        for title, group in groups.items()
    }
    head = ["", *columns[:2], "less its baseline", "p", *columns[2:]]
    filled = {i for group in lines.values() for cells in group for i, cell in enumerate(cells) if cell}
    return Table.grouped(head, lines).select(sorted(filled | {0}))


def answer_mflop(rows: pd.DataFrame) -> float:
    """Return the MFLOP of the matrix products of one answer, over all its supervision steps."""
    return float(values(rows, "steps").mean() * values(rows, "flops").mean() / 1e6)


def contrast_cells(pair: Estimate | None) -> list[str]:
    """Return a contrast as tables show it: points, p, and the size that a test of it alone would find."""
    if pair is None:
        return ["", "", ""]
    size = pair.detectable()
    return [pair.text("+"), p_text(pair.p), "" if np.isnan(size) else f"{100 * size:.1f}"]


def first_step(rows: pd.DataFrame, exact: float) -> str:
    """Return the mean optimiser step at which validation first has an accuracy, or "" if a seed never has."""
    steps, reached = curves(rows, "curve_steps"), curves(rows, "curve_exact") >= exact
    if not reached.any(axis=1).all():
        return ""
    return f"{steps[range(len(rows)), reached.argmax(axis=1)].mean():.0f}"


def score_numbers(found: Variants, score: str, *pairs: Mapping[str, Estimate]) -> dict[str, str]:
    """Return the scores of a task for the text of the paper.

    Args:
        found: The rows of each variant.
        score: The column of the rows.
        pairs: Differences of this task, by variant or by the name of a contrast.

    Returns:
        VARIANT: the score; NAME/difference and NAME/p: the difference of that variant or contrast; NAME/size:
        that from which a test of it alone finds a true one.
    """
    numbers = {variant: over_seeds(one, score).text() for variant, one in found.items()}
    for family in pairs:
        for name, pair in family.items():
            difference, p, size = contrast_cells(pair)
            numbers |= {f"{name}/difference": difference, f"{name}/p": p, f"{name}/size": size}
    return numbers


def _cell(column: str, rows: pd.DataFrame) -> str:
    try:
        return COLUMNS[column](rows)
    except KeyError:  # A run lacks the value.
        return ""
