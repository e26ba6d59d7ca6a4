"""Evaluation: the answers of a model to puzzles it was not trained on, without gradient.

b batch, s token, n cells.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from memhrm.config.settings import MOST_STEPS, advise, check_types, require, require_size
from memhrm.data.examples import Examples
from memhrm.data.sampler import evaluation_batches
from memhrm.data.task import Task
from memhrm.evaluation.metrics import Tally
from memhrm.evaluation.restarts import RULES, Answers, chosen, disturbed, drawn, each_tensor, relative_change
from memhrm.memory.usage import selected
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.models.recursion import State
from memhrm.system.ranks import Ranks
from memhrm.training.halting import confident
from memhrm.training.losses import CROSS_ENTROPY, grade, token_losses
from memhrm.training.supervision import Run, in_precision


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """steps: supervision steps of a row at most. threshold: stop a row at the first step at which
    sigmoid(q_halt) exceeds it; None runs every row to the end, as published. write: whether the memory is
    written; its writes end with the puzzle, whatever its lifetime, so that no result depends on the order.

    restarts: how often each puzzle is run. noise: the deviation of normal noise that is added to z_H and z_L
    before each supervision step; of several restarts the first runs without. select: the rule of `RULES` by
    which the answer that counts is chosen. seed: of the noise."""

    steps: int
    threshold: float | None = None
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


@torch.no_grad()
def evaluate(
    model: Reasoner,
    task: Task,
    puzzles: Examples,
    settings: EvaluationSettings,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> dict[str, Any]:
    """Mean scores over the puzzles; every rank gets the same.

    Returns the task's scores (exact_accuracy, accuracy, ...) of the final answers, `lm_loss`,
    `q_halt_accuracy` (is sigmoid(q_halt) > 1/2 where the answer is exact?), `steps` used per puzzle,
    `exact_accuracy_by_step`, and the number of `puzzles`. With several restarts all of this is of the chosen
    ones, `exact_accuracy_single` is the mean over all, and `upper_bound` marks a choice that saw the labels.
    """
    model.eval()
    run = in_precision(model, dtype)
    tally = tally_for(model, task, settings)
    batches = tqdm(
        evaluation_batches(puzzles, settings.batch_size),
        total=-(-len(puzzles) // settings.batch_size),
        desc="evaluate",
        unit="batch",
        disable=not progress,
    )
    for number, (batch, real) in enumerate(batches):
        if number % ranks.size != ranks.rank:
            continue
        data = {name: torch.from_numpy(array[:real]).to(ranks.device) for name, array in batch.items()}
        places = number * settings.batch_size + np.arange(real)
        answers = answer(model, run, data, settings, model.initial_state(real, dtype), places)
        tally.add(batch["inputs"][:real], batch["labels"][:real], answers)
    return tally.means(len(puzzles), ranks) | bound(settings)


def tally_for(model: Reasoner, task: Task, settings: EvaluationSettings, positions: int = 0) -> Tally:
    """An empty tally of such an evaluation."""
    return Tally(
        task,
        steps=settings.steps,
        single=settings.restarts > 1,
        cells=model.H_module.cells,
        H_cycles=model.settings.H_cycles,
        positions=positions,
    )


def bound(settings: EvaluationSettings) -> dict[str, Any]:
    """`upper_bound` where the choice among several restarts sees the labels."""
    return {"upper_bound": True} if settings.restarts > 1 and settings.select == "oracle" else {}


def answer(
    model: Reasoner,
    run: Run,
    data: dict[str, Tensor],
    settings: EvaluationSettings,
    start: State,
    places: np.ndarray,
) -> Answers:
    """Answer b puzzles from the state `start`: the best restart of each, by the rule of the settings.

    run: the model in its precision. data: inputs and labels (b, s), identifiers (b,). places: each
    row's place among the puzzles, (b,), of which all that is drawn is a function.
    """
    attempts = [attempt(model, run, data, settings, start, places, r) for r in range(settings.restarts)]
    return attempts[0] if len(attempts) == 1 else chosen(settings.select, attempts)


def attempt(
    model: Reasoner,
    run: Run,
    data: dict[str, Tensor],
    settings: EvaluationSettings,
    start: State,
    places: np.ndarray,
    restart: int = 0,
) -> Answers:
    """One restart, step by step; rows that stop leave the batch, and the rest goes on as a smaller one.

    Arguments as of `answer`.
    """
    rows = torch.arange(len(data["inputs"]), device=data["inputs"].device)
    exact = torch.zeros(len(rows), settings.steps, dtype=torch.bool, device=rows.device)
    cells = torch.zeros(len(rows), model.H_module.cells, dtype=torch.float64, device=rows.device)
    draws = drawn(model, settings.steps, places)
    quiet = settings.noise == 0 or (settings.restarts > 1 and restart == 0)
    state, ended, stopped = start, [], []
    for step in range(1, settings.steps + 1):
        inputs, labels = data["inputs"][rows], data["labels"][rows]
        puzzle_rows = model.puzzle_rows(data["identifiers"][rows])
        guide = Guide(None if draws is None else draws[step - 1, rows], write=settings.write)
        before = state.z_H
        if not quiet:
            here = places[rows.cpu().numpy()]
            state = disturbed(state, settings.noise, settings.seed, restart, step, here)
        state, out = run(state, inputs, puzzle_rows, guide)
        if cells.numel():
            cells[rows] += selected(out.traces).to(cells.dtype)
        exact[rows, step - 1 :] = grade(out.logits, labels).exact.unsqueeze(1)

        stop = torch.full_like(rows, step == settings.steps, dtype=torch.bool)
        if settings.threshold is not None:
            stop |= confident(out.q_halt, settings.threshold)
        if not stop.any():
            continue
        now = Answers(
            tokens=out.logits.argmax(dim=-1).to(inputs.dtype),
            steps=torch.full_like(rows, step),
            q_halt=out.q_halt,
            residual=relative_change(before, state.z_H),
            exact=exact[rows, -1],
            exact_by_step=exact[rows],
            exact_share=exact[rows, -1].double(),
            lm_loss=token_losses(out.logits, labels, CROSS_ENTROPY[settings.loss]),
            selected=cells[rows],
            state=state,
        )
        stopped.append(rows[stop])
        ended.append(_select(now, stop))
        rows, state = rows[~stop], _select(state, ~stop)
        if not len(rows):
            break
    order = torch.cat(stopped).argsort()
    return each_tensor(lambda *parts: torch.cat(parts)[order], *ended)


def _select(tree: Any, keep: Tensor) -> Any:
    return each_tensor(lambda tensor: tensor[keep], tree)
