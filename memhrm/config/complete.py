"""What can be typed next on a command line of memhrm, for the completion of shells."""

import re
from collections.abc import Iterable, Mapping, Sequence

from memhrm.config import manual

_VALUES = re.compile(r"(?:[^|]*[:,] )?((?:[\w-]+ \| )+[\w-]+)")
"""The words behind a setting that list what it can be, as `sigmoid | q_learning`."""


SECOND = {
    "data": ("build", "inspect", "convert", "download"),
    "bank": ("add", "remove", "show"),
    "transfer": ("export", "import"),
    "arc": ("score",),
    "completion": ("bash", "zsh", "fish"),
}
"""The second words of commands that have some."""

ALSO = {"bench": "train"}
"""The commands that take every setting of another."""


def candidates(commands: Iterable[str], words: Sequence[str]) -> list[str]:
    """Return what the last of some words can become.

    Args:
        commands: the commands there are.
        words: the words behind memhrm, the last one unfinished, perhaps empty.
    """
    *before, last = words
    if not before:
        return [one for one in commands if one.startswith(last)]
    if len(before) == 1 and before[0] in SECOND:
        return [one for one in SECOND[before[0]] if one.startswith(last)]
    try:
        found = _settings(before[0], before[1:])
    except OSError:  # A command without a file in configs/.
        return []
    name, equals, value = last.partition("=")
    if not equals:
        return [f"{one}=" for one in found if one.startswith((last, f"+{last}"))]
    return [f"{name}={one}" for one in found.get(name, ()) if one.startswith(value)]


def _settings(command: str, words: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the settings of a command, and what is known that each can be."""
    found: dict[str, Sequence[str]] = {}
    for group in manual.groups(command):
        found["+memory" if group == "memory" else group] = manual.options(group)
    for setting in manual.everything(command, words):
        found[setting.name] = _values(setting)
    return {**_settings(ALSO[command], words), **found} if command in ALSO else found


def _values(setting: manual.Setting) -> Sequence[str]:
    if setting.default in ("true", "false"):
        return ("false", "true")
    match = _VALUES.match(setting.words)
    return match[1].split(" | ") if match else ()
