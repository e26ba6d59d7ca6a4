"""Films of puzzles: the answer after each supervision step beside the correct one, drawn by film.js."""

from typing import Any

import numpy as np
from scipy.special import expit

from memhrm.data.grid import GridTask
from memhrm.data.maze.task import FREE, Maze
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.task import Task
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject
from memhrm.probes.taken import FEEDBACK, QUESTION, cells_taken, remembers_by_cell
from memhrm.report.page import ReportPart
from memhrm.report.run import ProbedRun

TRACED = "indices", "alpha", "written_cells"
LABELS = {"solved": "solved", "failed": "not solved"}


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return, by kind of example, the row of the puzzle and what its film shows, a character a token."""
    found: dict[str, Any] = {}
    if not isinstance(run.subject.task, GridTask):
        return None
    for kind, row in run.examples.items():
        one = run.subject.select([row])
        seen = rollout(one, max(run.depth, min(4 * run.depth, 16)))
        found[kind] = {
            "row": row,
            "inputs": one.inputs[0].cpu().numpy(),
            "labels": one.labels[0].cpu().numpy(),
            "tokens": seen.tokens[:, 0],
        }
        if one.judges:
            found[kind]["q"] = expit(seen.q_halt[:, 0].astype(float))
        if (episodes := one.episodes) is not None and episodes.length > 1:
            before = slice(int(one.numbered()[0]) % episodes.length)
            shown = shown_answers(one.task, episodes.feedback[0, before])
            found[kind] |= {"shown_questions": episodes.inputs[0, before], "shown_answers": shown}
            if remembers_by_cell(one):
                found[kind]["taken"] = _taken(one)[before]
        if run.cells:
            names = TRACED if run.subject.writes_at_questions else TRACED[:-1]
            found[kind] |= {name: seen.traces[name][:, :, 0] for name in names if name in seen.traces}
    return found


def _taken(one: Subject) -> np.ndarray:
    """Return which cells the puzzles of an episode read and write, at the question and at its feedback.

    (p, 4, N) bool: question read, question written, feedback read, feedback written. Cells that are always
    active are in none.
    """
    found = cells_taken(one)
    masks = [mask[told][0] for told in (QUESTION, FEEDBACK) for mask in (found.read, found.written)]
    return np.pad(np.stack(masks, axis=1), ((0, 0), (0, 0), (found.apart, 0)))


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return a film of each run."""
    films = []
    for run in runs:
        what = "puzzle" if run.position is None else f"puzzle {run.position} of episode"
        found, about = (
            run.numbers["films"],
            {"name": f"film-{run.index}", "cells": run.cells, "trained": run.depth},
        )
        about["labels"] = [f"{LABELS[kind]} ({what} {run.number(one['row'])})" for kind, one in found.items()]
        film = about | film_data(run.subject.task, list(found.values()))
        films.append(ReportPart(kind="film", words={"title": run.label}, film=film))
    return films


def film_data(task: Task, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what film.js draws of puzzles of a task, from what `compute` returns of each."""
    size = {
        "rows": task.layout[0],
        "columns": task.layout[1],
        "boxes": boxes(task),
        "maze": isinstance(task, Maze),
    }
    return {**size, "shots": [_shot(task, **one) for one in found]}


def _shot(
    task: Task, inputs: np.ndarray, labels: np.ndarray, tokens: np.ndarray, **more: Any
) -> dict[str, Any]:
    fixed = given(task, inputs, labels)
    pairs = zip(more.get("shown_questions", ()), more.get("shown_answers", ()))
    return {
        "given": fixed.astype(int).tolist(),
        "question": "" if fixed.any() else _text(task, inputs),
        "answer": task.decode(np.where(labels > 0, labels, 0)),  # '?' where there is no label.
        "shown": [[_text(task, question), task.decode(answer)] for question, answer in pairs],
        "taken": [[np.flatnonzero(cells).tolist() for cells in puzzle] for puzzle in more.get("taken", ())],
        "frames": [_text(task, one) for one in tokens],
        **({"q": np.round(more["q"], 4).tolist()} if "q" in more else {}),
        **{name: np.round(more[name].tolist(), 3).tolist() for name in TRACED if name in more},
    }


def shown_answers(task: Task, feedback: np.ndarray) -> np.ndarray:
    """Return the answers that feedback tokens (as of `episodes.pair`) show, 0 where they show none."""
    first = task.vocab_size - task.answers
    codes = feedback.astype(np.int64) - task.vocab_size
    return np.where(codes >= 0, first + codes % max(task.answers, 1), 0)


def boxes(task: Task) -> tuple[int, int] | None:
    """Return the rows and columns of a box, or None for a puzzle without boxes."""
    return (task.shape.box_rows, task.shape.box_columns) if isinstance(task, Sudoku) else None


def given(task: Task, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which tokens of the question are part of the answer, such as clues and walls, (s,) bool.

    None are if the answer changes any of them.
    """
    blank = BLANK if isinstance(task, Sudoku) else FREE if isinstance(task, Maze) else None
    fixed = inputs != blank if blank is not None else np.zeros(inputs.shape, bool)
    return fixed if (inputs == labels)[fixed].all() else np.zeros_like(fixed)


def _text(task: Task, tokens: np.ndarray) -> str:
    """Return the characters of a grid, with spaces for blanks."""
    text = task.decode(tokens)
    return text.replace(".", " ") if isinstance(task, Sudoku) else text
