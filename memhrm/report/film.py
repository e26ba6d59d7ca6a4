"""Films of puzzles: the answer after each supervision step beside the correct one, wrong tokens marked.

With a memory of cells, the active cells stand beside them; in episodes, the feedback that was shown before.
The page holds the data as JSON, and `film.js` draws it.
S supervision steps, H H_cycles, s tokens, k active cells, m earlier puzzles of the episode.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from memhrm.data.maze.task import FREE, Maze
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.task import Task
from memhrm.report.page import Fragment


@dataclass(frozen=True)
class Shot:
    """One puzzle as one run answered it.

    tokens: the answers, (S, s). q: sigmoid of q_halt, (S,). indices, alpha: (S, H, k). shown: in episodes,
    the questions and answers of the feedback before the puzzle, (m, s) each; 0 where no answer is shown.
    """

    label: str
    inputs: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray
    q: np.ndarray
    indices: np.ndarray | None = None
    alpha: np.ndarray | None = None
    shown: tuple[np.ndarray, np.ndarray] | None = None


def shown_answers(task: Task, feedback: np.ndarray) -> np.ndarray:
    """Return the answers that feedback tokens (as of `episodes.pair`) show, 0 where they show none."""
    first = task.vocab_size - task.answers
    codes = feedback.astype(np.int64) - task.vocab_size
    return np.where(codes >= 0, first + codes % max(task.answers, 1), 0)


def grid(task: Task) -> tuple[int, int]:
    """Return the rows and columns on which a puzzle's tokens are drawn."""
    return task.layout


def boxes(task: Task) -> tuple[int, int] | None:
    """Return the rows and columns of a box, or None for a puzzle without boxes."""
    return (task.shape.box_rows, task.shape.box_columns) if isinstance(task, Sudoku) else None


def given(task: Task, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which tokens of the question are part of the answer, such as clues and walls, (s,) bool; none if
    the answer changes any of them."""
    blank = BLANK if isinstance(task, Sudoku) else FREE if isinstance(task, Maze) else None
    fixed = inputs != blank if blank is not None else np.zeros(inputs.shape, bool)
    return fixed if (inputs == labels)[fixed].all() else np.zeros_like(fixed)


def film(
    name: str, title: str, task: Task, shots: Sequence[Shot], cells: int = 0, trained: int | None = None
) -> Fragment:
    """Return the films of one run, with a control that chooses the puzzle. name: the prefix of its ids.
    trained: the training depth, which the film may exceed."""
    rows, columns = grid(task)
    data: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "boxes": boxes(task),
        "maze": isinstance(task, Maze),
        "cells": cells,
        "trained": trained or len(shots[0].tokens),
        "shots": [_shot(task, shot) for shot in shots],
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    choices = "".join(
        f'<label><input type="radio" name="{name}-shot" value="{i}"{"" if i else " checked"}> '
        f"{escape(shot.label)}</label>"
        for i, shot in enumerate(shots)
    )
    steps = len(shots[0].tokens)
    before = active = ""
    if any(shot.shown is not None for shot in shots):
        before = f'<div class="before" {_REGION}"Feedback shown before the puzzle"></div>\n'
    if cells:
        active = f'<div class="cells" {_REGION}"Active memory cells"></div>'
    about = f'min="1" max="{steps}" value="1" aria-describedby="{name}-status"'
    html = f"""<div class="film" id="{name}">
<h3>{escape(title)}</h3>
<div class="controls">
<fieldset><legend>Puzzle</legend>{choices}</fieldset>
<label>Step <input type="range" class="slider" {about}></label>
<button type="button" class="play">Play</button>
</div>
<p class="status" id="{name}-status" aria-live="polite"></p>
<noscript><p>The film needs JavaScript.</p></noscript>
{before}<div class="stage"><div class="boards"></div>{active}</div>
<script type="application/json">{text}</script>
</div>"""
    return Fragment(html, script="film.js")


_REGION = 'tabindex="0" role="region" aria-label='  # A part that scrolls can be reached by the keyboard.


def _shot(task: Task, shot: Shot) -> dict[str, Any]:
    fixed = given(task, shot.inputs, shot.labels)
    labels = np.where(shot.labels > 0, shot.labels, 0)
    return {
        "given": fixed.astype(int).tolist(),
        "question": "" if fixed.any() else _text(task, shot.inputs),
        "answer": task.decode(labels),  # '?' where there is no label.
        "shown": None
        if shot.shown is None
        else [[_text(task, question), task.decode(answer)] for question, answer in zip(*shot.shown)],
        "frames": [_text(task, tokens) for tokens in shot.tokens],
        "q": [round(float(q), 4) for q in shot.q],
        "indices": None if shot.indices is None else shot.indices.tolist(),
        "alpha": None if shot.alpha is None else np.round(shot.alpha.astype(float), 3).tolist(),
    }


def _text(task: Task, tokens: np.ndarray) -> str:
    """Return the characters of a grid, with spaces for blanks."""
    text = task.decode(tokens)
    return text.replace(".", " ") if isinstance(task, Sudoku) else text
