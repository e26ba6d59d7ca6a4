"""The answers of a model to episodes, example by example, with a memory that goes on between them.

n episodes, p examples of each, b batch, s token.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from memhrm.config.settings import MOST_STEPS, advise, check_types, require, require_size
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.task import Task
from memhrm.evaluation.restarts import RULES, Answers, chosen, relative_change
from memhrm.evaluation.rollout import Halts, Noise, Step, rollout, select
from memhrm.memory.base import Memory
from memhrm.memory.usage import selected
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.training.halting import confident
from memhrm.training.losses import CROSS_ENTROPY, confidence, grade, token_losses

Kept = Literal["kept", "reset", "frozen", "shuffled"]
"""What becomes of the memory in an episode: it goes on; starts again with each example; is never written; or
goes to another row of the batch after each feedback."""

Sure = Literal["q", "confidence"]

Look = Callable[[int, bool, Step], None]
"""Is shown each supervision step of an episode: (example, whether it is its feedback, the step)."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How answers are found.

    Attributes:
        steps: the most supervision steps of a row.
        H_cycles: H-cycles of a supervision step on a question; None: as in training, as always where
            something is told.
        threshold: stop a row at the first step at which it is so sure of its answer; None runs every row to
            the end, as published.
        sure: what says how sure it is. q: sigmoid(q_halt); confidence: the mean probability of the tokens of
            the answer that the question asks for (`Task.asked`), or that of the label.
        batch_size: rows at a time.
        loss: the cross-entropy that is reported.
        write: whether the memory is written; what is written ends with the episode, whatever the lifetime is,
            and no bank takes it up, so that no result depends on the order.
        restarts: how often each example is run.
        noise: standard deviation of the noise added to z_H and z_L before each supervision step; of several
            restarts the first runs without.
        select: the rule of `RULES` that chooses the answer that counts.
        seed: seed of the noise.
    """

    steps: int
    H_cycles: int | None = None
    threshold: float | None = None
    sure: Sure = "q"
    batch_size: int = 128
    loss: str = "stablemax"
    write: bool = True
    restarts: int = 1
    noise: float = 0.0
    select: str = "q"
    seed: int = 0

    def __post_init__(self):
        check_types(self, "")
        require_size("halt_max_steps", self.steps, most=MOST_STEPS)
        if self.H_cycles is not None:
            require_size("H_cycles", self.H_cycles, most=MOST_STEPS)
        require_size("batch_size", self.batch_size)
        require(self.loss in CROSS_ENTROPY, "loss", self.loss, ", ".join(CROSS_ENTROPY))
        tau, sigma = self.threshold, self.noise
        require(tau is None or 0 < tau < 1, "threshold", tau, "null, or between 0 and 1")
        require_size("restarts", self.restarts)
        require(sigma >= 0, "noise", sigma, "0 or above")
        alike = f"above 0, with restarts={self.restarts}: without noise all restarts are the same"
        require(sigma > 0 or self.restarts == 1, "noise", sigma, alike)
        require(self.select in RULES, "select", self.select, ", ".join(RULES))
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        only = self.restarts == 1 and self.select != "q"
        advise(only, f"select={self.select} has no effect with restarts=1: there is one answer")

    @property
    def halts(self) -> Halts | None:
        """The rule by which rows stop early; None where none does."""
        tau = self.threshold
        if tau is None:
            return None
        if self.sure == "q":
            return lambda output, asked: confident(output.q_halt, tau)
        return lambda output, asked: confidence(output.logits, self.loss, asked) > tau


class Moment(NamedTuple):
    """What happened at one example of b episodes.

    Attributes:
        at: the example's number in its episode, from 0.
        data: the examples, a batch of tensors.
        answers: the answers.
        memory: what the example begins with.
    """

    at: int
    data: dict[str, Tensor]
    answers: Answers
    memory: Memory


@torch.no_grad()
def walk(
    model: Reasoner,
    episodes: Episodes,
    settings: EvaluationSettings,
    *,
    task: Task | None = None,
    kept: Kept = "kept",
    first: int | np.ndarray = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    look: Look | None = None,
) -> Iterator[Moment]:
    """Go through b episodes example by example, and yield those that are asked; the model is on its device.

    The model computes `settings.batch_size` rows at a time.

    Args:
        model: the model.
        episodes: the episodes.
        settings: how each example is answered.
        task: says which labels are asked for; None: all.
        kept: what becomes of the memory; a difference to "kept" is what the memory does for the answers.
        first: the place among all of the first episode, or of each, (b,); what is drawn is a function of it.
        device: the device of the model.
        dtype: the precision of the computation.
        look: is shown every supervision step of those rows.
    """
    lasting = model.H_module.settings.lasts and kept != "reset"
    if kept == "frozen":
        settings = replace(settings, write=False)
    initial = model.initial_state(len(episodes), dtype)
    memory = initial.memory
    numbers = first if isinstance(first, np.ndarray) else first + np.arange(len(episodes))
    size = settings.batch_size
    parts = [slice(start, start + size) for start in range(0, len(episodes), size)]

    def show(at: int, told: bool, rows: slice, step: Step) -> None:
        if look is not None:
            look(at, told, step._replace(rows=step.rows + rows.start))

    for at, (asked, told) in enumerate(zip(*episodes.course)):
        places = numbers * episodes.length + at
        if asked:
            batch = episodes.batch(at)
            if task is not None:
                batch["asked"] = task.asked(batch["inputs"])
            data, state = tensors(batch, device), initial._replace(memory=memory)
            found = []
            for rows in parts:
                asking, begun = select(data, rows), select(state, rows)
                looking = partial(show, at, False, rows)
                found.append(answer(model, asking, settings, begun, places[rows], dtype, looking))
            answers = _joined(found)
            yield Moment(at, data, answers, memory)
            memory = answers.state.memory if lasting else memory
        if told and lasting:
            data, state = tensors(episodes.batch(at, feedback=True), device), initial._replace(memory=memory)
            memories = []
            for rows in parts:
                (shown,) = rollout(
                    model,
                    select(data, rows),
                    select(state, rows),
                    1,
                    done=settings.steps,
                    dtype=dtype,
                    places=places[rows],
                    write=settings.write,
                    told=True,
                    feedback=asked,
                )
                memories.append(shown.state.memory)
                show(at, True, rows, shown)
            memory = _joined(memories)
            if kept == "shuffled":
                memory = {name: tensor.roll(1, dims=0) for name, tensor in memory.items()}


def _joined(parts: list[Any]) -> Any:
    """Return the rows of all parts, trees of tensors, as one tree."""
    return parts[0] if len(parts) == 1 else pytree.tree_map(lambda *tensors: torch.cat(tensors), *parts)


def tensors(batch: dict[str, np.ndarray], device: torch.device | str) -> dict[str, Tensor]:
    """Return a batch as tensors on a device."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}


