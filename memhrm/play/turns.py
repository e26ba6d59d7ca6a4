"""What the page does when it is asked to, by the names of its parts."""

import copy
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from typing import Any

import numpy as np

from memhrm.config.console import plural
from memhrm.config.settings import require
from memhrm.data.text.intent import Intent
from memhrm.data.text.prose import Prose
from memhrm.play.blank import ALONE, said_html
from memhrm.play.boards import edited, task_in, text_of
from memhrm.play.choices import Choices
from memhrm.play.frames import Frame, drawn, frames
from memhrm.play.markup import frame_html, told_html
from memhrm.play.parts import Change, Parts
from memhrm.play.visit import Visit
from memhrm.runs.bank import keeps_bank
from memhrm.weights.server import LENGTH
from memhrm.weights.solver import Solver

TOLD = 12
"""Categories of texts that are named when a model is chosen."""
WAIT = 60.0
"""Seconds that the answer of one model may take."""
PASTED = 100_000
"""Characters of what is pasted, at most: a whole task of ARC is longer than a question."""


def _said(turn: Callable[..., Parts]) -> Callable[..., Parts]:
    """Return a turn whose errors are said in the page; what stands there stays."""

    @wraps(turn)
    def safe(*args: Any) -> Parts:
        try:
            return turn(*args)
        except ValueError as error:
            return {"say": said_html(str(error), bad=True)}

    return safe


class Turns:
    """The turns that a visitor can take; each returns what parts of the page become.

    Args:
        choices: the models that the page offers.
        most_steps: supervision steps of an answer, at most.
    """

    def __init__(self, choices: Choices, most_steps: int) -> None:
        self._choices, self._most_steps = choices, most_steps
        self._rng = np.random.default_rng()

    @_said
    def begin(self, name: str) -> Parts:
        """Return what the page shows when a question has been drawn."""
        solver = self._choices.solver(name)
        found = drawn(solver, self._rng)
        question, told = ("", []) if found is None else found
        board = edited(solver.task, question)
        return {
            "editor": Change(value=board, visible=board is not None),
            "text": Change(value=text_of(solver.task, board) if board else question, label=_label(solver)),
            "another": Change(visible=found is not None),
            "known": told_html(solver.task, told),
            "visit": Visit(list(told)),
            "shown": "",
            "slider": Change(visible=False),
            "say": said_html(""),
        }

    @_said
    def choose(self, name: str) -> Parts:
        """Take a model, and draw a question for it."""
        solver = self._choices.solver(name)
        return {
            "about": _about(name, solver),
            "beside": Change(choices=[ALONE, *self._choices.beside(name)], value=ALONE),
            "teaching": Change(visible=solver.task.learns or keeps_bank(solver.model)),
            "steps": Change(value=min(self._most_steps, solver.halt_max_steps)),
            **self.begin(name),
        }

    @_said
    def paste(self, name: str, question: str, state: Visit) -> Parts:
        """Take a question as text, which may be a whole task with its examples."""
        _short("the question", question, PASTED)
        task = self._choices.solver(name).task
        whole = task_in(task, question)
        if whole is None:
            return {"visit": state}
        question, told = whole
        board, known = edited(task, question), told_html(task, told)
        require(board is not None, "the test of the task", question, "a grid that fits the model's canvas")
        state.told = told
        return {"editor": board, "text": question, "visit": state, "known": known}

    def solve(self, name: str, other: str, question: str, depth: float | None, state: Visit) -> list[Parts]:
        """Answer a question; return what the page shows after each step."""
        try:
            _short("the question", question)
            count = None if depth is None else int(depth)
            most = self._most_steps
            require(count is None or 1 <= count <= most, "steps", count, f"1 to {most}")
            names = [one for one in (name, other) if one and one != ALONE]
            solvers = {one: state.own.get(one, self._choices.solver(one)) for one in names}
            state.seen = {one: _seen(solver, question, state.told, count) for one, solver in solvers.items()}
        except ValueError as error:
            return [{"say": said_html(str(error), bad=True), "shown": "", "slider": Change(visible=False)}]
        count = state.length
        steps: list[Parts] = [
            {"shown": _shown(state, at), "slider": Change(value=at + 1), "say": said_html("")}
            for at in range(count)
        ]
        steps[0]["slider"] |= {"visible": count > 1, "maximum": max(2, count)}
        steps[0]["visit"] = state
        steps[-1]["say"] = said_html(_verdict(state))
        return steps

    def slide(self, at: float, state: Visit) -> Parts:
        """Show another step of the answers."""
        return {"shown": _shown(state, int(at) - 1) if state.seen else ""}

    @_said
    def teach(self, name: str, question: str, answer: str, state: Visit) -> Parts:
        """Tell the model an example."""
        solver = state.own.get(name, self._choices.solver(name))
        require(bool(question and answer), "an example", question or answer, "a question and its answer")
        _short("the example", question)
        _short("its answer", answer)
        if keeps_bank(solver.model) and name not in state.own:
            solver = state.own[name] = copy.deepcopy(solver)
        told = [one for one in state.told if one[0] != question]
        solver.teach(question, answer, told)
        state.told = [*told, (question, answer)]
        shown_now = told_html(solver.task, state.told)
        done = said_html("It was told. Solve again.")
        return {"known": shown_now, "visit": state, "say": done, "told_question": "", "told_answer": ""}

    def forget(self, name: str, state: Visit) -> Parts:
        """Let the model forget what it was told."""
        state.told = []
        state.own.pop(name, None)
        task = self._choices.solver(name).task
        return {"known": told_html(task, []), "visit": state, "say": said_html("It has forgotten them.")}


