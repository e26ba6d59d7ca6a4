"""Ablations of the memory-free models: what matters at our size of what the papers say matters.

    python -m experiments.ablations --scale cpu

One change at a time from TRM on one task; on the others the token mixer, and the learning rate, which all
variants of the main table share. Runs that the main table has too have its names, and are shared with it.
"""

from experiments.grid.comparison import comparison, score_numbers
from experiments.grid.page import Page
from experiments.grid.results import Variants
from experiments.grid.run import Run, Variant, baselines, grid
from experiments.grid.stats import differences
from experiments.grid.study import Study, main
from experiments.grid.tasks import ANALYSED, ATTENTION, FEWER_SEEDS, LONGER, MLP, PUZZLES, RATES
from experiments.grid.variants import TWO, sized

TRM = Variant("TRM", None, ("model=trm",))
LATER = TRM.change("TRM, attention, 5 times the steps", *ATTENTION)
MIXERS = [TRM.change("TRM, attention", *ATTENTION), TRM.change("TRM, MLP", *MLP)]
OWN_NETS = ("model.H_net=own", "model.H_layers=${model.L_layers}", "model.gradient_window=last_cycle")
_change = TRM.change
CHANGES = {
    "deep supervision": [
        _change("N_sup=1", "halting.halt_max_steps=1"),
        _change("N_sup=2", "halting.halt_max_steps=2"),
    ],
    "recursion (H cycles of T steps)": [
        _change("H=1, T=2", "model.H_cycles=1"),
        _change("H=1, T=5", "model.H_cycles=1", "model.L_cycles=5"),
        _change("H=3, T=1", "model.H_cycles=3", "model.L_cycles=1"),
        _change("H=2, T=4", "model.L_cycles=4"),
    ],
    "gradient": [
        _change("one step", "model.gradient_window=one_step"),
        _change("TRM, g=2", TWO),
    ],
    "average of the weights": [_change("no EMA", "optim.ema=0.0")],
    "token mixer": MIXERS,
    # The gradient window is TRM's: own nets alone would mean HRM's.
    "nets": [_change("own nets for z_L and z_H", *OWN_NETS)],
    "halting in training": [
        _change("threshold 0.3", "halting.threshold=0.3"),
        _change("threshold 0.9", "halting.threshold=0.9"),
        _change("never early", "halting.threshold=0.999999", "halting.halt_exploration_prob=0.0"),
    ],
}
COLUMNS = ["seeds", "exact, %", "tokens, %", "optimal path, %", "steps", "MFLOP", "seconds"]


def groups(scale: str) -> dict[str, list[Variant]]:
    """Return the variants by the titles of the table."""
    rates = [TRM.change(name, rate) for name, rate in RATES[scale].items()]
    return {"": [TRM], **CHANGES, "token mixer": [*MIXERS, LATER], "learning rate": rates}


def runs(scale: str) -> list[Run]:
    """Return the runs of all changes on one task, and of some on the others."""
    rates = groups(scale)["learning rate"]
    every = [*(variant for group in CHANGES.values() for variant in group), *rates]
    variants = {}
    for task in PUZZLES[scale]:
        changes = every if task in ANALYSED[scale] else [*MIXERS, *rates]
        own = set(TRM.overrides) | set(task.overrides)
        chosen = [TRM, *(variant for variant in changes if not set(variant.overrides) <= own)]
        if task.name in LONGER[scale]:
            chosen.append(LATER.change(LATER.name, *LONGER[scale][task.name]))
        variants[task] = sized(chosen, scale)
    return grid(variants, FEWER_SEEDS[scale])


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each task."""
    page, shown = Page(), groups("cpu")
    pairs = differences(found, baselines(variant for group in shown.values() for variant in group))
    for task, of_task in found.items():
        page.tables[task] = comparison(of_task, shown, COLUMNS, pairs[task])
        page.add_numbers(f"ablations/{task}", score_numbers(of_task, "exact_accuracy", pairs[task]))
    return page


STUDY = Study("ablations", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
