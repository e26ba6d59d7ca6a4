"""Dynamics of the state: does it converge, and does it converge where the answer is right?

HRM, arXiv 2506.21734, shows residuals of z_H and z_L and their trajectories in the plane of the two main
components. Here the memory is shown too, correct and incorrect answers are told apart, and trajectories begin
at several starts, since Ren and Liu 2026, arXiv 2601.10679, report several fixed points of one puzzle, not
all of them its solution.

S supervision steps, n puzzles, t positions, d width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu, norm
from sklearn.decomposition import PCA

from memhrm.config.settings import require
from memhrm.models.recursion import State
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject

Quartiles = dict[str, np.ndarray]
"""mean, and low, median and high, the quartiles, over the puzzles at each step, (S,); nan without any."""


def residuals(rollout: Rollout) -> dict[str, dict[str, Any]]:
    """Return the relative change at each supervision step, |z' - z| / |z|, of z_H, z_L and the memory.

    A state that has found a fixed point has a residual of 0.

    Returns:
        By name: `all`, `correct` and `incorrect` (by the last answer), a `Quartiles` each; and `auroc`, of
        `residual_auroc`.
    """
    areas = residual_auroc(rollout)
    return {
        name: {**_by_outcome(z, rollout.exact[-1]), "auroc": areas[name]}
        for name, z in rollout.residual.items()
    }


def residual_auroc(rollout: Rollout) -> dict[str, float]:
    """Return the AUROC of a low last residual as a predictor of a correct answer, by name.

    It is 1 if every correct answer has a lower residual than every incorrect one, 0.5 by chance, and lower if
    the states of correct answers move more.
    """
    return {name: auroc(-z[-1], rollout.exact[-1]) for name, z in rollout.residual.items()}


def norms(rollout: Rollout) -> dict[str, dict[str, Quartiles]]:
    """Return the root mean square of z_H, z_L and the memory after each step.

    Nothing but `memory.state_norm=rms` keeps those of a memory from growing.

    Returns:
        By name: `all`, `correct` and `incorrect` (by the last answer), a `Quartiles` each.
    """
    return {name: _by_outcome(z, rollout.exact[-1]) for name, z in rollout.norm.items()}


def auroc(score: np.ndarray, correct: np.ndarray) -> float:
    """Return the probability that a correct answer has a higher score than an incorrect one.

    Ties count half.

    Args:
        score: of each answer, (n,); nan where there is none, which leaves the answer out.
        correct: whether each answer is correct, (n,).

    Returns:
        The area under the ROC curve; nan if all answers are correct, or none is.
    """
    score, correct = score.astype(np.float64), correct.astype(bool)
    known = ~np.isnan(score)
    right, wrong = score[known & correct], score[known & ~correct]
    if not len(right) or not len(wrong):
        return float("nan")
    # Of scikit-learn's roc_auc_score the same, but that refuses infinite scores.
    return float(mannwhitneyu(right, wrong, method="asymptotic").statistic / (len(right) * len(wrong)))


def chance(correct: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the AUROC of a score that is independent of `correct`, (n,) bool.

    After Mann and Whitney 1947, Annals of Mathematical Statistics 18, by the normal approximation; nan if all
    are correct, or none is.
    """
    right, wrong = int(correct.sum()), int((~correct).sum())
    if not right or not wrong:
        return float("nan"), float("nan")
    low, high = norm.interval(0.95, 0.5, ((right + wrong + 1) / (12 * right * wrong)) ** 0.5)
    return max(float(low), 0.0), min(float(high), 1.0)


def pca(states: np.ndarray, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories in the plane of their first principal components.

    The components are those of all points of all trajectories together, about their mean. Each one's sign is
    such that its largest coordinate is positive.

    Args:
        states: (trajectories, points, ...); everything behind is one vector.
        components: how many.

    Returns:
        The coordinates, (trajectories, points, components), and the share of the whole variance that each
        component explains, (components,), 0 for a state that stands still.
    """
    x = states.reshape(states.shape[0] * states.shape[1], -1).astype(np.float64)
    x -= x.mean(axis=0)
    coordinates, shares = np.zeros((len(x), components)), np.zeros(components)
    if x.any():
        axes = PCA(min(components, *x.shape), svd_solver="full")
        found = axes.fit_transform(x)
        largest = found[np.abs(found).argmax(axis=0), range(found.shape[1])]
        coordinates[:, : found.shape[1]] = found * np.where(largest < 0, -1, 1)
        shares[: found.shape[1]] = axes.explained_variance_ratio_
    return coordinates.reshape(*states.shape[:2], components), shares


def trajectories(
    subject: Subject, steps: int, *, puzzles: Sequence[int] = (0,), starts: int = 5, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the paths of z_H from several starts, for each puzzle in the plane of its principal components.

    Trajectories that end in one point have found the same fixed point from different starts.
    The first start is the model's own; the others are normal states, z_H and z_L each with the root mean
    square of the model's own, a function of seed, start and the puzzle's place. The memory starts as usual.

    Args:
        subject: the model and its puzzles.
        steps: supervision steps, S.
        puzzles: the rows of p puzzles.
        starts: starts of each puzzle.
        seed: of the random starts.

    Returns:
        `points`, (p, starts, S + 1, 2); `shares` of the variance that the axes explain, (p, 2); `exact`,
        (p, starts, S); and `distance`, (p, starts, S + 1), the root mean square of the difference of z_H to
        that from the model's own start.
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


def _by_outcome(values: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """Summarise (S, n) values for all puzzles, and for those answered correctly and incorrectly."""
    parts = {"all": values, "correct": values[:, correct], "incorrect": values[:, ~correct]}
    return {name: _quartiles(part) for name, part in parts.items()}


def _quartiles(values: np.ndarray) -> Quartiles:
    names = ("mean", "low", "median", "high")
    found = np.full((len(values), len(names)), np.nan)
    for step, row in enumerate(values):
        row = row[~np.isnan(row)].astype(np.float64)
        if len(row):
            found[step] = row.mean(), *np.quantile(row, (0.25, 0.5, 0.75))
    return dict(zip(names, found.T))
