"""Build, inspect, convert and download data sets: ``python -m memhrm.data --help``."""

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config.command import CONFIGS, manual
from memhrm.config.console import Parser, one_line, run
from memhrm.config.settings import require, unknown
from memhrm.config.words import values as values_of
from memhrm.data.cache import expand, is_file
from memhrm.data.dataset import Dataset
from memhrm.data.episodes.recall import Recall
from memhrm.data.examples import Examples
from memhrm.data.files import write_csv
from memhrm.data.formats import first_question
from memhrm.data.loading import load, load_test
from memhrm.data.settings import parse
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.task import Task
from memhrm.system.files import require_free

NAMED = Path(CONFIGS) / "data"
USAGE = """\
  build NAME out=DIR [key=value ...]      write DIR/train.csv and DIR/test.csv
  inspect NAME [key=value ...]            counts, difficulty, overlap of training and test, an example
  inspect path=DIR-OR-FILE                the same for the files of a folder, or for one file
  convert NAME path=FILE out=FILE.csv     read puzzles in any public format, solve those without an answer,
                                          and write them in ours
  download NAME out=DIR                   fetch the files of sudoku_extreme or maze_hard

NAME is one of {names}.

settings of {shown}, with their defaults (those of another: python -m memhrm.data inspect NAME --help):
  out                           (required)    build, download: the folder to write to; convert: the file
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
    commands = {"build": build, "inspect": inspect, "convert": convert, "download": download}
    parser.add_argument("command", choices=commands, help="what to do; see below")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a file of configs/data, without .yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings to put over those of the file"
    )
    options = parser.parse_args(words)
    out, values = _settings(options.name, options.overrides)
    if options.command != "inspect" and out is None:
        raise ValueError(f"out is missing; give the folder to write to as `{options.command} ... out=DIR`")
    commands[options.command](values, Path(out or "").expanduser())


def _usage(words: list[str]) -> str:
    """Return what can be given, with the settings of the data set that the words name."""
    shown = next((word for word in words if word in _names()), "sudoku4")
    usual = manual.settings("data/sudoku4.yaml")
    settings = manual.explained(manual.settings(f"data/{shown}.yaml"), usual)
    return USAGE.format(names=", ".join(_names()), shown=shown, table=manual.table(settings))


def _settings(name: str | None, overrides: list[str]) -> tuple[str | None, dict[str, Any]]:
    """The folder given as out=, and the settings of a named set with key=value over them."""
    from memhrm.system.files import read_yaml  # the help text should not wait for it

    if name is not None and "=" in name:
        name, overrides = None, [name, *overrides]
    given = {key.removeprefix("data."): value for key, value in values_of(overrides).items()}
    if name is None:
        if "path" not in given:
            raise ValueError(f"NAME is missing; allowed: {', '.join(_names())}")
        named: Any = _guess(Path(str(given["path"])), str(given.get("train_file", "train.csv")))
    elif (NAMED / f"{name}.yaml").is_file():
        named = read_yaml(NAMED / f"{name}.yaml")
    else:
        raise ValueError(unknown(f"NAME {name!r}", name, _names()))
    if given.get("path") is not None and not named.get("download"):
        named |= {"train_size": None, "test_size": None}  # Those of the generator say nothing of files.
    settings = {str(key): value for key, value in {**named, **given}.items()}
    out = settings.pop("out", None)
    return None if out is None else str(out), settings


def _names() -> list[str]:
    return sorted(file.stem for file in NAMED.glob("*.yaml"))


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


def build(values: dict[str, Any], out: Path) -> None:
    """Write the training and test puzzles of a data set as files."""
    overwrite = _overwrite(values)
    files = [out / "train.csv", out / "test.csv"]
    for file in files:  # before the puzzles are generated
        require_free("out", file, overwrite)
    dataset = load(**values)
    for file, puzzles in zip(files, (dataset.train, dataset.test)):
        write_csv(file, dataset.task, puzzles)
        print(f"{file}: {len(puzzles):,} puzzles")


def convert(values: dict[str, Any], out: Path) -> None:
    """Write the puzzles of a file in any known format as a file in ours."""
    require_free("out", out, _overwrite(values))
    require(values.get("path") is not None, "path", None, "the file to convert, as path=FILE")
    file = expand("path", str(values["path"]))
    require(is_file(file), "path", str(file), "a file that exists")
    dataset = load_test(**{**values, "path": str(file), "test_size": None, "holdout": 0})
    write_csv(out, dataset.task, dataset.test)
    print(f"{out}: {len(dataset.test):,} puzzles")


def _overwrite(values: dict[str, Any]) -> bool:
    overwrite = values.pop("overwrite", False)
    require(isinstance(overwrite, bool), "overwrite", overwrite, "true or false")
    return overwrite


def inspect(values: dict[str, Any], _: Path) -> None:
    """Print what a data set holds."""
    alone = _alone(values)
    dataset = load_test(**values) if alone else load(**values)
    parts = {"puzzles" if alone else "test": dataset.test}
    parts = parts if alone else {"train": dataset.train, **parts}
    task = dataset.task
    print(f"{dataset.name}: grids of {task.rows} x {task.side} cells, {task.vocab_size} tokens")
    for sentence in dataset.episodes.describe(dataset.test):
        print(sentence)
    for part, puzzles in parts.items():
        print(f"\n{part}: {len(puzzles):,} puzzles from {', '.join(sorted(set(puzzles.sources)))}")
        print(f"  {_describe(task, puzzles)}")
        print(f"  {_quantiles('rating', puzzles.ratings)}; {np.mean(puzzles.ratings == 0):.0%} are 0")
    first = dataset.test if alone else dataset.train
    what = "puzzle" if alone else "training puzzle"
    print(f"\n{_overlap(dataset)}\n\nfirst {what} and its answer:")
    grids = (task.render(tokens[0]).splitlines() for tokens in (first.inputs, first.labels))
    print("\n".join(f"  {question}    {answer}" for question, answer in zip(*grids, strict=True)))


def _alone(values: dict[str, Any]) -> bool:
    """Return whether there is one file to inspect: the path is one, or the folder has but test puzzles."""
    if values.get("path") is None or values.get("holdout"):
        return False
    place = expand("path", str(values["path"]))
    return is_file(place) or not (place / str(values.get("train_file", "train.csv"))).exists()


def _describe(task: Task, puzzles: Examples) -> str:
    if isinstance(task, Recall):
        return _quantiles("different digits", np.array([len(np.unique(row)) for row in puzzles.inputs]))
    if isinstance(task, Sudoku):
        return _quantiles("clues", (puzzles.inputs > BLANK).sum(axis=1))
    return _quantiles("walls in %", (100 * (puzzles.inputs == 1).mean(axis=1)).round())


def _quantiles(name: str, values: np.ndarray) -> str:
    points = np.quantile(values, [0, 0.1, 0.5, 0.9, 1], method="nearest")
    return f"{name}: {' '.join(f'{value:.0f}' for value in points)} (min, 10 %, median, 90 %, max)"


def _overlap(dataset: Dataset) -> str:
    task = dataset.task
    train, test = (task.class_keys(part.inputs, part.labels) for part in (dataset.train, dataset.test))
    what = "solution grids (by fingerprint)" if isinstance(task, Sudoku) and task.side == 9 else "puzzles"
    repeated = [len(keys) - len(np.unique(keys)) for keys in (train, test)]
    if not len(train):
        return f"{what} up to symmetry: {repeated[1]} of {len(test):,} are repeated"
    return (
        f"{what} up to symmetry: {np.isin(test, train).sum()} of {len(test):,} in test are also in train; "
        f"{repeated[0]} repeated within train, {repeated[1]} within test"
    )


def download(values: dict[str, Any], out: Path) -> None:
    """Fetch the files of a data set that is published on the Hugging Face hub."""
    overwrite = _overwrite(values)
    settings = parse(values)
    if settings.download is None:
        raise ValueError(
            f"{settings.name} is generated; make its files with `build {settings.name} out={out}`"
        )
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ValueError("downloading needs an extra; install it with `pip install 'memhrm[hub]'`") from None
    for file in ("train.csv", "test.csv"):  # before anything is fetched
        require_free("out", out / file, overwrite)
    for file in ("train.csv", "test.csv"):
        try:
            path = hub.hf_hub_download(settings.download, file, repo_type="dataset", local_dir=out)
        except Exception as error:  # the hub raises what its HTTP library raises, whichever that is
            raise ValueError(f"cannot download {file} of {settings.download}: {one_line(error)}") from None
        print(path)
    print(f"use it with data={settings.name} data.path={out}")


if __name__ == "__main__":
    run(main)
