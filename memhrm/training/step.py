"""One optimiser step of deep supervision, in the order of the algorithm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from memhrm.data.sampler import IGNORE
from memhrm.memory.base import HModule, Situation, Trace
from memhrm.memory.shared import absorb
from memhrm.memory.usage import wrote
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.system.ranks import sum_gradients, summed
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.losses import confidence, weighted_sum
from memhrm.training.optim import Optimisers, OptimSettings, moving_average
from memhrm.training.supervision import QUESTION, LossSettings, Occasion, Supervised, SupervisionStep


@dataclass
class Learner:
    """What one training process holds: the model and all that is carried from step to step.

    Attributes:
        model: the model.
        supervise: one supervision step, perhaps compiled.
        halting: the halting rule.
        loss: the settings of the losses.
        loss_weights: the weight of each loss, by name.
        optimisers: what changes the weights.
        average: the moving average of the weights.
        initial: the state with which an example starts.
        global_batch_size: rows of all processes.
        carry: what the rows take along; None before the first step.
        step: optimiser steps done.
    """

    model: Reasoner
    supervise: nn.Module
    halting: Halting
    loss: LossSettings
    loss_weights: dict[str, float]
    optimisers: Optimisers
    average: AveragedModel
    initial: State
    global_batch_size: int
    carry: Carry | None = None
    step: int = 0

    @classmethod
    def build(
        cls,
        model: Reasoner,
        *,
        halting: Halting,
        loss: LossSettings,
        optim: OptimSettings,
        total_steps: int,
        local_batch_size: int,
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
        label_weights: Tensor | None = None,
    ) -> "Learner":
        """Return a learner of a model that is on its device; with several processes each has a replica.

        Args:
            model: the model.
            halting: the halting rule.
            loss: the settings of the losses.
            optim: the settings of the optimiser.
            total_steps: optimiser steps of the run, for the schedule.
            local_batch_size: rows of this process.
            dtype: the type in which the model computes.
            compile: whether the supervision step is compiled.
            label_weights: a factor on the loss of each label, (v,); None: 1.

        Raises:
            ValueError: a loss has a weight that the memory does not declare.
        """
        supervise: nn.Module = SupervisionStep(model, halting, loss, dtype, label_weights)
        if compile:
            # The first question, later ones and feedback each have a graph, for every k of memory.k_stages.
            torch._dynamo.config.recompile_limit = 64
            supervise.compile(fullgraph=True, dynamic=False)
        return cls(
            model=model,
            supervise=supervise,
            halting=halting,
            loss=loss,
            loss_weights=loss.weights(halting, model.H_module),
            optimisers=Optimisers(model, optim, total_steps),
            average=moving_average(model, optim.ema),
            initial=model.initial_state(local_batch_size, dtype),
            global_batch_size=local_batch_size * (dist.get_world_size() if dist.is_initialized() else 1),
        )


class Observed(NamedTuple):
    """One supervision step as the log sees it.

    Attributes:
        supervised: its result.
        carry: the refilled carry.
        halted: which rows halted, (b,).
        feedback: which rows were shown the answer to what they had been asked, (b,).
    """

    supervised: Supervised
    carry: Carry
    halted: Tensor
    feedback: Tensor


@dataclass(frozen=True)
class Stepped:
    """What an optimiser step reports.

    Attributes:
        observed: its supervision steps.
        loss: the scalar that was differentiated.
        grad_norm: norm of the gradient.
        lr: learning rate.
    """

    observed: list[Observed]
    loss: Tensor
    grad_norm: Tensor
    lr: float


def train_step(
    learner: Learner,
    batches: Sequence[dict[str, Tensor]],
    least_steps: Sequence[Tensor],
    noises: Sequence[Tensor | None] | None = None,
    occasions: Sequence[Occasion] | None = None,
) -> Stepped:
    """Take one optimiser step over one supervision step per batch (one, as published).

    With several batches the weights stand still and the losses add up; the states are cut from their
    graph after each supervision step, the memory's graph only after the last.

    Args:
        learner: what is trained, in place.
        batches: what is offered to the rows, each tensor (b, ...); rows that have not halted decline. What it
            names `shift`, (b, 2, t, d), is added to z_H and z_L of all rows.
        least_steps: per batch, the supervision steps that exploration demands of each row, (b,).
        noises: per batch, what the H-module draws with, as in `Guide`; None: it is greedy.
        occasions: per batch, what its supervision step is for; None: all are for questions.
    """
    memory, h_module = learner.model.H_module.settings, learner.model.H_module
    h_module.schedule(learner.step, learner.optimisers.total_steps)
    puzzle_rows: list[tuple[Tensor, Tensor]] = []
    observed: list[Observed] = []
    noises = [None] * len(batches) if noises is None else noises
    occasions = [QUESTION] * len(batches) if occasions is None else occasions
    offered = zip(batches, least_steps, noises, occasions, strict=True)
    for number, (batch, least, noise, occasion) in enumerate(offered, start=1):
        carry = learner.carry if learner.carry is not None else Carry.empty(learner.initial, batch)
        if memory.lifetime == "global" and number == 1:
            carry = carry._replace(state=carry.state._replace(memory=learner.initial.memory))
        carry = carry.refill(batch, learner.initial, memory.lifetime)
        if "shift" in batch:
            carry = carry._replace(state=carry.state.shifted(batch["shift"]))

        rows = leaf_rows(learner.model, carry)
        shown = batch["feedback"] & carry.halted  # The rows that have taken what the batch offers.
        supervised: Supervised = learner.supervise(carry, rows, noise, occasion, shown)
        if rows is not None:
            puzzle_rows.append((carry.data["identifiers"], rows))
        with torch.no_grad():
            sure = None
            if learner.halting.rule == "confidence":
                sure = confidence(supervised.out.logits, learner.loss.kind, carry.data["labels"] != IGNORE)
            halted = learner.halting(supervised.out, carry.steps, least, sure)
        observed.append(Observed(supervised, carry, halted, shown))
        learner.carry = carry.advance(supervised.state, halted, keep_memory_graph=number < len(batches))
    observed = _with_memory_losses(learner, observed)
    loss: Tensor | float = 0.0
    for seen in observed:
        loss = loss + weighted_sum(seen.supervised.losses, learner.loss_weights) / learner.global_batch_size
    assert isinstance(loss, Tensor)
    loss.backward()
    sum_gradients(learner.model.parameters())
    learner.step += 1
    grad_norm, lr = learner.optimisers.step(learner.step, puzzle_rows)
    h_module.settle(_traces(observed))
    if memory.lifetime == "global":
        _absorb(h_module, observed, occasions)
    learner.average.update_parameters(learner.model)
    return Stepped(observed, loss.detach(), grad_norm, lr)


def _with_memory_losses(learner: Learner, observed: Sequence[Observed]) -> list[Observed]:
    """Return what was observed with the memory's losses.

    They stand outside the compiled step, since they may sum over processes, and at the end, since a choice
    may be credited with the rewards of later steps.
    """
    baseline, found = learner.loss.baseline == "leave_one_out", []
    declared = learner.model.H_module.losses
    rewards = [seen.supervised.reward for seen in observed]
    if learner.loss.returns == "episode":
        rewards = returns(rewards, learner.loss.discount)
    for seen, reward in zip(observed, rewards, strict=True):
        situation = Situation(seen.supervised.out.traces, reward, baseline)
        own = {name: declared[name].function(situation) for name in declared if name in learner.loss_weights}
        losses = seen.supervised.losses | own
        found.append(seen._replace(supervised=seen.supervised._replace(losses=losses)))
    return found


def returns(rewards: Sequence[Tensor | None], discount: float) -> list[Tensor | None]:
    """Return what each supervision step is credited with: its reward (b,) and, discounted, those that follow.

    It is r_t + discount r_{t+1} + discount^2 r_{t+2} + ..., equation (29) of docs/memory.md; None where no
    loss asks for a reward.
    """
    found: list[Tensor | None] = []
    for reward in reversed(rewards):
        later = found[-1] if found else None
        found.append(reward if reward is None or later is None else reward + discount * later)
    return found[::-1]


def _absorb(h_module: HModule, observed: Sequence[Observed], occasions: Sequence[Occasion]) -> None:
    """Let the bank take up what the rows have written since they all started from it."""
    always, written = h_module.settings.write_when == "always", observed[-1].supervised.state.memory
    traces = _traces([seen for seen, occasion in zip(observed, occasions) if always or occasion.told])
    counts = wrote(traces) if h_module.cells and traces else None
    absorb(h_module.starts(), written, counts, h_module.settings.rate, summed)


def _traces(observed: Sequence[Observed]) -> list[Trace]:
    """Return what all H-steps of the supervision steps traced."""
    return [trace for seen in observed for trace in seen.supervised.out.traces]


def leaf_rows(model: Reasoner, carry: Carry) -> Tensor | None:
    """Return the puzzle table's rows of the carry's examples, as a leaf whose gradient SignSGD reads."""
    rows = model.puzzle_rows(carry.data["identifiers"])
    return None if rows is None else rows.detach().requires_grad_()