def _short(what: str, text: str, most: int = LENGTH) -> None:
    """Require that a text is not too long."""
    require(len(text) <= most, what, f"{len(text):,} characters", f"up to {most:,}")


def _seen(solver: Solver, question: str, told: Sequence[tuple[str, str]], steps: int | None) -> list[Frame]:
    """Return the frames of an answer, for which nobody waits too long."""
    with solver.within(WAIT):
        return frames(solver, question, told, steps)


def _about(name: str, solver: Solver) -> str:
    """Return what a model is, as HTML."""
    parameters = sum(one.numel() for one in solver.model.parameters())
    module = solver.model.H_module
    cells = f", {module.cells} cells" if module.cells else ""
    about = (
        f"{name}: {solver.task.name}, memory {module.settings.name}{cells}, {parameters:,} parameters, "
        f"{plural(solver.halt_max_steps, 'supervision step')} in training."
    )
    if isinstance(solver.task, Intent):
        known = solver.task.categories
        more = f", … of {len(known)}" if len(known) > TOLD else ""
        about += f" Its categories: {', '.join(known[:TOLD])}{more}."
    return f"<p>{escape(about)}</p>"


def _label(solver: Solver) -> str:
    """Return what the line of the question is called."""
    if solver.task.num_labels:
        return "Text"
    return "Prompt; _ is filled in" if isinstance(solver.task, Prose) else "Question as text"


def _shown(state: Visit, at: int) -> str:
    """Return a frame of each answer; of a shorter one its last."""
    every = [frame_html(name, seen, min(at, len(seen) - 1)) for name, seen in state.seen.items()]
    return f'<div class="memhrm-answers">{"".join(every)}</div>'


def _verdict(state: Visit) -> str:
    """Say how many squares of each answer are wrong, where a search finds the right one."""
    last = {name: seen[-1] for name, seen in state.seen.items()}
    if not all(one.graded for one in last.values()):
        return "Done."
    wrong = {name: sum(board.wrong for _, board in one.boards) for name, one in last.items()}
    return "; ".join(
        f"{name}: {f'{count} squares are wrong' if count else 'solved'}" for name, count in wrong.items()
    )
