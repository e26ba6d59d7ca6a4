"""What ``python -m memhrm.data`` does with a data set."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config import extras
from memhrm.config.console import one_line
from memhrm.config.settings import refuse, require
from memhrm.data.cache import expand, is_file
from memhrm.data.dataset import Dataset
from memhrm.data.examples import Examples, quantiles
from memhrm.data.loading import load, load_test
from memhrm.data.settings import parse
from memhrm.system.files import require_free, write_text

MOST_SOURCES = 16
"""Sources of examples that are named."""


def build(values: dict[str, Any], out: Path) -> None:
    """Write the training and test puzzles of a data set as files."""
    overwrite = _overwrite(values)
    settings = parse(values)
    if settings.own_file is not None:
        require_free("out", out / settings.own_file, overwrite)
        print(f"{out / settings.own_file}: {settings.write(out / settings.own_file)}")
        return
    files = [out / "train.csv", out / "test.csv"]
    for file in files:  # before the puzzles are generated
        require_free("out", file, overwrite)
    dataset = load(**values)
    for file, puzzles in zip(files, (dataset.train, dataset.test)):
        dataset.task.write(file, puzzles)
        print(f"{file}: {len(puzzles):,} puzzles")


def refuse_unwritten(values: dict[str, Any], given: Collection[str]) -> None:
    """Refuse settings that were given and change nothing of what `build` writes.

    Raises:
        ValueError: there is one; the message names it.
    """
    settings = parse({name: value for name, value in values.items() if name != "overwrite"})
    written = {*settings.written_by, "out", "overwrite"}
    for name in sorted(given):
        unused = bool(settings.written_by) and name not in written
        refuse(unused, name, values.get(name), f"in {settings.own_file}")


def convert(values: dict[str, Any], out: Path) -> None:
    """Write the puzzles of a file in any known format as a file in ours."""
    require_free("out", out, _overwrite(values))
    require(values.get("path") is not None, "path", None, "the file to convert, as path=FILE")
    file = expand("path", str(values["path"]))
    require(is_file(file), "path", str(file), "a file that exists")
    dataset = load_test(**{**values, "path": str(file), "test_size": None, "holdout": 0})
    dataset.task.write(out, dataset.test)
    print(f"{out}: {len(dataset.test):,} puzzles")


def _overwrite(values: dict[str, Any]) -> bool:
    overwrite = values.pop("overwrite", False)
    require(isinstance(overwrite, bool), "overwrite", overwrite, "true or false")
    return overwrite


def inspect(values: dict[str, Any], out: Path) -> None:
    """Print what a data set holds, and draw some of it."""
    show = values.pop("show", None)
    require(show is None or isinstance(show, str), "show", show, "a source, as text")
    if out != Path():
        require_free("out", out, _overwrite(values))
    alone = _alone(values)
    dataset = load_test(**values) if alone else load(**values)
    parts = {"puzzles" if alone else "test": dataset.test}
    parts = parts if alone else {"train": dataset.train, **parts}
    task = dataset.task
    rows, columns = task.layout
    labels = f"one of {task.num_labels} labels each" if task.num_labels else "a label per token"
    print(f"{dataset.name}: {rows} x {columns} tokens out of {task.vocab_size:,}, {labels}")
    for sentence in dataset.episodes.describe(dataset.test):
        print(sentence)
    for part, puzzles in parts.items():
        print(f"\n{part}: {len(puzzles):,} puzzles{_sources(puzzles)}")
        print(f"  {task.describe(puzzles)}")
        if (puzzles.ratings >= 0).any():
            print(f"  {quantiles('rating', puzzles.ratings)}; {np.mean(puzzles.ratings == 0):.0%} are 0")
    print(f"\n{_overlap(dataset)}\n")
    text, svg = task.exhibit(list(parts.values()), show)
    print(text)
    if out != Path():
        require(svg is not None, "out", str(out), f"nothing, as there is no picture of {dataset.name}")
        write_text(out, str(svg))
        print(out)


def _sources(puzzles: Examples) -> str:
    """Return where examples come from, after how many there are; some of many places."""
    names = sorted({str(source) for source in puzzles.sources} - {""})
    more = f" and {len(names) - MOST_SOURCES:,} more" if len(names) > MOST_SOURCES else ""
    return f" from {', '.join(names[:MOST_SOURCES])}{more}" if names else ""


def _alone(values: dict[str, Any]) -> bool:
    """Return whether there is one file to inspect: the path is one, or the folder has but test puzzles."""
    if values.get("path") is None or values.get("holdout") or parse(values).own_file is not None:
        return False
    place = expand("path", str(values["path"]))
    return is_file(place) or not (place / str(values.get("train_file", "train.csv"))).exists()


def _overlap(dataset: Dataset) -> str:
    task = dataset.task
    train, test = (task.class_keys(part.inputs, part.labels) for part in (dataset.train, dataset.test))
    repeated = [len(keys) - len(np.unique(keys)) for keys in (train, test)]
    if not len(train):
        return f"{task.classes} up to symmetry: {repeated[1]} of {len(test):,} are repeated"
    return (
        f"{task.classes} up to symmetry: {np.isin(test, train).sum()} of {len(test):,} in test are also in "
        f"train; {repeated[0]} repeated within train, {repeated[1]} within test"
    )


def download(values: dict[str, Any], out: Path) -> None:
    """Fetch the files of a data set that is published on the Hugging Face hub."""
    overwrite = _overwrite(values)
    settings = parse(values)
    if settings.download is None:
        raise ValueError(
            f"{settings.name} is generated; make its files with `build {settings.name} out={out}`"
        )
    hub = extras.library("huggingface_hub", "hub", "downloading needs an extra")
    for file in ("train.csv", "test.csv"):  # before anything is fetched
        require_free("out", out / file, overwrite)
    for file in ("train.csv", "test.csv"):
        try:
            path = hub.hf_hub_download(settings.download, file, repo_type="dataset", local_dir=out)
        except Exception as error:  # the hub raises what its HTTP library raises, whichever that is
            raise ValueError(f"cannot download {file} of {settings.download}: {one_line(error)}") from None
        print(path)
    print(f"use it with data={settings.name} data.path={out}")


COMMANDS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "build": build,
    "inspect": inspect,
    "convert": convert,
    "download": download,
}
