"""Memory cells: which are active, how that changes, and how similar the cells are.

S supervision steps, H H-steps of each, n puzzles, N cells, k active cells, l tokens of a cell (its CLS
first), d width. `traces` are those of a rollout: "indices", (S, H, n, k), and "scores", (S, H, n, N).
"""

from collections.abc import Mapping

import numpy as np
from scipy.stats import entropy

from memhrm.probes.dynamics import pca

Traces = Mapping[str, np.ndarray]


def active_cells(traces: Traces) -> np.ndarray:
    """Return whether each cell is active, (S, H, n, N) bool."""
    active = np.zeros(traces["scores"].shape, dtype=bool)
    np.put_along_axis(active, traces["indices"], True, axis=-1)
    return active


def selection_counts(traces: Traces) -> np.ndarray:
    """Return in how many of its H-steps each puzzle has each cell active, (n, N)."""
    return active_cells(traces).sum(axis=(0, 1))


def usage(traces: Traces) -> np.ndarray:
    """Return the share of puzzles for which each cell is active, (S, H, N); it sums to k over the cells."""
    return active_cells(traces).mean(axis=2)


def weight_shares(traces: Traces) -> np.ndarray:
    """Return each cell's share of the weight alpha over all H-steps of all puzzles, (N,).

    A cell can be selected often and still carry little weight.
    """
    by_cell = np.zeros(traces["scores"].shape, np.float64)
    np.put_along_axis(by_cell, traces["indices"], traces["alpha"].astype(np.float64), axis=-1)
    total = by_cell.sum(axis=(0, 1, 2))
    return total / max(total.sum(), 1e-12)


def usage_entropy(shares: np.ndarray) -> dict[str, np.ndarray]:
    """Return the entropy of usage, (..., N), divided by its sum.

    Returns:
        `nats`, at most log N, and `share`, that of log N, 1 where there is one cell, (...) each.
    """
    nats, most = np.asarray(entropy(shares, axis=-1)), np.log(shares.shape[-1])
    return {"nats": nats, "share": nats / most if most > 0 else np.ones_like(nats)}


def switching(traces: Traces) -> dict[str, np.ndarray]:
    """Return the share of a puzzle's active cells that were not active before, mean over puzzles.

    Returns:
        `H_steps`, (S, H - 1), from one H-step to the next one of the same supervision step; and
        `supervision`, (S - 1,), from an H-step to the same H-step of the next supervision step, mean over
        H-steps. A fixed schedule over the H-steps shows in the first and not in the second.
    """
    active = active_cells(traces)
    k = active[0, 0, 0].sum()

    def changed(after: np.ndarray, before: np.ndarray) -> np.ndarray:
        return (after & ~before).sum(axis=-1).mean(axis=-1) / k

    return {
        "H_steps": changed(active[:, 1:], active[:, :-1]),
        "supervision": changed(active[1:], active[:-1]).mean(axis=1),
    }


def dead_cells(traces: Traces) -> np.ndarray:
    """Return the cells that no puzzle ever selects, in ascending order."""
    return np.flatnonzero(~active_cells(traces).any(axis=(0, 1, 2)))


def co_selection(traces: Traces) -> dict[str, np.ndarray]:
    """Return how often two cells are active together; the diagonal is how often each is active.

    Returns:
        (N, N) each: `together`, the share of all H-steps of all puzzles; `independent`, the same for cells
        that are selected independently at the same rates, k at a time; and `ratio`, the first divided by the
        second, nan where there is nothing to compare (two cells of which k=1 takes one).
    """
    active = active_cells(traces)
    k = int(active[0, 0, 0].sum())
    rows = active.reshape(-1, active.shape[-1]).astype(np.float64)
    together = rows.T @ rows / len(rows)
    independent = _independent(np.diag(together), k)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(independent > 1e-12, together / independent, np.nan)
    return {"together": together, "independent": independent, "ratio": ratio}


def _independent(p: np.ndarray, k: int, rounds: int = 500) -> np.ndarray:
    """Return how often pairs occur, (N, N), among independent choices p (N,), given that they are k cells.

    The probability of a set A is proportional to the product of weights w_i over A; p_i p_j alone would be
    wrong, since an active cell takes one of k places. The weights are found by the iteration of Chen,
    Dempster & Liu 1994, Biometrika 81(3).
    """
    joint = np.outer(p, p)  # Right for cells that are always or never active.
    always = p > 1 - 1e-9
    free = np.flatnonzero((p > 1e-9) & ~always)
    q, places = p[free], k - int(always.sum())
    if len(free):
        w, one = q / (1 - q), np.eye(len(q), dtype=bool)
        for _ in range(rounds):
            inclusion = w * _sums(w, one, places - 1)
            inclusion *= places / inclusion.sum()
            if np.abs(inclusion - q).max() < 1e-6:
                break
            w = w * q / inclusion
            w /= np.exp(np.log(w).mean())  # Their scale is free.
        two = (one[:, None] | one[None]).reshape(-1, len(q))
        pairs = np.outer(w, w) * _sums(w, two, places - 2).reshape(len(q), len(q)) * ~one
        if places > 1:
            pairs *= places * (places - 1) / pairs.sum()
        joint[np.ix_(free, free)] = pairs
    np.fill_diagonal(joint, p)
    return joint


def _sums(w: np.ndarray, without: np.ndarray, size: int) -> np.ndarray:
    """Return the sum over subsets of this size of the product of their weights w (N,), (m,).

    Row i is without the cells that row i of `without` (m, N) marks. The sum is 0 for a negative size.
    """
    sums = np.zeros((max(size, 0) + 1, len(without)))
    sums[0] = size >= 0
    for weight, left_out in zip(w, without.T):
        sums[1:] += np.where(left_out, 0.0, weight) * sums[:-1]
    return sums[-1]


def _cosine(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of cells, mean over puzzles: (S + 1, n, N, d) to (S + 1, N, N)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return np.mean(unit @ unit.swapaxes(-1, -2), axis=1)


def cosines(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cosine of each pair of cells after each step, mean over puzzles.

    Args:
        cells: a memory over steps, (S + 1, n, N, l, d).

    Returns:
        (S + 1, N, N) each: `cls`, and `contents`, of the mean of a cell's other tokens.
    """
    return {"cls": _cosine(cells[..., 0, :]), "contents": _cosine(cells[..., 1:, :].mean(axis=-2))}


def mean_cosine(matrix: np.ndarray) -> float:
    """Return the mean absolute cosine of two different cells, from their (N, N) cosines; nan for one cell."""
    n = matrix.shape[-1]
    return float(np.abs(matrix[~np.eye(n, dtype=bool)]).mean()) if n > 1 else float("nan")


def cls_trajectories(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Return the path of each cell's CLS in the plane of the first two principal components.

    Args:
        cells: a memory over steps, (S + 1, n, N, l, d).

    Returns:
        `points`, (S + 1, n, N, 2), and `explained`, (2,), the shares of the variance that the axes hold.
    """
    cls = cells[..., 0, :]
    points, explained = pca(cls.reshape(len(cls), -1, cls.shape[-1]))
    return {"points": points.reshape(*cls.shape[:-1], 2), "explained": explained}
