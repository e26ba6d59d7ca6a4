"""Selection of memory cells: which are active, how that changes, and how similar the cells are.

S supervision steps, H H-steps of each, n puzzles, N cells, k active cells, l tokens of a cell (its CLS
first), d width. `traces` are those of a rollout: "indices", (S, H, n, k), and "scores", (S, H, n, N).
"""

from collections.abc import Mapping

import numpy as np

Traces = Mapping[str, np.ndarray]


def hits(traces: Traces) -> np.ndarray:
    """Return whether each cell is active, (S, H, n, N) bool."""
    active = np.zeros(traces["scores"].shape, dtype=bool)
    np.put_along_axis(active, traces["indices"], True, axis=-1)
    return active


def counts(traces: Traces) -> np.ndarray:
    """Return in how many of its H-steps each puzzle has each cell active, (n, N)."""
    return hits(traces).sum(axis=(0, 1))


def usage(traces: Traces) -> np.ndarray:
    """Return the share of puzzles for which each cell is active, (S, H, N), which sums to k over the
    cells."""
    return hits(traces).mean(axis=2)


def weights(traces: Traces) -> np.ndarray:
    """Return each cell's share of the weight alpha over all H-steps of all puzzles, (N,): a cell can be
    selected often and still carry little weight."""
    by_cell = np.zeros(traces["scores"].shape, np.float64)
    np.put_along_axis(by_cell, traces["indices"], traces["alpha"].astype(np.float64), axis=-1)
    total = by_cell.sum(axis=(0, 1, 2))
    return total / max(total.sum(), 1e-12)


def entropy(shares: np.ndarray) -> dict[str, np.ndarray]:
    """Return the usage entropy: that of usage (..., N) divided by its sum, (...) each.

    Returns nats, at most log N, and share, that of log N; 1 where there is one cell.
    """
    p = shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1e-12)
    nats = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)
    most = np.log(p.shape[-1])
    return {"nats": nats, "share": nats / most if most > 0 else np.ones_like(nats)}


def switching(traces: Traces) -> dict[str, np.ndarray]:
    """Return the share of a puzzle's active cells that were not active before, mean over puzzles.

    Returns H_steps, (S, H - 1): from one H-step to the next one of the same supervision step; and
    supervision, (S - 1,): from an H-step to the same H-step of the next supervision step, mean over H-steps.
    A fixed schedule over the H-steps so shows in the first and not in the second.
    """
    active = hits(traces)
    k = active[0, 0, 0].sum()

    def changed(after: np.ndarray, before: np.ndarray) -> np.ndarray:
        return (after & ~before).sum(axis=-1).mean(axis=-1) / k

    return {
        "H_steps": changed(active[:, 1:], active[:, :-1]),
        "supervision": changed(active[1:], active[:-1]).mean(axis=1),
    }


def dead(traces: Traces) -> np.ndarray:
    """Return the cells that no puzzle ever selects, in ascending order."""
    return np.flatnonzero(~hits(traces).any(axis=(0, 1, 2)))


def co_selection(traces: Traces) -> dict[str, np.ndarray]:
    """Return how often two cells are active together, (N, N) each; the diagonal is how often each is active.

    Returns together, the share of all H-steps of all puzzles; independent, the same for cells that are
    selected independently at the same rates, k at a time; and ratio, the first by the
    second: 1 for independent, nan where there is nothing to compare (two cells of which k=1 takes one).
    """
    active = hits(traces)
    k = int(active[0, 0, 0].sum())
    rows = active.reshape(-1, active.shape[-1]).astype(np.float64)
    together = rows.T @ rows / len(rows)
    independent = _independent(np.diag(together), k)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(independent > 1e-12, together / independent, np.nan)
    return {"together": together, "independent": independent, "ratio": ratio}


def _independent(p: np.ndarray, k: int, rounds: int = 500) -> np.ndarray:
    """Return how often pairs occur, (N, N), among independent choices p (N,), given that they are k cells.

    P(A) is proportional to the product of weights w_i over A; p_i p_j alone would be wrong, since who is
    active takes one of k places. The weights by the iteration of Chen, Dempster & Liu 1994, Biometrika 81(3).
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
    """Return the sum, (m,), over subsets of this size of the product of their weights w (N,), without the
    cells that each row of `without` (m, N) marks; 0 for a negative size."""
    sums = np.zeros((max(size, 0) + 1, len(without)))
    sums[0] = size >= 0
    for weight, left_out in zip(w, without.T):
        sums[1:] += np.where(left_out, 0.0, weight) * sums[:-1]
    return sums[-1]


def cosine(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of cells, mean over puzzles: vectors (S + 1, n, N, d) to (S + 1, N,
    N)."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = vectors / np.maximum(length, 1e-12)
    return np.mean(unit @ unit.swapaxes(-1, -2), axis=1)


def cosines(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cosines of the cells after each step, (S + 1, N, N) each: of their CLS, and of their
    contents (the mean of a cell's other tokens). cells: a memory over steps, (S + 1, n, N, l, d)."""
    return {"cls": cosine(cells[..., 0, :]), "contents": cosine(cells[..., 1:, :].mean(axis=-2))}


def alike(matrix: np.ndarray) -> float:
    """Return the mean absolute cosine of two different cells, of (N, N): 0 apart, 1 the same; nan for one
    cell."""
    n = matrix.shape[-1]
    return float(np.abs(matrix[~np.eye(n, dtype=bool)]).mean()) if n > 1 else float("nan")


def cls_trajectories(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Return the path of each cell's CLS in the plane of the first two principal components.

    cells: a memory over steps, (S + 1, n, N, l, d). Returns points, (S + 1, n, N, 2), and explained, (2,),
    the shares of the variance that the two axes hold.
    """
    cls = cells[..., 0, :].astype(np.float64)
    flat = cls.reshape(-1, cls.shape[-1])
    flat = flat - flat.mean(axis=0)
    variance, axes = np.linalg.eigh(flat.T @ flat / len(flat))
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(2)])  # An axis has no sign of its own.
    explained = variance[::-1][:2] / max(variance.sum(), 1e-12)
    return {"points": (flat @ axes).reshape(*cls.shape[:-1], 2), "explained": explained}
