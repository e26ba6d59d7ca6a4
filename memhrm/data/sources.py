"""From settings to a data set: puzzles read from files, or generated once and kept in a cache."""

import hashlib
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.data.config import EpisodeSettings, Settings, parse
from memhrm.data.csv_files import read_csv
from memhrm.data.episodes import Episodes, Relabelled
from memhrm.data.generate import Progress
from memhrm.data.puzzle import PuzzleSet, Task, puzzle_set
from memhrm.settings import require

GENERATOR_VERSION = 1  # part of the cache key; raise it when the same settings give other puzzles
NOT_GENERATED = {"name", "path", "train_file", "test_file", "download", "augment", "hints", "cache"}
EPISODES_ALONE = {field.name for field in fields(EpisodeSettings)} - {
    field.name for field in fields(Settings)
}


@dataclass(frozen=True)
class Dataset:
    """A task with its training and test puzzles; of a set with episodes, those that episodes are made of."""

    name: str
    task: Task
    train: PuzzleSet
    test: PuzzleSet
    augment: bool  # whether training batches hold random symmetry images
    episodes: EpisodeSettings | None = None
    seed: int = 0

    def held_out(self) -> PuzzleSet | Episodes:
        """What a result stands on: the test puzzles, or the test episodes made of them."""
        if self.episodes is None:
            return self.test
        return self.drawn(self.test, self.episodes.test_episodes, 0xE5)

    def held_out_count(self) -> int:
        """How many puzzles, or episodes, `held_out` has."""
        return len(self.test) if self.episodes is None else self.episodes.test_episodes

    def seen(self, count: int) -> PuzzleSet | Episodes:
        """At most `count` training puzzles, spread over the set, which may be sorted; or as many in episodes
        like those of the test, or one more episode's."""
        if self.episodes is None:
            count = min(count, len(self.train))
            return self.train.select(np.arange(count) * len(self.train) // count)
        return self.drawn(self.train, -(-count // self.episodes.test_length), 0x5EE)

    def relabelled(self) -> Relabelled:
        """How the answers of its episodes are relabelled; only of a set with episodes."""
        assert self.episodes is not None
        return Relabelled(self.task, self.episodes.plan())

    def digest(self):  # STUB
        h = hashlib.sha256()
        for part in (self.train, self.test):
            h.update(part.inputs.tobytes() + part.labels.tobytes())
        return h.hexdigest()

    def drawn(self, puzzles: PuzzleSet, count: int, key: int) -> Episodes:
        """Return random test episodes of these puzzles, and the best that can be done in them.

        key: of the stream of random numbers, beside the set's seed.
        """
        assert self.episodes is not None
        length = self.episodes.test_length
        rng = np.random.default_rng((self.seed, key))
        relabelled = self.relabelled()
        episodes = relabelled.draw(puzzles, count, length, rng, augment=self.augment, test=True)
        return replace(episodes, best=relabelled.optimum(puzzles, length))


def load(**values: Any) -> Dataset:
    """The data set that the settings of a ``data`` group describe; `memhrm.data.config` says what each is.

    Generated training and test puzzles are disjoint up to symmetry; files are taken as they are.

    Raises:
        ValueError: a bad setting, named as ``data.<key>``, or a bad file, named with its line.
    """
    settings = parse(values)
    task = settings.task()
    # A generator for each draw, so that the size of one part does not change another.
    holdout_rng, train_rng, test_rng = np.random.default_rng(settings.seed).spawn(3)
    if settings.path is not None:
        folder = Path(settings.path).expanduser()
        train = read_csv(folder / settings.train_file, task)
        test = train if settings.holdout else read_csv(folder / settings.test_file, task)
    elif settings.download is not None:
        raise ValueError(
            "data.path is null; download the files with "
            f"`python -m memhrm.data download {settings.name} out=DIR` and set data.path=DIR"
        )
    else:
        train, test = _cached(settings)
    if settings.holdout:
        require(settings.holdout < len(train), "data.holdout", settings.holdout, f"less than {len(train)}")
        order = holdout_rng.permutation(len(train))
        test = train.select(np.sort(order[: settings.holdout]))
        train = train.select(np.sort(order[settings.holdout :]))
    else:
        test = _draw(test, settings.test_size, "data.test_size", test_rng)
    train = _draw(train, settings.train_size, "data.train_size", train_rng)
    return Dataset(settings.name, task, train, test, settings.augment, settings.episodes(), settings.seed)


def _draw(puzzles: PuzzleSet, size: int | None, setting: str, rng: np.random.Generator) -> PuzzleSet:
    """A random part of the puzzles, in their order."""
    if size is None or size == len(puzzles):
        return puzzles
    require(
        size <= len(puzzles), setting, size, f"at most the {len(puzzles)} puzzles there are, or null for all"
    )
    return puzzles.select(np.sort(rng.permutation(len(puzzles))[:size]))


def generate(settings: Settings, progress: Progress) -> tuple[PuzzleSet, PuzzleSet]:
    """Training and test puzzles, none a symmetry image of another.

    Puzzles to hold out come on top of ``train_size``. For 4x4 sudokus a ``train_size`` of null takes all
    that are not in the test set.
    """
    if settings.test_size is None:
        raise ValueError("data.test_size is null; a generated set needs the number of puzzles, above 0")
    count = settings.train_size and settings.train_size + settings.holdout + settings.test_size
    puzzles = settings.generate(count, np.random.default_rng(settings.seed), progress)
    if len(puzzles) <= settings.test_size:
        raise ValueError(
            f"data.test_size is {settings.test_size}; allowed: less than the {len(puzzles)} puzzles there are"
        )
    return puzzles.select(slice(settings.test_size, None)), puzzles.select(slice(settings.test_size))


def _cached(settings: Settings) -> tuple[PuzzleSet, PuzzleSet]:
    """Generated puzzles, from the cache where it has them."""
    unused = NOT_GENERATED | EPISODES_ALONE
    relevant = {name: value for name, value in asdict(settings).items() if name not in unused}
    key = json.dumps([GENERATOR_VERSION, relevant], sort_keys=True)
    folder = Path(settings.cache or os.environ.get("MEMHRM_CACHE") or "~/.cache/memhrm").expanduser()
    path = folder / f"{settings.task().name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"data.cache: cannot make the folder {folder}: {error.strerror}") from None
    try:
        with open(path, "rb") as raw, np.load(raw) as file:
            return _unpack(file, "train"), _unpack(file, "test")
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        pass  # absent, or damaged: make it again

    def progress(done: int, total: int) -> None:
        print(f"\rgenerating {settings.name}: {done:,} of {total:,}", end="", file=sys.stderr, flush=True)

    try:
        train, test = generate(settings, progress)
    finally:
        print(file=sys.stderr)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **_pack(train, "train"), **_pack(test, "test"))  # pyright: ignore[reportArgumentType]
    os.replace(temporary, path)  # readers see a whole file or none
    return train, test


def _pack(puzzles: PuzzleSet, part: str) -> dict[str, np.ndarray]:
    return {
        f"{part}_inputs": puzzles.inputs,
        f"{part}_labels": puzzles.labels,
        f"{part}_ratings": puzzles.ratings,
    }


def _unpack(file: Mapping[str, np.ndarray], part: str) -> PuzzleSet:
    inputs, labels, ratings = (file[f"{part}_{name}"] for name in ("inputs", "labels", "ratings"))
    return puzzle_set(inputs, labels, ratings, ["generated"] * len(inputs))


def load_test(**values):  # STUB
    return load(**values)
