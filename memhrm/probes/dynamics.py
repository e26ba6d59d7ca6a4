"""Dynamics of the state: does it converge, and does it converge where the answer is right?

S supervision steps, n puzzles, t positions, d width. Source: HRM, arXiv 2506.21734, shows residuals of z_H
and z_L and their trajectories in the plane of the two main components. Here the memory is beside them,
correct and incorrect answers are apart, and trajectories come from several starts, since Ren and Liu 2026,
arXiv 2601.10679, report several fixed points of one puzzle, not all of them its solution.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from memhrm.config.settings import require
from memhrm.models.recursion import State
from memhrm.probes.intervals import NORMAL
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject

Summary = dict[str, np.ndarray]
"""mean, and low, median and high, the quartiles, over the puzzles at each step, (S,); nan without any."""


def residuals(seen: Rollout) -> dict[str, dict[str, Any]]:
    """Return the relative change at each supervision step, |z' - z| / |z|, of z_H, z_L and the memory.

    A state that has found a fixed point has a residual of 0.

    Returns by name: all, correct and incorrect (by the last answer), a `Summary` each; and auroc, of
    `residual_auroc`.
    """
    areas = residual_auroc(seen)
    return {name: {**_apart(z, seen.exact[-1]), "auroc": areas[name]} for name, z in seen.residual.items()}


def residual_auroc(seen: Rollout) -> dict[str, float]:
    """Return the AUROC of a low last residual as a predictor of a correct answer, by name.

    It is 1 if every correct answer has a lower residual than every incorrect one, 0.5 by chance, and lower if
    the states of correct answers move more.
    """
    return {name: auroc(-z[-1], seen.exact[-1]) for name, z in seen.residual.items()}


def norms(seen: Rollout) -> dict[str, dict[str, Summary]]:
    """Return the root mean square of z_H, z_L and the memory after each step.

    Nothing but `memory.state_norm=rms` keeps those of a memory from growing.

    Returns by name: all, correct and incorrect (by the last answer).
    """
    return {name: _apart(z, seen.exact[-1]) for name, z in seen.norm.items()}


def auroc(score: np.ndarray, correct: np.ndarray) -> float:
    """Return the probability that a correct answer has a higher score than an incorrect one, counting ties
    half.

    score and correct (bool), (n,); scores that are nan are left out. nan if all are correct, or none is.
    """
    known = ~np.isnan(score)
    score, correct = score[known], correct[known].astype(bool)
    right, wrong = int(correct.sum()), int((~correct).sum())
    if not right or not wrong:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (count.cumsum() - (count - 1) / 2)[place]  # From 1; equal scores share the mean of their ranks.
    return float((rank[correct].sum() - right * (right + 1) / 2) / (right * wrong))


def chance(correct: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the AUROC of a score that is independent of `correct`, (n,) bool.

    After Mann and Whitney 1947, Annals of Mathematical Statistics 18, by the normal approximation; nan if all
    are correct, or none is.
    """
    right, wrong = int(correct.sum()), int((~correct).sum())
    if not right or not wrong:
        return float("nan"), float("nan")
    half = NORMAL * ((right + wrong + 1) / (12 * right * wrong)) ** 0.5
    return max(0.5 - half, 0.0), min(0.5 + half, 1.0)


def pca(states: np.ndarray, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories in the plane of their first principal components.

    states: (trajectories, points, ...); everything behind is one vector. The components are those of all
    points of all trajectories together, about their mean. Each one's sign is such that its largest coordinate
    is positive.

    Returns:
        The coordinates, (trajectories, points, components), and the share of the whole variance that each
        component explains, (components,), 0 for a state that stands still.
    """
    x = states.reshape(states.shape[0] * states.shape[1], -1).astype(np.float64)
    x -= x.mean(axis=0)
    # Far more numbers than points: the products of the points have the same components, and are few.
    variances, directions = np.linalg.eigh(x @ x.T)
    order = np.argsort(-variances)[:components]
    variances = variances.clip(min=0)
    found = directions[:, order] * np.sqrt(variances[order])
    largest = found[np.abs(found).argmax(axis=0), range(found.shape[1])]
    coordinates = np.zeros((len(x), components))
    coordinates[:, : found.shape[1]] = found * np.where(largest < 0, -1, 1)
    shares = np.zeros(components)
    shares[: len(order)] = variances[order] / max(variances.sum(), np.finfo(float).tiny)
    return coordinates.reshape(*states.shape[:2], components), shares


def trajectories(
    subject: Subject, steps: int, *, puzzles: Sequence[int] = (0,), starts: int = 5, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the paths of z_H from several starts, for each puzzle in the plane of its principal components.

    Trajectories that end in one point have found the same fixed point from different starts.
    The first start is the model's own; the others are normal states, z_H and z_L each with the root mean
    square of the model's own, a function of seed, start and the puzzle's place. The memory starts as usual.

    Returns, p puzzles:
        points: (p, starts, S + 1, 2). shares: of the variance explained, (p, 2). exact: (p, starts, S).
        distance: root mean square of the difference of z_H to that from the model's own start, after each
        step, (p, starts, S + 1).
    """
    require(starts >= 1, "starts", starts, "1 or above")
    require(len(puzzles) >= 1, "puzzles", list(puzzles), "one or more")
    part = subject.select(np.repeat(np.asarray(puzzles), starts))
    seen = rollout(part, steps, start=_starts(part, starts, seed), keep=["z_H"])
    states = seen.states["z_H"].swapaxes(0, 1)
    states = states.reshape(len(puzzles), starts, steps + 1, -1)
    planes = [pca(of_one) for of_one in states]
    apart = (states - states[:, :1]).astype(np.float64)
    return {
        "points": np.stack([points for points, _ in planes]),
        "shares": np.stack([shares for _, shares in planes]),
        "exact": seen.exact.T.reshape(len(puzzles), starts, steps),
        "distance": np.sqrt(np.square(apart).mean(axis=-1)),
    }


def _starts(part: Subject, starts: int, seed: int) -> State:
    """Return the initial states; the first of each `starts` rows has the model's own."""
    state = part.initial_state()

    def drawn(z: torch.Tensor, which: int) -> torch.Tensor:
        rows = []
        for row, place in enumerate(part.numbered().tolist()):
            if row % starts == 0:
                rows.append(z[row])
                continue
            rng = np.random.default_rng((seed, row % starts, place, which, 0x57A7))
            normal = torch.from_numpy(rng.standard_normal(tuple(z.shape[1:]), dtype=np.float32))
            rows.append(normal.to(z) * z[row].float().square().mean().sqrt().to(z))
        return torch.stack(rows)

    return state._replace(z_H=drawn(state.z_H, 0), z_L=drawn(state.z_L, 1))


def _apart(values: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """Summarise (S, n) values for all puzzles, and for those answered correctly and incorrectly."""
    parts = {"all": values, "correct": values[:, correct], "incorrect": values[:, ~correct]}
    return {name: _summary(part) for name, part in parts.items()}


def _summary(values: np.ndarray) -> Summary:
    names = ("mean", "low", "median", "high")
    found = np.full((len(values), len(names)), np.nan)
    for step, row in enumerate(values):
        row = row[~np.isnan(row)].astype(np.float64)
        if len(row):
            found[step] = row.mean(), *np.quantile(row, (0.25, 0.5, 0.75))
    return dict(zip(names, found.T))
