"""One supervision step as one function of the carry: the model, the target of its Q-values, the losses.

This is what is compiled as a whole and wrapped for several processes; it has no side effects.
b batch, e puzzle_emb_ndim.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from memhrm.config.settings import Settings, build, convert, require
from memhrm.data.sampler import IGNORE
from memhrm.memory.base import HModule
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


class Run(Protocol):
    """`Reasoner.forward`, in some precision."""

    def __call__(
        self,
        state: State,
        inputs: Tensor,
        puzzle_rows: Tensor | None,
        guide: Guide = ...,
        mask: Tensor | None = None,
    ) -> tuple[State, Output]:
        """Run one supervision step."""
        ...


def in_precision(model: Reasoner, dtype: torch.dtype) -> Run:
    """Return the model as a function that computes in `dtype`, its weights cast once, here.

    The Q-head stays as it is stored: its logits decide when to halt.
    """
    if dtype == torch.float32:
        return model
    cast = {name: p.to(dtype) for name, p in model.named_parameters() if not name.startswith("q_head.")}
    return lambda *args, **named: functional_call(model, cast, args, named)


def answered(model: Reasoner, data: Mapping[str, Tensor]) -> Tensor | None:
    """Return the inputs with the answers in their place, (b, s), for a model with a decoder; else None."""
    if model.decoder is None:
        return None
    return torch.where(data["labels"] == IGNORE, data["inputs"], data["labels"])


@dataclass(frozen=True, kw_only=True)
class LossSettings(Settings):
    """The losses of a run and their weights, 0 for off.

    Attributes:
        kind: the cross-entropy of the labels.
        label_smoothing: see `softmax_cross_entropy`.
        class_weights: none, or balanced: with one label an example its loss counts the more, the rarer the
            label is in training, so that all labels together count the same.
        lm: weight of the loss of the labels.
        q_halt: weight of the halting loss.
        q_continue: weight of the loss of its second head, with halting.rule=q_learning.
        reward: reward of what a memory chose in a supervision step. fall: of the loss of the labels over
            the step; exact: whether the answer is exact after it. Both are 0 for feedback, which has no
            labels.
        returns: what a choice is credited with: the reward of its supervision step, or its return over the
            episode, that reward and those of all later steps: so a write is credited with later answers.
        discount: factor on a later reward for each supervision step between, with returns=episode.
        baseline: what a reward is compared with: the mean of the other examples, or 0.
        memory: weights of the losses that the memory declares (`HModule.losses`), by name; on the command
            line `loss.NAME`. None is the weight that the loss is declared with.
    """

    FILE: ClassVar[str] = "train"
    GROUP: ClassVar[str] = "loss"

    kind: Literal["stablemax", "softmax"]
    label_smoothing: float
    class_weights: Literal["none", "balanced"]
    lm: float
    q_halt: float
    q_continue: float
    reward: Literal["fall", "exact"]
    returns: Literal["step", "episode"]
    discount: float
    baseline: Literal["leave_one_out", "none"]
    memory: dict[str, float | None]

    def __post_init__(self):
        super().__post_init__()
        s = self.label_smoothing
        allowed = "0 to below 1" if self.kind == "softmax" else "0 with loss.kind=stablemax"
        require(0 <= s < 1 and (s == 0 or self.kind == "softmax"), "loss.label_smoothing", s, allowed)
        require(0 <= self.discount <= 1, "loss.discount", self.discount, "0 to 1")
        given = {name: convert(value, float | None, f"loss.{name}") for name, value in self.memory.items()}
        object.__setattr__(self, "memory", given)
        own = {name: value for name, value in given.items() if value is not None}
        for name, weight in {
            "lm": self.lm,
            "q_halt": self.q_halt,
            "q_continue": self.q_continue,
            **own,
        }.items():
            require(weight >= 0, f"loss.{name}", weight, "0 or above")

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Return settings with these values, and the default for everything else."""
        return cls.parse(values)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of a `loss` group, in which the losses of the memory stand beside the others.

        Raises:
            ValueError: the group is none, or a value is not allowed.
        """
        if not isinstance(values, Mapping):
            return build(cls, values)  # Which says what is wrong.
        fixed = {one.name for one in fields(cls)} - {"memory"}
        memory = {name: value for name, value in values.items() if name not in fixed}
        return build(cls, {**{name: values[name] for name in fixed & values.keys()}, "memory": memory})

    @property
    def judges(self) -> bool:
        """Whether the model learns to tell how sure it is."""
        return self.q_halt > 0

    def flat(self) -> dict[str, Any]:
        """Return the group of which `parse` makes these settings."""
        values = asdict(self)
        return values | values.pop("memory")

    def weights(self, halting: Halting, h_module: HModule) -> dict[str, float]:
        """Return the weights of the losses that a run with this halting rule and this memory has.

        Raises:
            ValueError: a loss is asked for that this memory does not declare, or it declares one by a name
                that is taken.
        """
        declared, name = h_module.losses, h_module.settings.name
        taken = sorted(declared.keys() & {one.name for one in fields(self)})
        allowed = f"a memory whose losses have other names than {', '.join(taken)}"
        require(not taken, "memory.module", h_module.settings.module, allowed)
        has = f"it has {', '.join(sorted(declared))}" if declared else "it has none"
        for loss, weight in self.memory.items():
            allowed = f"0, since memory={name} has nothing for it; {has}"
            require(not weight or loss in declared, f"loss.{loss}", weight, allowed)
        weights = {"lm": self.lm, "q_halt": self.q_halt}
        if halting.learns_to_continue:
            weights["q_continue"] = self.q_continue
        for loss, own in declared.items():
            weight = self.memory.get(loss)
            weights[loss] = own.weight if weight is None else weight
        return {loss: weight for loss, weight in weights.items() if weight > 0 or loss not in declared}


class Occasion(NamedTuple):
    """What a supervision step is for, the same for all rows of a batch.

    Attributes:
        told: whether it tells something, as in `Guide`.
        H_cycles: its H-cycles; None: as many as the settings say.
    """

    told: bool = False
    H_cycles: int | None = None


QUESTION = Occasion()


class Supervised(NamedTuple):
    """The result of a supervision step.

    Attributes:
        state: the state after it.
        out: what the model says.
        graded: the scores of its answers.
        losses: the losses by name, as sums over the batch, without those of the memory.
        q_target: the target of q_continue, (b,), where that is learned.
        reward: the reward of what the memory chose, (b,), where one of its losses asks for it.
    """

    state: State
    out: Output
    graded: Graded
    losses: dict[str, Tensor]
    q_target: Tensor | None
    reward: Tensor | None


class SupervisionStep(nn.Module):
    """Runs the model on a refilled carry and computes its losses."""

    def __init__(
        self,
        model: Reasoner,
        halting: Halting,
        loss: LossSettings,
        dtype: torch.dtype,
        label_weights: Tensor | None = None,
    ):
        """Take the parts of a supervision step.

        Args:
            model: the model.
            halting: the halting rule.
            loss: the settings of the losses.
            dtype: the type in which the model computes.
            label_weights: a factor on the loss of each label, (v,); None: 1.
        """
        super().__init__()
        self.model = model
        self.halting = halting
        self.cross_entropy = CROSS_ENTROPY[loss.kind]
        if loss.label_smoothing:
            require(model.shape.labels_from == 0, "loss.label_smoothing", loss.label_smoothing,
                    "0, since some tokens of these data are never labels")  # fmt: skip
            self.cross_entropy = partial(softmax_cross_entropy, smoothing=loss.label_smoothing)
        if label_weights is not None:
            base, weights = self.cross_entropy, label_weights

            def weighted(logits: Tensor, labels: Tensor) -> Tensor:
                return base(logits, labels) * weights[labels.clamp(min=0).long()]

            self.cross_entropy = weighted
        self.reward = loss.reward
        self.rewards = any(own.needs_reward for own in model.H_module.losses.values())
        self.dtype = dtype

    def forward(
        self,
        carry: Carry,
        puzzle_rows: Tensor | None,
        noise: Tensor | None = None,
        occasion: Occasion = QUESTION,
        feedback: Tensor | None = None,
    ) -> Supervised:
        """Run one supervision step.

        Args:
            carry: the carry, refilled.
            puzzle_rows: the puzzle table's rows of its examples, (b, e); None without a table.
            noise: as in `Guide`.
            occasion: what the step is for.
            feedback: as in `Guide`; None: none.
        """
        run = in_precision(self.model, self.dtype)
        inputs, labels, mask = carry.data["inputs"], carry.data["labels"], carry.data.get("mask")
        known = answered(self.model, carry.data)

        def judge(z_H: Tensor) -> Tensor:
            return token_losses(self.model.logits(z_H, known, mask), labels, self.cross_entropy)

        guide = Guide(
            noise,
            None if occasion.told else judge,
            told=occasion.told,
            H_cycles=occasion.H_cycles,
            address=carry.data.get("address"),
            feedback=feedback,
            continues=carry.steps > 0,
            groups=carry.data.get("groups"),
            known=known,
        )
        state, out = run(carry.state, inputs, puzzle_rows, guide, mask)

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
                guide = guide._replace(judge=None, continues=torch.ones_like(asked))
                with torch.no_grad():
                    _, ahead = run(state, inputs, puzzle_rows, guide, mask)
                    target = q_target(ahead.q_halt, ahead.q_continue, last)
                losses["q_continue"] = halting_loss(out.q_continue, target, asked)
            else:  # The step before this one said q_continue of the state that the carry brought here.
                _, said = self.model.q_values(carry.state.z_H, mask)
                target = q_target(out.q_halt, out.q_continue, torch.zeros_like(last)).detach()
                losses["q_continue"] = halting_loss(said, target, asked & (carry.steps > 0))
        reward = None
        if self.rewards:
            reward = graded.exact.float()
            if self.reward == "fall":
                with torch.no_grad():
                    after = token_losses(out.logits, labels, self.cross_entropy)
                    reward = judge(carry.state.z_H) - after
        return Supervised(state, out, graded, losses, target, reward)
