"""Drop memory cells of a trained model, and measure what that costs.

n cells.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from memhrm.config.settings import SettingWarning, require
from memhrm.data import Episodes
from memhrm.evaluation.evaluate import evaluate
from memhrm.models.reasoner import Reasoner
from memhrm.runs.held_out import own_data, split
from memhrm.runs.loop import evaluation_settings
from memhrm.system.ranks import Ranks
from memhrm.weights.restore import Restored
from memhrm.weights.transfer import check_cells, restrict, starts_of

Keep = int | float | tuple[int, ...]
"""Cells that stay: how many, which share of the selections they must have together, or which ones."""


class Pruned(NamedTuple):
    """A model with fewer cells, and what was measured.

    Attributes:
        small: the model that is left, with the content of its checkpoint.
        kept: its cells, by their numbers before.
        usage: share of the H-steps in which each cell was active, on `puzzles` training puzzles, (n,).
        kind: the held-out puzzles of the scores: validation or test.
        before: scores with all cells.
        after: scores with those that are kept.
    """

    small: Restored
    kept: list[int]
    usage: list[float]
    puzzles: int
    kind: str
    before: dict[str, Any]
    after: dict[str, Any]

    def report(self) -> str:
        """Return the usage of the cells and the scores as tables."""
        return (
            f"usage on {self.puzzles:,} training puzzles\n{cell_table(self.usage, self.kept)}\n\n"
            f"{self.before['puzzles']:,} {self.kind} puzzles\n{score_table(self.before, self.after)}\n"
        )

    def origin(self) -> dict[str, Any]:
        """Return what `origin.json` says of the pruning."""
        scores = {self.kind: {"before": self.before, "after": self.after}}
        return {"kept": self.kept, "usage": self.usage, "puzzles": self.puzzles, **scores}


def prepare(restored: Restored, keep: Keep) -> None:
    """Refuse, before anything is measured, a run without cells and what cannot be kept.

    Raises:
        ValueError: the memory of the run has no cells, or `keep` does not fit them.
    """
    module, memory = restored.model.H_module, restored.run.memory
    require(module.cells > 0, "run", f"one with memory={memory.name}", "a run of a memory with cells")
    starts_of(module, memory.name)
    check_keep(keep, module.cells, _least(restored), module.always_active)


def prune(restored: Restored, keep: Keep, puzzles: int, batch_size: int, ranks: Ranks, bar: bool) -> Pruned:
    """Drop the cells that are used least, and score the model before and after.

    Args:
        restored: the trained model, which `prepare` has let pass.
        keep: the cells that stay.
        puzzles: training puzzles on which the usage is measured.
        batch_size: puzzles at a time.
        ranks: the processes that share the work.
        bar: whether to show progress.

    Raises:
        ValueError: fewer cells would stay than are active at once.
    """
    run, module = restored.run, restored.model.H_module
    names = list(starts_of(module, run.memory.name))
    dataset = own_data(run, restored.used, restored.content.get("data"))
    settings = evaluation_settings(run, batch_size)

    def scores(model: Reasoner, held_out: Episodes) -> dict[str, Any]:
        return evaluate(model.to(ranks.device), dataset.task, held_out, settings, ranks, run.dtype, bar)

    found = scores(restored.model, dataset.seen(puzzles))
    usage, least = found["cells"]["usage"], _least(restored)
    kept = kept_cells(usage, keep, module.always_active)
    enough = f"what keeps k={least} cells or more, not {len(kept)}: so many are active at once"
    require(len(kept) >= least, "keep", keep, enough)
    small = pruned(restored, names, kept)

    # Which cells to keep is a choice: it is made on the puzzles for choosing, if the run has any.
    validation, test = split(run, dataset, restored.used.chosen)
    kind, held_out = ("validation", validation) if len(validation) else ("test", test)
    before, after = scores(restored.model, held_out), scores(small.model, held_out)
    return Pruned(small, kept, usage, found["puzzles"], kind, before, after)


def _every(restored: Restored) -> bool:
    """Return whether all cells are active at once."""
    return getattr(restored.run.memory, "selector", None) == "all"


def _least(restored: Restored) -> int:
    """Return how many cells must stay."""
    return 1 if _every(restored) else getattr(restored.run.memory, "k", 1)


def check_keep(keep: Keep, cells: int, least: int, always_active: int) -> None:
    """Refuse what cannot be kept whatever the usage is.

    least: cells that must stay, k. always_active: cells, the first ones, that stay in any case.
    """
    other = "a share above 0 and up to 1.0, or a list of cells"
    if isinstance(keep, tuple):
        check_cells("keep", keep, cells)
        count = len({*keep, *range(always_active)})
        enough = f"k={least} cells or more: so many are active at once"
        require(count >= least, "keep", list(keep), enough)
    elif isinstance(keep, float):
        require(0 < keep <= 1, "keep", keep, f"a count of cells, {other}")
    else:
        allowed = f"a count from k={least} to memory.cells={cells}, {other}"
        require(least <= keep <= cells, "keep", keep, allowed)


def kept_cells(usage: Sequence[float], keep: Keep, always_active: int = 0) -> list[int]:
    """Return the cells that stay, in their order; of equally used cells the first stays.

    Args:
        usage: p_i, (n,).
        keep: how many cells; which share of the selections they must have together; or which ones.
        always_active: cells, the first ones, that stay in any case and count.
    """
    first = range(always_active)
    if isinstance(keep, tuple):
        return sorted({*keep, *first})
    order = [*first, *sorted(range(always_active, len(usage)), key=lambda i: -usage[i])]
    if isinstance(keep, int):
        return sorted(order[:keep])
    total, count, had = sum(usage), 0, 0.0
    while count < len(order) and (count < always_active or had < (keep - 1e-9) * total):
        had += usage[order[count]]
        count += 1
    return sorted(order[:count])


def pruned(restored: Restored, names: Sequence[str], kept: Sequence[int]) -> Restored:
    """Return the model with only some cells of its memory, its settings, and its checkpoint.

    Args:
        restored: the model with all cells.
        names: the tensors of the memory that are divided into cells.
        kept: the cells that stay.

    Raises:
        ValueError: the H-module has other tensors whose size depends on the number of cells.
    """
    memory: Any = restored.run.memory
    require(hasattr(memory, "cells"), "run", memory.name, "a memory with the setting memory.cells")
    changes = {"cells": len(kept)}
    if _every(restored) and hasattr(memory, "k"):
        changes["k"] = min(memory.k, len(kept))
    with warnings.catch_warnings():  # The run's own settings have warned already.
        warnings.simplefilter("ignore", SettingWarning)
        run = replace(restored.run, memory=replace(memory, **changes))
    with torch.random.fork_rng(devices=[]):
        model = Reasoner(run.model, restored.model.shape, run.memory)
    state = {name: tensor.cpu() for name, tensor in restored.model.state_dict().items()}
    for name in names:
        state[f"H_module.{name}_init"] = state[f"H_module.{name}_init"][list(kept)]
    for name, tensor in model.state_dict().items():
        require(tensor.shape == state[name].shape, "run", memory.name,
                f"a memory whose weights do not depend on memory.cells, as {name} does")  # fmt: skip
    model.load_state_dict(state)
    content = {**restored.content, "config": run.config()}
    restrict(content, names, kept)
    # The steps since the last line of the log have columns of the dropped cells.
    content["pending"] = content["pending"][:0]
    return Restored(model.eval(), run, content, restored.used)


def cell_table(usage: Sequence[float], kept: Sequence[int]) -> str:
    """Return a line per cell: its share of the H-steps, its share of the selections, whether it stays."""
    total = max(sum(usage), 1e-12)
    lines = ["cell   H-steps  selections"]
    for i, p in enumerate(usage):
        lines.append(f"{i:>4} {p:>9.2%} {p / total:>11.2%}  {'kept' if i in kept else 'dropped'}")
    share = sum(usage[i] for i in kept) / total
    return "\n".join([*lines, f"{len(kept)} of {len(usage)} cells stay, with {share:.2%} of the selections"])


def score_table(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return a line per score, with all cells and with those that stay."""
    lines = [f"{'':<20}{'before':>10}{'after':>10}"]
    for name, value in before.items():
        if isinstance(value, float):
            lines.append(f"{name.replace('_', ' '):<20}{value:>10.4f}{after[name]:>10.4f}")
    return "\n".join(lines)
