"""What is seen of one answer: a board of squares, which a page or an image draws.

s tokens of an example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memhrm.data.arc.draw import PALETTE
from memhrm.data.arc.task import Arc
from memhrm.data.grid import GridTask
from memhrm.data.maze.task import FREE, Maze
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.task import Task

WIDE = 32
"""Squares of a row, at most, of what has no rows of its own."""

Kind = Literal["open", "given", "wall", "path"]


@dataclass(frozen=True)
class Square:
    """A square of a board.

    Attributes:
        text: what stands in it.
        kind: whether it is open, given with the question, a wall, or part of a path.
        colour: its ground, as #rrggbb; None: that of its kind.
        changed: whether it differs from the step before.
        wrong: whether it differs from the right answer.
    """

    text: str = ""
    kind: Kind = "open"
    colour: str | None = None
    changed: bool = False
    wrong: bool = False


@dataclass(frozen=True)
class Board:
    """Rows of squares.

    Attributes:
        rows: how many rows.
        columns: squares of a row.
        squares: row by row.
        boxes: rows and columns of a box, of a Sudoku; None: there are none.
    """

    rows: int
    columns: int
    squares: tuple[Square, ...]
    boxes: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The board as text, a line for each row, for those who do not see it."""
        words = [one.text or {"wall": "#", "path": "o"}.get(one.kind, " ") for one in self.squares]
        return "\n".join("".join(words[at : at + self.columns]) for at in range(0, len(words), self.columns))

    @property
    def wrong(self) -> int:
        """Squares that are wrong."""
        return sum(one.wrong for one in self.squares)

    @property
    def changed(self) -> int:
        """Squares that have changed."""
        return sum(one.changed for one in self.squares)


def board_of(
    task: Task,
    tokens: np.ndarray,
    *,
    question: np.ndarray | None = None,
    before: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> Board:
    """Return the board of a question or an answer.

    Args:
        task: what it is of.
        tokens: of the question or the answer, (s,).
        question: tokens of the question, whose clues and walls are given; None: nothing is.
        before: the answer of the step before, (s,); None: there is none.
        right: the right answer, (s,), 0 where there is none; None: it is not known.
    """
    shown, rows, columns = _squares(task, tokens, question)
    marks = [_differs(task, tokens, other, question, len(shown)) for other in (before, right)]
    squares = tuple(
        Square(one.text, one.kind, one.colour, changed=bool(changed), wrong=bool(wrong))
        for one, changed, wrong in zip(shown, *marks)
    )
    boxes = (task.shape.box_rows, task.shape.box_columns) if isinstance(task, Sudoku) else None
    return Board(rows, columns, squares, boxes)


def _squares(task: Task, tokens: np.ndarray, question: np.ndarray | None) -> tuple[list[Square], int, int]:
    """Return the squares of tokens, without marks, their rows and columns."""
    if isinstance(task, Arc):
        grid = task.grid(tokens)
        rows, columns = grid.shape if grid.size else (1, 1)
        found = [Square(colour=PALETTE[one]) for one in grid.ravel().tolist()] or [Square()]
        return found, rows, columns
    text = _text(task, tokens, question)
    if isinstance(task, GridTask) and len(text) == task.seq_len:
        given = np.zeros(len(text), bool)
        if question is not None and isinstance(task, Sudoku | Maze):
            given = np.asarray(question) != (BLANK if isinstance(task, Sudoku) else FREE)
        return [_square(task, one, bool(there)) for one, there in zip(text, given)], task.rows, task.side
    columns = min(WIDE, max(1, len(text)))
    rows = -(-max(1, len(text)) // columns)
    return [_square(task, one, False) for one in text.ljust(rows * columns)], rows, columns


def _text(task: Task, tokens: np.ndarray, question: np.ndarray | None) -> str:
    """Return a question as text, or an answer, with its question given."""
    return task.decode(tokens) if question is None else task.decode_answer(tokens)


def _square(task: Task, one: str, given: bool) -> Square:
    if isinstance(task, Maze) and one in "#o":
        return Square(kind="wall" if one == "#" else "path")
    text = "" if one in ".? " else one
    return Square(text, "given" if given else "open")


def _differs(
    task: Task, tokens: np.ndarray, other: np.ndarray | None, question: np.ndarray | None, count: int
) -> Sequence[bool]:
    """Return which squares of a board differ from another one; where that says nothing, none."""
    none = [False] * count
    if other is None:
        return none
    if isinstance(task, Arc):
        one, two = task.grid(tokens), task.grid(other)
        return (one != two).ravel().tolist() if one.shape == two.shape and one.size else none
    texts = [_text(task, part, question).ljust(count) for part in (tokens, other)]
    return [a != b and b != "?" for a, b in zip(*texts)][:count]
