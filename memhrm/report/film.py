"""The pictures of a film: each supervision step of an answer, and of the examples that are shown before it.

s tokens of an example.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.task import Sudoku
from memhrm.report.board import Board, board_of
from memhrm.report.gif import Picture
from memhrm.weights.answerer import Seen
from memhrm.weights.solver import Solver


def film(
    solver: Solver,
    question: str,
    examples: Sequence[tuple[str, str]] = (),
    steps: int | None = None,
) -> list[Picture]:
    """Return a picture of each supervision step on a question, after those on its examples.

    Args:
        solver: the model.
        question: the question, as text.
        examples: pairs of texts, as `Solver.solve` takes them.
        steps: supervision steps; None: as many as in training.

    Raises:
        ValueError: as `Solver.solve`.
    """
    asked = solver.task.encode([question]).inputs[0]
    right = right_answer(solver, asked)  # Before the steps, which end when the time of the answer is over.
    seen = solver.follow(question, steps, examples)
    last = max(one.step for one in seen if one.example is None)
    pictures = []
    for number, one in enumerate(seen):
        if one.example is not None:
            pictures.append(_of_example(solver, one, examples[one.example]))
            continue
        before = seen[number - 1] if number and seen[number - 1].example is None else None
        own = right is not None and _is_right(solver, asked, one.tokens)
        answer = board_of(
            solver.task,
            one.tokens,
            question=asked,
            before=None if before is None else before.tokens,
            right=one.tokens if own else right,
        )
        words = f"step {one.step} of {last}, {sure(solver, one)}"
        picture = _picture(solver, [*_asked(solver, asked), ("answer", answer)], words, one)
        pictures.append(replace(picture, graded=right is not None))
    return pictures


def sure(solver: Solver, one: Seen) -> str:
    """Return Q and the residual of a step as text; without Q where it was not trained."""
    moved = f"z_H moved by {one.residual:.1%}"
    return f"Q {one.q:.2f}, {moved}" if solver.judges else moved


def right_answer(solver: Solver, question: np.ndarray) -> np.ndarray | None:
    """Return a right answer to a question, (s,), where a search finds one; None elsewhere."""
    if solver.task.answers:
        return None  # It depends on the episode.
    try:
        return solver.task.solve(question[None])[0]
    except ValueError:
        return None


def _is_right(solver: Solver, question: np.ndarray, answer: np.ndarray) -> bool:
    """Return whether an answer is known to be right itself, as any shortest path of a maze is."""
    verdict = solver.task.verdict(question[None], answer[None])
    return verdict is not None and bool(verdict.keeps_givens[0] and verdict.keeps_rules[0])


def _asked(solver: Solver, question: np.ndarray) -> list[tuple[str, Board]]:
    """Return the board of a question, unless its answer shows it too."""
    shown = isinstance(solver.task, Sudoku | Maze)
    return [] if shown else [("question", board_of(solver.task, question))]


def _of_example(solver: Solver, one: Seen, texts: tuple[str, str]) -> Picture:
    """Return the picture of a step on an example, (question, answer)."""
    task, name = solver.task, f"example {one.example + 1}" if one.example is not None else ""
    questions, answers = task.pairs([texts[0]], [texts[1]])
    boards = [(name, board_of(task, questions[0]))]
    if one.told:
        boards.append(("its answer", board_of(task, answers[0], question=questions[0])))
        return _picture(solver, boards, f"{name}: the answer is shown", one)
    boards.append(("answer", board_of(task, one.tokens, question=questions[0])))
    return _picture(solver, boards, f"{name}: step {one.step}, {sure(solver, one)}", one)


def _picture(solver: Solver, boards: Sequence[tuple[str, Board]], words: str, one: Seen) -> Picture:
    cells = solver.model.H_module.cells
    read, written = (frozenset(cell for step in part for cell in step) for part in (one.read, one.written))
    q = one.q if solver.judges and not one.told else None
    residual = None if one.told else one.residual
    if not cells:
        return Picture(boards, words, q, residual)
    return Picture(boards, words, q, residual, cells, read, written)
