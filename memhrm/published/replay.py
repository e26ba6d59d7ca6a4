"""Replay of parity records: compute again what a published HRM or TRM computed, and compare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from memhrm.models.recursion import State
from memhrm.published.record import Record
from memhrm.published.weights import our_name, published_name
from memhrm.training.carry import Carry
from memhrm.training.losses import weighted_sum
from memhrm.training.step import leaf_rows, train_step

SINGLE, SIX, EQUAL = 1e-4, 1e-3, 0.0
"""Tolerances of the values of one supervision step, of values after optimiser steps, and of equal values."""


@dataclass(frozen=True)
class Deviation:
    """The deviation of a replayed quantity from the recorded one.

    Attributes:
        quantity: the key of the quantity in the record.
        largest: a relative L2 distance, or the number of unequal entries where all must be equal.
        tolerance: the largest deviation allowed; None: any.
    """

    quantity: str
    largest: float
    tolerance: float | None

    @property
    def within(self) -> bool:
        """Whether the deviation is within its tolerance."""
        return self.tolerance is None or self.largest <= self.tolerance  # False for NaN.


def replay(path: Path) -> list[Deviation]:
    """Replay everything in a record: evaluation, the first gradients, the training trajectory.

    Args:
        path: the record, an .npz archive.

    Returns:
        One deviation for each recorded quantity.

    Raises:
        ValueError: the file is not a parity record, or a part of it is missing.
    """
    record = Record(path)
    deviations = [*_evaluation(record), *_gradients(record), *_training(record)]
    if not deviations:
        raise ValueError(f"{path}: this parity record holds nothing to replay (no eval/ and no train/)")
    return deviations


def worst(deviations: Sequence[Deviation]) -> list[Deviation]:
    """Return the largest deviation of each kind of quantity and tolerance, and all that exceed theirs."""
    largest: dict[tuple[str, str, float | None], Deviation] = {}
    for d in deviations:
        parts = d.quantity.split("/")
        kind = (parts[0], parts[2] if len(parts) > 2 else "", d.tolerance)
        if kind not in largest or not d.largest <= largest[kind].largest:
            largest[kind] = d
    return [d for d in deviations if d in largest.values() or not d.within]


def _evaluation(record: Record) -> Iterator[Deviation]:
    """Replay the supervision steps of the evaluation, each from the recorded state of the step before it.

    A chaotic recursion doubles rounding errors again and again. Started from a recorded state, they grow for
    one step only, as the tolerance assumes.
    """
    learner = record.learner()
    batch = record.batch("batch")
    carry = Carry.empty(learner.initial, batch).refill(batch, learner.initial)
    for step in record.steps("eval"):
        with torch.no_grad():
            done = learner.supervise(carry, leaf_rows(learner.model, carry))
        found = {
            "logits": done.out.logits,
            "q_halt_logits": done.out.q_halt,
            "q_continue_logits": done.out.q_continue,
            "z_H": done.state.z_H,
            "z_L": done.state.z_L,
            "lm_loss": done.losses["lm"],
            "q_halt_loss": done.losses["q_halt"],
            "loss_total": done.losses["lm"] + 0.5 * done.losses["q_halt"],
        }
        yield from _compare(record, f"eval/step{step}/", found, SINGLE)
        z_H, z_L = (torch.from_numpy(record[f"eval/step{step}/{name}"]) for name in ("z_H", "z_L"))
        recorded = State(z_H, z_L, {})
        carry = carry.advance(recorded, torch.zeros_like(carry.halted), keep_memory_graph=False)


def _gradients(record: Record) -> Iterator[Deviation]:
    wanted = record.under("train/step0/grad/")
    if not wanted:
        return
    learner = record.learner()
    batch = record.batch("train/step0/batch")
    carry = Carry.empty(learner.initial, batch).refill(batch, learner.initial)
    rows = leaf_rows(learner.model, carry)
    losses = learner.supervise(carry, rows).losses
    (weighted_sum(losses, learner.loss_weights) / len(batch["inputs"])).backward()
    found = {published_name(name): p.grad for name, p in learner.model.named_parameters()}
    if rows is not None:
        found["puzzle_emb"] = rows.grad
    for name, recorded in wanted.items():
        gradient = found.get(name)
        if gradient is None:
            raise ValueError(
                f"{record.path}: train/step0/grad/{name} is recorded, but the model has no such parameter"
            )
        yield Deviation(f"train/step0/grad/{name}", _distance(gradient.numpy(), recorded), SINGLE)


def _training(record: Record) -> Iterator[Deviation]:
    learner = record.learner()
    steps = record.steps("train")
    for step in steps:
        batch = record.batch(f"train/step{step}/batch")
        least = torch.zeros(len(batch["inputs"]), dtype=torch.int32)  # No exploration.
        done = train_step(learner, [batch], [least]).observed[0].supervised
        carry = learner.carry
        assert carry is not None
        weighted = weighted_sum(done.losses, learner.loss_weights)
        found = {f"{name}_loss": loss for name, loss in done.losses.items()} | {
            "loss_total": weighted,
            "q_halt_logits": done.out.q_halt,
            "q_continue_logits": done.out.q_continue,
        }
        if done.q_target is not None:
            found["target_q_continue"] = done.q_target
        yield from _compare(record, f"train/step{step}/", found, SINGLE if step == 0 else SIX)
        yield from _compare(
            record, f"train/step{step}/", {"halted": carry.halted, "steps": carry.steps}, EQUAL
        )
    state = learner.model.state_dict()
    for name, recorded in record.under("final_norm/").items():
        norm, wanted = float(state[our_name(name)].double().norm()), float(recorded)
        # A rounding error can flip the sign of an update of the puzzle table: reported, but not judged.
        tolerance = None if name == "puzzle_emb.weights" else SIX
        yield Deviation(f"final_norm/{name}", abs(norm - wanted) / max(abs(wanted), 1e-12), tolerance)


def _compare(
    record: Record, prefix: str, found: Mapping[str, Tensor], tolerance: float
) -> Iterator[Deviation]:
    for name, tensor in found.items():
        recorded, given = record[prefix + name], tensor.detach().numpy()
        if given.shape != recorded.shape:
            raise ValueError(
                f"{record.path}: {prefix}{name} has shape {recorded.shape}; expected {given.shape}"
            )
        if tolerance == EQUAL:
            yield Deviation(prefix + name, float((given != recorded).sum()), EQUAL)
        else:
            yield Deviation(prefix + name, _distance(given, recorded), tolerance)


def _distance(given: np.ndarray, recorded: np.ndarray) -> float:
    """Return the L2 distance of two tensors relative to the recorded one, absolute if that is zero."""
    recorded = recorded.astype(np.float64)
    norm = np.linalg.norm(recorded)
    return float(np.linalg.norm(given.astype(np.float64) - recorded) / (norm or 1.0))
