"""The bank of a run: the labelled texts that a retrieval memory reads, in a file that people can edit.

The file is `bank.csv` in the run directory, with the columns text and category. A run writes its training
texts there; what stands there when the run is opened is the bank.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memhrm.config.settings import require
from memhrm.data.examples import Examples, no_examples
from memhrm.data.task import Task
from memhrm.data.text.files import read_labelled
from memhrm.data.text.intent import Intent
from memhrm.memory.retrieval import Retrieval
from memhrm.models.reasoner import Reasoner
from memhrm.runs.used import identities
from memhrm.system.files import to_csv, write_text

FILE = "bank.csv"

CHUNK = 8192
"""Texts that are encoded at a time."""


class Entry(NamedTuple):
    """A labelled text."""

    text: str
    category: str


def read_bank(folder: Path) -> list[Entry]:
    """Return the bank of a run directory.

    Raises:
        ValueError: the file is missing, or cannot be read; the message names it, and the line.
    """
    path = folder / FILE
    allowed = f"a run with its bank; {','.join(Entry._fields)} alone in this file is an empty one"
    require(path.exists(), str(path), "missing", allowed)
    return [Entry(one.text, one.category) for one in read_labelled(path, empty=True)]


def write_bank(folder: Path, entries: Iterable[Entry]) -> None:
    """Write the bank of a run directory, whole or not at all."""
    write_text(folder / FILE, to_csv(Entry._fields, entries))


def of_examples(task: Task, examples: Examples) -> list[Entry]:
    """Return labelled examples as texts.

    Raises:
        ValueError: they are no texts.
    """
    require(isinstance(task, Intent), "memory", "retrieval", "with data of texts, as data=intent")
    return [
        Entry(text, task.decode_answer(labels)) for text, labels in zip(examples.sources, examples.labels)
    ]


def with_categories(data: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
    """Return settings of data that know the categories of a bank too, behind those that were trained."""
    known = list(data.get("categories") or ())
    new = dict.fromkeys(one.category for one in entries)
    return {**data, "categories": [*known, *(name for name in new if name not in set(known))]}


def keeps_bank(model: Reasoner) -> bool:
    """Return whether a model reads a bank."""
    return isinstance(model.H_module, Retrieval)


def fill(model: Reasoner, task: Task, entries: Sequence[Entry]) -> np.ndarray:
    """Give a model its bank, and return the identities by which its texts are remembered, (n,) uint64.

    Encoded texts, which are padded to the longest that is read, are in memory one chunk at a time.
    """
    memory, known = model.H_module, []
    assert isinstance(memory, Retrieval)
    for start in range(0, max(1, len(entries)), CHUNK):
        part = encoded(task, entries[start : start + CHUNK])
        if start == 0:
            memory.learn_from(part.inputs, part.labels, part.groups)
        else:
            memory.add(part.inputs, part.labels)
        known.append(identities(part, task))
    return np.concatenate(known)


def encoded(task: Task, entries: Sequence[Entry]) -> Examples:
    """Return labelled texts as examples."""
    texts, categories = [one.text for one in entries], [one.category for one in entries]
    return task.encode(texts, categories) if entries else no_examples(task.seq_len, task.label_len)
