"""Does memory help? The runs behind the defaults of configs/memory, and their table.

    python -m experiments.memory memories --seeds 0,1,2       # launch what is missing, then print the table
    python -m experiments.memory selection --only random --only all

Each run is one process of `memhrm.train` with one thread; as many run at once as there are cores.
"""

import json
from pathlib import Path
from statistics import mean, stdev

from experiments.grid import Grid, run

ROOT = Path("runs/experiments/memory")


TWO, ONE = "model.gradient_window={cycles:2}", "model.gradient_window=last_cycle"
FAST = "data=sudoku4 model=trm_mlp steps=125 eval_every=25"


def memories(memory: str) -> dict[str, str]:
    """A memory in both places, with both gradient windows and both norms."""
    return {
        f"{memory}, {placement}, {norm}, {word}": f"+memory={memory} memory.placement={placement} "
        f"memory.state_norm={norm} {window}"
        for placement in ("augment", "replace")
        for norm, word, window in (("rms", "g=2", TWO), ("rms", "g=1", ONE), ("none", "g=2", TWO))
    }


GRIDS = {
    # Memories, placement, norm of the state, gradient window, on the model that learns 4x4 in a minute.
    "memories": Grid(
        FAST,
        **{"baseline, g=1": "", "baseline, g=2": TWO, "carry_add": "+memory=carry_add"},
        **memories("bicross"),
        **memories("multicell"),
        **{
            "aggregate, add": "+memory=aggregate",
            "aggregate, concat": "+memory=aggregate memory.aggregation=concat",
        },
    ),
    # Selectors, gates and losses: one change at a time from the default.
    "selection": Grid(
        FAST + " +memory=multicell memory.placement=augment",
        **{
            "topk": "",
            "random": "memory.selector=random",
            "all": "memory.selector=all k=8",
            "lowest_loss": "memory.selector=lowest_loss",
            "policy": "memory.selector=policy",
            "gate=all": "memory.gate=all",
            "balance": "loss.balance=0.1",
            "shared cell, balance": "memory.shared_cell=true loss.balance=0.1",
            "diverse": "loss.diverse=1",
            "information": "loss.information=0.1",
            "self_sup": "loss.self_sup=0.1",
        },
    ),
    "sudoku6": Grid(
        "data=sudoku6 model=trm_mlp steps=200 eval_every=50",
        **{"baseline, g=2": TWO, "carry_add": "+memory=carry_add", "bicross": "+memory=bicross"},
        **{
            "multicell, augment": "+memory=multicell memory.placement=augment",
            "multicell, replace": "+memory=multicell memory.placement=replace",
        },
    ),
}


def curve(path: Path) -> dict[int, float]:
    """Exact accuracy on the validation puzzles by optimiser step."""
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line[name] for line in lines if (name := "validation/exact_accuracy") in line}


def row(name: str, paths: list[Path]) -> str:
    """One line of the table: means over the seeds, and their spread."""
    done = [path for path in paths if (path / "summary.json").exists()]
    if not done:
        return f"| {name} | no run |"
    summaries = [json.loads((path / "summary.json").read_text()) for path in done]
    exact = [100 * summary["exact_accuracy"] for summary in summaries]
    cells = [100 * summary["accuracy"] for summary in summaries]
    curves = [curve(path) for path in done]
    steps = sorted(set.intersection(*(set(one) for one in curves)))
    reached = [f"{100 * mean(one[step] for one in curves):.0f}" for step in steps]
    spread = f" ± {stdev(exact):.1f}" if len(exact) > 1 else ""
    words = [
        name,
        f"{mean(exact):.1f}{spread}",
        " ".join(f"{value:.1f}" for value in exact),
        f"{mean(cells):.1f}",
        " ".join(reached),
        f"{summaries[0]['parameters']:,}",
        f"{mean(summary['seconds'] for summary in summaries):.0f}",
    ]
    return f"| {' | '.join(words)} |"


def main() -> int:
    _, paths = run(GRIDS, ROOT, "experiments.memory", __doc__)
    print("| variant | exact, % | by seed | cells, % | validation exact, % | parameters | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in paths.items():
        print(row(name, runs))
    return 0


if __name__ == "__main__":
    from memhrm import console

    console.run(main)
