"""Datasets from settings: splits, cache, files, messages, and the command line."""

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from memhrm.config.command import compose
from memhrm.config.manual import options
from memhrm.config.settings import SettingWarning
from memhrm.data import Dataset, load, load_test
from memhrm.data import loading as sources
from memhrm.data.__main__ import main
from memhrm.data.settings import parse

SMALL = {"kind": "sudoku", "name": "small", "side": 4, "max_clues": 6, "test_size": 50}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEMHRM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def config(name: str, **changes: Any) -> dict[str, Any]:
    return {**compose("train", [f"data={name}"])["data"], **changes}


def same(a: Dataset, b: Dataset) -> bool:
    return all(
        np.array_equal(getattr(getattr(a, part), name), getattr(getattr(b, part), name))
        for part in ("train", "test")
        for name in ("inputs", "labels", "identifiers", "ratings", "sources")
    )


@pytest.mark.parametrize("name", options("data"))
def test_every_config_is_valid_and_carries_its_name(name: str):
    assert parse(config(name)).name == name


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
        dataset.task.write(tmp_path / f"{part}.csv", puzzles)
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
    images = dataset.task.augment(turned, np.random.default_rng(0))
    dataset.task.write(folder / "test.csv", images)
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


FILES = {"name": "x", "kind": "sudoku", "side": 4}


def test_digest_is_of_the_puzzles_alone(folder: Path, tmp_path: Path):
    first = load(**FILES, path=str(folder))
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in ("train", "test"):
        rows = [line.split(",") for line in (folder / f"{part}.csv").read_text().splitlines()]
        text = "\r\n".join(";".join((answer, "3", question)) for _, question, answer, _ in rows[1:])
        (copy / f"{part}.csv").write_bytes(f"\ufeffsolution;clues;puzzle\r\n{text}\r\n".encode())
    assert load(**FILES, path=f"{copy}/.").digest() == first.digest()
    wide = [
        replace(part, inputs=part.inputs.astype(np.int64), labels=part.labels.astype(np.int32))
        for part in (first.train, first.test)
    ]
    assert replace(first, train=wide[0], test=wide[1]).digest() == first.digest()
    assert replace(first, train=first.train.select(slice(10, None))).digest() != first.digest()
    assert replace(first, train=first.train.select(slice(None, None, -1))).digest() != first.digest()
    assert replace(first, train=first.test, test=first.train).digest() != first.digest()
    named = replace(first.train, identifiers=np.arange(len(first.train), dtype=np.int32))
    masked = replace(first.train, mask=first.train.inputs > 1)
    assert len({replace(first, train=one).digest() for one in (first.train, named, masked)}) == 3


def test_test_puzzles_load_without_a_training_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    both = load(**FILES, path=str(folder), test_size=20)
    (folder / "train.csv").unlink()
    elsewhere = folder / "other.csv"
    (folder / "test.csv").rename(elsewhere)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    for place in (
        {"path": str(folder), "test_file": "other.csv"},
        {"path": str(elsewhere)},
        {"path": "~/other.csv"},
        {"path": "~", "test_file": "other.csv"},
        {"path": ".", "test_file": "other.csv"},
        {"test_file": "other.csv"},
        {"test_file": "~/other.csv"},
        {"test_file": str(elsewhere)},
        {"path": "/nowhere", "test_file": str(elsewhere)},
    ):
        alone = load_test(**FILES, **place, test_size=20)
        assert len(alone.train) == 0 and alone.train.inputs.shape == (0, 16)
        assert np.array_equal(alone.test.inputs, both.test.inputs)
        assert len(load_test(**FILES, **place).test) == 50
    with pytest.raises(ValueError, match="without training puzzles"):
        alone.seen(3)


