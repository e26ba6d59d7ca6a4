"""The Q-head: its calibration, and what choosing among restarts by it is worth.

n puzzles, K restarts, B bins.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from memhrm.config.settings import require
from memhrm.evaluation.restarts import RULES, Attempts
from memhrm.probes.intervals import paired
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject


def calibration(q_halt: np.ndarray, exact: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Compare sigmoid(q_halt) with the share of answers that are exact, after Guo et al. 2017, arXiv
    1706.04599.

    q_halt, exact: of any equal shape. bins: how many, of equal width; a probability on a border
    counts to the lower one.

    Returns edges (B + 1,), counts (B,), predicted and right (B,), the mean probability and the share of exact
    answers of a bin, nan where it is empty, and ece, the expected calibration error: the mean distance of the
    two, weighted by the counts.
    """
    require(bins >= 1, "bins", bins, "1 or above")
    q, right = np.ravel(q_halt).astype(np.float64), np.ravel(exact).astype(np.float64)
    require(len(q) == len(right) > 0, "answers", len(q), f"as many as in exact ({len(right)}), 1 or above")
    p = 0.5 * (1 + np.tanh(q / 2))  # The sigmoid, without overflow.
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], p, side="left")
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (p, right)]
    predicted, share = (np.where(counts, total / np.maximum(counts, 1), np.nan) for total in sums)
    return {
        "edges": edges,
        "counts": counts,
        "predicted": predicted,
        "right": share,
        "ece": float(np.abs(sums[0] - sums[1]).sum() / len(q)),
    }


def restarts(
    subject: Subject,
    restarts: int,
    noise: float,
    *,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    first: Rollout | None = None,
    progress: Callable[[int], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Return the exact accuracy of the best of the first K restarts, for K = 1, 2, 4, ... and `restarts`,
    chosen by each rule from one set of runs; as `python -m memhrm.evaluate restarts=K noise=... select=...`.

    noise: deviation of the normal noise on z_H and z_L before each supervision step; the first restart runs
    without. steps: supervision steps; None: those of training. first: the first restart, if it is at hand:
    the rollout of the same puzzles and as many steps without noise. progress: as of `rollout`, of which there
    are as many as restarts.

    Returns restarts, the K (C,); single, the accuracy of each restart by itself (restarts,); and by each rule
    of `memhrm.evaluation.restarts` (q, residual, majority, oracle) the accuracy (C,). The oracle sees the
    labels. gain: by how much the highest Q of all restarts is right more often than the first restart, with
    its 95 % interval over the puzzles (`memhrm.probes.intervals.paired`), (change, low, high).
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
            subject,
            steps,
            noise=noise if restart else 0.0,
            seed=seed,
            restart=restart,
            batch_size=batch_size,
            progress=progress,
        )
        for restart in range(restarts)
    ]
    said = [(run.tokens[-1], run.q_halt[-1], run.residual["z_H"][-1], run.exact[-1]) for run in runs]
    every = Attempts(*(np.stack(values) for values in zip(*said)))
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
