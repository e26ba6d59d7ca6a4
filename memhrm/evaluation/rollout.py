"""Rollouts: a model run for some supervision steps without gradient, for scores, probes, films and answers.

b batch, s token, d width, N cells, u random numbers that one H-step wants.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from memhrm.models.reasoner import Guide, Output, Reasoner
from memhrm.models.recursion import State
from memhrm.training.supervision import answered, in_precision

Intervene = Callable[[int, State], State]
"""(supervision step from 0, the state before it) to the state with which the step is taken."""

Halts = Callable[[Output, Tensor | None], Tensor]
"""(output of a supervision step, which labels are asked for) to the rows that stop there, (b,) bool."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Normal noise on z_H and z_L before each supervision step; a function of the fields and a row's place.

    Attributes:
        sigma: standard deviation; 0 for none.
        seed: seed of the noise.
        restart: number of the restart.
    """

    sigma: float = 0.0
    seed: int = 0
    restart: int = 0

    def added(self, state: State, step: int, places: Sequence[int] | np.ndarray) -> State:
        """Return the state with the noise of supervision step `step`, from 1.

        Args:
            state: the state, (b, ...).
            step: the supervision step.
            places: each row's place among all examples, (b,): a row's noise does not depend on the other
                rows.
        """
        if self.sigma == 0:
            return state
        noise = np.empty((len(places), 2, *state.z_H.shape[1:]), np.float32)
        for row, place in enumerate(places):
            rng = np.random.default_rng((self.seed, self.restart, step, int(place), 0x5E57))
            noise[row] = rng.standard_normal(noise.shape[1:], dtype=np.float32)
        return state.shifted(self.sigma * torch.from_numpy(noise))


class Step(NamedTuple):
    """One supervision step of a rollout.

    Attributes:
        number: the supervision step, from 1.
        rows: indices of the examples that took it, (b,).
        before: the state with which it began, before the noise.
        state: the state after it.
        output: what the model says after it.
        stops: which of the rows take no further step, (b,).
    """

    number: int
    rows: Tensor
    before: State
    state: State
    output: Output
    stops: Tensor


@torch.no_grad()
def rollout(
    model: Reasoner,
    data: dict[str, Tensor],
    start: State,
    supervision_steps: int,
    *,
    done: int = 0,
    dtype: torch.dtype = torch.float32,
    places: Sequence[int] | np.ndarray | None = None,
    halts: Halts | None = None,
    write: bool = True,
    prefer: Tensor | None = None,
    feedback: bool = False,
    told: bool = False,
    H_cycles: int | None = None,
    noise: Noise | None = None,
    intervene: Intervene | None = None,
) -> Iterator[Step]:
    """Run a model on examples, and yield every supervision step; rows that have stopped leave the batch.

    Args:
        model: the model, on the device of the examples.
        data: the examples as in a batch, (b, ...) each, without the labels if need be; with `asked`, which
            labels are asked for, (b, l) bool.
        start: the state that the first step begins with, (b, ...).
        supervision_steps: the most steps of a row.
        done: supervision steps that the rows have taken before; what is drawn goes on from there.
        dtype: the precision of the computation.
        places: each row's place among all examples, (b,), of which all that is drawn is a function; None: in
            order.
        halts: stops rows after the first step at which it says so; None: none stops early.
        write: whether the memory is written.
        prefer: added to the scores of the cells when they are chosen, (b, N).
        feedback: whether the examples are answers to the questions before.
        told: whether the examples tell something.
        H_cycles: H-cycles of a supervision step; None: as in training.
        noise: noise before each step.
        intervene: changes the state before each step, and before the noise.
    """
    run = in_precision(model, dtype)
    rows = torch.arange(len(data["inputs"]), device=data["inputs"].device)
    places = np.arange(len(rows)) if places is None else np.asarray(places)
    last, state, known = done + supervision_steps, start, answered(model, data)
    draws = _draws(model, last, H_cycles or model.settings.H_cycles, places)
    for number in range(done + 1, last + 1):
        if intervene is not None:
            state = intervene(number - 1, state)
        before = state
        if noise is not None:
            state = noise.added(state, number, places[rows.cpu().numpy()])
        guide = Guide(
            None if draws is None else draws[number - 1, rows],
            write=write,
            prefer=None if prefer is None else prefer[rows],
            address=data["address"][rows] if "address" in data else None,
            feedback=torch.full_like(rows, feedback, dtype=torch.bool),
            continues=torch.full_like(rows, feedback or number > done + 1, dtype=torch.bool),
            told=told,
            H_cycles=H_cycles,
            known=None if known is None else known[rows],
        )
        puzzle_rows = model.puzzle_rows(data["identifiers"][rows])
        mask = data["mask"][rows] if "mask" in data else None
        state, output = run(state, data["inputs"][rows], puzzle_rows, guide, mask)
        stops = torch.full_like(rows, number == last, dtype=torch.bool)
        if halts is not None:
            stops |= halts(output, data["asked"][rows] if "asked" in data else None)
        yield Step(number, rows, before, state, output, stops)
        if stops.any():
            rows, state = rows[~stops], select(state, ~stops)
            if not len(rows):
                return


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into the mode that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def select(tree: Any, rows: Tensor | slice) -> Any:
    """Return the given rows of every tensor in a tree of tuples and dicts."""
    return pytree.tree_map(lambda tensor: tensor[rows], tree)


def _draws(model: Reasoner, supervision_steps: int, H_cycles: int, places: np.ndarray) -> Tensor | None:
    """Return what an H-module draws with, (steps, b, H_cycles, u); None if it draws nothing in evaluation.

    Every restart draws the same, and more steps draw the same first ones.
    """
    if not model.H_module.noise_in_evaluation:
        return None
    size = (supervision_steps, H_cycles, model.H_module.noise_size)
    rows = [np.random.default_rng((int(place), 0xE7A1)).random(size, dtype=np.float32) for place in places]
    return torch.from_numpy(np.stack(rows, axis=1)).to(model.H_init.device)
