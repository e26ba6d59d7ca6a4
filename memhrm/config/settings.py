"""Strict settings: dataclasses with defaults in configs/; what is unknown, missing or wrong is refused."""

import difflib
import math
import types
import typing
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from numbers import Integral
from typing import Any, ClassVar, Self, TypeVar

from memhrm.config.defaults import defaults

T = TypeVar("T")

MOST = 2**31 - 1
"""The largest size or count that a setting may be; what is larger overflows further on."""

MOST_STEPS = 1_000_000
"""The most supervision steps of a puzzle: what is noted of each of more fills any memory."""


class Settings:
    """Base of a dataclass of settings. Its fields have no defaults: those are in a file in configs/.

    Attributes:
        FILE: path of that file in configs/, without `.yaml`; empty for a class without defaults.
        GROUP: dotted name of the group of these settings, in messages and in the file; empty at the top.
    """

    FILE: ClassVar[str] = ""
    GROUP: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check the types of all fields; whole numbers become floats and lists tuples where that is meant.

        Raises:
            ValueError: a value is of another type, or a number is not finite.
        """
        check_types(self, self.GROUP)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Return settings with these values, and the default for everything else; see `build`."""
        return build(cls, values)


def build(cls: type[T], values: Mapping[str, Any], where: str | None = None) -> T:
    """Return settings made from a mapping, strictly; what the mapping lacks has its default.

    Args:
        cls: a dataclass.
        values: the settings by name; groups of settings as mappings.
        where: the dotted name of the group, for messages; None: that of the class.

    Raises:
        ValueError: a key is unknown, a setting without default is missing, or a value is of another type. The
            message names the setting, what was given and what is allowed.
    """
    assert is_dataclass(cls)
    where = str(getattr(cls, "GROUP", "")) if where is None else where
    if not isinstance(values, Mapping):
        raise ValueError(_wrong(where or "the configuration", values, cls))
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}
    for name in values:
        if name not in known:
            raise ValueError(unknown(_join(where, name), name, known))
    made = {name: convert(value, hints[name], _join(where, name)) for name, value in values.items()}
    lacking = [name for name, field in known.items() if name not in values and field.default is MISSING]
    usual = _usual(cls) if lacking else {}
    for name in lacking:
        if usual.get(name, "???") == "???":
            raise ValueError(f"{_join(where, name)} is missing; give it as {_join(where, name)}=...")
    return cls(**{name: usual[name] for name in lacking}, **made)


def _usual(cls: type) -> dict[str, Any]:
    """Return the defaults of a class and its bases; one may stand at the top of the file, as `k` does."""
    usual: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if file := vars(base).get("FILE"):
            found = defaults(file)
            usual |= {**found, **found.get(getattr(cls, "GROUP", ""), {})}
    return usual


def check_types(made: Any, where: str) -> None:
    """Check the types of the fields of a dataclass; see `Settings.__post_init__`."""
    hints = typing.get_type_hints(type(made))
    for field in fields(made):
        value = convert(getattr(made, field.name), hints[field.name], _join(where, field.name))
        object.__setattr__(made, field.name, value)  # Settings are frozen once they are made.


def unknown(what: str, given: str, allowed: Iterable[str]) -> str:
    """Return the message for a name that is not allowed, with the nearest allowed one if any is near."""
    near = difflib.get_close_matches(str(given), list(allowed), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{what} is unknown; {hint}allowed: {', '.join(sorted(allowed))}"


def convert(value: Any, hint: Any, where: str) -> Any:
    """Check a value against a type hint; whole numbers serve as floats, lists as tuples.

    Raises:
        ValueError: the value is of another type, a number that is not finite, or a whole number that does
            not fit into 64 bits.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or (origin is dict and isinstance(value, Mapping)):
        return value
    if origin in (types.UnionType, typing.Union):
        for choice in args:
            try:
                return convert(value, choice, where)
            except ValueError:
                continue
        kinds = [choice for choice in args if choice is not type(None)]
        if len(kinds) == 1 and isinstance(value, list | tuple | Mapping):
            convert(value, kinds[0], where)  # It may say which of the values inside is wrong.
        raise ValueError(_wrong(where, value, hint))
    if origin is typing.Literal:
        if value in args and type(value) in {type(choice) for choice in args}:
            return value
        raise ValueError(f"{where} is {value!r}; allowed: {', '.join(map(str, args))}")
    if origin is tuple and isinstance(value, list | tuple):
        inner = args[:1] * len(value) if args[-1] is Ellipsis else args
        if len(inner) == len(value):
            return tuple(
                convert(one, kind, f"{where}[{i}]") for i, (one, kind) in enumerate(zip(value, inner))
            )
    if _is_group(hint):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return build(hint, value, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        finite = math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63
        if not finite:
            raise ValueError(_wrong(where, value, hint))
        return float(value)
    if hint is int and type(value) is int and abs(value) >= 2**63:
        raise ValueError(f"{where} is {value}; allowed: a whole number below 2**63")
    if hint in (int, bool, str, dict) and type(value) is hint:
        return value
    if hint is type(None) and value is None:
        return value
    raise ValueError(_wrong(where, value, hint))


def require(condition: bool, setting: str, given: Any, allowed: str) -> None:
    """Raise the usual ValueError unless the condition holds."""
    if not condition:
        raise ValueError(f"{setting} is {given!r}; allowed: {allowed}")


def in_parts(name: str, *counts: int) -> bool:
    """Return whether a name has as many parts between slashes as one of the counts, none of them empty."""
    parts = name.split("/")
    return len(parts) in counts and all(parts)


def require_size(setting: str, given: int, least: int = 1, most: int = MOST) -> None:
    """Raise the usual ValueError unless a size or count is a whole number from `least` to `most`."""
    require(isinstance(given, Integral) and not isinstance(given, bool), setting, given, "a whole number")
    allowed = f"{least} or above" if given < least else f"{least} to {most:,}"
    require(least <= given <= most, setting, given, allowed)


def require_threads(given: int | None) -> None:
    """Raise the usual ValueError unless so many CPU threads can be had; PyTorch dies of more."""
    require(given is None or 1 <= given < 2**15, "threads", given, "null, or 1 or above, below 2**15")


class SettingWarning(UserWarning):
    """A setting that has no effect beside the others."""


def advise(condition: bool, text: str) -> None:
    """Warn if the condition holds."""
    if condition:
        warnings.warn(text, SettingWarning, stacklevel=2)


def refuse(unused: bool, name: str, value: Any, beside: str) -> None:
    """Raise the ValueError of a setting that was given and is not used, if it is not.

    beside: what it changes nothing with, or without.
    """
    if unused:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
        raise ValueError(f"{name} is {text}, which changes nothing {beside}; leave it out")


def stage(step: int, total: int, stages: int) -> int:
    """Return the number of the stage of a step, from 0, if each stage has an equal part of all steps.

    Args:
        step: steps done.
        total: steps of the whole training.
        stages: the number of stages.
    """
    return min(step * stages // total, stages - 1)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


_WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}


def _words(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_words(choice) for choice in args)
    if origin is typing.Literal:
        return ", ".join(map(str, args))
    if origin is tuple:
        return "a list" if args[-1] is Ellipsis else f"a list of {len(args)}"
    return _WORDS.get(
        hint, "a group of settings" if _is_group(hint) else getattr(hint, "__name__", str(hint))
    )


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _wrong(where: str, value: Any, hint: Any) -> str:
    return f"{where} is {value!r}; allowed: {_words(hint)}"
