"""A question as a board that is edited, and back as text."""

import json
from typing import TypedDict

import numpy as np

from memhrm.data.arc.draw import PALETTE
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import task_of
from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.task import Sudoku
from memhrm.data.task import Task

COLOURS = ("black", "blue", "red", "green", "yellow", "grey", "magenta", "orange", "light blue", "maroon")
START = "[[0,0,0],[0,0,0],[0,0,0]]"
"""The grid with which a task of ARC begins."""


class Edited(TypedDict):
    """A board that is edited.

    rows, columns: its size. most: rows and columns at most; 0: the size is fixed. squares: a character for
    each square, row by row. alphabet: what can stand in one, an empty one first. names: what each of these is
    called. colours: the ground of each, as #rrggbb; None: they are written. boxes: rows and columns of a box;
    None: it has none.
    """

    rows: int
    columns: int
    most: int
    squares: str
    alphabet: str
    names: list[str]
    colours: list[str] | None
    boxes: list[int] | None


def edited(task: Task, question: str) -> Edited | None:
    """Return a question as a board.

    Args:
        task: what it is of.
        question: its text; an empty one is an empty board.

    Returns:
        The board; None where the task has none, or the text is no question of it.
    """
    try:
        if isinstance(task, Arc):
            grid = task.grid(task.encode([question or START]).inputs[0])
            return _coloured(grid, task.canvas)
        if isinstance(task, Sudoku | Maze):
            blank = " " if isinstance(task, Maze) else "."
            squares = task.decode(task.tokens("question", [question or blank * task.seq_len]))
            return _written(task, squares)
    except ValueError:
        return None
    return None


def task_in(task: Task, text: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Return the first test of an ARC task in JSON, as text, and its demonstrations; None of other texts."""
    if not isinstance(task, Arc) or not task.answers or not text.lstrip().startswith("{"):
        return None
    try:
        given = task_of(json.loads(text), "the task", "given")
    except (ValueError, RecursionError):
        return None
    grids = [(_text(pair.input), _text(pair.output)) for pair in given.demonstrations]
    return _text(given.tests[0].input), grids


def text_of(task: Task, board: Edited) -> str:
    """Return a board as the text of a question."""
    if not isinstance(task, Arc):
        return board["squares"]
    grid = np.array(list(map(int, board["squares"])), np.uint8).reshape(board["rows"], board["columns"])
    return _text(grid)


def _text(grid: np.ndarray | None) -> str:
    return json.dumps([] if grid is None else grid.tolist(), separators=(",", ":"))


def _coloured(grid: np.ndarray, most: int) -> Edited:
    rows, columns = grid.shape
    return Edited(
        rows=rows, columns=columns, most=most, squares="".join(map(str, grid.ravel())), alphabet="0123456789",
        names=list(COLOURS), colours=list(PALETTE), boxes=None,
    )  # fmt: skip


def _written(task: Sudoku | Maze, squares: str) -> Edited:
    boxes = [task.shape.box_rows, task.shape.box_columns] if isinstance(task, Sudoku) else None
    alphabet = task.alphabet if isinstance(task, Sudoku) else " #SG"
    names = {" ": "empty", ".": "empty", "#": "wall", "S": "S", "G": "G"}
    return Edited(
        rows=task.rows, columns=task.side, most=0, squares=squares, alphabet=alphabet,
        names=[names.get(one, one) for one in alphabet], colours=None, boxes=boxes,
    )  # fmt: skip
