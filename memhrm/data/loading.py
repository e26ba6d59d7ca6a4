"""From settings to a data set: puzzles read from files, or generated once and kept in a cache."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config.settings import require
from memhrm.data.cache import cached, expand, is_file
from memhrm.data.collect import Progress
from memhrm.data.dataset import Dataset
from memhrm.data.examples import Examples, concatenate, no_examples
from memhrm.data.settings import USUAL, DataSettings, parse


def load(**values: Any) -> Dataset:
    """Return the data set of a ``data`` group of settings; `memhrm.data.settings` says what each is.

    Of sets that this package generates, training and test puzzles are disjoint up to symmetry; others are
    taken as they are.

    Raises:
        ValueError: a bad setting, named as ``data.<key>``, or a bad file, named with its line.
    """
    settings = parse(values)
    task = settings.task()
    # A generator for each draw, so that the size of one part does not change another.
    holdout_rng, train_rng, test_rng = np.random.default_rng(settings.seed).spawn(3)
    if (places := _places(settings)) is not None:
        train = settings.read(task, places[0], "train")
        alone = not settings.holdout and not places[1].exists()
        require(not alone, "data.path", str(places[0].parent),
                f"a folder with {places[1].name} too: {places[0].name} alone leaves nothing to test on; or "
                "give data.holdout=N to test on N of its puzzles")  # fmt: skip
        test = train if settings.holdout else settings.read(task, places[1], "test")
    elif (parts := settings.split()) is not None:
        train, test = (task.require(part) for part in parts)
    else:
        train, test = cached(settings, generate)
    if settings.holdout:
        require(settings.holdout < len(train), "data.holdout", settings.holdout, f"less than {len(train)}")
        held_out = train.part(settings.holdout, holdout_rng)
        test, train = train.select(held_out), train.without(held_out)
        require(len(train) > 0, "data.holdout", settings.holdout, "less, as groups of examples stay together")
    if places is not None:
        train = settings.completed(task, train, places[0].parent, "train")
        test = settings.completed(task, test, places[1].parent, "test")
    if not settings.holdout:
        test = _draw(test, settings.test_size, "data.test_size", test_rng)
    train = _draw(train, settings.train_size, "data.train_size", train_rng)
    return Dataset(settings.name, task, train, test, settings.maker(task))


def load_test(**values: Any) -> Dataset:
    """Return a data set with its test puzzles alone; its `train` is empty.

    Only the test file is read: ``test_file`` in ``path``, which may also be a file, or, without ``path``, in
    the current folder (path="." allows a file called test.csv there). A set that is generated is loaded as by
    `load`, with the same test puzzles.

    Args:
        values: a ``data`` group; all puzzles of the file are taken unless ``test_size`` is a number.

    Raises:
        ValueError: as `load`; or ``holdout`` is not 0, whose puzzles are part of the training file.
    """
    settings = parse(values)
    task = settings.task()
    place = _test_place(settings)
    if place is None:
        return replace(load(**values), train=no_examples(task.seq_len, task.label_len))
    require(settings.holdout == 0, "data.holdout", settings.holdout, "0 where only test puzzles are loaded")
    *_, test_rng = np.random.default_rng(settings.seed).spawn(3)
    test = settings.completed(task, settings.read(task, place, "test"), place.parent, "test")
    test = _draw(test, settings.test_size, "data.test_size", test_rng)
    nothing = no_examples(task.seq_len, task.label_len)
    return Dataset(settings.name, task, nothing, test, settings.maker(task))


def _test_place(settings: DataSettings) -> Path | None:
    """Return the test file; None where the set is generated."""
    if settings.own_file is not None:
        return None if settings.path is None else expand("data.path", settings.path)
    file = expand("data.test_file", settings.test_file)
    if settings.path is not None:
        path = expand("data.path", settings.path)
        if not is_file(path) or file.is_absolute():
            return path / file
        allowed = "an absolute path, or none where data.path is a file"
        require(settings.test_file == USUAL["test_file"], "data.test_file", settings.test_file, allowed)
        return path
    if settings.test_file != USUAL["test_file"]:
        return file
    _require_generator(settings)
    return None


def files_of(settings: DataSettings) -> list[Path]:
    """Return the files of a set that is read from files, that of the training examples first.

    Raises:
        ValueError: as `load`.
    """
    places = _places(settings)
    assert places is not None
    place = places[0]
    if settings.own_file is None:
        return list(places[: 1 if settings.holdout else 2])
    if not place.is_dir():
        return [place]
    own = place / settings.own_file
    return [own] if own.exists() else sorted(place.rglob(f"*{own.suffix}"))


def _places(settings: DataSettings) -> tuple[Path, Path] | None:
    """Return the training and test file; None where the set is generated."""
    if settings.own_file is not None:
        place = None if settings.path is None else expand("data.path", settings.path)
        return None if place is None else (place, place)
    files = [expand(f"data.{name}", getattr(settings, name)) for name in USUAL]
    if settings.path is not None:
        path = expand("data.path", settings.path)
        if not is_file(path):
            return path / files[0], path / files[1]
        if all(file.is_absolute() for file in files):
            return files[0], files[1]
        require(settings.holdout > 0, "data.path", settings.path,
                "a folder; or a file, with data.holdout=NUMBER of its puzzles to test on")  # fmt: skip
        require(settings.train_file == USUAL["train_file"], "data.train_file", settings.train_file,
                "none where data.path is a file")  # fmt: skip
        return path, path
    if settings.in_files:
        return files[0], files[1]
    for name, usual in USUAL.items():
        allowed = f"{usual} where data.path is null, or both data.train_file and data.test_file"
        require(getattr(settings, name) == usual, f"data.{name}", getattr(settings, name), allowed)
    _require_generator(settings)
    return None


def _require_generator(settings: DataSettings) -> None:
    if settings.download is not None:
        raise ValueError(
            "data.path is null; download the files with "
            f"`python -m memhrm.data download {settings.name} out=DIR` and set data.path=DIR"
        )


def _draw(puzzles: Examples, size: int | None, setting: str, rng: np.random.Generator) -> Examples:
    """Return a random part of the puzzles, in their order, of whole groups."""
    there = int(puzzles.asked().sum())
    if size is None or size == there:
        return puzzles
    require(size <= there, setting, size, f"at most the {there} puzzles there are, or null for all")
    return puzzles.select(puzzles.part(size, rng))


def generate(settings: DataSettings, progress: Progress) -> tuple[Examples, Examples]:
    """Return training and test puzzles, none a symmetry image of another.

    Puzzles to hold out come on top of ``train_size``. For 4x4 sudokus a ``train_size`` of null takes all
    that are not in the test set.
    """
    if settings.test_size is None:
        raise ValueError("data.test_size is null; a generated set needs the number of puzzles, above 0")
    count = settings.train_size and settings.train_size + settings.holdout + settings.test_size
    puzzles = settings.generate(count, np.random.default_rng(settings.seed), progress)
    settings.task().require(puzzles)
    if len(puzzles) <= settings.test_size:
        raise ValueError(
            f"data.test_size is {settings.test_size}; allowed: less than the {len(puzzles)} puzzles there are"
        )
    test = puzzles.part(settings.test_size)
    # Each part numbers its own groups, so that the set is the same from the generator and from the cache.
    return concatenate([puzzles.without(test)]), concatenate([puzzles.select(test)])
