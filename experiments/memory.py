"""Does memory help? The runs behind the defaults of configs/memory, and their table.

    python -m experiments.memory memories --seeds 0,1,2       # launch what is missing, then print the table
    python -m experiments.memory selection --only random --only all

Each run is one process of `memhrm.train` with one thread; as many run at once as there are cores. A finished
run is kept, an interrupted one goes on, a failed one is named and does not stop the others.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

ROOT = Path("runs/experiments/memory")


class Grid(dict[str, list[str]]):
    """Named variants, each a list of settings that are added to those of the grid."""

    def __init__(self, settings: str, **variants: str):
        super().__init__({name: [*settings.split(), *text.split()] for name, text in variants.items()})


def folder(name: str) -> str:
    """A variant's name as a name of files."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower())


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


def launch(path: Path, settings: list[str]) -> str | None:
    """Run to the end, or from where it stopped to the end; returns what went wrong."""
    path.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "memhrm.train", *settings, "threads=1", "progress=false", f"dir={path}"]
    with open(path / "output.txt", "w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        return (path / "output.txt").read_text().strip().splitlines()[-1]
    return None


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
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m experiments.memory", description=__doc__, formatter_class=form
    )
    parser.add_argument("grid", choices=GRIDS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", action="append", help="a variant; may be given several times")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="launch nothing")
    args = parser.parse_args()
    grid = GRIDS[args.grid]
    names = args.only or list(grid)
    for name in names:
        if name not in grid:
            raise ValueError(f"--only names {name!r}; allowed: {', '.join(grid)}")
    seeds = [int(seed) for seed in args.seeds.split(",")]
    paths = {name: [ROOT / args.grid / f"{folder(name)}-seed{seed}" for seed in seeds] for name in names}
    # Seed by seed, so that an interrupted grid has every variant.
    runs = [(path, [*grid[name], f"seed={seed}"]) for seed in seeds for name in names
            for path in [ROOT / args.grid / f"{folder(name)}-seed{seed}"]]  # fmt: skip
    if not args.table:
        with ThreadPoolExecutor(args.workers) as pool:
            for number, ((path, _), wrong) in enumerate(
                zip(runs, pool.map(lambda run: launch(*run), runs)), 1
            ):
                print(f"{number}/{len(runs)} {path.name}" + (f": {wrong}" if wrong else ""), flush=True)
    print("| variant | exact, % | by seed | cells, % | validation exact, % | parameters | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        print(row(name, paths[name]))
    return 0


if __name__ == "__main__":
    from memhrm.console import run

    run(main)
