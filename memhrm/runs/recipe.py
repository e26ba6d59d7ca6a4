"""The command that gives a run's settings again, as short as it can be."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhrm.config.command import compose
from memhrm.config.defaults import CONFIGS
from memhrm.config.words import quote
from memhrm.data.settings import KINDS
from memhrm.memory.registry import MODULES
from memhrm.runs.settings import RunSettings, parse

UNSAID = ("dir", "init", "logger", "device", "progress", "threads")
"""Settings that say where and how a run is made, not what it is."""

DERIVED = ("data.categories", "data.vocabulary")
"""Settings that the files of the data decide."""

PLAIN = re.compile(r"[A-Za-z_][\w.+-]*")
"""Texts that need no quotes in Hydra's grammar."""


STAND_IN = {"data": "_common", "memory": "none"}
"""What a group whose file does not come with the package is built on, setting by setting."""


def words_of(run: RunSettings) -> list[str]:
    """Return the words behind `memhrm train` that give a run's settings, but for where it is written."""
    config = run.config()
    groups = ["data", "model", "optim", *([] if config["memory"] == _no_memory() else ["memory"])]
    own = [group for group in STAND_IN if group in groups and not _there(group, config[group])]
    files = {group: STAND_IN[group] if group in own else config[group]["name"] for group in groups}
    chosen = [
        f"{'+' if group == 'memory' else ''}{group}={name}"
        for group, name in files.items()
        if Path(CONFIGS, group, f"{name}.yaml").exists()
    ]
    composed = compose("train", chosen, whole=False)  # What is missing has no default.
    inside = [*own, *(["k"] if "memory" in own and "k" in config else [])]
    base = parse({**composed, **{name: config[name] for name in inside}}).config()
    base = _flat({name: value for name, value in base.items() if name not in inside})
    base |= _flat({group: composed[group] for group in own})
    silent = () if run.generated else DERIVED
    return [
        *chosen,
        *(
            f"{'' if name in base else '+'}{name}={_written(value)}"
            for name, value in _flat(config).items()
            if base.get(name, ...) != value and name.split(".")[0] not in UNSAID and name not in silent
        ),
    ]


def _there(group: str, settings: Mapping[str, Any]) -> bool:
    """Return whether the file of a group's settings comes with the package, and the class that they name."""
    setting, classes = ("kind", KINDS) if group == "data" else ("module", MODULES)
    there = Path(CONFIGS, group, f"{settings['name']}.yaml").exists()
    return there and settings[setting] in classes.own


def _no_memory() -> dict[str, Any]:
    """Return the settings of a memory in the configuration of a run without any."""
    return parse(compose("train", [])).config()["memory"]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of two levels by their dotted names."""
    flat: dict[str, Any] = {}
    for group, value in config.items():
        inner = {f"{group}.{name}": one for name, one in value.items()} if isinstance(value, dict) else None
        flat |= {group: value} if inner is None else inner
    return flat


def _written(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_written(one)}" for name, one in value.items()) + "}"
    text = str(value)
    if not isinstance(value, str) or (PLAIN.fullmatch(text) and text not in ("null", "true", "false")):
        return text
    return quote(text)
