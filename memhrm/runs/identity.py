"""Which run a command names: its directory, and whether it is the run that was begun there."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhrm.config.settings import SettingWarning
from memhrm.data.loading import files_of
from memhrm.data.settings import parse as parse_data
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.registry import depends_on_steps
from memhrm.runs.settings import RunSettings, parse

FREE = (
    *("dir", "init", "logger", "progress", "log_every", "checkpoint_every", "threads", "compile", "device"),
    *("probe", "probe_every", "eval_batch_size", "model.attention", "model.checkpoint_activations"),
    *("data.path", "data.train_file", "data.test_file", "data.cache"),
)
"""Settings, or groups of them, that may differ when a run is resumed: they change no number but by rounding,
say where the data lie, which are known by their content, or are read at the start only."""


def directory(run: RunSettings) -> Path:
    """Return where a run lives: `dir`, or a name that the same command gives again."""
    if run.dir:
        return Path(run.dir)
    memory = [] if run.memory.module == NO_MEMORY.module else [run.memory.name]
    names = [run.data["name"], run.model.name, *memory]
    return Path("runs") / "-".join([*names, f"seed{run.seed}", digest(run)])


def digest(run: RunSettings) -> str:
    """Return a hash of all settings that tell one run from another, and of the files that it reads."""
    fixed = _flat(run.config(), FREE)
    if not run.generated:
        fixed["data"] = [_content(file) for file in files_of(parse_data(run.data))]
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]


def _content(path: Path) -> str:
    """Return the hash of a file; its name if it cannot be read, which is said when it is needed."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)


def check_same(run: RunSettings, saved: Mapping[str, Any], where: Path) -> None:
    """Refuse to resume a run with settings that would make it another run.

    More steps are allowed where nothing depends on their number, as a schedule of the learning rate or of
    the memory does. A setting that did not exist when the run was begun counts as its default, which changes
    nothing.

    Args:
        run: the settings with which the run is to go on.
        saved: the configuration with which it was begun.
        where: the file or directory of that configuration.

    Raises:
        ValueError: a setting differs; the message names it, both values and the way out.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SettingWarning)
            began = parse(saved)
    except ValueError as error:
        raise ValueError(f"another version of memhrm began the run in {where}: {error}") from error
    fixed = parse_data(began.data).stages > 1 or depends_on_steps(began.memory)
    free = FREE if fixed or began.optim.schedule != "constant" else (*FREE, "steps")
    old, new = (_flat(one.config(), free) for one in (began, run))
    for name in sorted(
        old.keys() | new.keys(), key=lambda name: (name == "k", name)
    ):  # A memory explains its k.
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{name} is {new.get(name)!r}, but the run in {where} was begun with {old.get(name)!r}; "
                "give the old value, or another dir=..."
            )


def _flat(values: Mapping[str, Any], free: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """Return dotted names and values, without those that are free."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if f"{prefix}{name}" in free:
            continue
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, free, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
