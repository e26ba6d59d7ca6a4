"""From the settings of a memory to its H-module: the class is named by the setting `memory.module`."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from memhrm.config import user_path
from memhrm.memory.h_module import HModule, HShape, MemorySettings
from memhrm.settings import build


def parse(values: Mapping[str, Any], *, trusted: bool = True) -> MemorySettings:
    """The settings of a `memory` group, as the named class declares them.

    trusted: whether the class's module may be imported. Values that come with a file are not trusted: the
        module must then be imported already, or be one of memhrm's.

    Raises:
        ValueError: there is no such class, an unknown or missing key, or a value that is not allowed.
    """
    return build(_class(values.get("module"), trusted).Settings, values, "memory")


def make(settings: MemorySettings, shape: HShape) -> HModule:
    """The H-module of these settings."""
    return _class(settings.module, True)(settings, shape)


def _class(path: Any, trusted: bool) -> type[HModule]:
    allowed = "the class of an H-module, as package.module.Class"
    module, _, name = str(path).rpartition(".")
    if not module or not all(part.isidentifier() for part in f"{module}.{name}".split(".")):
        raise ValueError(f"memory.module is {path!r}; allowed: {allowed}")
    if not trusted and not module.startswith("memhrm.memory.") and module not in sys.modules:
        raise ValueError(
            f"memory.module is {path!r}, which the file asks for; import {module} first if you trust it"
        )
    try:
        with user_path():
            found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ValueError(
            f"memory.module is {path!r}, which cannot be imported ({error}); allowed: {allowed}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, HModule)):
        raise ValueError(f"memory.module is {path!r}, and {name} is no HModule there; allowed: {allowed}")
    return found
