"""When a puzzle is done.

b batch. Sources: HRM, arXiv 2506.21734 (Q-learning); TRM, arXiv 2510.04871 (sigmoid).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import MOST_STEPS, Settings, require, require_size
from memhrm.models.reasoner import Output


@dataclass(frozen=True, kw_only=True)
class Halting(Settings):
    """The halting rule of training.

    rule: q_learning halts where q_halt > q_continue (HRM); sigmoid where sigmoid(q_halt) > threshold (TRM).
    q_target: where HRM's target for q_continue comes from. next: one more forward on the new carry, as
        published. reuse: the next supervision step, which runs anyway; it saves that forward, but the
        loss then comes a step late, trains the Q-head alone (the state it reads was cut from its graph)
        and leaves out rows that halted.
    halt_max_steps: supervision steps after which every row halts.
    halt_exploration_prob: share of rows that must run at least randint[2, halt_max_steps] steps.
    """

    FILE: ClassVar[str] = "model/trm"
    GROUP: ClassVar[str] = "halting"

    rule: Literal["q_learning", "sigmoid"]
    q_target: Literal["next", "reuse"]
    halt_max_steps: int
    halt_exploration_prob: float
    threshold: float

    def __post_init__(self):
        super().__post_init__()
        require_size("halting.halt_max_steps", self.halt_max_steps, most=MOST_STEPS)
        p, tau = self.halt_exploration_prob, self.threshold
        require(0 <= p <= 1, "halting.halt_exploration_prob", p, "0 to 1")
        require(0 < tau < 1, "halting.threshold", tau, "between 0 and 1")

    @property
    def learns_to_continue(self) -> bool:
        """Whether q_continue has a loss."""
        return self.rule == "q_learning" and self.halt_max_steps > 1

    def is_last(self, steps: Tensor) -> Tensor:
        """Whether the step that follows `steps` finished ones is the last that is allowed, (b,)."""
        return steps + 1 >= self.halt_max_steps

    def __call__(self, out: Output, steps: Tensor, least_steps: Tensor) -> Tensor:
        """Which rows halt after a step, (b,).

        steps: steps finished before it. least_steps: from `exploration`.
        """
        last = self.is_last(steps)
        if self.halt_max_steps == 1:
            return last
        if self.rule == "q_learning":
            satisfied = out.q_halt > out.q_continue
        else:
            satisfied = confident(out.q_halt, self.threshold)
        return (last | satisfied) & (steps + 1 >= least_steps)

    def exploration(self, seed: int, index: int, rows: int) -> np.ndarray:
        """Steps that each row of the global batch must at least run at supervision step `index`, (rows,).

        A function of its arguments alone, so that a resumed run, or one on other ranks, draws the same.
        """
        rng = np.random.default_rng((seed, index, 0xE))
        least = rng.integers(2, max(self.halt_max_steps, 2) + 1, size=rows)
        return np.where(rng.random(rows) < self.halt_exploration_prob, least, 0)


def confident(q_halt: Tensor, threshold: float) -> Tensor:
    """sigmoid(q) > threshold, as q > log(threshold / (1 - threshold))."""
    return q_halt > math.log(threshold / (1 - threshold))


def q_target(q_halt: Tensor, q_continue: Tensor, last: Tensor) -> Tensor:
    """HRM's target for q_continue from the Q-values one step later: their maximum, or q_halt at the end."""
    return torch.sigmoid(torch.where(last, q_halt, torch.maximum(q_halt, q_continue)))
