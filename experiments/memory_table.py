"""The memory table: what of the multi-cell memory matters? One change at a time from the default.

    python -m experiments.memory_table --scale cpu

On Sudoku, where a memory is not needed and all end alike, so that the mean of the validation curve is
compared, and on recall (experiments/episodes.py), where nothing can be learned without one.
"""

from experiments.episodes import MEMORIES, at
from experiments.grid.comparison import comparison
from experiments.grid.page import Page, Table
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import by_variant, curves, tasks, told
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import CHANGES, EPISODES, FEWER, RATES
from experiments.grid.variants import MEMORIES as ON_PUZZLES
from experiments.grid.variants import ONE, sized

DEFAULT, RECALL = "default", "recall"
CELLS = ON_PUZZLES["TRM + multicell, augment"]
SETTINGS = {
    "active cells": {"k=1": "k=1", "k=4": "k=4"},
    "cells": {"N=4": "memory.cells=4", "N=32": "memory.cells=32"},
    "tokens of a cell": {"M=1": "memory.tokens=1", "M=16": "memory.tokens=16"},
    "scorer": {
        "R=4": "memory.projections=4",
        "R=4, logsumexp": "memory.projections=4 memory.combine=logsumexp",
        "first position": "memory.pooling=first",
    },
    "gate": {"gate=all": "memory.gate=all", "gate=none": "memory.gate=none"},
    "placement": {"replace": "memory.placement=replace"},
    "state norm": {"state_norm=none": "memory.state_norm=none"},
    "gradient window": {
        "last cycle": ONE,
        "one step": "model.gradient_window=one_step",
        "horizon of 2": "memory.horizon=2",
    },
    "lifetime": {"global": "memory.lifetime=global"},
    "cells' own": {
        "self-attention": "memory.self_attention=true",
        "shared cell": "memory.shared_cell=true",
        "decay=0.1": "memory.decay=0.1",
    },
    "losses": {
        "balance=0.1": "loss.balance=0.1",
        "diverse=1": "loss.diverse=1",
        "information=0.1": "loss.information=0.1",
        "self_sup=0.1": "loss.self_sup=0.1",
    },
    "selector": {
        "policy": "memory.selector=policy",
        "random": "memory.selector=random",
        "lowest loss": "memory.selector=lowest_loss",
        "all": "memory.selector=all k=8",
    },
}
BICROSS, CELLS_THERE = MEMORIES["bicross"], MEMORIES["multicell, k=3"]
ON_RECALL = {
    "bicross": {
        "bicross": BICROSS,
        "bicross, state_norm=rms": f"{BICROSS} memory.state_norm=rms",
        "bicross, replace": f"{BICROSS} memory.placement=replace",
    },
    "multicell, k=3, one cell shared": {
        "multicell, k=3": CELLS_THERE,
        "multicell, gate=all": f"{CELLS_THERE} memory.gate=all",
        "multicell, replace": f"{CELLS_THERE} memory.placement=replace",
        "multicell, no shared cell": f"{CELLS_THERE} memory.shared_cell=false",
        "multicell, no shared cell, gate=none": f"{CELLS_THERE} memory.shared_cell=false memory.gate=none",
    },
}
CURRICULA = {
    "bicross, episodes of 2 to the end": f"{BICROSS} data.lengths=[2]",
    "bicross, episodes of 8 from the start": f"{BICROSS} data.lengths=[8]",
}
GROUPS = {"": [DEFAULT], **SETTINGS, "learning rate": RATES["cpu"]}
BASELINES = {name: DEFAULT for group in GROUPS.values() for name in group if name != DEFAULT}
SCORE = "over_training"
COLUMNS = [
    *("seeds", "over training, %", "exact, %", "usage entropy", "usage information", "dead", "MFLOP"),
    "seconds",
]


def runs(scale: str) -> list[Run]:
    changes = {name: words for group in SETTINGS.values() for name, words in group.items()}
    changes |= RATES[scale]
    variants = {DEFAULT: CELLS} | {name: f"{CELLS} {words}" for name, words in changes.items()}
    episodes = {name: words for group in ON_RECALL.values() for name, words in group.items()}
    return [
        *grid(CHANGES[scale], sized(variants, scale), FEWER[scale]),
        *grid({RECALL: EPISODES[scale][RECALL]}, episodes, FEWER[scale]),
        *grid({RECALL: EPISODES[scale][RECALL]}, CURRICULA, FEWER[scale][:1]),
    ]


def render(rows: list[Row]) -> Page:
    page = Page()
    for task in tasks(rows):
        if task == RECALL:
            page.tables[task], said = on_episodes(rows, task)
        else:
            page.tables[task] = comparison(rows, task, GROUPS, BASELINES, COLUMNS, SCORE)
            said = told(rows, task, SCORE, BASELINES)
        page.say(f"settings/{task}", said)
    return page


def on_episodes(rows: list[Row], task: str) -> tuple[Table, dict[str, str]]:
    """Exact accuracy at some puzzles of the episode, and for the text as VARIANT/PUZZLE."""
    found = by_variant(rows, task)
    length = curves(next(iter(found.values())), "exact_accuracy_by_position").shape[1]
    places = [place for place in (1, 2, 3, 8, 32) if place <= length]
    lines: list[list[str]] = []
    said = {}
    for title, group in (ON_RECALL | {"curriculum": CURRICULA}).items():
        lines.append([title])
        for name in (name for name in group if name in found):
            exact = at(100 * curves(found[name], "exact_accuracy_by_position").mean(axis=0), places)
            lines.append([name, f"{len(found[name])}", *exact])
            said |= {f"{name}/{place}": text for place, text in zip(places, exact)}
    return Table(["puzzle of the episode", "seeds", *map(str, places)], lines), said


EXPERIMENT = Experiment("memory_table", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
