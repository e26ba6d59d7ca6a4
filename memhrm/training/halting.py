"""Halting: the rules that decide when an example is done.

b batch. Sources: HRM, arXiv 2506.21734 (Q-learning); TRM, arXiv 2510.04871 (sigmoid). The rule confidence
needs no Q-head.
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

    Attributes:
        rule: q_learning (HRM) halts at q_halt > q_continue; sigmoid (TRM) at sigmoid(q_halt) > threshold;
            confidence where the mean probability of the answer's tokens, or of its label, is above it.
        q_target: where HRM's target for q_continue comes from. next: one more forward pass on the new carry,
            as published. reuse: the next supervision step, which runs anyway; this saves a forward pass, but
            the loss then comes one step late, trains only the Q-head (the state it reads is detached) and
            leaves out rows that halted.
        halt_max_steps: supervision steps after which every row halts.
        halt_exploration_prob: share of rows that must run at least randint[2, halt_max_steps] supervision
            steps.
        threshold: the probability above which the rules sigmoid and confidence halt.
    """

    FILE: ClassVar[str] = "model/trm"
    GROUP: ClassVar[str] = "halting"

    rule: Literal["q_learning", "sigmoid", "confidence"]
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
        """Return whether the next step is the last, (b,) bool, of rows with `steps` (b,) finished steps."""
        return steps + 1 >= self.halt_max_steps

    def __call__(
        self, out: Output, steps: Tensor, least_steps: Tensor, confidence: Tensor | None = None
    ) -> Tensor:
        """Return which rows halt after a supervision step, (b,) bool.

        Args:
            out: the output of the step.
            steps: (b,) supervision steps finished before it.
            least_steps: (b,) the fewest steps that each row runs, from `exploration`.
            confidence: (b,) that in the answers of the step, which the rule of this name asks for.
        """
        last = self.is_last(steps)
        if self.halt_max_steps == 1:
            return last
        if self.rule == "q_learning":
            satisfied = out.q_halt > out.q_continue
        elif self.rule == "confidence":
            assert confidence is not None
            satisfied = confidence > self.threshold
        else:
            satisfied = confident(out.q_halt, self.threshold)
        return (last | satisfied) & (steps + 1 >= least_steps)

    def exploration(self, seed: int, index: int, rows: int) -> np.ndarray:
        """Return the fewest steps that each row of the global batch must run, (rows,); 0 for no minimum.

        The draw depends on the arguments alone, so that a resumed run, on any number of ranks, repeats it.

        Args:
            seed: the run's seed.
            index: number of the supervision step within the run.
            rows: rows of the global batch.
        """
        rng = np.random.default_rng((seed, index, 0xE))
        least = rng.integers(2, max(self.halt_max_steps, 2) + 1, size=rows)
        return np.where(rng.random(rows) < self.halt_exploration_prob, least, 0)


def confident(q_halt: Tensor, threshold: float) -> Tensor:
    """Return whether sigmoid(q_halt) > threshold, computed as q_halt > log(threshold / (1 - threshold))."""
    return q_halt > math.log(threshold / (1 - threshold))


def q_target(q_halt: Tensor, q_continue: Tensor, last: Tensor) -> Tensor:
    """Return HRM's target for q_continue, (b,), from the Q-values one supervision step later.

    The target is the sigmoid of the larger of the two, or of q_halt after the last step.

    Args:
        q_halt: (b,) one step later.
        q_continue: (b,) one step later.
        last: (b,) bool, whether the step whose q_continue is trained is the last.
    """
    return torch.sigmoid(torch.where(last, q_halt, torch.maximum(q_halt, q_continue)))
