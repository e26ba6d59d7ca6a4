"""ARC tasks, and the JSON files that hold them.

A task has demonstrations, pairs of an input and an output grid, and test pairs whose outputs are asked for. A
grid has 1 to 30 rows and columns of colours 0 to 9.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.data.checks import shown
from memhrm.system.files import read_json, whole

MOST_SIDE, COLOURS = 30, 10
FORMAT = "memhrm arc 1"
CHALLENGES, SOLUTIONS = "_challenges.json", "_solutions.json"
TASK_BITS = 41
"""Bits of a task's key; with those of a variant they fill an identifier (`memhrm.data.arc.variants`)."""


@dataclass(frozen=True)
class Pair:
    """An input grid and its output grid, None where the output is not known.

    Attributes:
        input: colours, ``(rows, columns)`` uint8.
        output: likewise.
    """

    input: np.ndarray
    output: np.ndarray | None

    def side(self) -> int:
        """Return the longest side of the grids."""
        return max(max(grid.shape) for grid in (self.input, self.output) if grid is not None)


@dataclass(frozen=True)
class ArcTask:
    """One task.

    Attributes:
        id: its name, which files use.
        set: the set that it belongs to, such as ``training``.
        demonstrations: the pairs that tell what to do.
        tests: the pairs whose outputs are asked for.
    """

    id: str
    set: str
    demonstrations: tuple[Pair, ...]
    tests: tuple[Pair, ...]

    @property
    def key(self) -> int:
        """Return a number that the demonstrations alone decide, whatever the name or the place of the task.

        It is a hash of `TASK_BITS` bits: among a thousand tasks two share one with a probability of 2e-7.
        """
        text = json.dumps([_plain(pair) for pair in self.demonstrations], separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(digest[:8], "big") % ((1 << TASK_BITS) - 1) + 1  # 0 is nobody's.

    def side(self) -> int:
        """Return the longest side of all its grids."""
        return max(pair.side() for pair in (*self.demonstrations, *self.tests))


def task_of(values: Any, where: str, name: str, of_set: str = "") -> ArcTask:
    """Return the task that a JSON object describes.

    Args:
        values: ``{"train": [{"input": grid, "output": grid}, ...], "test": [...]}``; a test pair may lack its
            output.
        where: the file, for messages.
        name: the task's name.
        of_set: the set that it belongs to.

    Raises:
        ValueError: it is something else; the message says where.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: task {name} is {shown(values)}; allowed: an object with train and test")
    parts: dict[str, tuple[Pair, ...]] = {}
    for part in ("train", "test"):
        pairs = values.get(part)
        if not isinstance(pairs, list) or not pairs:
            raise ValueError(f"{where}: task {name} has no {part} pairs; allowed: a list of at least one")
        parts[part] = tuple(
            _pair(pair, f"{where}: task {name}, {part} pair {number}", known=part == "train")
            for number, pair in enumerate(pairs, start=1)
        )
    return ArcTask(name, of_set, parts["train"], parts["test"])


def _pair(values: Any, where: str, *, known: bool) -> Pair:
    if not isinstance(values, Mapping) or "input" not in values:
        raise ValueError(f"{where} is {shown(values)}; allowed: an object with input and output")
    output = values.get("output")
    if output is None and known:
        raise ValueError(f"{where} has no output")
    return Pair(
        grid_of(values["input"], f"{where}, input"),
        None if output is None else grid_of(output, f"{where}, output"),
    )


def grid_of(rows: Any, where: str) -> np.ndarray:
    """Return the grid that lists of colours describe, ``(rows, columns)`` uint8.

    Raises:
        ValueError: they describe none; the message says where and why.
    """
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        raise ValueError(f"{where} is {shown(rows)}; allowed: a list of rows, each a list of colours")
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        odd = next(number for number, length in enumerate(lengths) if length != lengths[0])
        raise ValueError(
            f"{where} is ragged: row {odd + 1} has {lengths[odd]} cells, the first has {lengths[0]}"
        )
    if len(rows) > MOST_SIDE or lengths[0] > MOST_SIDE:
        raise ValueError(f"{where} has {len(rows)} x {lengths[0]} cells; allowed: up to {MOST_SIDE} a side")
    for row in rows:
        for colour in row:
            if type(colour) is not int or not 0 <= colour < COLOURS:
                raise ValueError(f"{where} has colour {shown(colour)}; allowed: 0 to {COLOURS - 1}")
    return np.array(rows, np.uint8)


def read_tasks(path: Path, sets: Sequence[str] | None = None) -> list[ArcTask]:
    """Read tasks from a file or a folder, sorted by set and name.

    A file is what `write_tasks` wrote, one task, or many by name. A folder holds the combined files of
    Kaggle, ``..._SET_challenges.json`` with ``..._SET_solutions.json`` beside them; or a folder SET with a
    file for each task, as the repositories of ARC and ConceptARC do; or it is such a folder itself.

    Args:
        path: the file or the folder.
        sets: the sets to read; None: all that are there. Tasks that name no set are read always.

    Raises:
        ValueError: there is no such set, or a file holds something else; the message names it.
    """
    if path.is_dir():
        built = path / "arc.json"
        found = _built(built) if built.exists() else _folder(path, sets)
    else:
        found = _file(path)
    if named := {task.set for task in found} - {""}:
        _require_sets(path, sets, named)
    chosen = [task for task in found if sets is None or task.set in (*sets, "")]
    if not chosen:
        raise ValueError(f"{path} holds no ARC tasks")
    return sorted(chosen, key=lambda task: (task.set, task.id))


def _require_sets(path: Path, sets: Sequence[str] | None, there: Iterable[str]) -> None:
    there = sorted(there)
    for name in sets or ():
        if name not in there:
            raise ValueError(f"{path} has no set {name!r}; allowed: {', '.join(there)}")


def _folder(path: Path, sets: Sequence[str] | None) -> list[ArcTask]:
    if combined := sorted(path.glob(f"*{CHALLENGES}")):
        files: dict[str, Path] = {}
        for file in combined:
            name = file.name.removesuffix(CHALLENGES).rsplit("_", 1)[-1]
            if (other := files.setdefault(name, file)) is not file:
                raise ValueError(f"{other} and {file} are both of set {name!r}; allowed: one file of a set")
        _require_sets(path, sets, files)
        return [task for name in sets or files for task in _combined(files[name], name)]
    if below := sorted({file.parent.name for file in path.glob(f"*/*{CHALLENGES}")}):
        raise ValueError(f"{path} has combined files in its folders; allowed: one of {', '.join(below)}")
    alone = any(path.glob("*.json"))  # The files of one set.
    folders = {path.name: path} if alone else {one.name: one for one in path.iterdir() if one.is_dir()}
    if not folders:
        raise ValueError(f"{path} holds neither files of tasks nor folders of them")
    _require_sets(path, sets, folders)
    return [
        task_of(read_json(file), str(file), file.stem, name)
        for name in sets or sorted(folders)
        for file in sorted(folders[name].rglob("*.json"))
    ]


def _combined(file: Path, of_set: str) -> list[ArcTask]:
    solutions = file.with_name(file.name.removesuffix(CHALLENGES) + SOLUTIONS)
    tasks = [task_of(values, str(file), name, of_set) for name, values in _mapping(file).items()]
    return with_solutions(tasks, solutions) if solutions.exists() else tasks


def with_solutions(tasks: Sequence[ArcTask], file: Path) -> list[ArcTask]:
    """Return tasks with the outputs of their tests from a file of solutions.

    Raises:
        ValueError: a task's outputs are missing, or are not as many as its tests.
    """
    solutions = _mapping(file)
    return [solved(task, solutions.get(task.id), str(file)) for task in tasks]


def solved(task: ArcTask, outputs: Any, where: str) -> ArcTask:
    """Return a task with the outputs of its tests, a list of grids."""
    if not isinstance(outputs, list) or len(outputs) != len(task.tests):
        given = "none" if outputs is None else len(outputs) if isinstance(outputs, list) else shown(outputs)
        raise ValueError(f"{where}: task {task.id} has outputs {given}; allowed: {len(task.tests)} grids")
    grids = [grid_of(grid, f"{where}: task {task.id}, output {n}") for n, grid in enumerate(outputs, start=1)]
    return replace(task, tests=tuple(replace(pair, output=grid) for pair, grid in zip(task.tests, grids)))


def _file(path: Path) -> list[ArcTask]:
    values = _mapping(path)
    if values.get("format") == FORMAT:
        return _built(path)
    if "train" in values:
        return [task_of(values, str(path), path.stem)]
    return [task_of(one, str(path), name) for name, one in values.items()]


def _built(path: Path) -> list[ArcTask]:
    values = _mapping(path)
    tasks = values.get("tasks")
    if values.get("format") != FORMAT or not isinstance(tasks, list):
        raise ValueError(f"{path} is not a file of `python -m memhrm.data build arc`")
    for number, one in enumerate(tasks):
        if not isinstance(one, Mapping) or not {"id", "set"} <= one.keys():
            raise ValueError(f"{path} is damaged: its task {number + 1} has no id or no set")
    return [task_of(one, str(path), str(one["id"]), str(one["set"])) for one in tasks]


def _mapping(file: Path) -> dict[str, Any]:
    values = read_json(file)
    if not isinstance(values, dict):
        raise ValueError(f"{file} holds {shown(values)}; allowed: an object of tasks")
    return values


def write_tasks(path: Path, tasks: Iterable[ArcTask]) -> None:
    """Write tasks as one file that `read_tasks` reads back; it appears complete or not at all.

    Raises:
        OSError: the place cannot be written.
    """
    lines = [
        json.dumps({"id": task.id, "set": task.set, **json_of(task)}, separators=(",", ":")) for task in tasks
    ]
    with whole(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        file.write(f'{{"format": "{FORMAT}", "tasks": [\n' + ",\n".join(lines) + "\n]}\n")


def json_of(task: ArcTask) -> dict[str, Any]:
    """Return a task as `task_of` takes it."""
    parts = {"train": task.demonstrations, "test": task.tests}
    return {part: [_plain(pair) for pair in pairs] for part, pairs in parts.items()}


def _plain(pair: Pair) -> dict[str, Any]:
    output = {} if pair.output is None else {"output": pair.output.tolist()}
    return {"input": pair.input.tolist(), **output}
