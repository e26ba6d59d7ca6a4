"""Puzzle files in the schema ``source,question,answer,rating``, one puzzle a line."""

import csv
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from memhrm.data.puzzle import PuzzleSet, Task, puzzle_set

HEADER = ["source", "question", "answer", "rating"]
CHUNK = 65536  # rows encoded at once

Row = tuple[int, list[str]]  # line number and fields


def read_csv(path: Path, task: Task) -> PuzzleSet:
    """All puzzles of a file, in its order. An empty rating is read as -1.

    Fields are taken as they are: those of a maze may begin and end with spaces.

    Raises:
        ValueError: with the file and line of the first row that is not a puzzle of ``task``.
    """
    inputs, labels, ratings, sources = [], [], [], []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = _rows(path, file)
            while chunk := list(islice(rows, CHUNK)):
                tokens = _encode(path, chunk, task)
                inputs.append(tokens[0])
                labels.append(tokens[1])
                ratings.extend(_rating(path, row) for row in chunk)
                sources.extend(sys.intern(fields[0]) for _, fields in chunk)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file in UTF-8") from None
    if not inputs:
        raise ValueError(f"{path}: no puzzles after the header")
    return puzzle_set(np.concatenate(inputs), np.concatenate(labels), np.array(ratings), sources)


def _rows(path: Path, file: Iterator[str]) -> Iterator[Row]:
    """Rows after the header, each with four fields."""
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise ValueError(f"{path}: empty file; expected the header {','.join(HEADER)}")
        if header != HEADER:
            raise ValueError(f"{path}:1: header is {','.join(header)!r}; expected {','.join(HEADER)!r}")
        for fields in reader:
            if len(fields) != len(HEADER):
                found = f"{len(fields)} fields" if fields else "empty row"
                raise ValueError(f"{path}:{reader.line_num}: {found}; expected {','.join(HEADER)}")
            yield reader.line_num, fields
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: {error}") from None


def _encode(path: Path, rows: list[Row], task: Task) -> tuple[np.ndarray, np.ndarray]:
    try:
        return task.encode_many([fields[1] for _, fields in rows], [fields[2] for _, fields in rows])
    except ValueError:
        for line, (_, question, answer, _) in rows:  # again one by one, to find the line
            try:
                task.encode(question, answer)
            except ValueError as error:
                raise ValueError(f"{path}:{line}: {error}") from None
        raise


def _rating(path: Path, row: Row) -> int:
    line, fields = row
    try:
        return int(fields[3]) if fields[3] else -1
    except ValueError:
        raise ValueError(
            f"{path}:{line}: rating is {fields[3]!r}; expected a whole number or nothing"
        ) from None


def write_csv(path: Path, task: Task, puzzles: PuzzleSet) -> None:
    """Write a file that `read_csv` reads back as the same set; it appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for source, question, answer, rating in zip(
            puzzles.sources, puzzles.inputs, puzzles.labels, puzzles.ratings.tolist(), strict=True
        ):
            rating = "" if rating < 0 else rating
            writer.writerow([source, task.decode(question), task.decode(answer), rating])
    os.replace(temporary, path)
