"""Accuracy of the answers after each supervision step, up to any depth.

S supervision steps, n puzzles.
"""

from typing import Any

import numpy as np

from memhrm.probes.rollout import Rollout


def over_steps(rollout: Rollout) -> dict[str, Any]:
    """Return the accuracy of the answers after each supervision step, also beyond those of training.

    After HRM, arXiv 2506.21734, which shows accuracy against the steps spent in inference.

    Returns:
        `exact` and `token_accuracy`, the share of puzzles solved and the mean share of labelled tokens that
        are right, (S,) each; `first_solved`, the step, from 1, after which a puzzle is first solved, (n,), 0
        for never; and `unsolved_again`, the share of puzzles that are solved after some step and not after
        the last.
    """
    exact = rollout.exact
    ever = exact.any(axis=0)
    first = np.where(ever, exact.argmax(axis=0) + 1, 0)
    return {
        "exact": exact.mean(axis=1),
        "token_accuracy": rollout.accuracy.mean(axis=1, dtype=np.float64),
        "first_solved": first,
        "unsolved_again": float((ever & ~exact[-1]).mean()),
    }
