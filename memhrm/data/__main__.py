"""Build, inspect and download data sets: ``python -m memhrm.data --help``."""

import csv
import importlib
import math
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from memhrm import manual
from memhrm.config import CONFIGS
from memhrm.console import Parser, one_line, run
from memhrm.data.config import EpisodeSettings, parse
from memhrm.data.csv_files import write_csv
from memhrm.data.episodes import milestones
from memhrm.data.puzzle import PuzzleSet, Task
from memhrm.data.recall import Recall
from memhrm.data.sources import Dataset, load
from memhrm.data.sudoku import BLANK, Sudoku
from memhrm.settings import unknown
from memhrm.words import values as values_of

NAMED = Path(CONFIGS) / "data"
USAGE = """\
  build NAME out=DIR [key=value ...]      write DIR/train.csv and DIR/test.csv
  inspect NAME [key=value ...]            counts, difficulty, overlap of training and test, an example
  inspect path=DIR                        the same for the files of a folder
  download NAME out=DIR                   fetch the files of sudoku_extreme or maze_hard

NAME is one of {names}.

settings of {shown}, with their defaults (those of another: python -m memhrm.data inspect NAME --help):
  out                           (required)    build, download: the folder to write to
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
        description="Build, inspect and download data sets.",
        epilog=_usage(words),
    )
    commands = {"build": build, "inspect": inspect, "download": download}
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
    from memhrm.files import read_yaml  # the help text should not wait for it

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
    settings = {str(key): value for key, value in {**named, **given}.items()}
    out = settings.pop("out", None)
    return None if out is None else str(out), settings


def _names() -> list[str]:
    return sorted(file.stem for file in NAMED.glob("*.yaml"))


def _guess(folder: Path, file: str) -> dict[str, Any]:
    """Settings for the files of a folder, from the first question: mazes have walls, sudokus have none."""
    with open(folder / file, newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(islice(lines, 2)))
    question = (
        rows[1][1] if len(rows[1:]) and len(rows[1]) > 1 else "." * 81
    )  # reading will say what is wrong
    side = math.isqrt(len(question))
    if side * side != len(question):
        raise ValueError(
            f"path is {folder}, its first question has {len(question)} cells; allowed: square grids; or give "
            "the NAME too"
        )
    return {"name": str(folder), "kind": "maze" if "#" in question else "sudoku", "side": side}


def build(values: dict[str, Any], out: Path) -> None:
    """Write the training and test puzzles of a data set as files."""
    dataset = load(**values)
    for part, puzzles in (("train", dataset.train), ("test", dataset.test)):
        write_csv(out / f"{part}.csv", dataset.task, puzzles)
        print(f"{out / f'{part}.csv'}: {len(puzzles):,} puzzles")


def inspect(values: dict[str, Any], _: Path) -> None:
    """Print what a data set holds."""
    dataset = load(**values)
    task = dataset.task
    print(f"{dataset.name}: grids of {task.rows} x {task.side} cells, {task.vocab_size} tokens")
    if dataset.episodes is not None:
        print(_episodes(dataset, dataset.episodes))
    for part, puzzles in (("train", dataset.train), ("test", dataset.test)):
        print(f"\n{part}: {len(puzzles):,} puzzles from {', '.join(sorted(set(puzzles.sources)))}")
        print(f"  {_describe(task, puzzles)}")
        print(f"  {_quantiles('rating', puzzles.ratings)}; {np.mean(puzzles.ratings == 0):.0%} are 0")
    print(f"\n{_overlap(dataset)}\n\nfirst training puzzle and its answer:")
    grids = (task.render(tokens[0]).splitlines() for tokens in (dataset.train.inputs, dataset.train.labels))
    print("\n".join(f"  {question}    {answer}" for question, answer in zip(*grids, strict=True)))


def _episodes(dataset: Dataset, settings: EpisodeSettings) -> str:
    length = settings.test_length
    best, without = dataset.relabelled().optimum(dataset.test, length)
    by_place = ", ".join(f"{best[at - 1]:.1%} at puzzle {at}" for at in milestones(length))
    return (
        f"in episodes of {length} puzzles, in training {', '.join(map(str, settings.lengths))}\n"
        f"exact at best {without:.1%} without memory; with it {by_place}"
    )


def _describe(task: Task, puzzles: PuzzleSet) -> str:
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
    return (
        f"{what} up to symmetry: {np.isin(test, train).sum()} of {len(test):,} in test are also in train; "
        f"{repeated[0]} repeated within train, {repeated[1]} within test"
    )


def download(values: dict[str, Any], out: Path) -> None:
    """Fetch the files of a data set that is published on the Hugging Face hub."""
    settings = parse(values)
    if settings.download is None:
        raise ValueError(
            f"{settings.name} is generated; make its files with `build {settings.name} out={out}`"
        )
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ValueError("downloading needs an extra; install it with `pip install 'memhrm[hub]'`") from None
    for file in ("train.csv", "test.csv"):
        try:
            path = hub.hf_hub_download(settings.download, file, repo_type="dataset", local_dir=out)
        except Exception as error:  # the hub raises what its HTTP library raises, whichever that is
            raise ValueError(f"cannot download {file} of {settings.download}: {one_line(error)}") from None
        print(path)
    print(f"use it with data={settings.name} data.path={out}")


if __name__ == "__main__":
    run(main)