def answer(
    model: Reasoner,
    data: dict[str, Tensor],
    settings: EvaluationSettings,
    start: State,
    places: np.ndarray,
    dtype: torch.dtype = torch.float32,
    look: Callable[[Step], None] | None = None,
) -> Answers:
    """Answer b examples: for each, the best restart by the rule of the settings.

    Args:
        model: the model.
        data: the examples, a batch of tensors.
        settings: how they are answered.
        start: the state that they begin with.
        places: each row's place among all examples, (b,), of which all that is drawn is a function.
        dtype: the precision of the computation.
        look: is shown every supervision step.
    """
    attempts = [
        attempt(model, data, settings, start, places, dtype, r, look) for r in range(settings.restarts)
    ]
    return attempts[0] if len(attempts) == 1 else chosen(settings.select, attempts)


def attempt(
    model: Reasoner,
    data: dict[str, Tensor],
    settings: EvaluationSettings,
    start: State,
    places: np.ndarray,
    dtype: torch.dtype = torch.float32,
    restart: int = 0,
    look: Callable[[Step], None] | None = None,
) -> Answers:
    """Return the answers of one restart, each at its last step; the arguments are those of `answer`."""
    device = data["inputs"].device
    exact = torch.zeros(len(places), settings.steps, dtype=torch.bool, device=device)
    cells = torch.zeros(len(places), model.H_module.cells, dtype=torch.float64, device=device)
    quiet = settings.restarts > 1 and restart == 0
    noise = Noise(sigma=0.0 if quiet else settings.noise, seed=settings.seed, restart=restart)
    stopped, ended, asked = [], [], data.get("asked")
    for step in rollout(
        model,
        data,
        start,
        settings.steps,
        dtype=dtype,
        places=places,
        halts=settings.halts,
        write=settings.write,
        H_cycles=settings.H_cycles,
        noise=noise,
    ):
        if look is not None:
            look(step)
        rows, out, labels = step.rows, step.output, data["labels"][step.rows]
        if cells.numel():
            cells[rows] += selected(out.traces).to(cells.dtype)
        exact[rows, step.number - 1 :] = grade(out.logits, labels).exact.unsqueeze(1)
        if not step.stops.any():
            continue
        now = Answers(
            tokens=out.logits.argmax(dim=-1).to(labels.dtype),
            steps=torch.full_like(rows, step.number),
            q_halt=out.q_halt,
            residual=relative_change(step.before.z_H, step.state.z_H),
            exact=exact[rows, -1],
            exact_by_step=exact[rows],
            exact_share=exact[rows, -1].double(),
            lm_loss=token_losses(out.logits, labels, CROSS_ENTROPY[settings.loss]),
            confidence=confidence(out.logits, settings.loss, None if asked is None else asked[rows]),
            selected=cells[rows],
            state=step.state,
        )
        stopped.append(rows[step.stops])
        ended.append(select(now, step.stops))
    order = torch.cat(stopped).argsort()
    return pytree.tree_map(lambda *parts: torch.cat(parts)[order], *ended)
