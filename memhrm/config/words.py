"""The words of a command line: paths as they were typed, flags in any order, one way to write a value."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from memhrm.config.settings import unknown

TEXTS = frozenset(
    (
        *("dir", "run", "out", "init", "from", "file", "examples", "figure", "vs", "target", "trust"),
        *("path", "cache", "train_file", "test_file"),
        *("data.path", "data.cache", "data.train_file", "data.test_file"),
    )
)
"""The settings whose value is the text as typed, most of them paths; but for `~`, `null` and `${...}`."""

LITERAL = frozenset(("prompt", "puzzle"))
"""The settings whose value is the text as typed, to the last space, and may be empty."""

SEVERAL = ("run", "file", "trust")
"""Those of them that are a list if they are given more than once."""

_KEY = re.compile(r"(\+\+|\+|~)?[A-Za-z_][\w./@:$-]*", re.ASCII)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_SWEEP = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\(.*\)", re.DOTALL)

_ALONE = ("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
          "--shell-completion", "-sc")  # fmt: skip
_VALUED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")),
    **dict.fromkeys(
        ("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    ),
    **dict.fromkeys(("--package", "-p", "--config-path", "-cp", "--config-name", "-cn"), ()),
    **dict.fromkeys(("--config-dir", "-cd", "--experimental-rerun"), ()),
}


def sorted_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, each with its value, and the other words; they may be given in any order.

    Raises:
        ValueError: a flag is unknown, or its value is missing or not among the allowed ones.
    """
    flags: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            others.append(word)
        elif word in _ALONE:
            flags.append(word)
        elif flag in _VALUED:
            allowed = _VALUED[flag]
            if flag in ("--info", "-i") and not equals:
                flags.append(
                    "--info=all"
                )  # Its value is optional; a word that follows is looked at for itself.
                continue
            value = value if equals else next(rest, "")
            if not value or (allowed and value not in allowed):
                raise ValueError(f"{flag} is {value!r}; allowed: {', '.join(allowed) or 'a name or a path'}")
            value = os.path.expanduser(value)  # A shell does not expand --config-dir=~/x.
            flags += [flag, value] if flag not in ("--info", "-i") else [f"--info={value}"]
        else:
            raise ValueError(unknown(flag, flag, [name for name in (*_ALONE, *_VALUED) if name[:2] == "--"]))
    return flags, others


def value_of(flags: Sequence[str], *names: str) -> str | None:
    """Return the value of a flag in what `sorted_out` returned, or None."""
    return next((flags[i + 1] for i, flag in enumerate(flags) if flag in names), None)


def name_of(word: str) -> str:
    """Return the dotted name of the setting, or the group, that an override gives."""
    return word.lstrip("+~").partition("=")[0].partition("@")[0]


def named(words: Sequence[str], bare: str | None, rest: str | None, known: Sequence[str]) -> list[str]:
    """Return words of the form setting=value, for those without a setting and those of another command.

    Args:
        words: as they were typed.
        bare: the setting that words without a name before a `=` give, if there is one.
        rest: the setting that takes, as a list, all words that name none of the known ones, if there is one.
        known: the settings of the command.
    """
    if bare:  # A path with a `=` behind a slash is a path.
        words = [word if re.match(r"[+~]|[\w.]+=|hydra/", word) else f"{bare}={word}" for word in words]
    if not rest:
        return list(words)
    others = [word for word in words if name_of(word) not in known and not word.startswith("hydra")]
    own = [word for word in words if word not in others]
    return [*own, f"{rest}=[{','.join(map(quote, others))}]"] if others else own


