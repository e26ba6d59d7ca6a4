"""The cache of generated sets: a set is read from it if it is there, and written to it otherwise."""

import hashlib
import json
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from memhrm.config.settings import SettingWarning
from memhrm.data.examples import Examples, examples_of
from memhrm.data.settings import EpisodeSettings, Settings
from memhrm.data.task import Task
from memhrm.data.trials import Counting
from memhrm.system.files import whole

GENERATOR_VERSION = 1  # part of the cache key; raise it when the same settings give other puzzles
NOT_GENERATED = {"name", "path", "train_file", "test_file", "download", "augment", "hints", "cache"}
EPISODES_ALONE = {field.name for field in fields(EpisodeSettings)} - {
    field.name for field in fields(Settings)
}

Parts = tuple[Examples, Examples]  # training and test puzzles


def expand(setting: str, path: str) -> Path:
    """Return a path in which a leading ``~`` is replaced by the home folder.

    Args:
        setting: the name of the setting, for the message.
        path: its value.

    Raises:
        ValueError: there is no home folder.
    """
    expanded = os.path.expanduser(path)
    if expanded.split("/")[0] == "~":
        raise ValueError(f"{setting} is {path!r}; allowed: a path without ~, since there is no home folder")
    return Path(expanded)


def is_file(path: Path) -> bool:
    """Return whether a path exists and is not a folder."""
    return os.path.exists(path) and not os.path.isdir(path)


def cached(settings: Settings, generate: Callable[[Settings, Counting], Parts]) -> Parts:
    """Return a generated set, from the cache if it is there.

    A cache that cannot be written is a warning, not an error.

    Args:
        settings: the settings of the data; those that change the puzzles are the key.
        generate: makes the set where the cache does not have it.
    """
    unused = NOT_GENERATED | EPISODES_ALONE
    relevant = {name: value for name, value in asdict(settings).items() if name not in unused}
    key = json.dumps([GENERATOR_VERSION, relevant], sort_keys=True)
    task = settings.task()
    name = f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    path: Path | None = None
    try:
        setting = "data.cache" if settings.cache else "MEMHRM_CACHE"
        folder = settings.cache or os.environ.get("MEMHRM_CACHE") or "~/.cache/memhrm"
        path = expand(setting, folder) / name
        with open(path, "rb") as raw, np.load(raw) as file:
            return _unpack(file, "train", task), _unpack(file, "test", task)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        pass  # missing or damaged: generate the set
    parts = _generated(settings, generate)
    try:
        if path is None:
            raise OSError(None, "there is no home folder")
        with whole(path) as unfinished, open(unfinished, "wb") as file:
            np.savez_compressed(file, **_pack(parts[0], "train"), **_pack(parts[1], "test"))  # pyright: ignore[reportArgumentType]
    except OSError as error:
        place = path.parent if path else "~/.cache/memhrm"
        text = (
            f"the generated puzzles cannot be kept in {place} ({error.strerror or error}), and "
            "will be generated again; name another folder with data.cache or MEMHRM_CACHE"
        )
        warnings.warn(text, SettingWarning, stacklevel=2)
    return parts


def _generated(settings: Settings, generate: Callable[[Settings, Counting], Parts]) -> Parts:
    """Generate a set and show the progress on stderr."""
    shown = False

    def show(done: int, total: int, tries: int) -> None:
        nonlocal shown
        shown = True
        tried = f", {tries:,} tried" if tries else ""
        line = f"\rgenerating {settings.name}: {done:,} of {total:,}{tried}"
        print(line, end="", file=sys.stderr, flush=True)

    try:
        return generate(settings, Counting(show))
    finally:
        if shown:
            print(file=sys.stderr)


def _pack(puzzles: Examples, part: str) -> dict[str, np.ndarray]:
    return {
        f"{part}_inputs": puzzles.inputs,
        f"{part}_labels": puzzles.labels,
        f"{part}_ratings": puzzles.ratings,
    }


def _unpack(file: Mapping[str, np.ndarray], part: str, task: Task) -> Examples:
    inputs, labels, ratings = (file[f"{part}_{name}"] for name in ("inputs", "labels", "ratings"))
    task.pair_of_grids(inputs, labels)
    return examples_of(inputs, labels, ratings, ["generated"] * len(inputs))
