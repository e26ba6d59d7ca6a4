"""The tables of hyperparameters: what the runs of each task have in common, read from their settings.

A second table says of further tasks in what settings they differ from these.
"""

from collections.abc import Callable
from typing import Any

from experiments.grid.page import Page, Table
from experiments.grid.run import Task, pick
from experiments.grid.tasks import (
    CONTEXT_KINDS,
    CONTEXTS,
    EPISODES,
    FIXED,
    HOPS,
    HOPS_KINDS,
    LONG,
    NEW_RULES,
    NINE,
    OTHERWISE,
    PUZZLES,
    RECALL,
    RECALL_KINDS,
    RECURSIVE,
    SUDOKU6,
    SUDOKUS,
)
from experiments.grid.variants import MODELS, sized
from memhrm.config.command import compose
from memhrm.models.recursion import gradient_start
from memhrm.runs.settings import RunSettings, parse

SCALE = "cpu"


def _cycles(run: RunSettings) -> str:
    """Return the H-cycles, or the part of one, that are in the gradient window."""
    start = gradient_start(run.model.window(), run.model.H_cycles, run.model.L_cycles)
    return f"{run.model.H_cycles - start[0]}" if start[1] == 0 else "the last step"


def _schedule(run: RunSettings) -> str:
    """Return how the rate goes on after the warm-up."""
    optim = run.optim
    if optim.schedule == "constant":
        return "constant"
    return f"{optim.schedule} to {optim.lr_min_ratio:g}, from {100 * optim.decay_from:g} %"


def _length(run: RunSettings) -> str:
    """Return how long training episodes are, part by part: in puzzles, contexts or hops."""
    parts = next((run.data[name] for name in ("lengths", "contexts", "hops") if name in run.data), None)
    return "–" if parts is None else ", ".join(map(str, parts))


ROWS: dict[str, Callable[[RunSettings], Any]] = {
    "width": lambda run: run.model.hidden_size,
    "heads": lambda run: run.model.num_heads,
    "blocks of the net": lambda run: run.model.L_layers,
    "tokens mixed by": lambda run: run.model.mixer,
    "positions": lambda run: run.model.positions,
    "H-cycles": lambda run: run.model.H_cycles,
    "L-steps of a cycle": lambda run: run.model.L_cycles,
    "H-cycles with gradient, without memory": _cycles,
    "supervision steps": lambda run: run.halting.halt_max_steps,
    "halting from": lambda run: run.halting.threshold if run.halting.halt_max_steps > 1 else "–",
    "loss": lambda run: run.loss.kind,
    "optimiser": lambda run: run.optim.name,
    "learning rate": lambda run: f"{run.optim.lr:g}",
    "schedule": _schedule,
    "warm-up, steps": lambda run: run.optim.warmup,
    "weight decay": lambda run: run.optim.weight_decay,
    "betas": lambda run: ", ".join(f"{beta:g}" for beta in run.optim.betas),
    "gradient clipped at": lambda run: run.optim.clip if run.optim.clip else "–",
    "average of the weights": lambda run: run.optim.ema if run.optim.ema else "–",
    "training episodes": _length,
    "batch": lambda run: run.batch_size,
    "optimiser steps": lambda run: f"{run.steps:,}",
}
"""What each line says of a run."""


def page() -> Page:
    """Return the tables: a column for each task, with TRM where variants differ in the model."""
    episodes = EPISODES[SCALE]
    named = {
        **{task.name: task for task in PUZZLES[SCALE]},
        RECALL: episodes[RECALL],
        "episodes of Sudoku": episodes[SUDOKUS],
        **{task.name: task for task in (CONTEXTS[SCALE], HOPS[SCALE])},
    }
    puzzles = {task.name for task in PUZZLES[SCALE]}
    model = sized(pick(MODELS, "TRM"), SCALE)[0].overrides
    runs = {
        name: parse(compose("train", (*task.overrides, *(model if name in puzzles else ()))))
        for name, task in named.items()
    }
    lines = [[title, *(f"{value(run)}" for run in runs.values())] for title, value in ROWS.items()]
    return Page({"": Table(["", *runs], lines), "kinds": kinds()})


def kinds() -> Table:
    """Return a line for each further task: the one that it is like, and its own settings."""
    episodes, otherwise = EPISODES[SCALE], OTHERWISE[SCALE]
    (sudoku,) = (task for task in PUZZLES[SCALE] if task.name == SUDOKU6)
    like: dict[Task, list[Task]] = {
        sudoku: [otherwise[name] for name in (FIXED, LONG, NINE)],
        episodes[RECALL]: [episodes[RECURSIVE], episodes[NEW_RULES], *RECALL_KINDS[SCALE]],
        CONTEXTS[SCALE]: CONTEXT_KINDS[SCALE],
        HOPS[SCALE]: HOPS_KINDS[SCALE],
    }
    lines = [
        [task.name, base.name, " ".join(word for word in task.overrides if word not in base.overrides)]
        for base, further in like.items()
        for task in further
    ]
    return Table(["", "as", "but for"], lines)


def files() -> dict[str, bytes]:
    """Return the tables' files by their path in paper/."""
    return page().files("hyperparameters", SCALE)
