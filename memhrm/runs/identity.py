"""Which run a command names: its directory, and whether it is the run that was begun there."""

import hashlib
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memhrm.config.settings import SettingWarning, advise
from memhrm.data.loading import files_of
from memhrm.data.settings import KINDS
from memhrm.data.settings import parse as parse_data
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.registry import MODULES, depends_on_steps
from memhrm.runs.settings import RunSettings, parse

FREE = (
    *("dir", "init", "logger", "progress", "log_every", "checkpoint_every", "threads", "compile", "device"),
    *("probe", "probe_every", "eval_batch_size", "model.attention", "model.checkpoint_activations"),
    *("data.path", "data.train_file", "data.test_file", "data.cache"),
)
"""Settings, or groups of them, that may differ when a run is resumed: they change no number but by rounding,
or say where the data lie, which are known by their content. `init` is read at the start only, and may then be
left out."""


def directory(run: RunSettings) -> Path:
    """Return where a run lives: `dir`, or a name that the same command gives again."""
    if run.dir:
        return Path(run.dir)
    memory = [] if run.memory.module == NO_MEMORY.module else [run.memory.name]
    names = [run.data["name"], run.model.name, *memory]
    return Path("runs") / "-".join([*names, f"seed{run.seed}", digest(run)])


def digest(run: RunSettings) -> str:
    """Return a hash of all settings that tell one run from another, and of the files that it reads."""
    config = run.config()
    fixed = _flat(config, FREE)
    if run.init is not None:
        fixed["init"] = config["init"]
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
    if run.init is not None:
        old["init"], new["init"] = (one.config()["init"] for one in (began, run))
    for name in sorted(old.keys() | new.keys(), key=_telling):
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{name} is {new.get(name)!r}, but the run in {where} was begun with {old.get(name)!r}; "
                "give the old value, or another folder"
            )


def own_classes(run: RunSettings) -> list[str]:
    """Return the classes that a run's settings name and that do not come with the package."""
    named = (KINDS, run.data["kind"]), (MODULES, run.memory.module)
    return [name for classes, name in named if name not in classes.own]


def own_code(run: RunSettings) -> dict[str, str]:
    """Return hashes of the files of the classes that do not come with the package, by the classes' names."""
    modules = {name: sys.modules.get(name.rpartition(".")[0]) for name in own_classes(run)}
    files = {name: getattr(module, "__file__", None) for name, module in modules.items()}
    return {name: _content(Path(file)) for name, file in files.items() if file is not None}


def advise_of_code(run: RunSettings, saved: Mapping[str, str], where: Path) -> None:
    """Warn if a class that does not come with the package is not as it was when a run was saved.

    Args:
        run: the settings of the run.
        saved: what `own_code` said then; nothing is known of a class that it lacks.
        where: the run's directory.
    """
    for name, code in own_code(run).items():
        changed = saved.get(name, code) != code
        advise(changed, f"the file of {name} has changed since the run in {where} was saved")


def _telling(name: str) -> tuple[int, str]:
    """Order settings by what a difference says: that of a group's choice explains those of its settings."""
    last = name.rpartition(".")[2]
    return {"name": 0, "kind": 1, "module": 2, "k": 4}.get(last, 3), name


def continued(run: RunSettings, saved: Mapping[str, Any]) -> RunSettings:
    """Return the settings of a run that goes on: what it was begun from stays known where it is left out.

    saved: the configuration with which it was begun.
    """
    if run.init is not None or saved.get("init") is None:
        return run
    with warnings.catch_warnings():  # The settings have been warned about.
        warnings.simplefilter("ignore", SettingWarning)
        return replace(run, init=saved["init"])


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
