"""Parity records: what a published HRM or TRM computed, in files that tests/parity/README.md describes.

Sources: HRM, arXiv 2506.21734; TRM, arXiv 2510.04871.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.data.sampler import schedule
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.published.weights import load_published
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner
from memhrm.training.supervision import LossSettings


class Record:
    """One parity record, read into memory.

    Args:
        path: the record, an .npz archive of plain arrays.

    Attributes:
        arrays: all arrays of the record by their keys.
        config: the recorded configuration of the model and of its training.

    Raises:
        ValueError: the file is not a parity record, or a part of it is missing; the message names the file
            and the key. Every method raises it too.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with np.load(path) as archive:
                self.arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise ValueError(f"{path}: there is no such file") from None
        except Exception as error:  # A damaged file can make its reader raise anything.
            raise ValueError(
                f"{path} is not a parity record (an .npz archive of plain arrays), or it is damaged"
            ) from error
        try:
            self.config: dict[str, Any] = dict(json.loads(bytes(self["config"])))
        except (TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: `config` is not a JSON object: {error}") from error

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self.arrays:
            raise ValueError(f"{self.path}: the key {key!r} is missing from this parity record")
        return self.arrays[key]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose keys start with `prefix`, by the rest of their keys."""
        return {
            key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)
        }

    def setting(self, name: str, default: Any = None) -> Any:
        """Return one entry of the recorded configuration.

        Args:
            name: the published name of the entry.
            default: the value of an entry that is missing; None requires the entry.
        """
        if name not in self.config and default is None:
            raise ValueError(f"{self.path}: the config of this parity record lacks {name!r}")
        return self.config.get(name, default)

    def steps(self, kind: str) -> list[int]:
        """Return the numbers of the recorded supervision steps, ascending; `kind` is "eval" or "train"."""
        numbers = {
            key.split("/")[1].removeprefix("step") for key in self.arrays if key.startswith(f"{kind}/step")
        }
        return sorted(int(number) for number in numbers)

    def batch(self, prefix: str) -> dict[str, Tensor]:
        """Return a recorded batch: `inputs` and `labels` (b, t), `identifiers` (b,), and its schedule.

        Args:
            prefix: the key that the three arrays are stored under.
        """
        # Our names: the published names.
        names = {"inputs": "inputs", "labels": "labels", "identifiers": "puzzle_identifiers"}
        arrays = {ours: self[f"{prefix}/{theirs}"].astype(np.int32) for ours, theirs in names.items()}
        arrays |= schedule(len(arrays["inputs"]))
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def model(self) -> Reasoner:
        """Return a model of the recorded architecture with the recorded weights."""
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
            num_heads=1 if config.get("mlp_t") else self.setting("num_heads"),  # An MLP has no heads.
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
            num_identifiers=self.setting("num_puzzle_identifiers"),
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
        """Return a learner of the recorded model with the recorded losses, halting rule and optimisers."""
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
            halting=Halting.of(
                rule="q_learning" if q_learning else "sigmoid",
                halt_max_steps=self.setting("halt_max_steps"),
                halt_exploration_prob=0.0,
            ),
            loss=LossSettings.of(kind=self.setting("loss").removesuffix("_cross_entropy")),
            optim=OptimSettings.of(
                name="adamw",
                **{**adamw, "betas": tuple(adamw["betas"])},
                puzzle_lr=sign_sgd["lr"],
                puzzle_weight_decay=sign_sgd["weight_decay"],
                warmup=0,
            ),
            total_steps=len(self.steps("train")),
            local_batch_size=len(self["batch/inputs"]),
        )
