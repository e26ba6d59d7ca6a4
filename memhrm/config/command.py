"""The command line that all commands share: settings as NAME=VALUE, read by Hydra; errors in one line."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from memhrm.config import console, manual
from memhrm.config.defaults import CONFIGS, config_dir, configurations
from memhrm.config.settings import Settings
from memhrm.config.words import name_of, named, quoted, sorted_out, swept, unreadable, value_of

Body = Callable[[dict[str, Any], frozenset[str]], int | None]
"""The body of a command: takes the configuration and the names of the settings that were given; returns its
exit code."""

_QUIET = {
    "hydra/job_logging": "none",
    "hydra/hydra_logging": "none",
    "hydra.run.dir": ".",
    "hydra.sweep.dir": "runs/.multirun",
    "hydra.sweep.subdir": ".",
    "hydra.output_subdir": "null",
    "hydra.job.chdir": "false",
}
"""Settings of Hydra itself, unless others are given: it neither logs nor writes nor changes the folder."""


@dataclass(frozen=True, kw_only=True)
class RunSource(Settings):
    """What commands that start from a finished run have in common; configs/ says what each setting is."""

    run: str
    checkpoint: Literal["last", "best"]
    weights: Literal["ema", "raw"]
    trust: str | tuple[str, ...] | None
    out: str | None
    overwrite: bool


def command(name: str, body: Body, *, bare: str | None = None, rest: str | None = None) -> NoReturn:
    """Run `body` on the configuration configs/NAME.yaml with the command line's settings, and exit.

    The body gets plain data, and which settings stood on the command line. Multirun (-m) runs it once per
    combination; the worst exit code counts. --help answers without Hydra.

    Args:
        name: the command.
        body: what it does.
        bare: the setting that words without `=` give.
        rest: the setting, a list of texts, that takes the words that name no setting of this command.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        purpose = sys.modules[body.__module__].__doc__ or ""
        console.run(lambda: print(manual.page(name, purpose, sys.argv[1:])))
    console.run(lambda: _run(name, body, sys.argv[1:], bare, rest))


def _run(name: str, body: Body, typed: Sequence[str], bare: str | None, rest: str | None) -> int:
    """Run the body through Hydra; return the worst exit code."""
    flags, others = sorted_out(typed)
    several = "-m" in flags or "--multirun" in flags
    known = manual.names(name)
    others = named(others, bare, rest, known)
    words = quoted(others, sweep=several, known=known)
    from memhrm.config.explain import check_choices, check_files, check_names

    check_choices(name, words, sweep=several)
    if not value_of(flags, "--config-name", "-cn", "--config-path", "-cp"):
        check_names(name, words)
    folder = value_of(flags, "--config-dir", "-cd")
    if folder:
        check_files(folder, others)

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them.
    import hydra
    from omegaconf import DictConfig, OmegaConf

    codes: list[int] = []

    def run(config: DictConfig, job_words: Sequence[str]) -> None:
        own = [word for word in job_words if name_of(word) in swept(words)] or job_words
        where = f"in the job {' '.join(own)}: " if several else ""
        with _arguments(typed):  # A body may say how it was called.
            try:
                codes.append(console.code_of(lambda: body(plain(config), given(job_words)), where))
            except Exception:  # A fault of ours; raised, Hydra would add lines of its own.
                print(f"error: {where}this is a fault of memhrm:", file=sys.stderr)
                traceback.print_exc()
                codes.append(1)
        if codes[-1] > 128:  # A signal: the other combinations do not run either.
            sys.exit(codes[-1])

    def job(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        overrides = HydraConfig.get().overrides.task
        # Unresolved: ${...} in them refers to the job's settings, not to Hydra's.
        run(config, list(map(str, OmegaConf.to_container(overrides, resolve=False) or ())))

    if not flags and not any("hydra" in word for word in words):
        # Nothing is asked of Hydra's application, which composes twice, the first time to learn its mode.
        with _explained(name, words), configurations():
            config = hydra.compose(config_name=name, overrides=words)
        run(config, words)
        return max(codes)

    given_too = set(map(name_of, words))
    quiet = [f"{key}={value}" for key, value in _QUIET.items() if key not in given_too]
    with _arguments([*flags, *quiet, *words]), _explained(name, words, folder):
        hydra.main(version_base="1.3", config_path=CONFIGS, config_name=name)(job)()
    return max(codes, default=0)


@contextmanager
def _arguments(words: Sequence[str]) -> Iterator[None]:
    """Have other words on the command line; Hydra reads them from there."""
    before, sys.argv = sys.argv, [sys.argv[0], *words]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _explained(name: str, words: Sequence[str], folder: str | None = None) -> Iterator[None]:
    """Make ValueErrors of one line of what Hydra raises."""
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from memhrm.config.explain import explain, no_yaml

    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ValueError(explain(error, name, words, folder)) from error
    except yaml.YAMLError as error:
        raise ValueError(no_yaml(error)) from error
    except RecursionError as error:  # The words are the only input that can be so deep.
        raise ValueError(unreadable(max(words, key=len, default=""))) from error


def given(overrides: Sequence[str]) -> frozenset[str]:
    """Return the names of the settings that overrides give, dotted, without those that choose a group."""
    names = map(name_of, overrides)
    return frozenset(name for name in names if not (Path(CONFIGS) / name).is_dir())


def plain(config: Any, *, whole: bool = True) -> dict[str, Any]:
    """Return a resolved configuration as plain data.

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
    except (OmegaConfBaseException, RecursionError) as error:
        raise ValueError(console.one_line(error)) from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def compose(name: str, overrides: Sequence[str], *, whole: bool = True) -> dict[str, Any]:
    """Return the configuration configs/NAME.yaml with overrides, for commands that need several.

    The overrides are written as on the command line: a path is the text that is typed. Inside of a command
    they may choose from the folder of its --config-dir, too.

    whole: whether a value that is still missing is an error.

    Raises:
        ValueError: an override names something that does not exist.
    """
    import hydra

    from memhrm.config.explain import check_choices, check_files, check_names, searched

    words, folder = quoted(overrides), config_dir()
    check_choices(name, words)
    check_names(name, words)
    if folder:
        check_files(folder, words)
    with _explained(name, words, folder), configurations():
        config = hydra.compose(config_name=name, overrides=[*words, *searched(folder)])
    return plain(config, whole=whole)


@contextmanager
def user_path() -> Iterator[None]:
    """Let modules be found in the current folder too, after everything that is installed.

    For importing a class that the user's own command names. A command does not look there otherwise, so
    that no file that lies in a folder of runs takes the place of a module.
    """
    here = os.getcwd()
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
