"""The puzzles that a run does not train on: those that choose its best checkpoint, and those of its score."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from memhrm.config.settings import require
from memhrm.data import Dataset, Episodes, Examples, load_test
from memhrm.data import load as load_data
from memhrm.runs.build import make_dataset
from memhrm.runs.settings import RunSettings, usual_validation
from memhrm.runs.used import NONE_LEFT, UsedPuzzles, identities, unused

HeldOut = Examples | Episodes


def split(run: RunSettings, dataset: Dataset, chosen: np.ndarray | None = None) -> tuple[HeldOut, HeldOut]:
    """Return the puzzles, or episodes, that choose the best checkpoint, and others for the result.

    No puzzle that chooses is scored, nor a symmetry image of one; the two sets of episodes are then made of
    different puzzles.

    chosen: identities of puzzles that have chosen already, (n,) uint64; they are not scored either.

    Raises:
        ValueError: validation would leave nothing to test on.
    """
    held_out = dataset.held_out()
    size = validation_size(run, len(held_out))
    count = len(held_out) - size
    barred = np.zeros(0, np.uint64) if chosen is None else chosen
    if isinstance(held_out, Episodes):
        if not chooses(run, dataset) and not len(barred):
            return held_out.select(slice(count, None)), held_out.select(slice(0, count))
        choosing = scored = dataset.test
        if chooses(run, dataset):
            choosing, scored = _pools(dataset, size / len(held_out))
        scored = _without(scored, identities(scored, dataset.task), barred, dataset)
        return dataset.drawn(choosing, size, 0xE5), dataset.drawn(scored, count, 0xE5)
    validation, test = held_out.select(slice(count, None)), held_out.select(slice(0, count))
    known = dataset.test_identities
    if chooses(run, dataset):
        barred = np.union1d(barred, known[count:])
    return validation, _without(test, known[:count], barred, dataset)


def _without(puzzles: Examples, known: np.ndarray, barred: np.ndarray, dataset: Dataset) -> Examples:
    """The puzzles, whose identities are known, but for those whose identities are barred."""
    left = ~np.isin(known, barred)
    if not left.any():
        raise ValueError(NONE_LEFT.format(len(left), dataset.name))
    return puzzles if left.all() else puzzles.select(left)


def validation_size(run: RunSettings, held_out: int) -> int:
    """Return how many of the held-out puzzles, or episodes, are for validation.

    Raises:
        ValueError: none would be left to test on.
    """
    size = usual_validation(held_out) if run.validation_size is None else run.validation_size
    allowed = f"0 to {held_out - 1}, below the number of held-out puzzles or episodes"
    require(size < held_out, "validation_size", size, allowed)
    return size


def chooses(run: RunSettings, dataset: Dataset) -> bool:
    """Return whether validation puzzles choose a best checkpoint."""
    return run.eval_every > 0 and validation_size(run, dataset.held_out_count()) > 0


def _pools(dataset: Dataset, share: float) -> tuple[Examples, Examples]:
    """The test puzzles of a set with episodes in two parts: this share of them, and the rest."""
    total = len(dataset.test)
    require(total > 1, "validation_size", share, "0, since there is one test puzzle only")
    order = np.random.default_rng((dataset.seed, 0x5A)).permutation(total)
    first = min(max(round(total * share), 1), total - 1)
    return dataset.test.select(np.sort(order[:first])), dataset.test.select(np.sort(order[first:]))


def used_by(run: RunSettings, dataset: Dataset) -> UsedPuzzles:
    """Return which puzzles of its own data a run uses."""
    used = UsedPuzzles().with_trained(identities(dataset.train, dataset.task))
    if not chooses(run, dataset):
        return used
    total = dataset.held_out_count()
    size = validation_size(run, total)
    if dataset.episodes is None:
        choosing = dataset.test.select(slice(total - size, None))
    else:
        choosing, _ = _pools(dataset, size / total)
    return used.with_chosen(identities(choosing, dataset.task))


class Scored(NamedTuple):
    """What a trained model is scored on: the puzzles, the data set that they are of, and how many test
    puzzles are left out because the run has used them, of how many."""

    puzzles: HeldOut
    dataset: Dataset
    left_out: int
    total: int


def scored(run: RunSettings, used: UsedPuzzles, digest: str | None, other: Mapping[str, Any]) -> Scored:
    """Return what a finished run is scored on: its own test puzzles, or others, but none that it has used.

    digest: of the data that the run was trained on; None if it is not known. other: settings of the `data`
        group, each in place of the run's. Of files named there only the one with the test puzzles is read,
        all of it unless `test_size` is among them.

    Raises:
        ValueError: a setting that does not fit the run's data, a bad file, or no puzzle is left.
    """
    if not other:
        dataset = make_dataset(run)
        if digest in (None, dataset.digest()):
            clean, count = unused(dataset, used.trained)
            return Scored(split(run, clean, used.chosen)[1], clean, count, len(dataset.test))
    dataset = _other(run.data, other)
    clean, count = unused(dataset, used.all())
    return Scored(clean.held_out(), clean, count, len(dataset.test))


def own_data(run: RunSettings, used: UsedPuzzles, digest: str | None) -> Dataset:
    """Return the puzzles of a finished run, without test puzzles that its weights were trained on.

    digest: of the data that the run was trained on; None if it is not known.

    Raises:
        ValueError: they are not there any more, or others are there.
    """
    dataset = make_dataset(run)
    if digest not in (None, dataset.digest()):
        raise ValueError(
            f"data.path is {run.data.get('path')}, whose puzzles are not those that the run was trained on; "
            "put these back"
        )
    return unused(dataset, used.trained)[0]


def _other(data: Mapping[str, Any], other: Mapping[str, Any]) -> Dataset:
    if "path" in other or "test_file" in other:
        sizes = {"train_size": None, "test_size": None, "holdout": 0}
        return load_test(**{**data, **sizes, **other})
    holdout = data.get("holdout", 0)
    require("test_size" not in other or not holdout, "data.test_size", other.get("test_size"),
            f"nothing, since the run holds out data.holdout={holdout} of its training puzzles; for others "
            "give data.path or data.test_file too")  # fmt: skip
    return load_data(**{**data, **other})
