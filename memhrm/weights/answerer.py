"""A trained model that answers what is given as tokens.

n questions, s tokens of one, l labels, g tokens of a position.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from memhrm.config import console
from memhrm.config.settings import MOST_STEPS, require
from memhrm.data.checks import number
from memhrm.data.sampler import arrays
from memhrm.data.task import Task
from memhrm.data.text.prose import MASK, Prose
from memhrm.evaluation.answers import tensors
from memhrm.evaluation.in_order import in_order
from memhrm.evaluation.restarts import relative_change
from memhrm.evaluation.rollout import Step, rollout
from memhrm.memory.base import Memory
from memhrm.models.reasoner import Reasoner

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
"""Examples as tokens of a question, (s,), and of its answer, (l,)."""


class Solved(NamedTuple):
    """What a model answers to n puzzles.

    tokens: (n, l) int32. q: sigmoid(q_halt), how sure the model is that the answer is right, (n,) float32.
    """

    tokens: np.ndarray
    q: np.ndarray


class Seen(NamedTuple):
    """What is seen of one supervision step on a question, or on an example that is shown before it.

    Attributes:
        example: number of the example, from 0; None: it is the question itself.
        told: whether the step tells the example's answer.
        step: its number among those on the question or example, from 1.
        answer: the answer after the step, as text; empty where something is told.
        tokens: the answer, (l,) int32.
        q: sigmoid(q_halt), how sure the model is that it is right.
        residual: |z_H' - z_H| / |z_H|.
        read: the cells that each H-step reads; empty without cells.
        written: those that it writes.
    """

    example: int | None
    told: bool
    step: int
    answer: str
    tokens: np.ndarray
    q: float
    residual: float
    read: list[list[int]]
    written: list[list[int]]


class Answerer:
    """A trained model that takes puzzles as tokens.

    Attributes:
        model: the `Reasoner`.
        task: says what a puzzle is.
        halt_max_steps: supervision steps of a puzzle in training.
    """

    def __init__(self, model: Reasoner, task: Task, halt_max_steps: int):
        self.model = model
        self.task = task
        self.halt_max_steps = halt_max_steps
        self._until = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let answers take so long at most: supervision steps after that are not taken.

        Raises:
            ValueError: an answer takes longer, or there are no seconds left.
        """
        self._until = time.monotonic() + seconds
        try:
            self._in_time()
            yield
        finally:
            self._until = math.inf

    def _in_time(self) -> None:
        if time.monotonic() >= self._until:
            raise ValueError("the answer takes too long; ask for less")

    def to(self, device: str | torch.device) -> Self:
        """Move the model to another device, and return what has it.

        Raises:
            ValueError: PyTorch finds no such device on this machine.
        """
        try:
            self.model.to(torch.device(device))
        except Exception as error:  # PyTorch raises many kinds.
            raise ValueError(
                f"device is {device!r}, which is not to be had: {console.one_line(error)}"
            ) from error
        return self

    @torch.no_grad()
    def answer(
        self,
        inputs: np.ndarray,
        steps: int | None = None,
        examples: Pairs = (),
        *,
        identifiers: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Solved:
        """Answer n puzzles given as tokens, (n, s), as `Solver.solve` does those that are given as text.

        examples: pairs of tokens of a question and its answer. identifiers: (n,); None: 0. mask: (n, s / g)
            bool, False at padding; None: nothing is padded.
        """
        self._steps(steps)
        inputs = self.task.checked("inputs", inputs)
        allowed = "a list of pairs of tokens, question and answer"
        require(isinstance(examples, list | tuple), "examples", examples, allowed)
        allowed = "none, as the training was not on episodes"
        require(not len(examples) or self.task.learns, "examples", len(examples), allowed)
        if not len(inputs):
            return Solved(np.zeros((0, self.task.label_len), np.int32), np.zeros(0, np.float32))
        last = self.last_step(inputs, steps, mask, examples, identifiers=identifiers)
        q = torch.sigmoid(last.output.q_halt.float()).cpu().numpy()
        return Solved(self._said(last, inputs, mask).int().cpu().numpy(), q)

    def last_step(
        self,
        inputs: np.ndarray,
        steps: int | None = None,
        mask: np.ndarray | None = None,
        examples: Pairs = (),
        *,
        identifiers: np.ndarray | None = None,
        model: Reasoner | None = None,
    ) -> Step:
        """Return the last supervision step on tokens, as `answer` takes them.

        model: the model for examples of this length (`Reasoner.shortened`); None: as it is.
        """
        *_, (_, _, last) = self._walk(inputs, self._steps(steps), examples, identifiers, mask, model)
        return last

    def _steps(self, steps: int | None) -> int:
        """Return the supervision steps of an answer; None stands for as many as in training."""
        return self.halt_max_steps if steps is None else number("steps", steps, 1, MOST_STEPS)

    def said(self, question: str, answer: np.ndarray) -> str:
        """Return an answer as text; a character of prose that has no token is that of the question."""
        if isinstance(self.task, Prose):
            return self.task.decode(answer, self.task.unknown(question))
        return self.task.decode_answer(answer)

    def _seen(
        self,
        step: Step,
        question: str,
        inputs: np.ndarray,
        mask: np.ndarray | None,
        example: int | None,
        told: bool,
    ) -> Seen:
        """Return what is seen of a supervision step on one question."""
        tokens = self._said(step, inputs, mask)[0].int().cpu().numpy()
        traces = step.output.traces

        def cells(*names: str) -> list[list[int]]:
            name = next((one for one in names if traces and one in traces[0]), None)
            return [] if name is None else [trace[name][0].tolist() for trace in traces]

        module = self.model.H_module.settings
        writes = module.write_in_evaluation and (told or module.write_when == "always")
        return Seen(
            example=example,
            told=told,
            step=1 if told else step.number,
            answer="" if told else self.said(question, tokens),
            tokens=tokens,
            q=float(torch.sigmoid(step.output.q_halt[0].float())),
            residual=float(relative_change(step.before.z_H, step.state.z_H)[0]),
            read=cells("read_cells", "indices"),
            written=cells("written_cells", "indices") if writes else [],
        )

    def _said(self, last: Step, inputs: np.ndarray, mask: np.ndarray | None) -> Tensor:
        """Return the answers after a step on tokens (n, s), (n, l); of prose the gaps alone are answered."""
        answers = last.output.logits.argmax(dim=-1)
        if self.model.decoder is None and not isinstance(self.task, Prose):
            return answers
        given = torch.from_numpy(np.asarray(inputs)).long().to(answers.device)
        gaps = given == MASK
        if self.model.decoder is None:
            return torch.where(gaps, answers, given)
        present = None if mask is None else torch.from_numpy(np.asarray(mask)).to(answers.device)
        return in_order(self.model, last.state.z_H, given, gaps, present)

    def _walk(
        self,
        inputs: np.ndarray,
        steps: int,
        examples: Pairs,
        identifiers: np.ndarray | None,
        mask: np.ndarray | None,
        model: Reasoner | None = None,
    ) -> Iterator[tuple[int | None, bool, Step]]:
        """Yield each supervision step on examples and then on tokens (n, s).

        With it goes the number of the example, None for the question itself, and whether it tells something.
        """
        model = self.model if model is None else model
        module, task, rows = model.H_module.settings, self.task, len(inputs)
        memory = start = model.initial_state(rows).memory
        for number_of, (asked, told) in enumerate(examples):
            self._in_time()
            shown, asks = task.pair(asked, told), task.asks
            if asks:
                for step in _each(model, _repeated(asked, rows), memory, steps):
                    self._in_time()
                    yield number_of, False, step
                    memory = step.state.memory
            present = None if asks else _repeated(positions(shown, task.bag), rows)
            for step in _each(
                model, _repeated(shown, rows), memory, 1, done=steps, told=True, feedback=asks, mask=present
            ):
                yield number_of, True, step
                memory = step.state.memory
            if not module.lasts:  # As in evaluation.
                memory = start
        for step in _each(model, inputs, memory, steps, identifiers=identifiers, mask=mask):
            self._in_time()
            yield None, False, step


def _each(
    model: Reasoner,
    tokens: np.ndarray,
    memory: Memory,
    supervision_steps: int,
    *,
    identifiers: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    **given: Any,
) -> Iterator[Step]:
    """Yield the supervision steps on tokens (n, s) that begin with this memory."""
    batch = tensors(arrays(tokens, tokens, identifiers, mask=mask), model.H_init.device)
    state = model.initial_state(len(tokens))._replace(memory=memory)
    write = model.H_module.settings.write_in_evaluation
    return rollout(model, batch, state, supervision_steps, write=write, **given)


def _repeated(one: np.ndarray, rows: int) -> np.ndarray:
    """Return what is one row's for each of so many, (n, ...)."""
    return np.repeat(one[None], rows, axis=0)


def positions(tokens: np.ndarray, bag: int) -> np.ndarray:
    """Return which positions of an example's tokens, (s,), hold one, (s / g,) bool."""
    return np.any(tokens.reshape(-1, bag) > 0, axis=1)
