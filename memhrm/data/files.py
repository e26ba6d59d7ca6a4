"""Files of puzzles, in our own schema ``source,question,answer,rating`` or in one of the public formats."""

import csv
import re
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memhrm.data.checks import MOST, PuzzleError, shown
from memhrm.data.examples import Examples, examples_of
from memhrm.data.formats import HEADER, Record, records, tabled
from memhrm.system.files import whole

if TYPE_CHECKING:
    from memhrm.data.grid import GridTask
    from memhrm.data.task import Task

CHUNK = 65536  # rows encoded at once


def read_grids(path: Path, task: "GridTask", *, solve: bool) -> Examples:
    """Read all puzzles of a file, in its order.

    `memhrm.data.formats.records` says which formats there are. An empty or absent rating is read as -1.
    Fields are taken as they are: those of a maze may begin and end with spaces.

    Args:
        path: the file.
        task: what a puzzle is.
        solve: whether answers that it lacks are found by search, or the labels left 0. Answers that it has
            must be right in either case.

    Raises:
        ValueError: the file cannot be read or has no puzzles, or a row is no puzzle of ``task``, with
            ``solve`` one with an answer (for sudokus, one only); the message names the file and the first
            such line.
    """
    if not isinstance(path, str | Path):  # A number is an open file, which would be closed.
        raise ValueError(f"path is {shown(path)}; allowed: a file, as text or pathlib.Path")
    path = Path(path)
    inputs, labels, ratings, sources = [], [], [], []
    rows = records(path, task)
    while chunk := list(islice(rows, CHUNK)):
        tokens = _checked(path, chunk, task, solve)
        inputs.append(tokens[0])
        labels.append(tokens[1])
        ratings.append(np.array([_rating(path, record) for record in chunk], np.int32))
        sources.extend(sys.intern(record.source) for record in chunk)
    if not inputs:
        raise ValueError(f"{path}: no puzzles after the header")
    return examples_of(np.concatenate(inputs), np.concatenate(labels), np.concatenate(ratings), sources)


def read_shown(path: Path, task: "Task") -> list[tuple[str, str]]:
    """Read puzzles with their answers, as text, for an episode that shows them.

    The answers are under the episode's rule: they need not solve the questions (`Task.pairs`).

    Args:
        path: the file.
        task: what a puzzle is.

    Raises:
        ValueError: the file cannot be read, has no puzzles, or a row has no answer, or is none of this task;
            the message names the file and the line.
    """
    from memhrm.data.grid import GridTask  # Which imports this module.

    rows = list(records(path, task) if isinstance(task, GridTask) else tabled(path))
    if not rows:
        raise ValueError(f"{path}: no puzzles after the header")
    for row in rows:
        if not row.answer:
            raise ValueError(f"{path}:{row.line}: answer is empty; allowed: what the episode shows")
    try:
        task.pairs([row.question for row in rows], [row.answer for row in rows])
    except PuzzleError as error:
        raise ValueError(f"{path}:{rows[error.row].line}: {error}") from None
    return [(row.question, row.answer) for row in rows]


def _checked(path: Path, chunk: list[Record], task: "GridTask", solve: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return questions and answers as tokens; of several faults the first in the file is named."""
    fault: PuzzleError | None = None
    part = chunk
    while part:
        try:
            found = _tokens(part, task, solve)
        except PuzzleError as error:  # what comes first of its kind: look for others before it
            fault, part = error, part[: error.row]
            continue
        if fault is None:
            return found
        break
    assert fault is not None
    raise ValueError(f"{path}:{chunk[fault.row].line}: {fault}")


def _tokens(chunk: list[Record], task: "GridTask", solve: bool) -> tuple[np.ndarray, np.ndarray]:
    inputs = task.tokens("question", [record.question for record in chunk])
    labels = np.zeros_like(inputs)
    known = np.array([record.answer != "" for record in chunk])
    for rows, answered in ((np.flatnonzero(known), True), (np.flatnonzero(~known), False)):
        if not rows.size:
            continue
        try:
            if answered:
                labels[rows] = task.tokens("answer", [chunk[row].answer for row in rows])
                task.check(inputs[rows], labels[rows])
            elif solve:
                labels[rows] = task.solve(inputs[rows])
            else:
                task.check_questions(inputs[rows])
        except PuzzleError as error:
            raise PuzzleError(int(rows[error.row]), str(error)) from None
    return inputs, labels


def _rating(path: Path, record: Record) -> int:
    text = record.rating.strip()
    if re.fullmatch(r"[+-]?[0-9]{1,19}", text) and abs(int(text)) <= MOST:
        return int(text)
    if text:
        short = text if len(text) <= 40 else f"{text[:37]}..."
        raise ValueError(
            f"{path}:{record.line}: rating is {short!r}; expected a whole number up to {MOST}, or nothing"
        )
    return -1


def write_csv(path: Path, task: "GridTask", puzzles: Examples) -> None:
    """Write a file that `read_grids` reads back as the same set; it appears complete or not at all.

    Raises:
        OSError: the place cannot be written, or the disk is full; the error names it.
    """
    with whole(path) as unfinished, open(unfinished, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for source, question, answer, rating in zip(
            puzzles.sources, puzzles.inputs, puzzles.labels, puzzles.ratings.tolist(), strict=True
        ):
            rating = "" if rating < 0 else rating
            writer.writerow([source, task.decode(question), task.decode_answer(answer), rating])
