"""One supervision step as one function of the carry: the model, the target of its Q-values, the losses.

This is what is compiled as a whole and wrapped for several processes; it has no side effects.
b batch, e puzzle_emb_ndim.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from memhrm.config.settings import Settings, require
from memhrm.data.sampler import IGNORE
from memhrm.memory.h_module import HModule
from memhrm.models.reasoner import Guide, Output, Reasoner
from memhrm.models.recursion import State
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting, q_target
from memhrm.training.losses import (
    CROSS_ENTROPY,
    Graded,
    grade,
    halting_loss,
    softmax_cross_entropy,
    token_loss,
    token_losses,
)
from memhrm.training.memory_losses import BY_SELECTOR, LOSSES

Run = Callable[[State, Tensor, Tensor | None, Guide], tuple[State, Output]]


def in_precision(model: Reasoner, dtype: torch.dtype) -> Run:
    """The model as a function that computes in `dtype`, its weights cast once, here.

    The Q-head stays as it is stored: its logits decide when to halt.
    """
    if dtype == torch.float32:
        return model
    cast = {name: p.to(dtype) for name, p in model.named_parameters() if not name.startswith("q_head.")}
    return lambda *args: functional_call(model, cast, args)


@dataclass(frozen=True, kw_only=True)
class LossSettings(Settings):
    """kind: the cross-entropy of the tokens. label_smoothing: see `softmax_cross_entropy`. reward, baseline:
    of the policy that selects cells: the fall of the token loss over the supervision step, or whether the
    answer is exact after it (both 0 for feedback, which has no labels), compared with the mean of the other
    examples, or with 0. The rest: the weight of each loss, 0 for off."""

    FILE: ClassVar[str] = "train"
    GROUP: ClassVar[str] = "loss"

    kind: Literal["stablemax", "softmax"]
    label_smoothing: float
    lm: float
    q_halt: float
    q_continue: float
    diverse: float
    balance: float
    information: float
    self_sup: float
    policy: float
    entropy: float
    imitation: float
    reward: Literal["fall", "exact"]
    baseline: Literal["leave_one_out", "none"]

    def __post_init__(self):
        super().__post_init__()
        s = self.label_smoothing
        allowed = "0 to below 1" if self.kind == "softmax" else "0 with loss.kind=stablemax"
        require(0 <= s < 1 and (s == 0 or self.kind == "softmax"), "loss.label_smoothing", s, allowed)
        for name in ("lm", "q_halt", "q_continue", *LOSSES):
            weight = getattr(self, name)
            require(weight >= 0, f"loss.{name}", weight, "0 or above")

    def weights(self, halting: Halting, h_module: HModule) -> dict[str, float]:
        """The weights of the losses that a run with this halting rule and this memory has.

        Raises:
            ValueError: a loss is asked for that this memory has nothing for.
        """
        memory = h_module.settings
        unknown = sorted(h_module.losses - LOSSES.keys())
        allowed = (
            f"a memory whose losses are among {', '.join(LOSSES)}; nothing computes {', '.join(unknown)}"
        )
        require(not unknown, "memory.module", memory.module, allowed)
        weights = {"lm": self.lm, "q_halt": self.q_halt}
        if halting.learns_to_continue:
            weights["q_continue"] = self.q_continue
        for name in LOSSES:
            weight = getattr(self, name)
            if name in h_module.losses and weight > 0:
                weights[name] = weight
            elif name not in BY_SELECTOR:
                allowed = f"0, since memory={memory.name} has nothing for it"
                require(weight == 0, f"loss.{name}", weight, allowed)
        return weights


class Supervised(NamedTuple):
    """The result of a supervision step; losses are sums over the batch, without those of the memory.

    reward: of the selections made in it, (b,), where there is a policy.
    """

    state: State
    out: Output
    graded: Graded
    losses: dict[str, Tensor]
    q_target: Tensor | None
    reward: Tensor | None


class SupervisionStep(nn.Module):
    """Runs the model on a refilled carry and computes its losses."""

    def __init__(self, model: Reasoner, halting: Halting, loss: LossSettings, dtype: torch.dtype):
        super().__init__()
        self.model = model
        self.halting = halting
        self.cross_entropy = CROSS_ENTROPY[loss.kind]
        if loss.label_smoothing:
            self.cross_entropy = partial(softmax_cross_entropy, smoothing=loss.label_smoothing)
        self.reward = loss.reward
        self.dtype = dtype

    def forward(self, carry: Carry, puzzle_rows: Tensor | None, noise: Tensor | None = None) -> Supervised:
        """puzzle_rows: the puzzle table's rows of the carry's examples, (b, e); None without a table.
        noise: as in `Guide`."""
        run = in_precision(self.model, self.dtype)
        inputs, labels = carry.data["inputs"], carry.data["labels"]

        def judge(z_H: Tensor) -> Tensor:
            return token_losses(self.model.logits(z_H), labels, self.cross_entropy)

        state, out = run(carry.state, inputs, puzzle_rows, Guide(noise, judge))

        graded = grade(out.logits.detach(), labels)
        asked = (labels != IGNORE).any(dim=-1)  # Feedback asks nothing.
        losses = {
            "lm": token_loss(out.logits, labels, self.cross_entropy),
            "q_halt": halting_loss(out.q_halt, graded.exact, asked),
        }
        target = None
        if self.halting.learns_to_continue:
            last = self.halting.is_last(carry.steps)
            if self.halting.q_target == "next":
                with torch.no_grad():
                    _, ahead = run(state, inputs, puzzle_rows, Guide(noise))
                    target = q_target(ahead.q_halt, ahead.q_continue, last)
                losses["q_continue"] = halting_loss(out.q_continue, target, asked)
            else:  # The step before this one said q_continue of the state that the carry brought here.
                _, said = self.model.q_values(carry.state.z_H)
                target = q_target(out.q_halt, out.q_continue, torch.zeros_like(last)).detach()
                losses["q_continue"] = halting_loss(said, target, asked & (carry.steps > 0))
        reward = None
        if "policy" in self.model.H_module.losses:
            reward = graded.exact.float()
            if self.reward == "fall":
                with torch.no_grad():
                    after = token_losses(out.logits, labels, self.cross_entropy)
                    reward = judge(carry.state.z_H) - after
        return Supervised(state, out, graded, losses, target, reward)
