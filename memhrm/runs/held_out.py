"""The puzzles that a run does not train on: those that choose its best checkpoint, and those of its score."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from memhrm.config.settings import require
from memhrm.data import Dataset, Episodes, load_test
from memhrm.data import load as load_data
from memhrm.data.examples import Examples
from memhrm.data.settings import parse as parse_data
from memhrm.memory.retrieval import RetrievalSettings
from memhrm.runs.build import make_dataset, untrained
from memhrm.runs.settings import RunSettings, usual_validation
from memhrm.runs.used import NONE_LEFT, UsedPuzzles, identities, unused, whole


def split(run: RunSettings, dataset: Dataset, chosen: np.ndarray | None = None) -> tuple[Episodes, Episodes]:
    """Return the episodes that choose the best checkpoint, and others for the result.

    No example that chooses is scored, nor a symmetry image of one.

    Args:
        run: the settings of the run.
        dataset: its data.
        chosen: (n,) uint64, identities of examples that have chosen already; they are not scored either.

    Raises:
        ValueError: validation would leave nothing to test on.
    """
    test, maker = dataset.test, dataset.episodes
    total = maker.count(test)
    size = validation_size(run, total)
    left = left_to_score(run, dataset, chosen)
    if left is test:
        return maker.parts(test, size)
    choosing, _ = maker.pools(test, size)
    return maker.make(test.select(choosing), size), maker.make(left, total - size)


def left_to_score(run: RunSettings, dataset: Dataset, chosen: np.ndarray | None = None) -> Examples:
    """Return the test examples of which episodes for the result are made; the arguments are of `split`."""
    test = dataset.test
    barred = np.zeros(0, np.uint64) if chosen is None else chosen
    if not chooses(run, dataset) and not len(barred):
        return test
    known = dataset.test_identities
    choosing, scored = dataset.episodes.pools(test, validation_size(run, dataset.held_out_count()))
    if chooses(run, dataset):
        barred = np.union1d(barred, known[choosing])
    left = scored[whole(test.select(scored), ~dataset.test_used(barred)[scored])]
    if not len(left):
        raise ValueError(NONE_LEFT.format(len(scored), dataset.name))
    return test.select(left)


def validation_size(run: RunSettings, held_out: int) -> int:
    """Return how many of the held-out puzzles, or episodes, are for validation.

    Raises:
        ValueError: none would be left to test on.
    """
    size = usual_validation(held_out) if run.validation_size is None else run.validation_size
    allowed = f"0 to {held_out - 1}, below the number of held-out puzzles or episodes"
    most = parse_data(run.data).held_out
    if most is not None and held_out < most:
        allowed += f" ({held_out:,} of {most:,} are left: the weights were trained on the others)"
    require(size < held_out, "validation_size", size, allowed)
    return size


def chooses(run: RunSettings, dataset: Dataset) -> bool:
    """Return whether validation puzzles choose a best checkpoint."""
    return run.eval_every > 0 and validation_size(run, dataset.held_out_count()) > 0


def used_by(run: RunSettings, dataset: Dataset) -> UsedPuzzles:
    """Return which puzzles of its own data a run uses."""
    used = UsedPuzzles().with_trained(identities(dataset.train, dataset.task))
    if not chooses(run, dataset):
        return used
    size = validation_size(run, dataset.held_out_count())
    choosing, _ = dataset.episodes.pools(dataset.test, size)
    return used.with_chosen(dataset.test_identities[choosing])


class Scored(NamedTuple):
    """What a trained model is scored on.

    Attributes:
        episodes: the test episodes.
        series: further test sets (`EpisodeMaker.series`).
        dataset: the data of which they are made.
        left_out: test examples that are left out because the run has used them.
        test: all test examples that there are, those too.
    """

    episodes: Episodes
    series: dict[str, Episodes]
    dataset: Dataset
    left_out: int
    test: Examples


def scored(run: RunSettings, used: UsedPuzzles, digest: str | None, other: Mapping[str, Any]) -> Scored:
    """Return what a finished run is scored on: its own test puzzles, or others, but none that it has used.

    digest: of the data that the run was trained on; None if it is not known. other: settings of the `data`
        group, each in place of the run's. Of files named there only the one with the test puzzles is read,
        all of it unless `test_size` is among them.

    Raises:
        ValueError: a setting that does not fit the run's data, a bad file, other puzzles than those that the
            run was trained with, or no puzzle is left.
    """
    if not other:
        loaded = load_data(**run.data)
        dataset, trained = untrained(run, loaded)
        grown = isinstance(run.memory, RetrievalSettings)  # A bank may have more categories by now.
        if not grown:
            _require_own(run, dataset, digest, ", or give data.path=DIR to score others")
        if digest in (None, dataset.digest()):
            clean, count = unused(dataset, used.trained)
            episodes, left = split(run, clean, used.chosen)[1], left_to_score(run, clean, used.chosen)
            series = clean.episodes.series(left)
            return Scored(episodes, series, replace(clean, test=left), trained + count, loaded.test)
    dataset = _other(run.data, other)
    clean, count = unused(dataset, used.all())
    series = clean.episodes.series(clean.test)
    return Scored(clean.held_out(), series, clean, count, dataset.test)


def own_data(run: RunSettings, used: UsedPuzzles, digest: str | None) -> Dataset:
    """Return the puzzles of a finished run, without test puzzles that its weights were trained on.

    digest: of the data that the run was trained on; None if it is not known.

    Raises:
        ValueError: they are not there any more, or others are there.
    """
    dataset = make_dataset(run)
    _require_own(run, dataset, digest)
    return unused(dataset, used.trained)[0]


def _require_own(run: RunSettings, dataset: Dataset, digest: str | None, otherwise: str = "") -> None:
    if digest not in (None, dataset.digest()):
        path = run.data.get("path")
        what = f"data.path is {path}" if path else f"data is {run.data['name']}"
        raise ValueError(
            f"{what}, whose puzzles are not those that the run was trained on; put these back{otherwise}"
        )


def with_other(data: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of what is scored: those of a run's data, and others in their place."""
    if not {"path", "test_file"} & other.keys():
        return {**data, **other}
    values = {**data, "train_size": None, "test_size": None, "holdout": 0, **other}
    return values | (parse_data(values).elsewhere() if "path" in other else {})


def _other(data: Mapping[str, Any], other: Mapping[str, Any]) -> Dataset:
    if {"path", "test_file"} & other.keys():
        return load_test(**with_other(data, other))
    holdout = data.get("holdout", 0)
    require("test_size" not in other or not holdout, "data.test_size", other.get("test_size"),
            f"nothing, since the run holds out data.holdout={holdout} of its training puzzles; for others "
            "give data.path or data.test_file too")  # fmt: skip
    return load_data(**with_other(data, other))
