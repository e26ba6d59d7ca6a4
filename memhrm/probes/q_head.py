"""The Q-head: its calibration, and what selecting among restarts by it is worth.

n puzzles, K restarts, B bins.
"""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.calibration import calibration_curve

from memhrm.config.settings import require
from memhrm.evaluation.intervals import paired
from memhrm.evaluation.restarts import RULES, Attempts
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject


def calibration(q_halt: np.ndarray, exact: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Compare sigmoid(q_halt) with the share of answers that are exact.

    After Guo et al. 2017, arXiv 1706.04599.

    Args:
        q_halt: the Q-head's logits, of any shape.
        exact: whether the answers are exact, of the same shape.
        bins: the number of bins, of equal width; a probability on a border counts to the lower one.

    Returns:
        `edges` (B + 1,); `counts` (B,); `predicted` and `right` (B,), the mean probability and the share of
        exact answers of a bin, nan where it is empty; and `ece`, the expected calibration error: the mean
        distance of the two, weighted by the counts.
    """
    require(bins >= 1, "bins", bins, "1 or above")
    p, right = expit(np.ravel(q_halt).astype(np.float64)), np.ravel(exact).astype(bool)
    require(len(p) == len(right) > 0, "answers", len(p), f"as many as in exact ({len(right)}), 1 or above")
    edges = np.linspace(0, 1, bins + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], p), minlength=bins)
    curves = np.full((2, bins), np.nan)
    curves[:, counts > 0] = calibration_curve(right, p, n_bins=bins)
    ece = np.nansum(counts * np.abs(curves[0] - curves[1])) / len(p)
    return {"edges": edges, "counts": counts, "predicted": curves[1], "right": curves[0], "ece": float(ece)}


def restarts(
    subject: Subject,
    restarts: int,
    noise: float,
    *,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    first: Rollout | None = None,
) -> dict[str, np.ndarray]:
    """Return the exact accuracy of the restart that each rule selects among the first K.

    K is 1, 2, 4, ... and `restarts`, all from one set of runs; the accuracy equals that of
    `python -m memhrm.evaluate restarts=K noise=... select=...`.

    Args:
        subject: the model and its puzzles.
        restarts: the most restarts.
        noise: standard deviation of the normal noise on z_H and z_L before each supervision step; the first
            restart has none.
        steps: supervision steps; None: those of training.
        seed: of the noise.
        batch_size: puzzles of a batch.
        first: the first restart, if it is at hand: the rollout of the same puzzles without noise.

    Returns:
        `restarts`, the values of K, (C,); `single`, the accuracy of each restart by itself, (restarts,); by
        each rule of `memhrm.evaluation.restarts` (q, residual, majority, oracle) the accuracy, (C,), where
        the oracle sees the labels; and `gain`, by how much the highest Q of all restarts is exact more often
        than the first restart, with its 95 % interval (`paired`), (change, low, high).
    """
    require(restarts >= 1, "restarts", restarts, "1 or above")
    require(noise > 0 or restarts == 1, "noise", noise, f"above 0, with restarts={restarts}")
    steps = subject.halt_max_steps if steps is None else steps
    if first is not None:
        require(len(first) == steps, "the steps of the first restart", len(first), str(steps))
    runs = [
        first
        if first is not None and restart == 0
        else rollout(
            subject, steps, noise=noise * bool(restart), seed=seed, restart=restart, batch_size=batch_size
        )
        for restart in range(restarts)
    ]
    ends = [(run.tokens[-1], run.q_halt[-1], run.residual["z_H"][-1], run.exact[-1]) for run in runs]
    every = Attempts(*(np.stack(values) for values in zip(*ends)))
    counts = sorted({restarts, *(2**i for i in range(restarts.bit_length()))})

    def kept(rule: str, count: int) -> np.ndarray:
        some = Attempts(*(values[:count] for values in every))
        return np.take_along_axis(some.exact, RULES[rule](some)[None], axis=0)[0]

    return {
        "restarts": np.array(counts),
        "single": every.exact.mean(axis=1),
        **{rule: np.array([kept(rule, count).mean() for count in counts]) for rule in RULES},
        "gain": np.array(paired(kept("q", restarts), every.exact[0], pseudo=True)),
    }
