"""Many memory cells, of which each example selects, reads and writes k: what memories with cells are made of.

b batch, t position, d width, n cells, k active cells, l = 1 + M tokens of a cell: its CLS, then its contents.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from memhrm.config.settings import advise, require, require_size
from memhrm.memory import losses
from memhrm.memory.base import NORMS, Context, HModule, HShape, Loss, Memory, Trace
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.selection import Scorer, SelectorName, choose, entropy, plackett_luce
from memhrm.nn.attention import SelfAttention
from memhrm.nn.blocks import add_rms
from memhrm.nn.layers import first, masked_mean, truncated_normal_


@dataclass(frozen=True, kw_only=True)
class CellSettings(ExchangeSettings):
    """The settings of memories with cells; `tokens` is M.

    Attributes:
        cells: N.
        k: active cells; selector=all takes every cell whatever k is.
        selector: how the active cells are chosen, see `choose`; policy and lowest_loss have their own losses.
        projections: R, bilinear forms of a score.
        combine: how the R forms become one score, see `Scorer`.
        score_scale: sqrt divides a score by the root of the width.
        pooling: what of h scores the cells, the mean over positions or position 0.
        gate: what weighs the active cells. selected: the softmax of their scores, as in the equation; at
            k=1 it is 1 and trains no scorer. all: their entries in the softmax of all scores. none: 1/k
            each.
        shared_cell: cell 0 is always active and weighs 1/k; the others compete for the remaining k - 1
            places and share the rest of the weight. In one softmax with the winners its weight would depend
            on their scores: in episodes such a memory began to learn in some runs only
            (experiments/LOG.md). null: true where the data have episodes and k is 2 or above, since
            question and feedback else choose different cells.
        self_attention: attention within each written cell, after the write.
        usage_average: decay of each cell's running share of selections, `memory["usage"]`, per H-step.
        decay: a cell that is not selected shrinks by decay * (1 - usage) at each H-step; 0 for none.
    """

    cells: int
    k: int
    selector: SelectorName = "topk"
    projections: int = 1
    combine: Literal["mean", "logsumexp", "max"] = "mean"
    score_scale: Literal["sqrt", "none"] = "sqrt"
    pooling: Literal["mean", "first"] = "mean"
    gate: Literal["selected", "all", "none"] = "selected"
    shared_cell: bool | None = False
    self_attention: bool = False
    usage_average: float = 0.9
    decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        require_size("memory.cells", self.cells)
        require(1 <= self.k <= self.cells, "k", self.k, f"1 to memory.cells={self.cells}")
        require_size("memory.projections", self.projections)
        require(0 <= self.usage_average < 1, "memory.usage_average", self.usage_average, "0 to below 1")
        require(0 <= self.decay <= 1, "memory.decay", self.decay, "0 to 1")
        require(not self.shared_cell or self.selector == "all" or self.k >= 2, "k", self.k,
                "2 or above with memory.shared_cell=true")  # fmt: skip
        self._advise()

    def within(self, episodes: bool) -> Self:
        """Return the settings with what null stands for, as in `MemorySettings`."""
        made = super().within(episodes)
        if self.shared_cell is not None:
            return made
        return replace(made, shared_cell=episodes and self.selector != "all" and self.k >= 2)

    def _advise(self) -> None:
        """Warn of settings that change nothing beside the others."""
        if self.selector == "all":
            for name, used in (
                (f"k={self.k}", self.k < self.cells),
                ("memory.shared_cell", bool(self.shared_cell)),
                ("memory.decay", self.decay > 0),
            ):
                advise(used, f"{name} changes nothing: memory.selector=all uses every cell at every H-step")
        advise(
            self.projections > 1 and self.combine == "mean",
            f"memory.projections={self.projections} changes only the start: the mean of bilinear forms is "
            "one bilinear form; memory.combine=logsumexp or max keeps them apart",
        )
        advise(
            self.projections == 1 and self.combine != "mean",
            f"memory.combine={self.combine} changes nothing with memory.projections=1",
        )
        trained = self.selector in ("policy", "lowest_loss")
        advise(
            self.active - self.shared == 1 and self.gate == "selected" and not trained,
            f"with k={self.active} the gate is always {1 / self.active:g} and nothing trains the scorer; "
            f"memory.gate=all, k={self.active + 1} or memory.selector=policy train it",
        )
        advise(self.gate == "none" and not trained, "memory.gate=none trains no scorer")

    @property
    def active(self) -> int:
        """Cells that an example reads and writes at an H-step."""
        return self.cells if self.selector == "all" else self.k

    @property
    def shared(self) -> int:
        """Cells that are always active and do not compete."""
        return int(bool(self.shared_cell) and self.selector != "all")


class Selection(NamedTuple):
    """Indices and weights of the active cells, (b, k), and the scores of all cells, (b, n)."""

    indices: Tensor
    alpha: Tensor
    scores: Tensor


ReadAlone = Callable[[Tensor], Tensor]
"""One cell of each example, (b, 1, l, d), to z_H (b, t, d) after reading it alone with weight 1."""


class Cells(nn.Module):
    """Selects cells, takes them out of the memory and puts them back.

    A memory calls `select` and `take`, reads and writes the active cells in its own way, and calls
    `put_back`.
    """

    def __init__(self, settings: CellSettings, shape: HShape, num_heads: int):
        super().__init__()
        self.settings = s = settings
        self.scorer = Scorer(shape.width, s.projections, s.combine, s.score_scale == "sqrt")
        self.within = SelfAttention(shape.width, num_heads, shape.attend) if s.self_attention else None

    @classmethod
    def of(cls, module: HModule, settings: CellSettings, shape: HShape, num_heads: int) -> "Cells":
        """Return cells for a module, for which everything is declared that comes with them."""
        made, s = cls(settings, shape, num_heads), settings
        # Every cell starts at a random place of its own: equal cells would never separate.
        size = s.cells, 1 + s.tokens, shape.width
        module.remember("cells", truncated_normal_(torch.empty(size), std=1.0))
        module.remember("usage", torch.full((s.cells,), s.active / s.cells))
        module.cells, module.always_active = s.cells, s.shared
        module.noise_size = s.cells if s.selector in ("policy", "random") else 0
        module.noise_in_evaluation = s.selector == "random"
        module.logged = NORMS
        module.losses |= {
            "diverse": Loss(losses.diverse),
            "balance": Loss(partial(losses.balance, always_active=s.shared)),
            "information": Loss(losses.information),
        }
        if s.selector == "policy":
            module.losses["policy"] = Loss(losses.policy, weight=1.0, needs_reward=True)
            module.losses["entropy"] = Loss(losses.entropy, weight=0.01)
            module.logged = (*NORMS, "entropy")
        elif s.selector == "lowest_loss":
            module.losses["imitation"] = Loss(losses.imitation, weight=1.0)
            module.logged = (*NORMS, "entropy")
        return made

    def select(
        self, h: Tensor, memory: Memory, context: Context, read_alone: ReadAlone
    ) -> tuple[Selection, Trace]:
        """Select the active cells of each example.

        Args:
            h: the state that reads, (b, t, d).
            memory: the memory before the step.
            context: the context of the H-step.
            read_alone: what reading one cell alone gives, for selector=lowest_loss.
        """
        s, apart, cls = self.settings, self.settings.shared, memory["cells"][:, :, 0]
        judged = self._judged(memory["cells"], context, read_alone)
        query = (masked_mean if s.pooling == "mean" else first)(h, context.present)
        scores = self.scorer(query, cls)
        rivals = scores[:, apart:]  # A shared cell stands apart from the competition.
        noise, judged, prefer = (
            None if x is None else x[:, apart:] for x in (context.noise, judged, context.prefer)
        )
        winners = choose(s.selector, rivals.detach(), s.active - apart, noise, judged, prefer)
        shared = torch.zeros_like(winners[:, :apart])
        indices = torch.cat((shared, winners + apart), dim=1) if apart else winners

        if s.gate == "none":
            alpha = torch.full_like(winners, 1 / winners.shape[1], dtype=scores.dtype)
        elif s.gate == "all":
            alpha = rivals.softmax(dim=-1).gather(1, winners)
        else:
            alpha = rivals.gather(1, winners).softmax(dim=-1)
        if apart:  # The shared cell weighs as much as one of k equal ones, whatever the scores.
            own = torch.full_like(alpha[:, :apart], 1 / s.active)
            alpha = torch.cat((own, alpha * (1 - apart / s.active)), dim=1)
        trace = {"indices": indices, "alpha": alpha, "scores": scores}
        if self.training and s.selector in ("policy", "lowest_loss"):
            constant = not torch.is_grad_enabled()
            with torch.enable_grad():  # Selections in cycles without gradient are credited too.
                if constant:
                    rivals = self.scorer(query.detach(), cls.detach())[:, apart:]
                trace |= {"log_probability": plackett_luce(rivals, winners), "entropy": entropy(rivals)}
        return Selection(indices, alpha, scores), trace

    @torch.no_grad()
    def _judged(self, cells: Tensor, context: Context, read_alone: ReadAlone) -> Tensor | None:
        """Return the loss of the answer after reading each cell alone, (b, n), for selector=lowest_loss."""
        if self.settings.selector != "lowest_loss" or context.judge is None:
            return None
        # One after the other: all at once would take n times the memory.
        losses = [context.judge(read_alone(cells[:, i : i + 1])) for i in range(cells.shape[1])]
        return torch.stack(losses, dim=1)

    def take(self, memory: Memory, selection: Selection) -> Tensor:
        """Return the active cells, (b, k, l, d); the cost follows k."""
        cells, indices = memory["cells"], selection.indices
        return cells.flatten(0, 1).index_select(0, _rows(cells, indices)).unflatten(0, indices.shape)

    def put_back(self, memory: Memory, active: Tensor, selection: Selection) -> Memory:
        """Return the memory with the written cells, (b, k, l, d), and the usage after the step."""
        s, cells = self.settings, memory["cells"]
        hit = torch.zeros_like(memory["usage"]).scatter(1, selection.indices, 1.0)
        usage = torch.lerp(hit, memory["usage"], s.usage_average)
        if s.decay > 0:
            cells = cells * (1 - s.decay * (1 - usage))[:, :, None, None]
        rows = _rows(cells, selection.indices)
        cells = cells.flatten(0, 1).index_copy(0, rows, active.flatten(0, 1)).view(cells.shape)
        return {**memory, "cells": cells, "usage": usage}

    def attend_within(self, active: Tensor, dtype: torch.dtype) -> Tensor:
        """Return written cells, (b, k, l, d), after self-attention in `dtype`, if there is one."""
        if self.within is None:
            return active
        tokens = layer_norm(active.to(dtype)).flatten(0, 1)
        change = self.within(tokens, None).view(active.shape).to(active.dtype)
        return add_rms(active, change) if self.settings.state_norm == "rms" else active + change


def _rows(cells: Tensor, indices: Tensor) -> Tensor:
    """Return where the cells of `indices` (b, k) stand when (b, n) is one axis."""
    batch, n = cells.shape[:2]
    return (indices + torch.arange(batch, device=indices.device).unsqueeze(1) * n).flatten()
