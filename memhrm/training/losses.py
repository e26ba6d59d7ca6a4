"""Everything that yields a scalar to differentiate. Each loss is a sum over the examples of the batch.

b batch, s token, v vocabulary.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.data.sampler import IGNORE
from memhrm.data.score import score
from memhrm.nn.layers import masked_mean

CrossEntropy = Callable[[Tensor, Tensor], Tensor]
"""(logits (b, s, v), labels (b, s)) to the loss of each label, (b, s), 0 where there is none."""


def widened(tensor: Tensor) -> Tensor:
    """Return the tensor in float64, or in float32 on a device that has no other (mps)."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


def _stable(logits: Tensor) -> Tensor:
    """Return s(v) of `stablemax_cross_entropy`, (..., v)."""
    logits = widened(logits)
    return torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))


def stablemax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy under stablemax, in float64 where the device has it, (b, s).

    p_i = s(v_i) / sum_j s(v_j) with s(v) = v + 1 for v >= 0 and 1 / (1 - v) below.
    Prieto et al. 2025, arXiv 2501.04697.
    """
    scores = _stable(logits)
    chosen = scores.gather(-1, labels.clamp(min=0).long().unsqueeze(-1)).squeeze(-1)
    loss = scores.sum(dim=-1).log() - chosen.log()
    return torch.where(labels != IGNORE, loss, 0)


def softmax_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy under softmax, in float32, (b, s).

    Args:
        logits: (b, s, v).
        labels: (b, s).
        smoothing: share of the target that is spread evenly over the vocabulary (Szegedy et al. 2016, arXiv
            1512.00567).
    """
    flat = F.cross_entropy(
        logits.float().flatten(0, 1),
        labels.long().flatten(),
        ignore_index=IGNORE,
        reduction="none",
        label_smoothing=smoothing,
    )
    return flat.view(labels.shape)


def stablemax(logits: Tensor) -> Tensor:
    """Return the probabilities that `stablemax_cross_entropy` is of, (..., v)."""
    scores = _stable(logits)
    return scores / scores.sum(dim=-1, keepdim=True)


def softmax(logits: Tensor) -> Tensor:
    """Return the probabilities that `softmax_cross_entropy` is of, (..., v)."""
    return logits.float().softmax(dim=-1)


def confidence(logits: Tensor, loss: str, asked: Tensor | None = None) -> Tensor:
    """Return how sure a model is of its answers: the mean probability of their tokens, or of the label, (b,).

    Args:
        logits: (b, s, v); (b, 1, C + 1) with one label per example.
        loss: name of the cross-entropy, which says what the probabilities are.
        asked: which labels are asked for, (b, s) or (b, 1) bool; None: all. Where there is none, it is 0.
    """
    surest = PROBABILITIES[loss](logits).amax(dim=-1, keepdim=True)
    return masked_mean(surest, asked).squeeze(-1)


CROSS_ENTROPY: dict[str, CrossEntropy] = {
    "stablemax": stablemax_cross_entropy,
    "softmax": softmax_cross_entropy,
}
PROBABILITIES: dict[str, Callable[[Tensor], Tensor]] = {"stablemax": stablemax, "softmax": softmax}
"""What each cross-entropy takes for the probabilities of the vocabulary."""


class Graded(NamedTuple):
    """Scores of each example, (b,): the share of its labels that are right, and whether all are."""

    accuracy: Tensor
    exact: Tensor


def grade(logits: Tensor, labels: Tensor) -> Graded:
    """Return the scores of the most likely labels.

    `memhrm.data.score` says when an answer is exact.
    """
    found = score(labels != IGNORE, logits.argmax(dim=-1), labels)
    return Graded(found.right / found.total.clamp(min=1), found.exact)


def token_losses(logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
    """Return each example's mean cross-entropy over its labels, (b,)."""
    labelled = (labels != IGNORE).sum(dim=-1).clamp(min=1)
    return (cross_entropy(logits, labels) / labelled.unsqueeze(-1)).sum(dim=-1)


def token_loss(logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
    """Return the sum of the examples' losses."""
    return token_losses(logits, labels, cross_entropy).sum()


def halting_loss(q: Tensor, target: Tensor, rows: Tensor | None = None) -> Tensor:
    """Return the binary cross-entropy of a Q-value with its target, summed over the rows, or over all."""
    loss = F.binary_cross_entropy_with_logits(q, target.to(q.dtype), reduction="none")
    return (loss if rows is None else torch.where(rows, loss, 0)).sum()


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the scalar that is differentiated.

    Raises:
        ValueError: a loss has no weight, or a weight no loss.
    """
    if losses.keys() != weights.keys():
        raise ValueError(f"losses {sorted(losses)} and loss weights {sorted(weights)} are not the same")
    return torch.stack([weights[name] * widened(loss) for name, loss in losses.items()]).sum()
