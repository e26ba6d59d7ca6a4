"""Evaluation: the answers of a model to puzzles it was not trained on, without gradient.

b batch, s token.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from memhrm.data.puzzle import PuzzleSet, Task
from memhrm.data.sampler import evaluation_batches
from memhrm.memory.usage import describe, own_entropy, selected
from memhrm.models.reasoner import Guide, Output, Reasoner
from memhrm.models.recursion import State
from memhrm.settings import require
from memhrm.training.halting import confident
from memhrm.training.losses import CROSS_ENTROPY, grade, token_loss
from memhrm.training.ranks import Ranks
from memhrm.training.supervision import Run, in_precision


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """steps: supervision steps of a row at most. threshold: stop a row at the first step at which
    sigmoid(q_halt) exceeds it; None runs every row to the end, as published. write: whether the memory is
    written; its writes end with the puzzle, whatever its lifetime, so that no result depends on the order."""

    steps: int
    threshold: float | None = None
    batch_size: int = 128
    loss: str = "stablemax"
    write: bool = True

    def __post_init__(self):
        require(self.steps >= 1, "halt_max_steps", self.steps, "1 or above")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or above")
        tau = self.threshold
        require(tau is None or 0 < tau < 1, "threshold", tau, "null, or between 0 and 1")


@torch.no_grad()
def evaluate(
    model: Reasoner,
    task: Task,
    puzzles: PuzzleSet,
    settings: EvaluationSettings,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> dict[str, Any]:
    """Mean scores over the puzzles; every rank gets the same.

    Returns the task's scores (exact_accuracy, accuracy, ...) of the final answers, `lm_loss`,
    `q_halt_accuracy` (is sigmoid(q_halt) > 1/2 where the answer is exact?), `steps` used per puzzle,
    `exact_accuracy_by_step`, and the number of `puzzles`.
    """
    model.eval()
    run = in_precision(model, dtype)
    sums: dict[str, float] = {}
    by_step = np.zeros(settings.steps)
    cells = torch.zeros(1 + model.H_module.cells, dtype=torch.float64)
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
        noise = _noise(model, number, settings.steps, settings.batch_size)
        noise = None if noise is None else noise[:, :real].to(ranks.device)
        answers = _answer(model, run, data, settings, dtype, noise)
        scores = task.grade(batch["inputs"][:real], batch["labels"][:real], answers.tokens)
        scores |= {"steps": answers.steps, "lm_loss": answers.lm_loss, "q_halt_accuracy": answers.q_right}
        for name, values in scores.items():
            sums[name] = sums.get(name, 0.0) + float(np.sum(values))
        by_step += answers.exact_by_step
        if answers.selected is not None:
            own = own_entropy(answers.selected)
            shares = answers.selected / answers.H_steps.unsqueeze(1)
            cells = cells + torch.cat((own.sum().view(1), shares.sum(dim=0))).cpu()
    count = len(puzzles)
    names = sorted([*task.grade(*[np.zeros((0, task.seq_len), np.int32)] * 3), *_OWN])
    totals = torch.tensor(
        [sums.get(name, 0.0) for name in names] + by_step.tolist() + cells.tolist(), dtype=torch.float64
    )
    if ranks.size > 1:
        totals = ranks.total(totals.to(ranks.device))
    means = (totals / max(count, 1)).tolist()
    end = len(names) + settings.steps
    scores = {**dict(zip(names, means)), "exact_accuracy_by_step": means[len(names) : end], "puzzles": count}
    if model.H_module.cells:
        scores["cells"] = describe(means[end + 1 :], means[end])
    return scores


_OWN = ("steps", "lm_loss", "q_halt_accuracy")


@dataclass
class _Answers:
    tokens: np.ndarray  # (b, s), the final answers
    steps: np.ndarray  # (b,)
    lm_loss: np.ndarray  # scalar, the sum over rows at each one's last step
    q_right: np.ndarray  # (b,)
    exact_by_step: np.ndarray  # (steps,), exact rows after each step; a stopped row keeps its answer
    selected: Tensor | None  # (b, n), how often each row selected each cell, where the memory has cells
    H_steps: Tensor  # (b,)


def _answer(
    model: Reasoner,
    run: Run,
    data: dict[str, Tensor],
    settings: EvaluationSettings,
    dtype: torch.dtype,
    noise: Tensor | None,
) -> _Answers:
    """Run a batch step by step; rows that stop leave it, and the rest goes on as a smaller batch."""
    rows = torch.arange(len(data["inputs"]), device=data["inputs"].device)
    tokens = torch.zeros_like(data["inputs"])
    steps = torch.zeros_like(rows)
    exact, q_right = (torch.zeros_like(rows, dtype=torch.bool) for _ in range(2))
    lm_loss = torch.zeros((), dtype=torch.float64, device="cpu")
    by_step = np.zeros(settings.steps)
    cells = torch.zeros(len(rows), model.H_module.cells, dtype=torch.float64, device=rows.device)
    state = model.initial_state(len(rows), dtype)
    for step in range(1, settings.steps + 1):
        inputs, labels = data["inputs"][rows], data["labels"][rows]
        puzzle_rows = model.puzzle_rows(data["puzzle_identifiers"][rows])
        out: Output
        guide = Guide(None if noise is None else noise[step - 1, rows], write=settings.write)
        state, out = run(state, inputs, puzzle_rows, guide)
        if cells.numel():
            cells[rows] += selected(out.traces).to(cells.dtype)
        tokens[rows] = out.logits.argmax(dim=-1).to(tokens.dtype)
        exact[rows] = grade(out.logits, labels).exact
        q_right[rows] = (out.q_halt > 0) == exact[rows]
        steps[rows] = step
        by_step[step - 1] = int(exact.sum())

        stop = torch.full_like(rows, step == settings.steps, dtype=torch.bool)
        if settings.threshold is not None:
            stop |= confident(out.q_halt, settings.threshold)
        lm_loss += token_loss(out.logits[stop], labels[stop], CROSS_ENTROPY[settings.loss]).cpu()
        if stop.all():
            by_step[step:] = by_step[step - 1]
            break
        if stop.any():
            rows, state = rows[~stop], _select(state, ~stop)
    return _Answers(
        tokens=tokens.cpu().numpy(),
        steps=steps.cpu().numpy(),
        lm_loss=lm_loss.numpy(),
        q_right=q_right.cpu().numpy(),
        exact_by_step=by_step,
        selected=cells if cells.numel() else None,
        H_steps=steps * model.settings.H_cycles,
    )


def _noise(model: Reasoner, batch: int, steps: int, rows: int) -> Tensor | None:
    """What an H-module draws with in evaluation, (steps, rows, H_cycles, u): a function of the puzzle's
    place among the puzzles, whatever the size of the batches."""
    if not model.H_module.noise_in_evaluation:
        return None
    size = (steps, model.settings.H_cycles, model.H_module.noise_size)
    places = range(batch * rows, (batch + 1) * rows)
    drawn = [np.random.default_rng((place, 0xE7A1)).random(size, dtype=np.float32) for place in places]
    return torch.from_numpy(np.stack(drawn, axis=1))


def _select(state: State, keep: Tensor) -> State:
    return State(state.z_H[keep], state.z_L[keep], {name: m[keep] for name, m in state.memory.items()})
