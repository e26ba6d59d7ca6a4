"""The memory table: what matters in the multi-cell memory? One change at a time from the default.

    python -m experiments.memory_table --scale cpu

On Sudoku, where a memory is not needed and all variants end alike, the mean of the validation curve is
compared; on recall (experiments/episodes.py) nothing can be learned without a memory.
"""

from experiments import episodes
from experiments.grid.comparison import comparison, score_numbers
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, curves
from experiments.grid.run import Run, Variant, baselines, grid, pick
from experiments.grid.stats import differences
from experiments.grid.study import Study, main
from experiments.grid.tasks import CHEAPEST, EPISODES, FEWER_SEEDS, RATES, RECALL
from experiments.grid.variants import CELLS, ONE, sized

DEFAULT = Variant("default", None, CELLS.overrides)
_change = DEFAULT.change
SETTINGS = {
    "active cells": [_change("k=1", "k=1"), _change("k=4", "k=4")],
    "cells": [_change("N=4", "memory.cells=4"), _change("N=32", "memory.cells=32")],
    "tokens of a cell": [
        _change("M=1", "memory.tokens=1"),
        _change("M=16", "memory.tokens=16"),
    ],
    "scorer": [
        _change("R=4", "memory.projections=4"),
        _change("R=4, logsumexp", "memory.projections=4", "memory.combine=logsumexp"),
        _change("first position", "memory.pooling=first"),
    ],
    "gate": [_change("gate=all", "memory.gate=all"), _change("gate=none", "memory.gate=none")],
    "placement": [_change("replace", "memory.placement=replace")],
    "state norm": [_change("state_norm=none", "memory.state_norm=none")],
    "gradient window": [
        _change("last cycle", ONE),
        _change("one step", "model.gradient_window=one_step"),
        _change("horizon of 2", "memory.horizon=2"),
    ],
    "lifetime": [_change("global", "memory.lifetime=global")],
    "cells' own": [
        _change("self-attention", "memory.self_attention=true"),
        _change("shared cell", "memory.shared_cell=true"),
        _change("decay=0.1", "memory.decay=0.1"),
    ],
    "losses": [
        _change("balance=0.1", "loss.balance=0.1"),
        _change("diverse=1", "loss.diverse=1"),
        _change("information=0.1", "loss.information=0.1"),
        _change("self_sup=0.1", "loss.self_sup=0.1"),
    ],
    "selector": [
        _change("policy", "memory.selector=policy"),
        _change("random", "memory.selector=random"),
        _change("lowest loss", "memory.selector=lowest_loss"),
        _change("all", "memory.selector=all", "k=8"),
    ],
}
BICROSS, THREE_CELLS = pick(episodes.MEMORIES, "bicross", "multicell, k=3")
ON_RECALL = {
    "bicross": [
        BICROSS,
        BICROSS.change("bicross, state_norm=rms", "memory.state_norm=rms"),
        BICROSS.change("bicross, replace", "memory.placement=replace"),
    ],
    "multicell, k=3, one cell shared": [
        THREE_CELLS,
        THREE_CELLS.change("multicell, gate=all", "memory.gate=all"),
        THREE_CELLS.change("multicell, replace", "memory.placement=replace"),
        THREE_CELLS.change("multicell, no shared cell", "memory.shared_cell=false"),
        THREE_CELLS.change(
            "multicell, no shared cell, gate=none", "memory.shared_cell=false", "memory.gate=none"
        ),
    ],
}
CURRICULA = [
    BICROSS.change("bicross, episodes of 2 to the end", "data.lengths=[2]"),
    BICROSS.change("bicross, episodes of 8 from the start", "data.lengths=[8]"),
]
SCORE = "over_training"
COLUMNS = [
    *("seeds", "over training, %", "exact, %", "usage entropy", "usage information", "dead", "MFLOP"),
    "seconds",
]


def groups(scale: str) -> dict[str, list[Variant]]:
    """Return the variants on Sudoku by the titles of the table."""
    rates = [DEFAULT.change(name, rate) for name, rate in RATES[scale].items()]
    return {"": [DEFAULT], **SETTINGS, "learning rate": rates}


def runs(scale: str) -> list[Run]:
    """Return the runs on Sudoku, then those on recall."""
    settings = sized((variant for group in groups(scale).values() for variant in group), scale)
    recall, seeds = EPISODES[scale][RECALL], FEWER_SEEDS[scale]
    return [
        *grid(dict.fromkeys(CHEAPEST[scale], settings), seeds),
        *grid({recall: [variant for group in ON_RECALL.values() for variant in group]}, seeds),
        *grid({recall: CURRICULA}, seeds[:1]),
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each task."""
    page, shown = Page(), groups("cpu")
    on_puzzles = {task: of_task for task, of_task in found.items() if task != RECALL}
    compared = baselines(variant for group in shown.values() for variant in group)
    pairs = differences(on_puzzles, compared, SCORE)
    for task, of_task in found.items():
        if task == RECALL:
            page.tables[task], numbers = on_recall(of_task)
        else:
            page.tables[task] = comparison(of_task, shown, COLUMNS, pairs[task])
            numbers = score_numbers(of_task, SCORE, pairs[task])
        page.add_numbers(f"settings/{task}", numbers)
    return page


def on_recall(found: Variants) -> tuple[Table, dict[str, str]]:
    """Return the exact accuracy at some positions of the episode, as a table and by VARIANT/POSITION."""
    name = "exact_accuracy_by_position"
    length = curves(next(iter(found.values())), name).shape[1]
    positions = [position for position in (1, 2, 3, 8, 32) if position <= length]
    lines: dict[str, list[list[str]]] = {}
    numbers = {}
    for title, group in (ON_RECALL | {"curriculum": CURRICULA}).items():
        lines[title] = []
        for variant in (variant.name for variant in group if variant.name in found):
            exact = episodes.at(100 * curves(found[variant], name).mean(axis=0), positions)
            lines[title].append([variant, f"{len(found[variant])}", *exact])
            numbers |= {f"{variant}/{position}": text for position, text in zip(positions, exact)}
    return Table.grouped(["puzzle of the episode", "seeds", *map(str, positions)], lines), numbers


STUDY = Study("memory_table", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
