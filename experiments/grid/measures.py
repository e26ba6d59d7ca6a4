"""Measure a trained run beyond its result: `python -m experiments.grid.measures NAME DIR`.

Writes DIR/measure-NAME.json, numbers, lists of numbers and texts by name; they become columns of the results.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.grid.run import measure_file
from memhrm import evaluate
from memhrm.config import console
from memhrm.config.command import compose
from memhrm.data import Dataset
from memhrm.data import load as load_data
from memhrm.data.settings import parse
from memhrm.data.text.intent import Intent
from memhrm.probes.addresses import address_numbers
from memhrm.probes.causal import effects
from memhrm.probes.cells import (
    cosines,
    dead_cells,
    mean_cosine,
    selection_counts,
    switching,
    usage,
    usage_entropy,
)
from memhrm.probes.episodes import KEPT, accuracy_by_position, best_accuracy
from memhrm.probes.information import cell_information
from memhrm.probes.q_head import restarts
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject, open_subject
from memhrm.runs.build import make_dataset
from memhrm.system.files import read_json, write_json
from memhrm.weights.opening import load
from memhrm.weights.restore import from_run

DEEPER = 16  # Times the training depth.
RESTARTS = 16
RULES = ("q", "residual", "majority", "oracle")  # Of choosing a restart.
NOISE = (0.25, 0.5, 1.0)
FEW = 200  # Puzzles of the restarts and of the causal tests.
VOTES = 8  # Variants of a task of ARC that vote beside the task itself.


def depth(subject: Subject) -> dict[str, Any]:
    """Return the exact accuracy after 1, 2, 4, ... times the supervision steps of training."""
    exact = rollout(subject, DEEPER * subject.halt_max_steps).exact
    return {
        **_by_times(exact, subject),
        "by_step": exact[: subject.halt_max_steps].mean(axis=1),
        "unsolved_again": float((exact.any(axis=0) & ~exact[-1]).mean()),
    }


def _by_times(exact: np.ndarray, subject: Subject) -> dict[str, Any]:
    """Return the exact accuracy, of answers ``(S, n)``, after 1, 2, 4, ... times the steps of training."""
    times = [2**i for i in range(DEEPER.bit_length())]
    return {"times": times, "exact": [exact[time * subject.halt_max_steps - 1].mean() for time in times]}


def noisy(subject: Subject) -> dict[str, Any]:
    """Return the exact accuracy of the restart chosen among 1, 2, 4, ..., by rule and noise on the states.

    `depth_times` and `depth_exact` are those of `depth`, on the puzzles of the restarts.
    """
    few = subject.select(slice(FEW))
    deeper = _by_times(rollout(few, DEEPER * few.halt_max_steps).exact, few)
    found = {f"depth_{name}": value for name, value in deeper.items()}
    first = rollout(few, few.halt_max_steps)
    for noise in NOISE:
        curves = restarts(few, RESTARTS, noise, first=first)
        found |= {f"{rule}_{noise:g}": curves[rule] for rule in RULES}
        found["restarts"] = curves["restarts"]
    return found


def inside(subject: Subject) -> dict[str, Any]:
    """Return the usage of the cells, what it says of the labels, and the effects of disturbing the memory.

    `information_LABEL_value` is the mutual information of cell and label, before the correction by its null,
    of which `null_low` and `null_high` are given too.
    """
    keep = ("cells",) if subject.model.H_module.cells else ()
    steps = rollout(subject, subject.halt_max_steps, keep=keep)
    found: dict[str, Any] = {}
    if keep:
        share = usage(steps.traces).mean(axis=(0, 1))
        angles = cosines(steps.states["cells"][:, :FEW])
        found = {
            "usage": share,
            "usage_entropy": float(usage_entropy(share)["nats"]),
            "dead": len(dead_cells(steps.traces)),
            "switching": float(np.mean(switching(steps.traces)["supervision"])),
            "alike_cls": mean_cosine(angles["cls"][-1]),
            "alike_contents": mean_cosine(angles["contents"][-1]),
            "selected": selection_counts(steps.traces).sum(axis=0),
        }
        for name, result in cell_information(steps.traces, subject.groups).items():
            if name in ("puzzle", "rating", "rule", "family"):
                found |= {
                    f"information_{name}_{key}": result[key] for key in ("value", "null_low", "null_high")
                }
    few = subject.select(slice(FEW))
    for test in effects(few):
        name = test["test"] if test["cell"] is None else f"{test['test']}_{test['cell']}"
        found |= {f"{name}_{key}": test[key] for key in ("change", "low", "high")}
    return found


def positions(subject: Subject) -> dict[str, Any]:
    """Return the exact accuracy at each position of the episode, with the memory intact and disturbed."""
    kept = KEPT if subject.model.H_module.starts() else KEPT[:1]
    found = {one: accuracy_by_position(subject, one)["exact"] for one in kept}
    return {"best": best_accuracy(subject)["with_memory"], **found}


def addresses(subject: Subject) -> dict[str, Any]:
    """Return whether contexts find their cells again, and what is left in them.

    `agreement` and `overwritten`, with `agreement_chance` and `overwritten_hash`; the `information` of cell
    and cue, with `information_null_mean`, `_low` and `_high`, and its `bound`; and by gap `retention_GAP`
    with `_low`, `_high`, and `_perfect` and `_hash` for comparison. See `memhrm.probes.addresses`.
    """
    found = address_numbers(subject)
    information = found["information"]
    numbers = {
        "agreement": found["agreement"]["value"],
        "agreement_chance": found["agreement"]["chance"],
        "overwritten": found["overwritten"]["value"],
        "overwritten_hash": found["overwritten"]["hash"],
        "information": information["value"],
        **{f"information_{key}": information[key] for key in ("null_mean", "null_low", "null_high")},
        "bound": information["bound"],
    }
    for gap, one in found["retention"].items():
        numbers |= {f"retention_{gap}": one["exact"]}
        numbers |= {f"retention_{gap}_{key}": one[key] for key in ("low", "high", "perfect", "hash")}
    return numbers


def votes(subject: Subject) -> dict[str, Any]:
    """Return the pass rates of a run on ARC with few votes, and what is solved without a model."""
    assert subject.path is not None
    words = (f"run={subject.path}", f"votes={VOTES}", "progress=false", "threads=1", "overwrite=true")
    evaluate.main(compose("evaluate", words))
    return read_json(subject.path / "metrics.json")["votes"]


def reset(subject: Subject) -> dict[str, Any]:
    """Return the exact accuracy on the questions of few-shot episodes, with the memory kept and reset.

    `kept_ways=W` and `reset_ways=W` are of the test with so many categories.
    """
    from experiments.grid import texts

    found: dict[str, Any] = {}
    for name, episodes in texts.tests(_dataset(subject)).items():
        one = replace(subject, episodes=episodes)
        for kept in ("kept", "reset"):
            found[f"{kept}_{name}"] = float(accuracy_by_position(one, kept)["exact"].mean())
    return found


def linear(subject: Subject) -> dict[str, Any]:
    """Return the accuracy of linear classifiers on the run's own texts."""
    from experiments.grid import texts

    return texts.linear(_dataset(subject))


