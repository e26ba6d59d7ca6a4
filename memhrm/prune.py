"""python -m memhrm.prune run=DIR keep=...: drop the memory cells that are used least, and see the cost."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memhrm.config.command import command
from memhrm.config.settings import SettingWarning, require

if TYPE_CHECKING:
    from memhrm.weights.restore import Restored


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    from dataclasses import replace

    from memhrm.config.settings import build
    from memhrm.config.trust import trust
    from memhrm.evaluation.evaluate import evaluate
    from memhrm.models.reasoner import Reasoner
    from memhrm.runs.choice import PruneSettings
    from memhrm.runs.directory import RunDirectory
    from memhrm.runs.held_out import own_data, split
    from memhrm.runs.loop import evaluation_settings
    from memhrm.runs.settings import prepare_machine
    from memhrm.system.ranks import ranks
    from memhrm.weights.restore import from_run
    from memhrm.weights.transfer import check_free, restrict, starts_of, write_run

    chosen = build(PruneSettings, config, "")
    trust(chosen.trust)
    source = RunDirectory(Path(chosen.run))
    out = Path(chosen.out or f"{source.path if source.path.name else source.path.resolve()}-pruned")
    restored = from_run(source.path, chosen.checkpoint, chosen.weights)
    run, module = replace(restored.run, threads=chosen.threads), restored.model.H_module
    require(
        module.cells > 0, "run", chosen.run, f"a run of a memory with cells, not memory={run.memory.name}"
    )
    names = list(starts_of(module, run.memory.name))
    every = getattr(run.memory, "selector", None) == "all"
    least = 1 if every else getattr(run.memory, "k", 1)
    check_keep(chosen.keep, module.cells, least, module.always_active)
    check_free(out, source.path, chosen.overwrite)

    with ranks(chosen.device) as me:
        prepare_machine(run)
        dataset = own_data(run, restored.used, restored.content.get("data"))
        how = evaluation_settings(run, chosen.batch_size)

        def scores(model: Reasoner, puzzles) -> dict[str, Any]:
            shown = chosen.progress and me.first
            return evaluate(model.to(me.device), dataset.task, puzzles, how, me, run.dtype, shown)

        found = scores(restored.model, dataset.seen(chosen.puzzles))
        usage, count = found["cells"]["usage"], found["puzzles"]
        kept = kept_cells(usage, chosen.keep, module.always_active)
        enough = f"what keeps k={least} cells or more, not {len(kept)}: so many are active at once"
        require(len(kept) >= least, "keep", chosen.keep, enough)
        small = pruned(restored, names, kept, every)

        # Which cells to keep is a choice: it is made on the puzzles for choosing, if the run has any.
        validation, test = split(run, dataset, restored.used.chosen)
        kind, held_out = ("validation", validation) if len(validation) else ("test", test)
        before, after = scores(restored.model, held_out), scores(small.model, held_out)
        if me.first:
            restrict(small.content, names, kept)
            # The steps since the last line of the log have columns of the dropped cells.
            small.content["pending"] = small.content["pending"][:0]
            origin = {"command": "prune", "checkpoint": chosen.checkpoint, "weights": chosen.weights,
                      "kept": kept, "usage": usage, "puzzles": count,
                      kind: {"before": before, "after": after}}  # fmt: skip
            print(f"usage on {count:,} training puzzles\n{cell_table(usage, kept)}\n")
            print(f"{before['puzzles']:,} {kind} puzzles\n{score_table(before, after)}\n")
            write_run(out, source, small, origin)
            print(f"written to {out}")


def check_keep(keep: int | float | tuple[int, ...], cells: int, least: int, always_active: int) -> None:
    """Refuse what cannot be kept whatever the usage is.

    least: cells that must stay, k. always_active: cells, the first ones, that stay in any case.
    """
    from memhrm.weights.transfer import check_cells

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


def kept_cells(
    usage: Sequence[float], keep: int | float | tuple[int, ...], always_active: int = 0
) -> list[int]:
    """The cells that stay, in their order.

    usage: p_i, (n,). keep: how many; which share of the selections they must have together; or which ones.
    always_active: cells, the first ones, that stay in any case and count. Of equal cells the first stays.
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


def pruned(restored: "Restored", names: Sequence[str], kept: Sequence[int], every: bool) -> "Restored":
    """The model with only some cells of its memory, and the settings it then has.

    names: the tensors of the memory that are divided into cells. every: whether all cells are active at once.

    Raises:
        ValueError: the H-module has other tensors whose size depends on the number of cells.
    """
    import torch

    from memhrm.models.reasoner import Reasoner
    from memhrm.runs.settings import settings
    from memhrm.weights.restore import Restored

    config = copy.deepcopy(restored.config)
    memory = config["memory"]
    require("cells" in memory, "run", memory["name"], "a memory with the setting memory.cells")
    memory["cells"] = len(kept)
    if every and "k" in memory:
        memory["k"] = min(memory["k"], len(kept))
        if "k" in config:
            config["k"] = memory["k"]
    with warnings.catch_warnings():  # The run's own settings have warned already.
        warnings.simplefilter("ignore", SettingWarning)
        run = settings(config)
    with torch.random.fork_rng(devices=[]):
        model = Reasoner(run.model, restored.model.shape, run.memory)
    state = {name: tensor.cpu() for name, tensor in restored.model.state_dict().items()}
    for name in names:
        state[f"H_module.{name}_init"] = state[f"H_module.{name}_init"][list(kept)]
    for name, tensor in model.state_dict().items():
        require(tensor.shape == state[name].shape, "run", memory["name"],
                f"a memory whose weights do not depend on memory.cells, as {name} does")  # fmt: skip
    model.load_state_dict(state)
    return Restored(model.eval(), run, {**restored.content, "config": config}, restored.used)


def cell_table(usage: Sequence[float], kept: Sequence[int]) -> str:
    """A line per cell: at which share of the H-steps it is active, its share of the selections, its fate."""
    total = max(sum(usage), 1e-12)
    lines = ["cell   H-steps  selections"]
    for i, p in enumerate(usage):
        lines.append(f"{i:>4} {p:>9.2%} {p / total:>11.2%}  {'kept' if i in kept else 'dropped'}")
    share = sum(usage[i] for i in kept) / total
    return "\n".join([*lines, f"{len(kept)} of {len(usage)} cells stay, with {share:.2%} of the selections"])


def score_table(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A line per score, of all cells and of those that stay."""
    lines = [f"{'':<20}{'before':>10}{'after':>10}"]
    for name, value in before.items():
        if isinstance(value, float):
            lines.append(f"{name.replace('_', ' '):<20}{value:>10.4f}{after[name]:>10.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    command("prune", main)
