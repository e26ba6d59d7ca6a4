"""python -m experiments.grid.measures NAME DIR: what is measured of a trained run, beside its result.

Writes DIR/measure-NAME.json, numbers and lists of numbers by name; they become columns of the results.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memhrm.probes.causal import effects
from memhrm.probes.cells import alike, cosines, counts, dead, entropy, switching, usage
from memhrm.probes.information import information
from memhrm.probes.positions import KEPT, best, by_position
from memhrm.probes.q_head import restarts
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject, open_subject

DEEPER = 16  # Times the training depth.
RESTARTS = 16
NOISE = (0.25, 0.5, 1.0)
FEW = 200  # Puzzles of the restarts and of the causal tests.


def depth(subject: Subject) -> dict[str, Any]:
    """Exact accuracy after 1, 2, 4, ... times the training's supervision steps, without restarts."""
    seen = rollout(subject, DEEPER * subject.halt_max_steps)
    times = [2**i for i in range(DEEPER.bit_length())]
    exact = seen.exact.mean(axis=1)
    return {
        "times": times,
        "exact": [exact[time * subject.halt_max_steps - 1] for time in times],
        "by_step": exact[: subject.halt_max_steps],
        "unsolved_again": float((seen.exact.any(axis=0) & ~seen.exact[-1]).mean()),
    }


def noisy(subject: Subject) -> dict[str, Any]:
    """Exact accuracy of the restart that each rule chooses of 1, 2, 4, ..., by the noise on the states."""
    few, found = subject.select(slice(FEW)), {}
    first = rollout(few, few.halt_max_steps)
    for noise in NOISE:
        kept = restarts(few, RESTARTS, noise, first=first)
        found |= {f"{rule}_{noise:g}": kept[rule] for rule in ("q", "residual", "majority", "oracle")}
        found["restarts"] = kept["restarts"]
    return found


def inside(subject: Subject) -> dict[str, Any]:
    """Usage and likeness of the cells, the mutual information of cell and label (`information_LABEL_value`)
    beside its null, and what disturbing the memory costs."""
    keep = ("cells",) if subject.model.H_module.cells else ()
    seen = rollout(subject, subject.halt_max_steps, keep=keep)
    found: dict[str, Any] = {}
    if keep:
        share = usage(seen.traces).mean(axis=(0, 1))
        angles = cosines(seen.states["cells"][:, :FEW])
        found = {
            "usage": share,
            "usage_entropy": float(entropy(share)["nats"]),
            "dead": len(dead(seen.traces)),
            "switching": float(np.mean(switching(seen.traces)["supervision"])),
            "alike_cls": alike(angles["cls"][-1]),
            "alike_contents": alike(angles["contents"][-1]),
            "selected": counts(seen.traces).sum(axis=0),
        }
        for name, told in information(seen.traces, subject.groups).items():
            if name in ("puzzle", "rating", "rule", "family"):
                found |= {
                    f"information_{name}_{key}": told[key] for key in ("value", "null_low", "null_high")
                }
    few = subject.select(slice(FEW))
    for test in effects(few):
        name = test["test"] if test["cell"] is None else f"{test['test']}_{test['cell']}"
        found |= {f"{name}_{key}": test[key] for key in ("change", "low", "high")}
    return found


def positions(subject: Subject) -> dict[str, Any]:
    """Exact accuracy against the puzzle of the episode, and the same when the memory is disturbed."""
    kept = KEPT if subject.model.H_module.starts() else KEPT[:1]
    return {"best": best(subject)["with_memory"], **{one: by_position(subject, one)["exact"] for one in kept}}


MEASURES: dict[str, tuple[Callable[[Subject], dict[str, Any]], int]] = {
    "depth": (depth, 10**6),
    "noisy": (noisy, FEW),
    "inside": (inside, 10**6),
    "positions": (positions, 10**6),
}
"""What measures, and how many of the test's puzzles it looks at, at most."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.grid.measures", description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("path", type=Path, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure, puzzles = MEASURES[args.name]
    found = measure(open_subject(args.path, puzzles=puzzles))
    plain = {name: np.asarray(value).tolist() for name, value in found.items()}
    file = args.path / f"measure-{args.name}.json"
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(plain) + "\n")
    os.replace(unfinished, file)
    return 0


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
