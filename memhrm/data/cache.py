"""The cache of generated sets: a set is read from it if it is there, and written to it otherwise."""

import hashlib
import json
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from memhrm.config.settings import SettingWarning
from memhrm.data.examples import Examples, examples_of
from memhrm.data.settings import DataSettings
from memhrm.data.task import Task
from memhrm.data.trials import Counting
from memhrm.system.files import whole

GENERATOR_VERSION = 1  # part of the cache key; raise it when the same settings give other puzzles
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


def cached(settings: DataSettings, generate: Callable[[DataSettings, Counting], Parts]) -> Parts:
    """Return a generated set, from the cache if it is there.

    A cache that cannot be written is a warning, not an error.

    Args:
        settings: the settings of the data; those that change the puzzles are the key.
        generate: makes the set where the cache does not have it.
    """
    key = json.dumps([GENERATOR_VERSION, settings.generated_by(), *_code(settings)], sort_keys=True)
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


def _generated(settings: DataSettings, generate: Callable[[DataSettings, Counting], Parts]) -> Parts:
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


def _code(settings: DataSettings) -> list[str]:
    """Return hashes of the files that a class of the user's own may be made of.

    They are those of its package, or those beside its module: a set is made again rather than kept from an
    older version.
    """
    top = type(settings).__module__.partition(".")[0]
    if top == "memhrm":
        return []
    module = sys.modules[top]
    if hasattr(module, "__path__"):
        files = [file for folder in module.__path__ for file in Path(folder).rglob("*.py")]
    else:
        files = [] if module.__file__ is None else Path(module.__file__).parent.glob("*.py")
    return sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


USUAL = {
    "mask": lambda examples: examples.mask is None,
    "told": lambda examples: examples.told is None,
    "identifiers": lambda examples: not examples.identifiers.any(),
    "groups": lambda examples: np.array_equal(examples.groups, np.arange(len(examples))),
    "sources": lambda examples: bool((examples.sources == "generated").all()),
}
"""Arrays that are not kept where they are as usual: what `examples_of` makes of None, sources "generated"."""


def _pack(examples: Examples, part: str) -> dict[str, np.ndarray]:
    names = ["inputs", "labels", "ratings", *(name for name, usual in USUAL.items() if not usual(examples))]
    arrays = {f"{part}_{name}": getattr(examples, name) for name in names}
    # As text: an array of objects would be pickled.
    return {name: values.astype(str) if values.dtype == object else values for name, values in arrays.items()}


def _unpack(file: Mapping[str, np.ndarray], part: str, task: Task) -> Examples:
    inputs, labels, ratings = (file[f"{part}_{name}"] for name in ("inputs", "labels", "ratings"))
    others = {name: file[f"{part}_{name}"] for name in USUAL if f"{part}_{name}" in file}
    others.setdefault("sources", np.full(len(inputs), "generated"))
    return task.require(examples_of(inputs, labels, ratings, **others))
