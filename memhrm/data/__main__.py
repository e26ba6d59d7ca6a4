"""Build, inspect, convert and download data sets: ``python -m memhrm.data --help``."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from memhrm.config.command import CONFIGS, manual
from memhrm.config.console import Parser, run
from memhrm.config.settings import unknown
from memhrm.config.trust import trust_own
from memhrm.config.words import values as values_of
from memhrm.data.cache import expand, is_file
from memhrm.data.commands import COMMANDS, refuse_unwritten
from memhrm.data.formats import first_question

USAGE = """\
  build NAME out=DIR [key=value ...]      write DIR/train.csv and DIR/test.csv; of arc DIR/arc.json
  inspect NAME [key=value ...]            counts, difficulty, overlap of training and test, an example;
                                          of arc a task
  inspect path=DIR-OR-FILE                the same for the files of a folder, or for one file
  convert NAME path=FILE out=FILE.csv     read puzzles in any public format, solve those without an answer,
                                          and write them in ours
  download NAME out=DIR                   fetch the files of sudoku_extreme or maze_hard

NAME is a file of configs/data, with --config-dir DIR also one of DIR/data:
{names}

settings of {shown}, with their defaults (those of another: python -m memhrm.data inspect NAME --help):
  out                           (required)    build, download: the folder to write to; convert: the file;
                                              inspect: of arc a picture as FILE.svg, if it is given
  show                          (optional)    inspect: the source whose example is drawn
  overwrite                     false         whether what is there may be replaced
{table}

examples:
  python -m memhrm.data inspect sudoku9
  python -m memhrm.data build maze out=mazes side=12 train_size=500
  python -m memhrm.data download sudoku_extreme out=sudoku-extreme"""


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Raises:
        ValueError, OSError: a bad setting, a bad file or a failed download.
    """
    words = sys.argv[1:] if arguments is None else arguments
    parser = Parser(
        prog="python -m memhrm.data",
        description="Build, inspect, convert and download data sets.",
        epilog=_usage(words),
    )
    parser.add_argument("command", choices=COMMANDS, help="what to do; see below")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a file of configs/data, without .yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings to put over those of the file"
    )
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="look for NAME in DIR/data too")
    options = parser.parse_intermixed_args(words)
    out, values, given = _settings(options.name, options.overrides, options.config_dir)
    if options.command != "inspect" and out is None:
        raise ValueError(f"out is missing; give the folder to write to as `{options.command} ... out=DIR`")
    trust_own({"data": values})
    if options.command == "build":
        refuse_unwritten(values, given)
    COMMANDS[options.command](values, Path(out or "").expanduser())


def _usage(words: list[str]) -> str:
    """Return what can be given, with the settings of the data set that the words name."""
    names = manual.options("data")
    shown = next((word for word in words if word in names), "sudoku4")
    settings = [replace(one, name=one.name.removeprefix("data.")) for one in manual.chosen("data", shown)]
    listed = fill(", ".join(names), 100, initial_indent="  ", subsequent_indent="  ")
    return USAGE.format(names=listed, shown=shown, table=manual.table(settings))


def _settings(
    name: str | None, overrides: list[str], folder: str | None
) -> tuple[str | None, dict[str, Any], set[str]]:
    """Return the folder given as out=, settings of a named set with key=value over them, and these keys."""
    if name is not None and "=" in name:
        name, overrides = None, [name, *overrides]
    given = {key.removeprefix("data."): value for key, value in values_of(overrides).items()}
    files = _files(folder)
    names = sorted(name for name in files if name[0] != "_")
    if name is None:
        if "path" not in given:
            raise ValueError(f"NAME is missing; allowed: {', '.join(names)}")
        named: Any = _guess(Path(str(given["path"])), str(given.get("train_file", "train.csv")))
    elif name in names:
        named = _read(name, files)
    else:
        raise ValueError(unknown(f"NAME {name!r}", name, names))
    if given.get("path") is not None and not named.get("download"):
        named |= {"train_size": None, "test_size": None}  # Those of the generator say nothing of files.
    settings = {str(key): value for key, value in {**named, **given}.items()}
    out = settings.pop("out", None)
    return None if out is None else str(out), settings, set(given)


def _files(folder: str | None = None) -> dict[str, Path]:
    """Return the YAML files of data sets by name, those of the user's own folder first."""
    folders = [CONFIGS, *([] if folder is None else [folder])]
    return {file.stem: file for place in folders for file in Path(place, "data").expanduser().glob("*.yaml")}


def _read(name: str, files: dict[str, Path]) -> dict[str, Any]:
    """Return the settings of a file, put over those of the files that it builds on."""
    from memhrm.system.files import read_yaml  # the help text should not wait for it

    own: Any = read_yaml(files[name])
    if not isinstance(own, dict):
        raise ValueError(f"{files[name]}: allowed: settings, each as `name: value`")
    merged: dict[str, Any] = {}
    for parent in own.pop("defaults", ()):
        if parent != "_self_":
            if parent not in files:
                raise ValueError(f"{files[name]} builds on {parent}, which does not exist")
            merged |= _read(parent, files)
    return merged | own


def _guess(folder: Path, file: str) -> dict[str, Any]:
    """Return settings for puzzles in files, from the first question: mazes have walls, sudokus have none."""
    place = expand("path", str(folder))
    if not is_file(place):
        if not place.is_dir():
            raise ValueError(f"path is {str(folder)!r}; allowed: a folder or a file that exists")
        place = place / file if is_file(place / file) else place / "test.csv"
    question, is_row = first_question(place)
    if not question:
        raise ValueError(f"{place}: no puzzles found; give the NAME of their kind too, if there are any")
    side = len(question) if is_row else math.isqrt(len(question))
    if not side or (not is_row and side * side != len(question)):
        raise ValueError(
            f"path is {folder}, its first question has {len(question)} cells; allowed: square grids; or give "
            "the NAME too"
        )
    return {"name": str(folder), "kind": "maze" if "#" in question else "sudoku", "side": side}


if __name__ == "__main__":
    run(main)
