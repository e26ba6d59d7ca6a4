"""Optimisers, the learning rate schedule, and the moving average of the weights."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from memhrm.config.settings import Settings, require, require_size
from memhrm.models.reasoner import Reasoner
from memhrm.nn.tables import KeyedTable, PuzzleTable
from memhrm.system.ranks import gathered


@dataclass(frozen=True, kw_only=True)
class OptimSettings(Settings):
    """Settings of the optimisers; configs/optim/ has one file per optimiser.

    Attributes:
        name: the optimiser of all weights but the puzzle table.
        lr: learning rate; with muon, that of its AdamW part (embeddings, heads, vectors).
        betas: decay rates of Adam's first and second moments.
        eps: AdamW's epsilon.
        weight_decay: decoupled weight decay, of the same weights as `lr`.
        muon_lr: learning rate of the matrices with muon: the weights of all linear maps but the heads.
        muon_weight_decay: weight decay of the matrices with muon.
        puzzle_lr: learning rate of sign-SGD on the puzzle table.
        puzzle_weight_decay: weight decay of the puzzle table.
        warmup: optimiser steps of linear warm-up.
        schedule: the learning rate after the warm-up: constant, or down to lr_min_ratio * lr, along a cosine
            or a line.
        lr_min_ratio: the share of the learning rate at which the cosine or the line ends.
        decay_from: the share of the steps at which they begin, if the warm-up has ended; until then the rate
            is constant.
        clip: largest norm of the gradient; None: no clipping.
        ema: decay of the moving average of the weights.
        freeze: whether the weights stay as they are, and the puzzle table alone learns.
    """

    FILE: ClassVar[str] = "optim/adam_atan2"
    GROUP: ClassVar[str] = "optim"

    name: Literal["adamw", "adam_atan2", "muon"]
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    muon_lr: float
    muon_weight_decay: float
    puzzle_lr: float
    puzzle_weight_decay: float
    warmup: int
    schedule: Literal["constant", "cosine", "linear"]
    lr_min_ratio: float
    decay_from: float
    clip: float | None
    ema: float
    freeze: bool

    def __post_init__(self):
        super().__post_init__()
        for name in ("lr", "weight_decay", "muon_lr", "muon_weight_decay", "puzzle_lr", "puzzle_weight_decay",
                     "eps"):  # fmt: skip
            require(getattr(self, name) >= 0, f"optim.{name}", getattr(self, name), "0 or above")
        require_size("optim.warmup", self.warmup, 0)
        require(all(0 <= b < 1 for b in self.betas), "optim.betas", self.betas, "two numbers, 0 to below 1")
        require(0 <= self.ema < 1, "optim.ema", self.ema, "0 to below 1")
        require(0 <= self.lr_min_ratio <= 1, "optim.lr_min_ratio", self.lr_min_ratio, "0 to 1")
        require(0 <= self.decay_from < 1, "optim.decay_from", self.decay_from, "0 to below 1")
        require(self.clip is None or self.clip > 0, "optim.clip", self.clip, "null or a number above 0")

    def factor(self, step: int, total: int) -> float:
        """Return the factor on the learning rate at optimiser step `step` of `total`, counted from 1."""
        if step < self.warmup:
            return step / self.warmup
        if self.schedule == "constant":
            return 1.0
        begin = self.constant_until(total)
        progress = min(max(step - begin, 0) / max(1, total - begin), 1.0)
        left = 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 1 - progress
        return self.lr_min_ratio + (1 - self.lr_min_ratio) * left

    def constant_until(self, total: int) -> int:
        """Return the last optimiser step of `total` before the rate begins to decay, if it does."""
        return max(self.warmup, round(self.decay_from * total))


class AdamATan2(Optimizer):
    """Adam with atan2 in place of the division, so that no epsilon is needed (Everett et al. 2024).

    p *= 1 - lr*wd;  p -= lr / (1 - b1^s) * atan2(m, sqrt(v) / sqrt(1 - b2^s)).  Source: arXiv 2407.05872.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: decay rates b1 and b2 of the moments m and v.
        weight_decay: decoupled weight decay wd.
    """

    def __init__(self, params: Iterable[Any], *, lr: float, betas: tuple[float, float], weight_decay: float):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            (b1, b2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                m, v, s = state["exp_avg"], state["exp_avg_sq"], state["step"]
                m.lerp_(p.grad, 1 - b1)
                v.mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                update = torch.atan2(m, v.sqrt().div_(math.sqrt(1 - b2**s)))
                p.mul_(1 - lr * group["weight_decay"]).add_(update, alpha=-lr / (1 - b1**s))
        return None


class SignSGD:
    """Sign-SGD with decoupled weight decay on the rows of a table that occur in the global batch.

    The gradients of equal identifiers are summed first, over all ranks (HRM, arXiv 2506.21734).

    Args:
        table: what holds the rows, changed in place.
        weight_decay: decoupled weight decay.
    """

    def __init__(self, table: PuzzleTable | KeyedTable, *, weight_decay: float):
        self.table = table
        self.weight_decay = weight_decay

    @torch.no_grad()
    def step(self, identifiers: Tensor, gradients: Tensor, lr: float) -> None:
        """Update the rows of the identifiers of all ranks.

        Args:
            identifiers: (b,) identifiers on this rank.
            gradients: (b, e) gradients of their rows.
            lr: learning rate of this step.
        """
        identifiers, gradients = gathered(identifiers), gathered(gradients)
        each, slot = identifiers.unique(return_inverse=True)
        total = gradients.new_zeros(len(each), gradients.shape[1]).index_add_(0, slot, gradients)
        rows = self.table(each) * (1 - lr * self.weight_decay) - lr * total.sign()
        self.table.assign(each, rows)


class Optimisers:
    """The optimisers of a model: those of its parameters, and sign-SGD on its puzzle table.

    Args:
        model: the model whose weights change.
        settings: the optimisers' settings.
        total_steps: optimiser steps of the whole run, for the schedule.
    """

    def __init__(self, model: Reasoner, settings: OptimSettings, total_steps: int):
        self.settings = settings
        self.total_steps = total_steps
        if settings.freeze:
            model.requires_grad_(False)
        self.parameters = list(model.parameters())
        self.main = [] if settings.freeze else _main_optimisers(model, settings)
        self.base_lrs = [[group["lr"] for group in optimiser.param_groups] for optimiser in self.main]
        self.puzzles = None
        if model.puzzles is not None:
            self.puzzles = SignSGD(model.puzzles, weight_decay=settings.puzzle_weight_decay)

    def step(self, step: int, puzzle_rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, float]:
        """Make one optimiser step, and clear the gradients of the parameters.

        Args:
            step: its number, counted from 1.
            puzzle_rows: pairs of puzzle identifiers (b,) and their looked-up rows (b, e), with gradients.

        Returns:
            The norm of the gradient before clipping, and the learning rate of `OptimSettings.lr`.
        """
        s, factor = self.settings, self.settings.factor(step, self.total_steps)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if s.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, s.clip, norm)
        for optimiser, base_lrs in zip(self.main, self.base_lrs):
            for group, base_lr in zip(optimiser.param_groups, base_lrs):
                group["lr"] = base_lr * factor
            optimiser.step()
            optimiser.zero_grad()
        if self.puzzles is not None and puzzle_rows:
            identifiers = torch.cat([ids for ids, _ in puzzle_rows])
            gradient = torch.cat([rows.grad for _, rows in puzzle_rows if rows.grad is not None])
            self.puzzles.step(identifiers, gradient, s.puzzle_lr * factor)
        return norm, s.lr * factor

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of each optimiser; sign-SGD has none."""
        return [optimiser.state_dict() for optimiser in self.main]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore the states that `state_dict` returned."""
        for optimiser, state in zip(self.main, states, strict=True):
            optimiser.load_state_dict(state)


def _main_optimisers(model: Reasoner, s: OptimSettings) -> list[Optimizer]:
    if s.name == "adam_atan2":
        return [AdamATan2(model.parameters(), lr=s.lr, betas=s.betas, weight_decay=s.weight_decay)]
    adamw = {"lr": s.lr, "betas": s.betas, "eps": s.eps, "weight_decay": s.weight_decay}
    if s.name == "adamw":
        return [torch.optim.AdamW(model.parameters(), fused=True, **adamw)]
    heads = model.lm_head, model.q_head
    maps = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear) and m not in heads}
    matrices = [p for p in model.parameters() if id(p) in maps]
    rest = [p for p in model.parameters() if id(p) not in maps]
    muon = torch.optim.Muon(matrices, lr=s.muon_lr, weight_decay=s.muon_weight_decay)
    return [muon, torch.optim.AdamW(rest, fused=True, **adamw)]


def moving_average(model: Reasoner, decay: float) -> AveragedModel:
    """Return the exponential moving average of a model's weights, which starts at the current weights.

    Buffers are copied instead of averaged. The puzzle table is the model's own: it may hold millions of rows,
    which every step would copy.

    Args:
        model: the model to average.
        decay: the weight of the old average in each update.
    """
    table, model.puzzles = model.puzzles, None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for one in (model, average.module):
        setattr(one, "puzzles", table)  # noqa: B010 (not typed)
    average.update_parameters(model)
    return average
