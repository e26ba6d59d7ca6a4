"""Edits of the bank of a run, and what it holds, in words."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from memhrm.config.settings import require
from memhrm.data.text.files import read_labelled
from memhrm.memory.retrieval import Retrieval, RetrievalSettings
from memhrm.runs.bank import Entry, read_bank, write_bank
from memhrm.runs.directory import RunDirectory, locked
from memhrm.runs.settings import parse
from memhrm.weights.opening import load


def added(run: Path, file: Path) -> str:
    """Put the texts of a file into the bank of a run, and say how many are new.

    Raises:
        ValueError: the run has no bank, or the file is wrong; the bank is then as it was.
    """
    _require_bank(run)
    new = {one.text: one.category for one in read_labelled(file)}
    with locked(run):
        before = read_bank(run)
        there = {one.text for one in before}
        changed = sum(new.get(one.text, one.category) != one.category for one in before)
        after = [Entry(one.text, new.get(one.text, one.category)) for one in before]
        after += [Entry(*one) for one in new.items() if one[0] not in there]
        write_bank(run, after)
    return f"{len(after) - len(before):,} texts added, {changed:,} with another category; {_size(after)}"


def removed(run: Path, file: Path) -> str:
    """Take the texts of a file out of the bank of a run, and say how many there were.

    Raises:
        ValueError: as `added`, or none of the texts is in the bank.
    """
    _require_bank(run)
    gone = {one.text for one in read_labelled(file, required=False)}
    with locked(run):
        before = read_bank(run)
        after = [one for one in before if one.text not in gone]
        allowed = "a file with texts of the bank"
        require(len(after) < len(before), "FILE", str(file), allowed)
        write_bank(run, after)
    return f"{len(before) - len(after):,} texts removed; {_size(after)}"


def shown(run: Path, file: Path | None) -> str:
    """Say what the bank of a run holds; with a file, what the answers to its texts rest on.

    Of a graph it says what part of the texts that match best it finds, asked with the texts alone.

    Raises:
        ValueError: as `added`.
    """
    _require_bank(run)
    if file is None:
        entries = read_bank(run)
        counts = Counter(one.category for one in entries)
        return "\n".join([_size(entries), *(f"{n:>7,}  {name}" for name, n in counts.most_common())])
    texts, solver = [one.text for one in read_labelled(file, required=False)], load(run)
    lines = []
    for text, found in zip(texts, solver.explain(texts)):
        lines += [text, f"  {found.probability:.0%}  {found.category}"]
        lines += [f"    {share:.0%}  {category}: {near}" for near, category, share in found.examples]
    memory = solver.model.H_module
    assert isinstance(memory, Retrieval)
    if memory.settings.index == "graph" and any(solver.bank):
        share = memory.recall(torch.from_numpy(solver.task.encode(texts).inputs.astype(np.int32)))
        lines.append(f"the graph finds {share:.0%} of the k={memory.settings.k} nearest that the bank has")
    return "\n".join(lines)


def _require_bank(run: Path) -> None:
    memory = parse(RunDirectory(run).config()).memory
    require(isinstance(memory, RetrievalSettings), "run", str(run), "a run with +memory=retrieval")


def _size(entries: list[Entry]) -> str:
    categories = len({one.category for one in entries})
    return f"the bank has {len(entries):,} texts of {categories:,} categories"