def quoted(words: Iterable[str], *, sweep: bool = False, known: Sequence[str] = ()) -> list[str]:
    """Return overrides in Hydra's grammar, in which a path is the text that was typed.

    `~` is expanded, `null` stays null, `${...}` refers to another setting, and what is in quotes already
    stays as it is. `run=[A,B]` is a list, and so are several `run=`.

    sweep: whether commas separate the values of a sweep (-m).
    known: the settings of the command, of which a message may name one.

    Raises:
        ValueError: a word is not of the form setting=value, sets nothing, or has an empty path.
    """
    result: list[str] = []
    listed: dict[str, list[str]] = {name: [] for name in SEVERAL}
    for word in words:
        key, equals, text = word.partition("=")
        if not _KEY.fullmatch(key) or not (equals or key.startswith("~")):
            raise ValueError(unreadable(word, known))
        name = key.lstrip("+")
        if re.fullmatch(r"\{\s*\}", text):
            raise ValueError(f"{name} is {{}}, which sets nothing; leave it out")
        if equals and name in LITERAL and not (sweep or _QUOTED.fullmatch(text)):
            text = quote(text)
            word = f"{key}={text}"
        elif equals and name in TEXTS:
            parts = split(text) if sweep else [text]
            text = ",".join(_text(part, name) for part in parts)
            if name in SEVERAL and not sweep:
                listed[name] += split(text[1:-1]) if _is_list(text) else [text]
                if len(listed[name]) > 1:  # Of several words for one setting Hydra would keep the last.
                    text = f"[{','.join(listed[name])}]"
                    result = [other for other in result if name_of(other) != name]
            word = f"{key}={text}"
        result.append(word)
    return result


def _text(text: str, name: str) -> str:
    if name in SEVERAL and _is_list(text):
        return f"[{','.join(_text(part.strip(), name) for part in split(text[1:-1]))}]"
    if not text:
        raise ValueError(f"{name} is empty; give a value, or leave {name} out")
    if text == "null" or _QUOTED.fullmatch(text) or _SWEEP.fullmatch(text):
        return text
    return quote(os.path.expanduser(text))


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


def swept(words: Iterable[str]) -> set[str]:
    """Return the names of the settings that have several values under -m."""
    parts = ((name_of(word), word.partition("=")[2]) for word in words)
    return {name for name, text in parts if len(split(text)) > 1 or _SWEEP.fullmatch(text)}


def quote(text: str) -> str:
    """Return a text in quotes that Hydra's grammar reads back as the same text."""
    # Backslashes are themselves but before a quote, where each is doubled.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{escaped[len(escaped) - trailing :]}'"


def split(text: str) -> list[str]:
    """Return the parts between the commas that stand outside of quotes and brackets."""
    parts, depth = [""], 0
    for token in re.findall(rf"{_QUOTED.pattern}|.", text, re.DOTALL):
        depth += (token in "([{") - (token in ")]}")
        if token == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def values(words: Sequence[str]) -> dict[str, Any]:
    """Return the settings that words of the form setting=value give, read as Hydra's commands read them.

    Raises:
        ValueError: a word is not of this form, or gives several values.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    result: dict[str, Any] = {}
    for word in quoted(words):
        try:
            override = parser.parse_override(word)
        except (HydraException, RecursionError) as error:
            raise ValueError(unreadable(word)) from error
        if override.is_delete():
            raise ValueError(f"{word!r} takes a setting away; give it a value instead")
        if override.is_sweep_override():
            raise ValueError(several(word))
        result[name_of(word)] = override.value()
    return result


def unreadable(word: str, known: Sequence[str] = ()) -> str:
    """Return the message on a word that is not of the form setting=value; known: the command's settings."""
    word = word if len(word) < 100 else f"{word[:80]}..."
    key, equals, text = word.partition("=")
    if not equals:
        example = f"run={word}" if "run" in known and os.path.isdir(word) else "seed=1"
        return f"{word!r} is not of the form setting=value, such as {example}"
    if not key:
        return f"{word!r} does not name its setting; write setting=value, such as seed=1"
    if not _KEY.fullmatch(key):
        return f"{word!r}: {key!r} is no name of a setting; write setting=value, such as seed=1"
    example = quote(re.sub(r"""['"\[\]{}()]""", "", text).strip() or "text")
    return (
        f"{word!r} cannot be read: brackets and quotes must be closed, and a text with special characters "
        f'stands in quotes of its own, such as "{key}={example}"'
    )


def several(word: str) -> str:
    """Return the message on a word that gives several values where one is wanted."""
    key, _, text = word.partition("=")
    return (
        f"{key} is {text}, which are several values; write {key}=[{text}] for a list, or add -m to run one "
        "after the other"
    )
