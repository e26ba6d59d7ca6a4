"""Null-corrected information: what the selection of cells tells about the puzzle, beyond a shuffled null.

The mutual information of a few selections is above 0 by chance. What exceeds the mean of the null is the
null-corrected information; `usage_information` of `memhrm.memory.usage`, which a log keeps of every run, is
not corrected, and the loss `information` of `memhrm.memory.losses` is of scores, not of selections.

n puzzles, g groups, N cells, S supervision steps, H H-steps of each, k active cells.
"""

from collections.abc import Callable, Mapping

import numpy as np

from memhrm.probes.cells import Traces, counts

MANY = 8
"""Ratings with more values than this are binned into quartiles."""


def mutual_information(counts: np.ndarray, groups: np.ndarray) -> float:
    """Return I(cell; group) in nats, for a selection drawn at random from all that were made.

    counts: how often each puzzle selected each cell, (n, N). groups: a label of each puzzle, (n,).
    """
    return _nats(_by_group(counts, groups)(np.arange(len(counts))))


def with_null(counts: np.ndarray, groups: np.ndarray, shuffles: int = 200, seed: int = 0) -> dict[str, float]:
    """Compare the mutual information with that of labels that are shuffled among the puzzles.

    Returns value, the mutual information; null_mean, null_low, null_high: the mean of the shuffles and the
    interval that holds 95 % of them; and excess, low, high: the value less these, which is the null-corrected
    information and its interval. Where low to high covers 0, there is no evidence of dependence.
    """
    rng = np.random.default_rng(seed)
    joint = _by_group(counts, groups)
    n = len(counts)
    return _beside(_nats(joint(np.arange(n))), [_nats(joint(rng.permutation(n))) for _ in range(shuffles)])


def puzzle_information(
    indices: np.ndarray, cells: int, shuffles: int = 200, seed: int = 0
) -> dict[str, float]:
    """Return I(cell; puzzle) beside its null, in the form of `with_null`.

    Shuffling labels changes nothing if each puzzle is a group of its own. Here the null shuffles the
    selections of each H-step among the puzzles, which keeps the usage at each step. A value below the null
    means that each puzzle uses the cells more evenly than by chance.
    indices: the selected cells, (S, H, n, k). cells: N.
    """
    rng = np.random.default_rng(seed)
    n, k = indices.shape[-2:]
    chosen = indices.reshape(-1, n, k)
    own = np.tile(np.arange(n), (len(chosen), 1))

    def joint(owners: np.ndarray) -> np.ndarray:
        places = owners[:, :, None] * cells + chosen
        return np.bincount(places.ravel(), minlength=n * cells).reshape(n, cells)

    return _beside(_nats(joint(own)), [_nats(joint(rng.permuted(own, axis=1))) for _ in range(shuffles)])


def information(
    traces: Traces, groups: Mapping[str, np.ndarray], shuffles: int = 200, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return the information of the cells about the puzzle ("puzzle") and about each of its labels, by name.

    With a single H-step, "puzzle" is left out: every shuffle of its selections has the same information.
    groups: labels, (n,) each; a `rating` of many values is binned into quartiles.
    """
    selected = counts(traces)
    found = {}
    if traces["indices"].shape[0] * traces["indices"].shape[1] > 1:
        found["puzzle"] = puzzle_information(traces["indices"], selected.shape[1], shuffles, seed)
    for name, values in groups.items():
        labels = quartiles(values) if name == "rating" else values
        found[name] = with_null(selected, labels, shuffles, seed)
    return found


def quartiles(values: np.ndarray) -> np.ndarray:
    """Return the quarter, 0 to 3, of each value, (n,), or the values if few differ. Equal values share a
    quarter."""
    if len(np.unique(values)) <= MANY:
        return values
    return np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values, side="left")


def _by_group(counts: np.ndarray, groups: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from the order in which the puzzles take the labels, (n,), to joint counts, (g,
    N)."""
    _, label = np.unique(groups, return_inverse=True)
    by_label = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[by_label], prepend=-1))
    return lambda order: np.add.reduceat(counts[order[by_label]], starts, axis=0)


def _nats(joint: np.ndarray) -> float:
    """Return the mutual information of the two axes of a table of counts."""
    p = joint / joint.sum()
    return _entropy(p.sum(axis=0)) + _entropy(p.sum(axis=1)) - _entropy(p[p > 0])


def _entropy(p: np.ndarray) -> float:
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def _beside(value: float, null: list[float]) -> dict[str, float]:
    mean, (low, high) = float(np.mean(null)), np.quantile(null, [0.025, 0.975]).tolist()
    return {
        "value": value,
        "null_mean": mean,
        "null_low": low,
        "null_high": high,
        "excess": value - mean,
        "low": value - high,
        "high": value - low,
    }