def told(subject: Subject) -> dict[str, Any]:
    """Return the accuracy of classifiers of the told texts on the run's own few-shot episodes."""
    from experiments.grid import texts

    return texts.told(_dataset(subject))


def grams(subject: Subject) -> dict[str, Any]:
    """Return the loss of n-grams on the run's own masked windows."""
    from experiments.grid import texts

    return texts.grams(_dataset(subject))


def samples(subject: Subject) -> dict[str, Any]:
    """Return what a run on prose writes behind the first words of its test."""
    from experiments.grid import texts

    assert subject.path is not None
    return texts.samples(load(subject.path), _dataset(subject))


def added(subject: Subject) -> dict[str, Any]:
    """Return how many texts are right once a bank has the categories that are left out for the run's seed.

    A run that left none out was trained with all of them: what the other is compared with.
    """
    from experiments.grid import texts

    assert subject.path is not None
    run = from_run(subject.path).run
    whole = make_dataset(replace(run, data={**run.data, "left_out": 0, "categories": None}))
    count = texts.left_out(whole.task.num_labels)
    assert run.data["left_out"] in (0, count)
    kept = parse({**run.data, "left_out": count, "seed": run.seed, "categories": None}).task()
    assert isinstance(kept, Intent)
    return texts.added(load(subject.path), whole, kept.categories)


def shots(subject: Subject) -> dict[str, Any]:
    """Return how many questions are right with the told texts of few-shot episodes as a bank, by `ways=W`.

    The categories of the episodes are those that the training left out: with `data=intent_episodes` and the
    same seed, the same episodes.
    """
    from experiments.grid import texts

    assert subject.path is not None
    run = from_run(subject.path).run
    whole = parse({**run.data, "left_out": 0, "categories": None}).task()
    out = run.data["left_out"]
    same = {name: run.data[name] for name in ("path", "train_file", "seed")}
    same["test_file"] = run.data["train_file" if run.data["holdout"] else "test_file"]
    few = compose("train", ["data=intent_episodes"])["data"]
    ways = sorted({min(one, out) for one in few["test_ways"]})
    asked = {**few, **same, "ways": [2], "test_ways": ways, "held_out_categories": out / whole.num_labels}
    return texts.in_place_of_the_bank(load(subject.path), load_data(**asked))


def _dataset(subject: Subject) -> Dataset:
    assert subject.dataset is not None
    return subject.dataset


MEASURES: dict[str, tuple[Callable[[Subject], dict[str, Any]], int]] = {
    "depth": (depth, 10**6),
    "noisy": (noisy, 10**6),
    "inside": (inside, 10**6),
    "positions": (positions, 10**6),
    "addresses": (addresses, 10**6),
    "votes": (votes, 1),
    "reset": (reset, 10**6),
    "linear": (linear, 1),
    "told": (told, 1),
    "grams": (grams, 1),
    "samples": (samples, 1),
    "added": (added, 1),
    "shots": (shots, 1),
}
"""The function of each measure, and the largest number of test puzzles it looks at."""


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m experiments.grid.measures", description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("path", type=Path, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure, puzzles = MEASURES[args.name]
    found = measure(open_subject(args.path, puzzles=puzzles))
    write_json(
        measure_file(args.path, args.name),
        {name: np.asarray(value).tolist() for name, value in found.items()},
    )


if __name__ == "__main__":
    console.run(main)
