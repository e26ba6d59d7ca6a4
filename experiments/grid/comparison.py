"""The table that all comparisons share: a line per variant, with its difference from a baseline."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from experiments.grid.page import Table
from experiments.grid.results import Row
from experiments.grid.scores import BySeed, against, by_variant, mean_of, over_seeds, p_value, signed

COLUMNS: dict[str, Callable[[BySeed], str]] = {
    "seeds": lambda one: f"{len(one)}",
    "exact, %": lambda one: over_seeds(one, "exact_accuracy").text(),
    "over training, %": lambda one: over_seeds(one, "over_training").text(),
    "90 % from step": lambda one: reached(one, 0.9),
    "tokens, %": lambda one: over_seeds(one, "accuracy").text(),
    "optimal path, %": lambda one: over_seeds(one, "optimal_path").text(),
    "steps": lambda one: f"{mean_of(one, 'steps'):.1f}",
    "parameters": lambda one: f"{int(mean_of(one, 'parameters')):,}",
    "MFLOP": lambda one: f"{mean_of(one, 'steps') * mean_of(one, 'flops') / 1e6:.1f}",
    "seconds": lambda one: f"{mean_of(one, 'seconds'):.0f}",
    "usage entropy": lambda one: f"{mean_of(one, 'cells.usage_entropy'):.2f}",
    # Plus 0.0: a negative zero would show its sign.
    "usage information": lambda one: f"{round(mean_of(one, 'cells.usage_information'), 2) + 0.0:.2f}",
    "dead": lambda one: f"{mean_of(one, 'cells.dead_cells'):.1f}",
}
"""What a column shows of a variant's runs. Over training: the mean of the validation curve; MFLOP: matrix
products of one answer; seconds: of training; usage entropy and information: in nats."""


def comparison(
    rows: Sequence[Row],
    task: str,
    groups: Mapping[str, Iterable[str]],
    baselines: Mapping[str, str],
    columns: Sequence[str],
    score: str = "exact_accuracy",
) -> Table:
    """groups: the variants by the title above them. baselines: what each is compared with, pair by
    pair, in the score that the second column shows.

    A column is empty where a run lacks what it shows, and left out where all do.
    """
    found = by_variant(rows, task)
    pairs = against(found, baselines, score)
    lines: list[list[str]] = []
    for title, group in groups.items():
        here = [name for name in group if name in found]
        lines += [[title]] if title and here else []
        for name in here:
            cells = [_cell(column, found[name]) for column in columns]
            pair = pairs.get(name)
            compared = [signed(pair), p_value(pair.p)] if pair else ["", ""]
            lines.append([name, *cells[:2], *compared, *cells[2:]])
    head = ["", *columns[:2], "less its baseline", "p", *columns[2:]]
    full = [line for line in lines if len(line) > 1]
    shown = [0, *(i for i in range(1, len(head)) if any(line[i] for line in full))]
    return Table(head, lines).of(shown)


def reached(one: BySeed, exact: float) -> str:
    """The mean optimiser step at which validation first has this accuracy; "" if in a seed it never had."""
    steps = []
    for row in one.values():
        there = [s for s, e in zip(row.numbers("curve_steps"), row.numbers("curve_exact")) if e >= exact]
        steps += there[:1]
    return f"{sum(steps) / len(steps):.0f}" if len(steps) == len(one) else ""


def _cell(column: str, one: BySeed) -> str:
    try:
        return COLUMNS[column](one)
    except KeyError:
        return ""
