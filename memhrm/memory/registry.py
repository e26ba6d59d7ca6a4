"""From the settings of a memory to its H-module: the class is named by the setting `memory.module`.

Settings come with run directories and files too, and what comes with a file must not be able to have code
imported. So only `trust` imports: the commands call it with what their own command line names. Everything
else finds the classes of this package and those that are in this process already.
"""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from memhrm.config.command import user_path
from memhrm.config.settings import build, require
from memhrm.memory.base import HModule, HShape, MemorySettings

PACKAGE = (
    *("memhrm.memory.none.NoMemory", "memhrm.memory.carry_add.CarryAdd", "memhrm.memory.tokens.Tokens"),
    *("memhrm.memory.bicross.BiCross", "memhrm.memory.multicell.MultiCell"),
    "memhrm.memory.aggregate.Aggregate",
)
"""The H-modules of this package."""

_ALLOWED = "the class of an H-module, as package.module.Class"


def parse(values: Mapping[str, Any]) -> MemorySettings:
    """Return the settings of a `memory` group, as the class that they name declares them.

    Raises:
        ValueError: there is no such class in this process, an unknown or missing key, or a value that is not
            allowed.
    """
    require(isinstance(values, Mapping), "memory", values, "a group of settings")
    return build(_known(values.get("module")).Settings, values, "memory")


def make(settings: MemorySettings, shape: HShape) -> HModule:
    """Return the H-module of these settings."""
    return _known(settings.module)(settings, shape)


def trust_own(config: Mapping[str, Any]) -> None:
    """Import the class of a memory that the configuration of the user's own command names, if it has one.

    Raises:
        ValueError: as `trust`.
    """
    memory = config.get("memory")
    if isinstance(memory, Mapping):
        trust([memory.get("module")], "memory.module")


def trust(names: Any, setting: str = "trust") -> None:
    """Import the modules of these classes, package.module.Class each; for names that the user has typed.

    Args:
        names: one of them, several, or None.
        setting: where they were given, for the message.

    Raises:
        ValueError: a module cannot be imported, or has no such H-module.
    """
    listed = isinstance(names, list | tuple)
    for name in names if listed else [] if names is None else [names]:
        module, _ = _parts(name, setting)
        try:
            with user_path():
                importlib.import_module(module)
        except Exception as error:  # Whatever the user's own file raises.
            raise ValueError(
                f"{setting} is {name!r}, which cannot be imported ({type(error).__name__}: {error}); "
                f"allowed: {_ALLOWED}"
            ) from error
        _known(name, setting)


def _known(path: Any, setting: str = "memory.module") -> type[HModule]:
    """The class of this name, which must be one of the package's or in this process already."""
    module, name = _parts(path, setting)
    if path in PACKAGE:
        importlib.import_module(module)
    elif module not in sys.modules:
        raise ValueError(
            f"memory.module is {path!r}, which is not memhrm's and is not imported unasked; if you trust it, "
            f"give trust={path} to the command, or import {module} first in Python"
        )
    found = vars(sys.modules[module]).get(name)  # No getattr: a module may import on demand.
    if not (isinstance(found, type) and issubclass(found, HModule)):
        raise ValueError(f"{setting} is {path!r}, and {name} is no HModule there; allowed: {_ALLOWED}")
    return found


def _parts(path: Any, setting: str) -> tuple[str, str]:
    module, _, name = str(path).rpartition(".")
    if not module or not all(part.isidentifier() for part in f"{module}.{name}".split(".")):
        raise ValueError(f"{setting} is {path!r}; allowed: {_ALLOWED}")
    return module, name
