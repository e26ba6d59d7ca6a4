"""Hydra, as the commands use it: where the configurations are, and errors that fit in one line."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from memhrm import console
from memhrm.settings import unknown

_INSTALLED = Path(__file__).parent / "configs"
CONFIGS = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "configs")
"""The folder of configurations: inside an installed package, beside it in a checkout."""


Body = Callable[[dict[str, Any], frozenset[str]], int | None]
"""The body of a command: takes the configuration and the names of the settings that were given; returns its
exit code."""


def command(name: str, body: Body) -> NoReturn:
    """Run `body` on the configuration configs/NAME.yaml with the command line's overrides, and exit.

    The body gets plain data, and which settings stood on the command line. Multirun (-m) runs it once per
    combination; the worst exit code counts.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them.
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    codes: list[int] = []

    def job(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        words = HydraConfig.get().overrides.task
        codes.append(console.code_of(lambda: body(plain(config), given(words))))
        if codes[-1] > 128:  # A signal: the other combinations do not run either.
            sys.exit(codes[-1])

    def call() -> int:
        try:
            hydra.main(version_base="1.3", config_path=CONFIGS, config_name=name)(job)()
        except (HydraException, OmegaConfBaseException) as error:
            raise ValueError(explain(error, name, sys.argv[1:])) from error
        return max(codes, default=0)

    console.run(call)


def given(overrides: Sequence[str]) -> frozenset[str]:
    """Return the names of the settings that overrides give, dotted, without those that choose a group."""
    names = (word.lstrip("+~").partition("=")[0].partition("@")[0] for word in overrides)
    return frozenset(name for name in names if not (Path(CONFIGS) / name).is_dir())


def plain(config: Any, *, whole: bool = True) -> dict[str, Any]:
    """A resolved configuration as plain data.

    whole: whether a value that is still missing is an error.

    Raises:
        ValueError: a value is missing, or refers to something that does not exist.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        container = OmegaConf.to_container(config, resolve=True, throw_on_missing=whole)
    except MissingMandatoryValue as error:
        raise ValueError(f"{error.full_key} is missing; give it as {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise ValueError(console.one_line(error)) from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def compose(name: str, overrides: Sequence[str], *, whole: bool = True) -> dict[str, Any]:
    """The configuration configs/NAME.yaml with overrides, for commands that need several.

    whole: whether a value that is still missing is an error.

    Raises:
        ValueError: an override names something that does not exist.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=CONFIGS):
            return plain(hydra.compose(config_name=name, overrides=list(overrides)), whole=whole)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error, name, overrides)) from error


def explain(error: Exception, name: str, overrides: Sequence[str]) -> str:
    """Hydra's message on overrides of configs/NAME.yaml, in one line that says what to do."""
    text = console.one_line(error)
    key = re.match(r"Could not override '([^']+)'", text)
    if key:
        return _unknown_key(key[1], name, overrides)
    group = re.search(
        r"Could not find '([^']+)/([^'/]+)' Available options in '[^']*': (.*?) Config search", text
    )
    if group:
        return unknown(f"{group[1]}={group[2]}", group[2], group[3].split())
    if "Could not find" in text and "override" in text:
        return f"{text}; see --help for the groups"
    return text


def _unknown_key(key: str, name: str, overrides: Sequence[str]) -> str:
    if key == "k":
        return "k is a setting of memories with cells; choose one with +memory=multicell, or leave k out"
    groups = [word for word in overrides if (Path(CONFIGS) / word.lstrip("+").partition("=")[0]).is_dir()]
    if key.split(".")[0] == "memory" and not any(word.startswith("+memory=") for word in groups):
        names = sorted(path.stem for path in Path(CONFIGS, "memory").glob("*.yaml"))
        return f"{key}: no memory is chosen; choose one with +memory=NAME; allowed: {', '.join(names)}"
    parent, _, last = key.rpartition(".")
    node: Any = compose(name, groups, whole=False)
    for part in filter(None, parent.split(".")):
        if not isinstance(node, dict) or part not in node:
            return _unknown_key(parent, name, overrides)
        node = node[part]
    if not isinstance(node, dict):
        return f"{key} is unknown: {parent} is {node!r} and has no settings of its own"
    return unknown(key, last, [str(setting) for setting in node])
