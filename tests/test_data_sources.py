"""Settings to data sets: splits, cache, files, messages, and the command line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from memhrm.data import Dataset, load, sources
from memhrm.data.__main__ import main
from memhrm.data.config import parse
from memhrm.data.csv_files import write_csv

CONFIGS = sorted((Path(__file__).parents[1] / "configs" / "data").glob("*.yaml"))
SMALL = {"kind": "sudoku", "name": "small", "side": 4, "max_clues": 6, "test_size": 50}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEMHRM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def config(name: str, **changes: Any) -> dict[str, Any]:
    values = OmegaConf.to_container(OmegaConf.load(CONFIGS[0].with_name(f"{name}.yaml")))
    assert isinstance(values, dict)
    return {**{str(key): value for key, value in values.items()}, **changes}


def same(a: Dataset, b: Dataset) -> bool:
    return all(
        np.array_equal(getattr(getattr(a, part), name), getattr(getattr(b, part), name))
        for part in ("train", "test")
        for name in ("inputs", "labels", "puzzle_identifiers", "ratings", "sources")
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_carries_its_name(path: Path):
    assert parse(config(path.stem)).name == path.stem


@pytest.mark.parametrize(
    ("name", "train_size", "test_size"),
    [("sudoku4", None, 500), ("sudoku6", 60, 20), ("sudoku9", 12, 6), ("maze", 60, 20)],
)
def test_generated_parts_are_disjoint_up_to_symmetry(name: str, train_size: int | None, test_size: int):
    dataset = load(**config(name, train_size=train_size, test_size=test_size))
    sizes = len(dataset.train), len(dataset.test)
    assert sizes == (train_size or 2236 - test_size, test_size)
    keys = [dataset.task.class_keys(part.inputs, part.labels) for part in (dataset.train, dataset.test)]
    assert len(np.unique(np.concatenate(keys))) == sum(sizes)
    for part in (dataset.train, dataset.test):
        dataset.task.check(part.inputs, part.labels)


def test_seed_decides_the_puzzles():
    assert not same(load(**SMALL), load(**SMALL, seed=1))


def test_cache_serves_the_same_puzzles(cache: Path, monkeypatch: pytest.MonkeyPatch):
    first = load(**SMALL)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(sources, "generate", None)
    assert same(load(**SMALL), first)


@pytest.mark.parametrize("damage", [b"", b"not a zip file", None])
def test_damaged_cache_is_made_again(cache: Path, damage: bytes | None):
    first = load(**SMALL)
    [file] = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert same(load(**SMALL), first)
    assert len(file.read_bytes()) == len(whole)


def test_other_settings_use_another_cache_file(cache: Path):
    load(**SMALL)
    load(**{**SMALL, "max_clues": 5})
    load(**SMALL, augment=False)
    assert len(list(cache.iterdir())) == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dataset = load(**SMALL)
    for part, puzzles in (("train", dataset.train), ("test", dataset.test)):
        write_csv(tmp_path / f"{part}.csv", dataset.task, puzzles)
    return tmp_path


def test_path_reads_files(folder: Path):
    files = load(name="x", kind="sudoku", side=4, path=str(folder))
    assert same(files, load(**SMALL))


def test_file_names_can_be_set(folder: Path):
    swapped = load(
        name="x", kind="sudoku", side=4, path=str(folder), train_file="test.csv", test_file="train.csv"
    )
    assert (len(swapped.train), len(swapped.test)) == (50, 435)


def test_sizes_draw_random_parts_by_seed(folder: Path):
    values = {"name": "x", "kind": "sudoku", "side": 4, "path": str(folder), "train_size": 30, "test_size": 9}
    one, again, other = load(**values), load(**values), load(**values, seed=1)
    assert (len(one.train), len(one.test)) == (30, 9)
    assert same(one, again)
    assert not same(one, other)


def test_size_of_the_training_part_does_not_change_the_test_part(folder: Path):
    values = {"name": "x", "kind": "sudoku", "side": 4, "path": str(folder), "test_size": 9}
    one, other = load(**values, train_size=30), load(**values, train_size=40)
    assert np.array_equal(one.test.inputs, other.test.inputs)


def test_holdout_splits_the_training_file_and_leaves_the_test_file(folder: Path):
    (folder / "test.csv").unlink()
    values = {"name": "x", "kind": "sudoku", "side": 4, "path": str(folder), "holdout": 35}
    whole = {row.tobytes() for row in load(**SMALL).train.inputs}
    dataset = load(**values)
    train, test = ({row.tobytes() for row in part.inputs} for part in (dataset.train, dataset.test))
    assert (len(train), len(test)) == (400, 35)
    assert train | test == whole
    assert np.array_equal(load(**values, train_size=20).test.inputs, dataset.test.inputs)


def test_holdout_of_a_generated_set_keeps_its_size():
    dataset = load(**SMALL, train_size=100, holdout=40)
    assert (len(dataset.train), len(dataset.test)) == (100, 40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainsize": 3}, "data.trainsize is unknown; did you mean train_size?"),
        ({"kind": "chess"}, "data.kind is 'chess'; allowed: sudoku, maze"),
        ({"side": 5}, "data.side is 5; allowed: 4, 6, 9"),
        ({"side": "4"}, "data.side is '4'"),
        ({"augment": 1}, "data.augment is 1; allowed: true or false"),
        ({"train_size": 0}, "data.train_size is 0"),
        ({"holdout": -1}, "data.holdout is -1"),
        ({"seed": -1}, "data.seed is -1"),
        ({"seed": True}, "data.seed is True"),
        ({"max_clues": 3}, "data.max_clues is 3; allowed: numbers from 4"),
        ({"min_clues": 7}, "data.min_clues is 7; allowed: numbers up to data.max_clues, which is 6"),
        ({"min_walls": 0.1}, "data.min_walls is unknown"),
        ({"train_size": 1000}, "there are 485 4x4 sudokus within the bounds"),
        ({"test_size": 485}, "data.test_size is 485; allowed: less than the 485 puzzles there are"),
        ({"test_size": None}, "data.test_size is null"),
        ({"side": 6, "max_clues": None}, "data.train_size is null"),
        ({"path": "/nowhere"}, "/nowhere/train.csv: no such file"),
        (
            {"download": "a/b"},
            "data.path is null; download the files with `python -m memhrm.data download small",
        ),
        ({"cache": "/dev/null/x"}, "data.cache: cannot make the folder /dev/null/x"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError) as caught:
        load(**{**SMALL, **changes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["train_size", "test_size", "holdout"])
def test_files_with_too_few_puzzles_are_refused(folder: Path, setting: str):
    values = {"name": "x", "kind": "sudoku", "side": 4, "path": str(folder), setting: 1000}
    with pytest.raises(ValueError, match=f"data.{setting} is 1000"):
        load(**values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_walls": 0.5}, "data.min_walls is 0.5; allowed: shares up to data.max_walls"),
        ({"max_walls": 1}, "data.max_walls is 1.0"),
        ({"min_length": 0}, "data.min_length is 0"),
        ({"side": 1}, "data.side is 1"),
    ],
)
def test_bad_maze_settings_are_named(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError) as caught:
        load(**config("maze", **changes))
    assert message in str(caught.value)


def test_build_writes_the_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["build", "sudoku4", f"out={tmp_path}", "train_size=20", "data.test_size=10"])
    built = load(name="x", kind="sudoku", side=4, path=str(tmp_path))
    assert same(built, load(**config("sudoku4", train_size=20, test_size=10)))
    assert "train.csv: 20 puzzles" in capsys.readouterr().out


def test_inspect_finds_symmetric_puzzles(folder: Path, capsys: pytest.CaptureFixture[str]):
    dataset = load(**SMALL)
    turned = dataset.train.select(slice(0, 7))
    inputs, labels = dataset.task.augment(turned.inputs, turned.labels, np.random.default_rng(0))
    parts = sources.puzzle_set(inputs, labels, turned.ratings, turned.sources)
    write_csv(folder / "test.csv", dataset.task, parts)
    main(["inspect", f"path={folder}"])
    text = capsys.readouterr().out
    assert "train: 435 puzzles from generated\n  clues: 4 5 6 6 6 " in text
    assert "puzzles up to symmetry: 7 of 7 in test are also in train; 0 repeated within train" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "sudoku4"], "out is missing"),
        (["build", "sudoku5", "out=x"], "NAME 'sudoku5' is unknown; did you mean sudoku"),
        (["inspect"], "NAME is missing"),
        (["inspect", "sudoku4", "fast"], "'fast' is not of the form setting=value"),
        (["download", "sudoku4", "out=x"], "sudoku4 is generated"),
    ],
)
def test_bad_commands_are_explained(arguments: list[str], message: str):
    with pytest.raises(ValueError) as caught:
        main(arguments)
    assert message in str(caught.value)


def test_download_needs_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'memhrm\[hub\]'"):
        main(["download", "maze_hard", f"out={tmp_path}"])


def test_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Hub:
        def hf_hub_download(self, *_: object, **__: object) -> str:
            raise RuntimeError("no\nnetwork")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub())
    with pytest.raises(
        ValueError, match=r"cannot download train\.csv of sapientinc/sudoku-extreme: no network"
    ):
        main(["download", "sudoku_extreme", f"out={tmp_path}"])


def test_data_room_does_not_import_torch():
    program = "import sys, memhrm.data.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
