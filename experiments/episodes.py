"""Episodes: does what improves in an episode come through the memory? The runs, and their tables.

    python -m experiments.episodes recall --seeds 0,1,2      # launch what is missing, then print the tables
    python -m experiments.episodes sudoku --table            # print alone

For each variant, exact accuracy against the position in the episode, mean over the seeds, beside the best
possible; and, for those with a memory, the same when it is reset, frozen, or shuffled between rows.
"""

from pathlib import Path

import numpy as np

from experiments.grid import Grid, run
from memhrm.data.episodes import milestones
from memhrm.probes.positions import KEPT, best, by_position
from memhrm.probes.subject import open_subject

ROOT = Path("runs/experiments/episodes")
ONE = "model.gradient_window=last_cycle"
FORMULA = f"memory.state_norm=none memory.placement=augment {ONE}"  # The state's norm as in the formula.
CELLS = f"+memory=multicell {FORMULA} memory.shared_cell=true"
MEMORIES = {
    "baseline": "",
    "carry_add": f"+memory=carry_add {ONE}",
    "tokens": f"+memory=tokens {ONE}",
    "bicross": f"+memory=bicross {FORMULA}",
    "multicell, k=1": f"+memory=multicell {FORMULA} k=1",  # A shared cell would be all of k=1.
    "multicell, k=2": f"{CELLS} k=2",
    "multicell, k=3": f"{CELLS} k=3",
    "multicell, all": f"+memory=multicell {FORMULA} k=8 memory.selector=all",
    "aggregate": f"+memory=aggregate {FORMULA} k=3 memory.shared_cell=true",
}
GRIDS = {
    "recall": Grid("experiment=recall", **MEMORIES),
    # Memory tokens need attention, the sudokus the MLP.
    "sudoku": Grid("experiment=episodes", **{n: words for n, words in MEMORIES.items() if n != "tokens"}),
    # What the memory needs: one change at a time.
    "changes": Grid(
        "experiment=recall",
        **{
            "bicross": f"+memory=bicross {FORMULA}",
            "bicross, rms": f"+memory=bicross memory.placement=augment {ONE}",
            "bicross, replace": f"+memory=bicross memory.placement=replace memory.state_norm=none {ONE}",
            "bicross, 2 puzzles to the end": f"+memory=bicross {FORMULA} data.lengths=[2]",
            "bicross, 8 puzzles from the start": f"+memory=bicross {FORMULA} data.lengths=[8]",
            "multicell, k=3": f"{CELLS} k=3",
            "multicell, k=3, gate=all": f"{CELLS} k=3 memory.gate=all",
            "multicell, k=3, replace": f"{CELLS} k=3 memory.placement=replace",
            "multicell, k=3, no shared cell": f"+memory=multicell {FORMULA} k=3",
            "multicell, k=3, no shared cell, gate=none": f"+memory=multicell {FORMULA} k=3 memory.gate=none",
        },
    ),
    "variants": Grid(
        "experiment=recall",
        **{
            f"{memory}, {name}": f"{MEMORIES[memory]} {settings}"
            for name, settings in {
                "retention": "data.shows=first",
                "accumulation": "data.shows=part data.reveal=2",
                "revision": "data.revises=true data.lengths=[3,3,3,3,5,8]",  # Two would teach nothing.
                "families": "data.rules=[shift,mirror,swap]",
            }.items()
            for memory in ("bicross", "multicell, k=3")
        },
    ),
}


def table(paths: dict[str, list[Path]]) -> list[str]:
    """A line per variant and what became of its memory: accuracy by position, and the largest shortfall."""
    rows, where, optima = [], [], set()
    for name, runs in paths.items():
        subjects = [open_subject(path, puzzles=10**6) for path in runs if (path / "summary.json").exists()]
        if not subjects:
            rows.append(f"| {name} | no run |")
            continue
        optimum = best(subjects[0])["with_memory"]
        where = milestones(len(optimum))
        optima.add(_cells("best possible", "", [100 * optimum[at - 1] for at in where], ["", ""]))
        kept = KEPT if subjects[0].model.H_module.starts() else KEPT[:1]
        for one in kept:
            found = 100 * np.stack([by_position(subject, one)["exact"] for subject in subjects])  # (seeds, p)
            short = 100 * optimum - found
            worst = [
                " ".join(f"{value:.1f}" for value in short[:, first:].max(axis=1)) if one == "kept" else ""
                for first in (0, 2)
            ]
            rows.append(_cells(name, one, [found[:, at - 1].mean() for at in where], worst))
    below = ["most below the best, by seed", "from the 3rd puzzle on"]
    head = ["variant", "memory", *(f"{at}" for at in where), *below]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *sorted(optima), *rows]


def _cells(name: str, kept: str, values: list[float], worst: list[str]) -> str:
    return f"| {' | '.join([name, kept, *(f'{value:.1f}' for value in values), *worst])} |"


def main() -> int:
    _, paths = run(GRIDS, ROOT, "experiments.episodes", __doc__)
    print("\n".join(table(paths)))
    return 0


if __name__ == "__main__":
    from memhrm import console

    console.run(main)
