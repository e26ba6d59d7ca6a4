"""Replay of parity records: what a published HRM or TRM computed, computed again by this package.

The format is that of tests/parity/README.md. Published: HRM, arXiv 2506.21734; TRM, arXiv 2510.04871.
b batch, s token, t position (prefix and tokens), d width.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.interop import load_published, our_name, published_name
from memhrm.models.reasoner import ModelSettings, PuzzleShape, Reasoner
from memhrm.models.recursion import State
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.losses import weighted_sum
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings

SINGLE, SIX, EQUAL = 1e-4, 1e-3, 0.0
"""Tolerances: of one supervision step, of values after optimiser steps, of what must be equal."""


@dataclass(frozen=True)
class Deviation:
    """How far a replayed quantity lies from the recorded one. A tolerance of None is not judged."""

    quantity: str
    largest: float
    tolerance: float | None

    @property
    def within(self) -> bool:
        return self.tolerance is None or self.largest <= self.tolerance  # False for NaN.


class Record:
    """One parity record, opened.

    Raises:
        ValueError: the file is no record, or lacks a part; the message names file and key.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with np.load(path) as archive:
                self.arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise ValueError(f"{path}: there is no such file") from None
        except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
            raise ValueError(f"{path} is not a parity record (an .npz archive of arrays): {error}") from error
        try:
            self.config: dict[str, Any] = dict(json.loads(bytes(self["config"])))
        except (TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: `config` is not a JSON object: {error}") from error

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self.arrays:
            raise ValueError(f"{self.path}: the key {key!r} is missing from this parity record")
        return self.arrays[key]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose key starts with the prefix, under the rest of their key."""
        return {
            key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)
        }

    def setting(self, name: str, default: Any = None) -> Any:
        if name not in self.config and default is None:
            raise ValueError(f"{self.path}: the config of this parity record lacks {name!r}")
        return self.config.get(name, default)

    def steps(self, kind: str) -> list[int]:
        """The recorded supervision steps of "eval" or "train"."""
        numbers = {
            key.split("/")[1].removeprefix("step") for key in self.arrays if key.startswith(f"{kind}/step")
        }
        return sorted(int(number) for number in numbers)

    def batch(self, prefix: str) -> dict[str, Tensor]:
        names = ("inputs", "labels", "puzzle_identifiers")
        return {name: torch.from_numpy(self[f"{prefix}/{name}"].astype(np.int32)) for name in names}

    def model(self) -> Reasoner:
        """The recorded architecture with the recorded weights."""
        config = self.config
        architecture = str(self.setting("architecture"))
        family = architecture.split("_")[0]
        if family not in ("hrm", "trm"):
            raise ValueError(f"{self.path}: architecture is {architecture!r}; allowed: hrm, trm_att, trm_mlp")
        dtype = self.setting("forward_dtype", "float32")
        if dtype != "float32":
            raise ValueError(f"{self.path}: forward_dtype is {dtype!r}; records are replayed in float32")
        own = family == "hrm"
        settings = ModelSettings(
            name=family,
            mixer="mlp" if config.get("mlp_t") else "attention",
            hidden_size=self.setting("hidden_size"),
            num_heads=self.setting("num_heads"),
            expansion=float(self.setting("expansion")),
            L_layers=self.setting("L_layers"),
            H_layers=self.setting("H_layers") if own else 0,
            H_net="own" if own else "shared",
            H_cycles=self.setting("H_cycles"),
            L_cycles=self.setting("L_cycles"),
            gradient_window="one_step" if own else "last_cycle",
            positions=self.setting("pos_encodings"),
            puzzle_emb_ndim=self.setting("puzzle_emb_ndim", 0),
            puzzle_emb_len=0 if own else config.get("puzzle_emb_len", 16),
        )
        shape = PuzzleShape(
            vocab_size=self.setting("vocab_size"),
            num_tokens=self.setting("seq_len"),
            num_puzzle_identifiers=self.setting("num_puzzle_identifiers"),
        )
        model = Reasoner(settings, shape)
        try:
            load_published(
                model, {name: torch.from_numpy(array) for name, array in self.under("state/").items()}
            )
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        return model

    def learner(self) -> Learner:
        """The recorded model under the recorded training."""
        if self.setting("halt_exploration_prob", 0.0) != 0:
            raise ValueError(f"{self.path}: halt_exploration_prob must be 0, since exploration is random")
        config, optimizer = self.config, self.setting("optimizer")
        adamw, sign_sgd = optimizer["adamw"], optimizer.get("sign_sgd", {"lr": 0.0, "weight_decay": 0.0})
        q_learning = str(self.setting("architecture")).startswith("hrm") or not config.get(
            "no_ACT_continue", True
        )
        model = self.model()
        return Learner.build(
            model,
            halting=Halting(
                rule="q_learning" if q_learning else "sigmoid",
                halt_max_steps=self.setting("halt_max_steps"),
                halt_exploration_prob=0.0,
            ),
            loss=LossSettings(kind=self.setting("loss").removesuffix("_cross_entropy")),
            optim=OptimSettings(
                name="adamw",
                **{**adamw, "betas": tuple(adamw["betas"])},
                puzzle_lr=sign_sgd["lr"],
                puzzle_weight_decay=sign_sgd["weight_decay"],
                warmup=0,
            ),
            total_steps=len(self.steps("train")),
            local_batch_size=len(self["batch/inputs"]),
        )


def replay(path: Path) -> list[Deviation]:
    """Replay all that a record holds: evaluation, first gradients, training trajectory.

    Raises:
        ValueError: the file is no record, or lacks a part.
    """
    record = Record(path)
    deviations = [*_evaluation(record), *_gradients(record), *_training(record)]
    if not deviations:
        raise ValueError(f"{path}: this parity record holds nothing to replay (no eval/ and no train/)")
    return deviations


def _evaluation(record: Record) -> Iterator[Deviation]:
    """Each step begins at the recorded state of the step before: rounding, which a chaotic recursion
    doubles again and again, then has one step to grow in, as the tolerance assumes."""
    learner = record.learner()
    batch = record.batch("batch")
    carry = Carry.empty(learner.initial, batch).refill(batch, learner.initial)
    for step in record.steps("eval"):
        with torch.no_grad():
            done = learner.supervise(carry, _rows(learner, carry))
        losses = done.losses | {"total": done.losses["lm"] + 0.5 * done.losses["q_halt"]}
        found = {
            "logits": done.out.logits,
            "q_halt_logits": done.out.q_halt,
            "q_continue_logits": done.out.q_continue,
            "z_H": done.state.z_H,
            "z_L": done.state.z_L,
            "lm_loss": losses["lm"],
            "q_halt_loss": losses["q_halt"],
            "loss_total": losses["total"],
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
    rows = _rows(learner, carry)
    losses = learner.supervise(carry, rows).losses
    (weighted_sum(losses, learner.loss_weights) / len(batch["inputs"])).backward()
    found = {published_name(name): p.grad for name, p in learner.model.named_parameters()}
    if rows is not None:
        found["puzzle_emb"] = rows.grad
    for name, recorded in wanted.items():
        gradient = found.get(name)
        if gradient is None:
            raise ValueError(
                f"{record.path}: train/step0/grad/{name} is recorded, but this model has none such"
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
        # A sign of the puzzle table may flip on a rounding error: shown, not judged.
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
    """Relative L2 distance of a tensor (absolute where the record is zero)."""
    recorded = recorded.astype(np.float64)
    norm = np.linalg.norm(recorded)
    return float(np.linalg.norm(given.astype(np.float64) - recorded) / (norm or 1.0))


def _rows(learner: Learner, carry: Carry) -> Tensor | None:
    if learner.model.puzzles is None:
        return None
    return learner.model.puzzles(carry.data["puzzle_identifiers"]).requires_grad_()