def test_test_puzzles_of_a_generated_set_are_those_of_the_run():
    for changes in ({}, {"holdout": 20, "train_size": 100}):
        both, alone = load(**SMALL, **changes), load_test(**SMALL, **changes)
        assert np.array_equal(alone.test.inputs, both.test.inputs) and len(alone.train) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": ""}, "data.path is ''"),
        ({"path": "a\0b"}, "data.path is 'a\\x00b'"),
        ({"test_file": ""}, "data.test_file is ''"),
        ({"cache": ""}, "data.cache is ''"),
        ({"path": "FOLDER", "test_file": "none.csv"}, "none.csv: no such file"),
        ({"path": "FOLDER", "holdout": 5}, "data.holdout is 5; allowed: 0"),
        ({"path": "FOLDER/test.csv", "test_file": "b.csv"}, "data.test_file is 'b.csv'"),
        ({"path": "FOLDER", "test_size": 5000}, "data.test_size is 5000; allowed: at most the 50 puzzles"),
        ({"path": "FOLDER", "test_size": 10**12}, "data.test_size is 1000000000000; allowed"),
        ({"download": "a/b"}, "data.path is null"),
    ],
)
def test_bad_test_files_are_named(folder: Path, changes: dict[str, Any], message: str):
    changes = {name: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
               for name, value in changes.items()}  # fmt: skip
    with pytest.raises(ValueError) as caught:
        load_test(**{**FILES, **changes})
    assert message in str(caught.value)


def test_places_of_both_files(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    (folder / "a.csv").write_bytes((folder / "train.csv").read_bytes())
    usual = load(**FILES, path=str(folder))
    for place in (
        {"train_file": "a.csv", "test_file": "./test.csv"},
        {"path": "/nowhere", "train_file": f"{folder}/a.csv", "test_file": f"{folder}/test.csv"},
        {"path": ".", "train_file": f"{folder}/a.csv"},
    ):
        assert load(**FILES, **place).digest() == usual.digest()
    split = load(**FILES, path="a.csv", holdout=35)
    assert (len(split.train), len(split.test)) == (400, 35)
    for place, message in (
        ({"path": "a.csv"}, "data.path is 'a.csv'; allowed: a folder; or a file, with data.holdout"),
        ({"train_file": "a.csv"}, "data.train_file is 'a.csv'; allowed"),
        ({"test_file": "a.csv"}, "data.test_file is 'a.csv'; allowed"),
    ):
        with pytest.raises(ValueError) as caught:
            load(**FILES, **place, test_size=5)
        assert message in str(caught.value)


@pytest.mark.parametrize("reason", ["no folder", "no home", "full"])
def test_a_cache_that_cannot_be_used_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
):
    expected = load(**SMALL)
    changes: dict[str, Any] = {}
    if reason == "no folder":
        changes = {"cache": "/dev/null/x"}
    elif reason == "no home":
        monkeypatch.delenv("MEMHRM_CACHE")
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
    else:
        changes = {"cache": str(tmp_path / "full")}

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.warns(SettingWarning, match="generated puzzles cannot be kept in") as caught:
        assert same(load(**SMALL, **changes), expected)
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    assert not list(tmp_path.glob("full/.*")) and not list(tmp_path.glob("full/*"))
    if reason == "no home":
        with pytest.raises(ValueError, match=r"data\.path is '~/x'"):
            load(**FILES, path="~/x")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("sudoku9", {"max_clues": 17}, "data.max_clues is 17 and the fewest clues were 2"),
        ("sudoku6", {"min_guesses": 10_000}, "data.min_guesses is 10000 and the most guesses were"),
        ("maze", {"min_length": 60}, "data.min_length is 60 and the longest path was"),
        ("maze", {"side": 2, "min_length": 12}, "data.min_length is 12; allowed: numbers below 3"),
        ("maze", {"min_walls": 0.995, "max_walls": 0.997}, "data.min_walls is 0.995; allowed: shares"),
        ("maze", {"side": 10**9}, "data.side is 1000000000; allowed: numbers from 2 to 1000"),
        ("recall", {"length": 12, "alphabet": 6, "train_size": 10**8}, "allowed: up to"),
        ("sudoku9", {"train_size": 10**12}, "data.train_size is 1000000000000"),
        ("sudoku9", {"holdout": 10**12}, "data.holdout is 1000000000000"),
    ],
)
def test_what_cannot_be_found_ends_soon(name: str, changes: dict[str, Any], message: str):
    begin = time.process_time()
    with pytest.raises(ValueError) as caught:
        load(**config(name, **{"train_size": 10, "test_size": 5, **changes}))
    assert message in str(caught.value)
    assert time.process_time() - begin < 20  # about 3 seconds


