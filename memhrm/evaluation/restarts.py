"""Several runs of one puzzle from disturbed states, and the rules that choose among their answers.

K restarts, b batch, s token, N cells. All rules are functions of arrays alone: (K, b, ...) in, the chosen
restart of each row, (b,), out; of equal ones the first.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from memhrm.models.recursion import State

Select = Literal["q", "residual", "majority", "oracle"]


class Answers(NamedTuple):
    """What b puzzles were answered, each at its last step; the row is the first axis of every tensor.

    tokens: (b, s). steps: supervision steps, (b,). q_halt: (b,). residual: the relative change of z_H over
    the last step, of which added noise is no part, (b,). exact: (b,) bool. exact_by_step: after each step,
    (b, steps) bool; a row that stopped keeps its answer. exact_share: the share of the restarts that are
    exact, (b,). lm_loss: (b,). confidence: the mean probability of the tokens that are asked for, or that
    of the one label, (b,). selected: how often each cell was, (b, N). state: after the last step.
    """

    tokens: Tensor
    steps: Tensor
    q_halt: Tensor
    residual: Tensor
    exact: Tensor
    exact_by_step: Tensor
    exact_share: Tensor
    lm_loss: Tensor
    confidence: Tensor
    selected: Tensor
    state: State


class Attempts(NamedTuple):
    """What K restarts say of b puzzles at each one's last step.

    tokens: (K, b, s). q_halt: (K, b). residual: the relative change of z_H over the last supervision step,
    (K, b). exact: whether the answer is right, (K, b).
    """

    tokens: np.ndarray
    q_halt: np.ndarray
    residual: np.ndarray
    exact: np.ndarray


def by_q(attempts: Attempts) -> np.ndarray:
    """Return the restart with the highest q_halt (PTRM, arXiv 2605.19943)."""
    return attempts.q_halt.argmax(axis=0)


def by_residual(attempts: Attempts) -> np.ndarray:
    """Return the restart whose z_H moved least in its last step (EqR, arXiv 2605.21488)."""
    return attempts.residual.argmin(axis=0)


def by_majority(attempts: Attempts) -> np.ndarray:
    """Return a restart with the most frequent answer (Wang et al. 2022, arXiv 2203.11171).

    Ties between answers go to the higher mean q_halt. Of the restarts that give the answer, the one with the
    highest q_halt is returned.
    """
    tokens, q = attempts.tokens, attempts.q_halt.astype(np.float64)
    votes, mean_q = np.zeros(q.shape, int), np.zeros(q.shape)
    for i in range(len(tokens)):  # One at a time: K x K x b x s comparisons at once may not fit.
        same = (tokens == tokens[i]).all(axis=-1)
        votes[i] = same.sum(axis=0)
        mean_q[i] = np.where(same, q, 0).sum(axis=0) / votes[i]
    best = votes == votes.max(axis=0)
    best &= mean_q == np.where(best, mean_q, -np.inf).max(axis=0)
    return np.where(best, q, -np.inf).argmax(axis=0)


def by_oracle(attempts: Attempts) -> np.ndarray:
    """Return a restart whose answer is right, or the first: an upper bound, since it sees the labels."""
    return attempts.exact.argmax(axis=0)


RULES: dict[str, Callable[[Attempts], np.ndarray]] = {
    "q": by_q,
    "residual": by_residual,
    "majority": by_majority,
    "oracle": by_oracle,
}


def chosen(select: str, restarts: Sequence[Answers]) -> Answers:
    """Return, for each row, the answer of the restart that the rule `select` chooses."""
    found = (torch.stack([getattr(one, name) for one in restarts]) for name in Attempts._fields)
    which = torch.from_numpy(RULES[select](Attempts(*(each.cpu().numpy() for each in found))))
    which = which.to(restarts[0].tokens.device)
    rows = torch.arange(len(which), device=which.device)
    best = pytree.tree_map(lambda *one: torch.stack(one)[which, rows], *restarts)
    return best._replace(exact_share=torch.stack([one.exact_share for one in restarts]).mean(dim=0))


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """|after - before| / |before| of each row, (b, ...) to (b,), in float32."""
    before, after = before.float().flatten(1), after.float().flatten(1)
    return (after - before).norm(dim=1) / before.norm(dim=1).clamp(min=1e-12)
