"""Ablations of the memory-free models: what seed 003 and the papers say matters, at our size.

    python -m experiments.ablations --scale cpu

One change at a time from TRM on one task; on the others the token mixer, and the learning rate, which all
variants of the main table share. Runs that the main table has are called as there, and shared with it.
"""

from experiments.grid.comparison import comparison
from experiments.grid.page import Page
from experiments.grid.results import Row
from experiments.grid.run import Run, grid
from experiments.grid.scores import tasks, told
from experiments.grid.study import Experiment, main
from experiments.grid.tasks import ATTENTION, FEWER, LONGER, LOOKED_AT, MLP, PUZZLES, RATES
from experiments.grid.variants import sized

TRM = "model=trm"
DEFAULT = "TRM"
LATER = "TRM, attention, 5 times the steps"
MIXERS = {"TRM, attention": ATTENTION, "TRM, MLP": MLP}
CHANGES = {
    "deep supervision": {
        "N_sup=1": "halting.halt_max_steps=1",
        "N_sup=2": "halting.halt_max_steps=2",
    },
    "recursion (H cycles of T steps)": {
        "H=1, T=2": "model.H_cycles=1",
        "H=1, T=5": "model.H_cycles=1 model.L_cycles=5",
        "H=3, T=1": "model.H_cycles=3 model.L_cycles=1",
        "H=2, T=4": "model.L_cycles=4",
    },
    "gradient": {
        "one step": "model.gradient_window=one_step",
        "TRM, g=2": "model.gradient_window={cycles:2}",
    },
    "average of the weights": {"no EMA": "optim.ema=0.0"},
    "token mixer": MIXERS,
    "nets": {
        "own nets for z_L and z_H": "model.H_net=own model.H_layers=${model.L_layers} "
        "model.gradient_window=last_cycle"  # As TRM: own nets alone would mean HRM's.
    },
    "halting in training": {
        "threshold 0.3": "halting.threshold=0.3",
        "threshold 0.9": "halting.threshold=0.9",
        "never early": "halting.threshold=0.999999 halting.halt_exploration_prob=0.0",
    },
}
GROUPS = {"": [DEFAULT], **CHANGES, "token mixer": [*MIXERS, LATER], "learning rate": RATES["cpu"]}
BASELINES = {name: DEFAULT for group in GROUPS.values() for name in group if name != DEFAULT}
COLUMNS = ["seeds", "exact, %", "tokens, %", "optimal path, %", "steps", "MFLOP", "seconds"]


def runs(scale: str) -> list[Run]:
    changes = {name: words for group in CHANGES.values() for name, words in group.items()} | RATES[scale]
    found = []
    for task, words in PUZZLES[scale].items():
        looked_at = changes if task in LOOKED_AT[scale] else MIXERS | RATES[scale]
        variants = {
            name: f"{TRM} {more}"
            for name, more in looked_at.items()
            if not set(more.split()) <= set(words.split())
        }
        if task in LONGER[scale]:
            variants[LATER] = f"{TRM} {ATTENTION} {LONGER[scale][task]}"
        found += grid({task: words}, sized({DEFAULT: TRM} | variants, scale), FEWER[scale])
    return sorted(found, key=lambda run: run.seed)


def render(rows: list[Row]) -> Page:
    page = Page()
    for task in tasks(rows):
        page.tables[task] = comparison(rows, task, GROUPS, BASELINES, COLUMNS)
        page.say(f"ablations/{task}", told(rows, task, "exact_accuracy", BASELINES))
    return page


EXPERIMENT = Experiment("ablations", __doc__, runs, render)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
