"""What a page shows of an answer: a frame for each step of it.

s tokens of an example.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from memhrm.config.console import plural
from memhrm.config.settings import require
from memhrm.data.dataset import Dataset
from memhrm.data.loading import generate
from memhrm.data.settings import DataSettings
from memhrm.data.sudoku.settings import SudokuSettings
from memhrm.data.text.prose import Prose
from memhrm.report.film import film
from memhrm.report.gif import Picture
from memhrm.weights.solver import Solver
from memhrm.weights.writing import Manner, write

FEW = 32
"""Puzzles that are made, to offer one of them after the other."""
MOST_TOLD = 24
"""Examples of an episode that is drawn, where there are shorter ones."""
WRITTEN = 160
"""Characters that are written behind a prompt."""
TOP = 5
"""Categories that are shown of a text."""
FRAMES = 512
"""Frames of an answer, at most; each is a part of the page."""


@dataclass(frozen=True)
class Frame(Picture):
    """One step of an answer: a picture of a film, or what a text comes to.

    Attributes:
        categories: of a text, with their probabilities, the most probable first.
        prose: what is written; None: nothing is.
    """

    categories: Sequence[tuple[str, float]] = ()
    prose: str | None = None


class Drawn(NamedTuple):
    """A question with the examples that go before it.

    Attributes:
        question: the question, as text.
        told: questions with their answers.
    """

    question: str
    told: list[tuple[str, str]]


def frames(solver: Solver, question: str, told: Sequence[tuple[str, str]], steps: int | None) -> list[Frame]:
    """Return a frame of each step of an answer, after those of the examples.

    Args:
        solver: the model.
        question: the question; of a text, what is classified; of prose, what goes before.
        told: examples, question and answer.
        steps: supervision steps; None: as many as in training.

    Raises:
        ValueError: the question or an example is not one of the model's task, or there are too many frames.
    """
    last = solver.halt_max_steps if steps is None else steps
    if solver.task.num_labels:
        return list(_classified(solver, question, told, last))
    if isinstance(solver.task, Prose):
        return list(_written(solver, question, last))
    count = last + len(told) * (solver.task.asks * last + 1)
    allowed = f"fewer with {plural(len(told), 'example')}: they make {count:,} pictures, of {FRAMES} at most"
    require(count <= FRAMES, "steps", last, allowed)
    return [Frame(**vars(one)) for one in film(solver, question, told, last)]


def _classified(solver: Solver, text: str, told: Sequence[tuple[str, str]], last: int) -> Iterator[Frame]:
    require(bool(text.strip()), "the text", text, "one with a word")
    shown = told if solver.task.learns else ()  # A bank holds what it was told.
    for step, found in enumerate(solver.classify_by_step(text, TOP, last, shown), start=1):
        yield Frame((), f"step {step} of {last}", categories=found)


def _written(solver: Solver, prompt: str, last: int) -> Iterator[Frame]:
    for step, one in enumerate(write(solver, prompt, WRITTEN, Manner(halt_max_steps=last)), start=1):
        require(
            step <= FRAMES, "the prompt", plural(prompt.count("_"), "gap"), f"less than {FRAMES} steps fill"
        )
        yield Frame((), f"step {step}: {one.left} characters of this window are open", prose=one.text)


def drawn(solver: Solver, rng: np.random.Generator) -> Drawn | None:
    """Return a random question of a model's task, with examples where it learns from some.

    Returns:
        The question; None where the task has none of its own, as its data are files.
    """
    made = _few(solver.data)
    if made is None:
        return None
    task, maker = made.task, made.episodes
    length = max((one for one in (*maker.lengths, maker.test_length) if one <= MOST_TOLD), default=MOST_TOLD)
    episode = maker.draw(made.test, 1, length, rng)
    asked, told = (np.flatnonzero(part) for part in episode.course)
    inputs, feedback = episode.inputs[0], episode.feedback[0]
    shown = [
        (task.decode(inputs[at]), task.decode_answer(task.unpaired(feedback[at])))
        for at in told[told < asked[-1]]
    ]
    return Drawn(task.decode(inputs[asked[-1]]), shown)


@cache
def _few(data: DataSettings) -> Dataset | None:
    """Return a set like that of the training, but small; None where it is read from files."""
    if data.path is not None or data.own_file is not None or data.download is not None:
        return None
    few, task = data, data.task()
    if not task.answers:  # What episodes are drawn from is listed, which takes no time.
        listed = isinstance(data, SudokuSettings) and data.side == 4
        few = replace(data, train_size=None if listed else 1, test_size=FEW, holdout=0)
    parts = few.split()  # A set that lists its parts is not generated, as in `load`.
    train, test = generate(few, lambda done, of: None) if parts is None else parts
    return Dataset(data.name, task, train, test, few.maker(task))