@pytest.mark.thorough
def test_hard_bounds_that_can_be_met_are_not_refused():
    dataset = load(**config("sudoku9", max_clues=22, train_size=4, test_size=1))
    assert (dataset.train.inputs > 1).sum(axis=1).max() <= 22


def test_progress_tells_the_tries(capsys: pytest.CaptureFixture[str]):
    load(**config("maze", train_size=30, test_size=5, min_length=20))
    assert re.search(r"generating maze: 35 of 35, [\d,]+ tried", capsys.readouterr().err)


@pytest.mark.parametrize("bad", [None, 5, True, b"x", [], {}, float("nan"), {1}], ids=repr)
@pytest.mark.parametrize("name", ["kind", "name", "side", "train_file", "seed", "holdout", "augment"])
def test_settings_of_another_type(name: str, bad: Any):
    if (name in ("seed", "holdout") and bad == 5) or (name == "augment" and bad is True):
        return
    for function in (load, load_test):
        with pytest.raises(ValueError) as caught:
            function(**{**SMALL, name: bad})
        assert "\n" not in str(caught.value)


def test_counts_that_are_none():
    dataset = load(**SMALL)
    for count in (0, -1, None, 1.5, True, "3"):
        with pytest.raises(ValueError, match="count is"):
            dataset.seen(count)  # pyright: ignore[reportArgumentType]


def test_convert_and_inspect_of_a_single_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, out = tmp_path / "a.sdm", tmp_path / "a.csv"
    source.write_text("# mine\n1004301021000000\n1..43.1.21......\n")
    main(["inspect", f"path={source}"])
    assert "puzzles: 2 puzzles from a.sdm" in capsys.readouterr().out
    main(["convert", "sudoku4", f"path={source}", f"out={out}"])
    assert out.read_text().splitlines()[1] == "a.sdm,1..43.1.21......,1234341221434321,"
    with pytest.raises(ValueError, match=r"out is .*overwrite=true"):
        main(["convert", "sudoku4", f"path={source}", f"out={out}"])
    main(["convert", f"path={source}", f"out={out}", "overwrite=true"])
    (tmp_path / "test.csv").write_bytes(out.read_bytes())
    main(["inspect", f"path={tmp_path}"])
    assert "puzzles: 2 puzzles from a.sdm" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "a.csv",
        "a.sdm",
        "test.csv",
    ]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.sdk", "1..4\n3.1.\n21..\n....\n", "4 x 4 tokens"),
        ("a.txt", "Grid 01\n1004\n3010\n2100\n0000\n", "4 x 4 tokens"),
        ("a.csv", "\ufeffpuzzle;solution\n1..43.1.21......;1234341221434321\n", "4 x 4 tokens"),
        ("a.txt", "# S G    \n# S G    \n", "3 x 3 tokens"),
        ("a.csv", "question\n# S G    \n", "3 x 3 tokens"),
        ("a.txt", "# S\n G \n   \n", "3 x 3 tokens"),
    ],
)
def test_inspect_guesses_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, found: str
):
    (tmp_path / name).write_text(text)
    main(["inspect", f"path={tmp_path / name}"])
    assert found in capsys.readouterr().out


@pytest.mark.parametrize("command", ["build", "download"])
def test_files_are_not_overwritten_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str):
    monkeypatch.setattr(sources, "generate", None)  # the error comes before the work
    (tmp_path / "test.csv").write_text("mine")
    name = "sudoku4" if command == "build" else "maze_hard"
    monkeypatch.setitem(sys.modules, "huggingface_hub", ModuleType("huggingface_hub"))
    with pytest.raises(ValueError, match=r"test\.csv.*overwrite=true"):
        main([command, name, f"out={tmp_path}"])
    assert [file.name for file in tmp_path.iterdir()] == ["test.csv"]
    assert (tmp_path / "test.csv").read_text() == "mine"
