"""A puzzle's film: its grid after every supervision step, wrong cells marked, the active cells beside it.

The data stands in the page as JSON; `film.js` draws it.
S supervision steps, H H_cycles, s tokens, k active cells.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from memhrm.data.maze import FREE, Maze
from memhrm.data.puzzle import Task
from memhrm.data.sudoku import BLANK, Sudoku
from memhrm.probes.page import Fragment


@dataclass(frozen=True)
class Shot:
    """One puzzle as one run saw it. tokens: (S, s). q: sigmoid of q_halt, (S,). indices, alpha: (S, H, k)."""

    label: str
    inputs: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray
    q: np.ndarray
    indices: np.ndarray | None = None
    alpha: np.ndarray | None = None


def grid(task: Task) -> tuple[int, int]:
    """Rows and columns on which a puzzle's tokens are drawn."""
    return task.rows, task.side


def boxes(task: Task) -> tuple[int, int] | None:
    """Rows and columns of a box, where the puzzle has boxes."""
    return (task.shape.box_rows, task.shape.box_columns) if isinstance(task, Sudoku) else None


def given(task: Task, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which tokens of the question (s,) stand in the answer as they are: clues, walls. None where the answer
    changes what the question gives."""
    open_cell = BLANK if isinstance(task, Sudoku) else FREE if isinstance(task, Maze) else None
    fixed = inputs != open_cell if open_cell is not None else np.zeros(inputs.shape, bool)
    return fixed if (inputs == labels)[fixed].all() else np.zeros_like(fixed)


def film(
    name: str, title: str, task: Task, shots: Sequence[Shot], cells: int = 0, trained: int | None = None
) -> Fragment:
    """The films of one run, with a control for which puzzle. name: the prefix of its ids. trained: the
    supervision steps of training, which the film may exceed."""
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
<div class="stage"><div class="board"></div>{'<div class="cells" tabindex="0"></div>' if cells else ""}</div>
<script type="application/json">{text}</script>
</div>"""
    return Fragment(html, script="film.js")


def _shot(task: Task, shot: Shot) -> dict[str, Any]:
    fixed = given(task, shot.inputs, shot.labels)
    labels = np.where(shot.labels > 0, shot.labels, 0)
    return {
        "given": fixed.astype(int).tolist(),
        "question": "" if fixed.any() else _text(task, shot.inputs),
        "answer": task.decode(labels),  # '?' where there is no label.
        "frames": [_text(task, tokens) for tokens in shot.tokens],
        "q": [round(float(q), 4) for q in shot.q],
        "indices": None if shot.indices is None else shot.indices.tolist(),
        "alpha": None if shot.alpha is None else np.round(shot.alpha.astype(float), 3).tolist(),
    }


def _text(task: Task, tokens: np.ndarray) -> str:
    """The answer's characters; a blank stands for what is no digit."""
    text = task.decode(tokens)
    return text.replace(".", " ") if isinstance(task, Sudoku) else text
