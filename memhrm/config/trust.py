"""Classes that settings name as package.module.Class, and when their modules are imported.

Settings come with run directories and files too, and what comes with a file must not be able to have code
imported. So only `trust` and `trust_own` import: the commands call them with what their own command line
names. Everything else finds the classes of this package and those that are in this process already.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from memhrm.config import console
from memhrm.config.command import user_path

T = TypeVar("T")


@dataclass(frozen=True)
class Classes(Generic[T]):
    """The classes that one setting can name.

    Attributes:
        setting: dotted name of the setting, such as ``memory.module``.
        base: the class that all of them are subclasses of.
        own: names of the classes of this package, with where each is, as package.module.Class.
        allowed: what the setting can be, for messages.
    """

    setting: str
    base: type[T]
    own: Mapping[str, str]
    allowed: str

    def __post_init__(self) -> None:
        NAMED.append(self)

    def find(self, name: Any) -> type[T]:
        """Return the class of this name, one of the package's or one that is in this process already.

        Raises:
            ValueError: there is no such class in this process, or it is of another kind.
        """
        path = self.own.get(name) if isinstance(name, str) else None
        module, _ = _parts(path or name, self.setting, self.allowed)
        if path:
            importlib.import_module(module)
        elif module not in sys.modules:
            raise ValueError(
                f"{self.setting} is {name!r}, which is not memhrm's and is not imported unasked; if you "
                f"trust it, give trust={name} to the command, or import {module} first in Python"
            )
        return _found(path or name, [self], self.setting)


NAMED: list[Classes[Any]] = []
"""What can be named: each `Classes` that has been made."""


def trust_own(config: Mapping[str, Any]) -> None:
    """Import the classes that the configuration of the user's own command names.

    Raises:
        ValueError: as `trust`.
    """
    for classes in NAMED:
        group, _, name = classes.setting.partition(".")
        values = config.get(group)
        if isinstance(values, Mapping) and values.get(name) not in classes.own:
            _imported(values.get(name), [classes], classes.setting)


def trust(names: Any) -> None:
    """Import the modules of these classes, package.module.Class each; for names that the user has typed.

    Args:
        names: one of them, several, or None.

    Raises:
        ValueError: a module cannot be imported, or has no such class.
    """
    listed = isinstance(names, list | tuple)
    for name in names if listed else [] if names is None else [names]:
        _imported(name, NAMED, "trust")


def _imported(name: Any, kinds: list[Classes[Any]], setting: str) -> None:
    allowed = kinds[0].allowed if len(kinds) == 1 else "a class, as package.module.Class"
    module, _ = _parts(name, setting, allowed)
    try:
        with user_path():
            importlib.import_module(module)
    except Exception as error:  # Whatever the user's own file raises.
        raise ValueError(
            f"{setting} is {name!r}, which cannot be imported ({type(error).__name__}: {error}); "
            f"allowed: {allowed}"
        ) from error
    _found(name, kinds, setting)
    file = getattr(sys.modules[module], "__file__", None)
    if file is not None and module.partition(".")[0] != "memhrm":
        console.OWN_FILES.add(file)


def _found(path: str, kinds: list[Classes[Any]], setting: str) -> type[Any]:
    """Return the class, which must be complete and of one of these kinds; its module has been imported."""
    module, _, name = path.rpartition(".")
    found = vars(sys.modules[module]).get(name)  # No getattr: a module may import on demand.
    bases = [classes.base for classes in kinds]
    if not (isinstance(found, type) and issubclass(found, tuple(bases))):
        what = " or ".join(base.__name__ for base in bases)
        where = getattr(sys.modules[module], "__file__", None) or module  # Not the user's, if names clash.
        raise ValueError(
            f"{setting} is {path!r}, and {name} is no {what} in {where}; allowed: {kinds[0].allowed}"
        )
    if lacking := sorted(getattr(found, "__abstractmethods__", ())):
        raise ValueError(f"{setting} is {path!r}, which lacks {', '.join(lacking)}")
    return found


def _parts(path: Any, setting: str, allowed: str) -> tuple[str, str]:
    module, _, name = str(path).rpartition(".")
    if not module or not all(part.isidentifier() for part in f"{module}.{name}".split(".")):
        raise ValueError(f"{setting} is {path!r}; allowed: {allowed}")
    return module, name
