"""What Hydra, OmegaConf and YAML refuse, in one line that says what was given and what is allowed."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memhrm.config import manual
from memhrm.config.console import one_line
from memhrm.config.defaults import configurations
from memhrm.config.settings import unknown
from memhrm.config.words import name_of, quote, several, split, swept, unreadable


def check_names(name: str, words: Sequence[str]) -> None:
    """Refuse overrides of a command without groups that configs/NAME.yaml does not have.

    Hydra would take some of them, and look for others for a long time.

    Raises:
        ValueError: a setting is unknown, or would be taken away.
    """
    if manual.groups(name):
        return
    known = manual.names(name)
    for word in words:
        key = name_of(word)
        if re.match(r"hydra[./]", key):
            continue
        if key not in known and not any(setting.startswith(f"{key}.") for setting in known):
            raise ValueError(_nowhere(key, known))
        if key not in known:
            inside = ", ".join(setting for setting in known if setting.startswith(f"{key}."))
            raise ValueError(f"{word}: {key} is a group of settings; allowed: {inside}")
        if word.startswith("~"):
            raise ValueError(f"{word} would take the setting away; give it a value, as {key}=...")


def check_choices(name: str, words: Sequence[str], *, sweep: bool = False) -> None:
    """Refuse overrides of a command with groups that Hydra would take and drop, or say little of.

    sweep: whether commas separate the values of a sweep (-m).

    Raises:
        ValueError: a setting would be taken away, or a group is to be nothing, or several things at once.
    """
    there = manual.groups(name)
    for word in words if there else ():
        key, text = name_of(word), word.partition("=")[2]
        if word.startswith("~"):
            if key not in there:
                raise ValueError(f"{word} would take the setting away; give it a value, as {key}=...")
            continue
        for part in split(text) if sweep else [text]:
            if key in there and (part.strip("'\"") in ("", "null") or part[0] in "[{"):
                allowed = ", ".join(manual.options(key))
                raise ValueError(f"{key} is {part or 'empty'}; allowed: {allowed}")


def _nowhere(key: str, known: Sequence[str]) -> str:
    parent, _, last = key.rpartition(".")
    if parent in known:
        return f"{key} is unknown: {parent} has no settings of its own"
    beside = {setting[len(parent) + 1 :] for setting in known if parent and setting.startswith(f"{parent}.")}
    if not beside:
        last, beside = re.split(r"[./]", key)[0], {setting.split(".")[0] for setting in known}
    return unknown(key, last, beside)


def check_files(folder: str, words: Sequence[str]) -> None:
    """Read the user's own files that words choose, so that what is wrong with one is said by its name.

    folder: the value of --config-dir.

    Raises:
        ValueError: a file is no YAML in UTF-8 or has no settings.
    """
    import yaml

    for word in words:
        file = Path(folder, name_of(word), f"{word.partition('=')[2]}.yaml")
        if "=" not in word or not file.is_file():
            continue
        try:
            content = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise ValueError(no_yaml(error, str(file))) from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is no text in UTF-8; save it as UTF-8") from error
        if content is not None and not isinstance(content, yaml.MappingNode):
            where = f"{file}:{content.start_mark.line + 1}"
            raise ValueError(f"{where}: a setting is written as `name: value`; is a colon missing?")


def no_yaml(error: Exception, file: str | None = None) -> str:
    """Return the message on a file that is no YAML, with its name and line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or one_line(error)
    where = f"{file or getattr(mark, 'name', 'a configuration')}" + (f":{mark.line + 1}" if mark else "")
    advice = ""
    if "\\t" in problem:
        advice = "; indent with spaces, not with a TAB"
    elif "':'" in problem or "mapping values" in problem:
        advice = "; a setting is written as `name: value` (is a colon missing on this line or above it?)"
    return f"{where}: {problem}{advice}"


_OPTION = re.compile(
    r"Could not (?:find|load) '([^']+)/([^'/]+)'.* Available options in '[^']*': (.*?) Config search"
)


def explain(error: Any, name: str, words: Sequence[str], folder: str | None = None) -> str:
    """Return Hydra's message on overrides of configs/NAME.yaml as one line that says what to do.

    folder: the value of --config-dir.
    """
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, OverrideParseException):
        return unreadable(error.override)
    text = one_line(error)
    if match := re.match(r"Ambiguous value for argument '(.*?)' 1\. To use it as a list", text):
        return several(match[1])
    if match := re.match(r"Sweep parameters '(.*)' requires --multirun", text):
        return several(match[1])
    if match := re.match(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1], name, words, folder)
    if match := _OPTION.search(text):
        names = [name for name in match[3].split() if name[0] != "_"]  # Those are parts of others.
        return unknown(f"{match[1]}={match[2]}", match[2], names)
    if match := re.match(r"In '([^']+)': Could not (?:find|load) '([^']+)'", text):
        return f"{match[1]}.yaml builds on {match[2]}, which does not exist"
    if match := re.match(r"Could not delete(?: from config)?\. '([^']+)' does not exist", text):
        return _unknown_key(match[1], name, words, folder)
    if "Could not find" in text and "override" in text:
        return f"{text}; see --help for the groups"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return text
    # What Python raises of a range of a sweep says nothing of the word.
    ranges = [word for word in words if swept([word])]
    return f"{' '.join(ranges)}: {text}" if ranges else text


def _unknown_key(key: str, name: str, words: Sequence[str], folder: str | None) -> str:
    there = manual.groups(name)
    if there and key == "k":
        return "k is a setting of memories with cells; choose one with +memory=multicell, or leave k out"
    if there and key == "memory.k":
        return "memory.k is unknown; give k=..., which stands at the top"
    choices = [word for word in words if name_of(word) in there and not word.startswith("~")]
    in_memory = "memory" in there and key.split(".")[0] == "memory"
    if in_memory and not any(word.startswith("+memory=") for word in choices):
        allowed = ", ".join(manual.options("memory"))
        return f"{key}: no memory is chosen; choose one with +memory=NAME; allowed: {allowed}"
    first = [split(word)[0] for word in choices]  # Of a sweep.
    node: Any = _tree(name, [*first, *searched(folder)])
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, dict):
            parent = ".".join(parts[:depth])
            return f"{key} is unknown: {parent} is {node!r} and has no settings of its own"
        if part not in node:
            return unknown(".".join(parts[: depth + 1]), part, [str(setting) for setting in node])
        node = node[part]
    return f"{key} cannot be set"


def searched(folder: str | None) -> list[str]:
    """Return the override with which Hydra looks for configurations in a folder, too; none without one."""
    return [f"hydra.searchpath=[{quote(f'file://{Path(folder).absolute()}')}]"] if folder else []


def _tree(name: str, choices: Sequence[str]) -> Any:
    """Return the configuration with these choices from its groups, or without them if they do not fit."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with configurations():
        try:
            config = hydra.compose(config_name=name, overrides=list(choices))
        except (HydraException, OmegaConfBaseException):
            config = hydra.compose(config_name=name)
        return OmegaConf.to_container(config, resolve=False)
