"""The help of the commands, made from their docstrings and the comments in configs/, without YAML."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memhrm.config.defaults import CONFIGS
from memhrm.config.words import name_of

_SETTING = re.compile(r"( *)(\w+):(?: +([^#\s][^#]*?))? *(?:# ?(.*))?")
_WIDTH = 110


@dataclass(frozen=True)
class Setting:
    """A setting as its file has it: dotted name, default, the words behind it, and the heading above it."""

    name: str
    default: str
    words: str = ""
    heading: str = ""


def groups(name: str) -> list[str]:
    """Return the groups from which the command's configuration is put together; none for most commands."""
    if not re.search(r"^  - \w+: \w+$", _read(f"{name}.yaml"), re.MULTILINE):
        return []
    return sorted(path.name for path in Path(CONFIGS).iterdir() if path.is_dir())


def options(group: str) -> list[str]:
    """Return the names that can be chosen from a group; files that others build on begin with `_`."""
    return sorted(path.stem for path in Path(CONFIGS, group).glob("[!_]*.yaml"))


def settings(file: str) -> list[Setting]:
    """Return the settings of a file in configs/, in its order."""
    found: list[Setting] = []
    parents: list[tuple[int, str]] = []
    column, heading = 0, ""
    for line in _read(file).splitlines():
        text = line.strip()
        match = _SETTING.fullmatch(line)
        if text.startswith("#"):
            if found and found[-1].words and len(line) - len(line.lstrip()) > column:
                found[-1] = replace(found[-1], words=f"{found[-1].words} {text[1:].strip()}")
            elif found:
                heading = text[1:].strip()
        elif match:
            column, (_, name, value, words) = len(match[1]), match.groups()
            parents = [parent for parent in parents if parent[0] < column]
            dotted = ".".join([*(parent for _, parent in parents), name])
            if value is None:
                parents.append((column, name))
            elif parents[:1] not in ([(0, "defaults")], [(0, "hydra")]):
                found.append(Setting(dotted, value, (words or "").strip(), heading))
                heading = ""
    return found


def chosen(group: str, option: str) -> list[Setting]:
    """Return the settings that come with an option of a group, those of the options it builds on included."""
    text = _read(f"{group}/{option}.yaml")
    place = "" if text.startswith("# @package _global_") else f"{group}."
    merged: dict[str, Setting] = {}
    for parent in _parents(text):
        merged |= {setting.name: setting for setting in chosen(group, parent)}
    for setting in settings(f"{group}/{option}.yaml"):
        name = f"{place}{setting.name}"
        words = setting.words or (merged[name].words if name in merged else "")
        merged[name] = replace(setting, name=name, words=words)
    return list(merged.values())


def overrides(experiment: str) -> dict[str, str]:
    """Return the option that an experiment, or one that it builds on, chooses from each other group."""
    text, found = _read(f"experiment/{experiment}.yaml"), {}
    for parent in _parents(text):
        found |= overrides(parent)
    return found | dict(re.findall(r"^  - override /(\w+): (\w+)$", text, re.MULTILINE))


def explained(found: Iterable[Setting], others: Iterable[Setting]) -> list[Setting]:
    """Return settings, those that have no words with the words that settings of the same name have."""
    words = {setting.name: setting.words for setting in others}
    return [replace(one, words=one.words or words.get(one.name, "")) for one in found]


def names(name: str) -> list[str]:
    """Return the dotted names of the settings in configs/NAME.yaml."""
    return [setting.name for setting in settings(f"{name}.yaml")]


def everything(name: str, words: Sequence[str] = ()) -> list[Setting]:
    """Return all settings of a command, with the options of groups and the experiment that words choose."""
    choice = dict(re.findall(r"^  - (\w+): (?!null$)(\w+)$", _read(f"{name}.yaml"), re.MULTILINE))
    usual = [setting for group, option in choice.items() for setting in chosen(group, option)]
    there, given = groups(name), [(name_of(word), word.partition("=")[2]) for word in words]
    own = {group: option for group, option in given if group in there and option in options(group)}
    experiment = own.pop("experiment", None)
    choice |= (overrides(experiment) if experiment else {}) | own
    found: dict[str, Setting] = {}
    for group, option in choice.items():
        found |= {setting.name: setting for setting in explained(chosen(group, option), usual)}
    found |= {setting.name: setting for setting in settings(f"{name}.yaml")}
    for setting in chosen("experiment", experiment) if experiment else ():
        found[setting.name] = replace(found.get(setting.name, setting), default=setting.default)
    return list(found.values())


def page(name: str, purpose: str, words: Sequence[str] = ()) -> str:
    """Return the help of a command with the configuration configs/NAME.yaml.

    purpose: the docstring of the command. words: the command line; it may choose from the groups.
    """
    there = groups(name)
    parts = [paragraph(purpose)]
    if there:
        parts.append(f"Choices, as GROUP=NAME (+memory=NAME: by default there is none):\n{_choices(there)}")
    parts.append(f"Settings, as NAME=VALUE, with their defaults:\n{table(everything(name, words))}")
    if there:
        parts.append("With other choices, --help shows their settings: +memory=multicell data=maze --help")
    parts.append(_FLAGS)
    parts.append("Examples:\n" + examples(f"{name}.yaml"))
    return "\n\n".join(parts)


_FLAGS = """\
Flags:
  -m                           run every combination of settings with several values, as in seed=0,1,2
  --cfg job                    print the settings and do nothing else
  --config-dir DIR             look for configurations in DIR too
  --help, --hydra-help         this text; all flags of Hydra"""


def table(found: Iterable[Setting], indent: str = "  ") -> str:
    """Return settings as lines of name, default and words."""
    lines: list[str] = []
    for setting in found:
        if setting.heading:
            lines.append(f"{indent}{setting.heading}")
        default = {"???": "(required)"}.get(setting.default, setting.default)
        head = f"{indent}{setting.name:<29} {default:<13} "
        lines += _hung(head, setting.words, len(indent) + 44)
    return "\n".join(lines)


def examples(file: str) -> str:
    """Return the commands in the comment at the head of a file in configs/."""
    head = _head(file)
    return "\n".join(f"  {line.strip()}" for line in head if line.strip().startswith("python -m"))


def paragraph(text: str) -> str:
    """Return a docstring with its lines as they are, without the space around it."""
    return "\n".join(textwrap.fill(line, _WIDTH) for line in textwrap.dedent(text).strip().splitlines())


def _choices(there: Iterable[str]) -> str:
    lines: list[str] = []
    for group in there:
        for option in options(group):
            what = " ".join(
                line.strip() for line in _head(f"{group}/{option}.yaml") if "@package" not in line
            )
            what = re.split(r"[.] |[.]$| +python -m", what)[0]
            lines += _hung(f"  {group + '=' + option:<34} ", what, 37)
    return "\n".join(lines)


def _hung(head: str, words: str, column: int) -> list[str]:
    if len(head) > column:  # A long default has the line to itself.
        return [head.rstrip(), *_hung(" " * column, words, column)]
    return textwrap.wrap(words, _WIDTH, initial_indent=head, subsequent_indent=" " * column) or [
        head.rstrip()
    ]


def _parents(text: str) -> list[str]:
    """Return the options of its own group that an option builds on."""
    return [parent for parent in re.findall(r"^  - (\w+)$", text, re.MULTILINE) if parent != "_self_"]


def _head(file: str) -> list[str]:
    lines: list[str] = []
    for line in _read(file).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:])
    return lines


def _read(file: str) -> str:
    return Path(CONFIGS, file).read_text(encoding="utf-8")
