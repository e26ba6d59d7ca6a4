"""A memory cut down, taken out of a run, or put into a copy of one.

What is cut or moved is the start of the memory, or the bank: the tensors that an H-module `remember`s.
N cells.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from memhrm.config.console import plural
from memhrm.config.settings import require
from memhrm.memory.base import HModule
from memhrm.runs import checkpoint
from memhrm.runs.bank import keeps_bank, write_bank
from memhrm.runs.directory import RunDirectory, locked, mapping
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import read_json, require_writable, write_json
from memhrm.weights.restore import Restored
from memhrm.weights.tensors import read_tensors, write_tensors

_KEPT = ("environment.json", "origin.json")
"""Files of a run that go into one that is made of it."""

FORMAT = "memhrm memory 2"


@dataclass(frozen=True)
class MemoryFile:
    """A memory outside a run.

    Attributes:
        path: the file.
        tensors: by the memory's names, (N, ...) each with cells.
        about: what they are.
        used: the puzzles that their run has used.
    """

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, Any]
    used: UsedPuzzles

    def taken_into(self, restored: Restored, cells: Sequence[int]) -> str:
        """Return what an import has replaced, in words; `cells` are those of the run."""
        where = f"cells {', '.join(map(str, cells))}" if cells else "memory"
        text = f"{where} replaced by those of {self.path}; step {restored.step}"
        theirs, ours = self.about.get("state_norm"), getattr(restored.run.memory, "state_norm", None)
        if theirs != ours:
            text += f"; note that the memory was trained with state_norm={theirs}, this run with {ours}"
        return text


def save(restored: Restored, path: Path, cells: Sequence[int] | None) -> str:
    """Write the start of a run's memory, or some of its cells in the order given; return it in words.

    Raises:
        ValueError: the run has no memory, or not these cells.
        OSError: the file cannot be written.
    """
    module, memory = restored.model.H_module, restored.run.memory
    starts = starts_of(module, memory.name)
    if module.cells:
        cells = list(range(module.cells) if cells is None else cells)
        check_cells("cells", cells, module.cells)
        starts = {name: start[cells] for name, start in starts.items()}
    else:
        require(cells is None, "cells", cells, f"null, since memory={memory.name} has no cells")
    about = {
        "module": memory.module,
        "name": memory.name,
        "width": restored.run.model.hidden_size,
        "tokens": getattr(memory, "tokens", None),
        "cells": len(cells) if cells else None,
        "of_cells": cells,
        "lifetime": memory.lifetime,
        "state_norm": getattr(memory, "state_norm", None),
        "step": restored.step,
        "data": restored.run.data["name"],
        "model": restored.run.model.name,
    }
    write_tensors(path, starts, FORMAT, about, restored.used)
    what = plural(len(cells), "cell") if cells else "memory"
    return f"{what} of {memory.name}, step {restored.step}"


def load(path: Path) -> MemoryFile:
    """Read a memory that `save` wrote.

    Raises:
        ValueError: there is no such file, or something else is in it.
    """
    file = read_tensors(path)
    about, used = file.about(FORMAT, "python -m memhrm.transfer export")
    return MemoryFile(path, file.tensors, about, used)


def put(file: MemoryFile, restored: Restored, at: Sequence[int] | None) -> list[int]:
    """Put a file's memory into the content of a run's checkpoint; return the cells that it replaces.

    Weights as trained and their average get it alike. The rows of the carry keep the memory they have.

    Raises:
        ValueError: the memories differ in kind, width or tokens, or there is no room.
    """
    module, memory = restored.model.H_module, restored.run.memory
    starts = starts_of(module, memory.name)
    own = {
        "module": memory.module,
        "width": restored.run.model.hidden_size,
        "tokens": getattr(memory, "tokens", None),
    }
    for name, value in own.items():
        given = file.about.get(name)
        require(given == value, "from", str(file.path), f"a memory with {name}={value}, not {given}")
    cells: list[int] = []
    if module.cells:
        count = len(next(iter(file.tensors.values()), ()))
        require(count <= module.cells, "from", str(file.path),
                f"up to memory.cells={module.cells} cells, not {count}")  # fmt: skip
        cells = list(range(count) if at is None else at)
        require(len(cells) == count, "at", cells, f"as many cells as the file has, {count}")
        check_cells("at", cells, module.cells)
    else:
        require(at is None, "at", at, f"null, since memory={memory.name} has no cells")
    expected = {name: (len(cells), *start.shape[1:]) if cells else tuple(start.shape)
                for name, start in starts.items()}  # fmt: skip
    found = {name: tuple(tensor.shape) for name, tensor in file.tensors.items()}
    require(found == expected, "from", str(file.path), f"tensors of shapes {expected}, not {found}")
    content = restored.content
    content["used"] = restored.used.with_seen(file.used).tensors()
    for name, tensor in file.tensors.items():
        for part, key in _places(name):
            new = content[part][key].clone()
            new[cells if cells else ...] = tensor.to(new.dtype)
            content[part][key] = new
    return cells


def restrict(content: dict[str, Any], names: Sequence[str], kept: Sequence[int]) -> None:
    """Leave only some cells of a checkpoint's memory: in both sets of weights, and in the carry's rows."""
    rows = list(kept)
    for name in names:
        for part, key in _places(name):
            content[part][key] = content[part][key][rows].clone()
        content["carry"][f"memory/{name}"] = content["carry"][f"memory/{name}"][:, rows].clone()


def starts_of(module: HModule, name: str) -> dict[str, Tensor]:
    """Return what the memory starts with, or the bank; with cells, (N, ...) each.

    Raises:
        ValueError: there is no memory, or a tensor of it that is not divided into its cells.
    """
    starts = module.starts()
    require(bool(starts), "run", f"one with memory={name}", "a run whose memory has something to start with")
    for part, start in starts.items():
        divided = not module.cells or (start.ndim > 0 and len(start) == module.cells)
        require(divided, "run", f"one with memory={name}",
                f"a memory whose tensors all have its cells first, which {part} has not")  # fmt: skip
    return starts


def check_cells(setting: str, cells: Sequence[int], count: int) -> None:
    """Refuse numbers that are not those of cells, or that come twice."""
    fits = len(cells) > 0 and len(set(cells)) == len(cells) and all(0 <= i < count for i in cells)
    require(fits, setting, list(cells), f"cells 0 to {count - 1}, each at most once, and at least one")


def check_free(out: Path, run: Path, overwrite: bool) -> None:
    """Refuse what `write_run` cannot write, before anything is computed.

    Raises:
        ValueError: `out` is the run itself or above it, is taken, or is taken by something that is no run; or
            nothing can be written there; or a file of the run that goes into the new one is damaged.
    """
    for name in _KEPT:
        _mapping(run / name)
    above = run.resolve().is_relative_to(out.resolve())
    require(not above, "out", str(out), "a directory that is not that of the run, nor above it")
    require_writable("out", out)
    if out.exists():
        require(overwrite, "out", str(out), "a directory that does not exist yet, or overwrite=true")
        replaceable = out.is_dir() and (RunDirectory(out).is_run() or not any(out.iterdir()))
        require(replaceable, "out", str(out), "a run directory, since overwrite=true replaces nothing else")


def write_run(out: Path, source: RunDirectory, restored: Restored, origin: dict[str, Any]) -> None:
    """Write a run that goes on from a checkpoint, whole or not at all, in place of what is in `out`.

    It has the log of its source up to there, without the scores on the test puzzles, no summary and no best
    checkpoint: those were of the other model. `origin.json` says where it comes from.

    Raises:
        ValueError: a process writes in `out`.
        OSError: the disk is full or not writable.
    """
    content = {"used": restored.used.tensors(), **restored.content, "format": checkpoint.FORMAT, "best": {}}
    content["config"] = {**content["config"], "dir": str(out)}
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    directory = RunDirectory(unfinished)
    try:
        environment, earlier = (_mapping(source.path / name) for name in _KEPT)
        directory.begin(content["config"], environment)
        if (source.path / "metrics.jsonl").exists():
            shutil.copy(source.path / "metrics.jsonl", unfinished)
            directory.rewind(content["step"])
        about = {"run": str(source.path), "step": content["step"], **origin}
        about |= {"origin": earlier} if earlier else {}
        write_json(unfinished / "origin.json", about)
        checkpoint.write(directory.last, content)
        if keeps_bank(restored.model):
            write_bank(unfinished, restored.bank)
        if out.exists():
            with locked(out):
                shutil.rmtree(out)
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _places(name: str) -> Iterator[tuple[str, str]]:
    """Where a checkpoint holds the start of `memory[name]`: its part, and the name there."""
    yield "model", f"H_module.{name}_init"
    yield "average", f"module.H_module.{name}_init"


def _mapping(path: Path) -> dict[str, Any]:
    return mapping(path, read_json(path)) if path.exists() else {}
