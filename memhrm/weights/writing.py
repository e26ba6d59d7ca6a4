"""Prose is written by refinement: what is masked is filled in, what the model is surest of first.

s tokens of a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from memhrm.config.settings import MOST_STEPS, require, require_size
from memhrm.data.checks import number
from memhrm.data.text.prose import FIRST, MASK, Prose
from memhrm.evaluation.in_order import in_order
from memhrm.weights.solver import Solver


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How prose is written.

    Attributes:
        steps: steps in which a window is filled in.
        halt_max_steps: supervision steps of each; None: as many as in training.
        temperature: of the draw of a token; 0 takes the most probable one.
        order: which tokens come first. confidence: those that the model is surest of; left: from the left;
            None: confidence, or left with a decoder, which says each token with those before it known.
        seed: seed of the draws.
    """

    steps: int = 32
    halt_max_steps: int | None = None
    temperature: float = 0.7
    order: str | None = None
    seed: int = 0

    def __post_init__(self):
        require_size("steps", self.steps, most=MOST_STEPS)
        if self.halt_max_steps is not None:
            require_size("halt_max_steps", self.halt_max_steps, most=MOST_STEPS)
        require(self.temperature >= 0, "temperature", self.temperature, "0 or above")
        require(self.order in (None, "confidence", "left"), "order", self.order, "null, confidence, left")
        require(self.seed >= 0, "seed", self.seed, "0 or above")


class Written(NamedTuple):
    """Prose while it is written.

    Attributes:
        text: the text, with a gap for each token that is still masked.
        begin: where in the text the window begins that is being filled in, in tokens.
        left: tokens of the window that are still masked.
    """

    text: str
    begin: int
    left: int


def write(solver: Solver, prompt: str, length: int, manner: Manner) -> Iterator[Written]:
    """Fill in the gaps of a prompt, then go on; yield the text after each step.

    Args:
        solver: a model that was trained on prose.
        prompt: a text, in which `_` stands for a masked token; it may be empty.
        length: tokens that are added behind it.
        manner: how it is written.

    Raises:
        ValueError: the model was not trained on prose; or there is nothing to write.
    """
    task = solver.task
    require(isinstance(task, Prose), "run", task.name, "a run on prose, as data=text")
    assert isinstance(task, Prose)
    number("length", length, 0)
    decodes = solver.model.decoder is not None
    allowed = "null or left, as the model has a decoder"
    require(not (decodes and manner.order == "confidence"), "order", manner.order, allowed)
    rng = np.random.default_rng(manner.seed)
    given = task.with_gaps(prompt) if prompt else np.zeros(0, np.int32)
    tokens = np.concatenate((given, np.full(length, MASK, np.int32)))
    shown = partial(task.decode, unknown=task.unknown(prompt))
    require(MASK in tokens, "length", length, "1 or above, or a prompt with gaps (_)")
    while MASK in tokens:
        begin, end = _window(tokens, task.seq_len)
        left = int((tokens[begin:end] == MASK).sum())
        for step in range(manner.steps):
            if not left:
                break
            now = -(-left // (manner.steps - step))
            tokens[begin:end] = _filled(solver, tokens[begin:end], now, manner, rng)
            left -= now
            yield Written(shown(tokens), begin, left)


def _window(tokens: np.ndarray, size: int) -> tuple[int, int]:
    """Return the window that is filled in next: half of it may stand before the first mask."""
    first = int((tokens == MASK).argmax())
    begin = max(0, min(first - size // 2, len(tokens) - size))
    return begin, min(len(tokens), begin + size)


def _filled(
    solver: Solver, window: np.ndarray, count: int, manner: Manner, rng: np.random.Generator
) -> np.ndarray:
    """Return a window in which so many more tokens are filled in."""
    size, model = solver.task.seq_len, solver.model
    inputs = np.pad(window, (0, size - len(window)))[None]
    steps = manner.halt_max_steps or solver.halt_max_steps
    last, masked = solver.last_step(inputs, steps, mask=inputs > 0), np.flatnonzero(window == MASK)
    if model.decoder is not None:
        z_H = last.state.z_H
        tokens = torch.from_numpy(inputs).to(z_H.device)
        asked = torch.zeros_like(tokens, dtype=torch.bool)
        asked[0, masked[:count]] = True

        def choose(logits: torch.Tensor) -> torch.Tensor:
            found = _drawn(logits[:, FIRST:].double().cpu().numpy(), manner, rng) + FIRST
            return torch.from_numpy(found).to(z_H.device)

        return in_order(model, z_H, tokens, asked, tokens > 0, choose)[0, : len(window)].cpu().numpy()
    logits = last.output.logits[0, : len(window), FIRST:].double().cpu().numpy()
    chosen = _drawn(logits, manner, rng)
    sure = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (sure / sure.sum(axis=1, keepdims=True))[np.arange(len(window)), chosen]
    order = masked if manner.order == "left" else masked[np.argsort(-sure[masked], kind="stable")]
    filled = window.copy()
    filled[order[:count]] = chosen[order[:count]] + FIRST
    return filled


def _drawn(logits: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Return tokens that are drawn by their logits (n, v), from `FIRST`, or the most probable ones, (n,)."""
    noise = rng.gumbel(size=logits.shape) if manner.temperature else 0.0
    return (logits / (manner.temperature or 1.0) + noise).argmax(axis=1)
