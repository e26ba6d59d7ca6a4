"""From the settings of a memory to its H-module: the class is named by the setting `memory.module`."""

from collections.abc import Mapping
from typing import Any

from memhrm.config.settings import build, require
from memhrm.config.trust import Classes
from memhrm.memory.base import HModule, HShape, MemorySettings

PACKAGE = (
    *("memhrm.memory.none.NoMemory", "memhrm.memory.carry_add.CarryAdd", "memhrm.memory.tokens.Tokens"),
    *("memhrm.memory.bicross.BiCross", "memhrm.memory.multicell.MultiCell"),
    *("memhrm.memory.aggregate.Aggregate", "memhrm.memory.retrieval.Retrieval"),
)
"""The H-modules of this package."""

MODULES = Classes(
    "memory.module",
    HModule,
    {path: path for path in PACKAGE},
    "the class of an H-module, as package.module.Class",
)
"""What a memory can be."""


def parse(values: Mapping[str, Any]) -> MemorySettings:
    """Return the settings of a `memory` group, as the class that they name declares them.

    Raises:
        ValueError: there is no such class in this process, an unknown or missing key, or a value that is not
            allowed.
    """
    require(isinstance(values, Mapping), "memory", values, "a group of settings")
    return build(MODULES.find(values.get("module")).Settings, values)


def make(settings: MemorySettings, shape: HShape) -> HModule:
    """Return the H-module of these settings."""
    return MODULES.find(settings.module)(settings, shape)


def depends_on_steps(settings: MemorySettings) -> bool:
    """Return whether a memory may be trained otherwise in a run of more steps, as far as is known.

    What a module that is not of this package makes of the steps is not known.
    """
    own = MODULES.find(settings.module).schedule.__module__.startswith("memhrm.")
    return settings.stages > 1 or not own
