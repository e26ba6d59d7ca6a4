"""Null-corrected information: what the selection of cells tells about the puzzle, beyond a shuffled null.

The mutual information of a few selections is above 0 by chance. What exceeds the mean of the null is the
null-corrected information. Two other estimators have names of their own: the usage information of
`memhrm.memory.usage`, which every run logs and which is not corrected, and the information loss of
`memhrm.memory.losses`, which is of scores, not of selections.

n puzzles, or episodes of p puzzles, g groups, N cells, S supervision steps, H H-steps of each, k active
cells.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.metrics import mutual_info_score

from memhrm.probes.cells import Traces, selection_counts

MANY = 8
"""Ratings with more values than this are binned into quartiles."""


def with_null(counts: np.ndarray, groups: np.ndarray, shuffles: int = 200, seed: int = 0) -> dict[str, float]:
    """Compare the mutual information of cells and labels with that of labels shuffled among the puzzles.

    The information, I(cell; label), is that of a selection drawn at random from all that were made.

    Args:
        counts: how often each puzzle selected each cell, (n, N).
        groups: a label of each puzzle, (n,).
        shuffles: the number of shuffles.
        seed: of the shuffles.

    Returns:
        `value`, the mutual information in nats; `null_mean`, `null_low` and `null_high`, the mean of the
        shuffles and the interval that holds 95 % of them; and `null_corrected`, `low` and `high`: the value
        less these. Where `low` to `high` covers 0, there is no evidence of dependence.
    """
    return within_episodes(counts[None], groups[None], shuffles, seed)


def within_episodes(
    counts: np.ndarray, groups: np.ndarray, shuffles: int = 200, seed: int = 0
) -> dict[str, float]:
    """Return the mean over episodes of I(cell; label) beside its null, in the form of `with_null`.

    The null shuffles the labels within each episode.

    Args:
        counts: how often each puzzle selected each cell, (n, p, N).
        groups: a label of each puzzle, (n, p), which need mean the same within its episode only.
        shuffles: the number of shuffles.
        seed: of the shuffles.
    """
    rng, joints = np.random.default_rng(seed), [_by_group(*one) for one in zip(counts, groups)]
    p = counts.shape[1]

    def mean(order: Callable[[], np.ndarray]) -> float:
        return float(np.mean([_nats(joint(order())) for joint in joints]))

    return _compared(mean(lambda: np.arange(p)), [mean(lambda: rng.permutation(p)) for _ in range(shuffles)])


def puzzle_information(
    indices: np.ndarray, cells: int, shuffles: int = 200, seed: int = 0
) -> dict[str, float]:
    """Return I(cell; puzzle) beside its null, in the form of `with_null`.

    Shuffling labels changes nothing if each puzzle is a group of its own. Here the null shuffles the
    selections of each H-step among the puzzles, which keeps the usage at each step. A value below the null
    means that each puzzle uses the cells more evenly than by chance.

    Args:
        indices: the selected cells, (S, H, n, k).
        cells: the number of cells, N.
        shuffles: the number of shuffles.
        seed: of the shuffles.
    """
    rng = np.random.default_rng(seed)
    n, k = indices.shape[-2:]
    chosen = indices.reshape(-1, n, k)
    own = np.tile(np.arange(n), (len(chosen), 1))

    def joint(owners: np.ndarray) -> np.ndarray:
        places = owners[:, :, None] * cells + chosen
        return np.bincount(places.ravel(), minlength=n * cells).reshape(n, cells)

    shuffled = [_nats(joint(rng.permuted(own, axis=1))) for _ in range(shuffles)]
    return _compared(_nats(joint(own)), shuffled)


def cell_information(
    traces: Traces, groups: Mapping[str, np.ndarray], shuffles: int = 200, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return the information of the cells about the puzzle ("puzzle") and about each of its labels, by name.

    With a single H-step, "puzzle" is left out: every shuffle of its selections has the same information.

    Args:
        traces: of a rollout, see `memhrm.probes.cells`.
        groups: labels, (n,) each; a `rating` of many values is binned into quartiles.
        shuffles: the number of shuffles.
        seed: of the shuffles.
    """
    selected = selection_counts(traces)
    found = {}
    if traces["indices"].shape[0] * traces["indices"].shape[1] > 1:
        found["puzzle"] = puzzle_information(traces["indices"], selected.shape[1], shuffles, seed)
    for name, values in groups.items():
        found[name] = with_null(selected, quartiles(values) if name == "rating" else values, shuffles, seed)
    return found


def quartiles(values: np.ndarray) -> np.ndarray:
    """Return the quarter, 0 to 3, of each value, (n,), or the values if few differ.

    Equal values share a quarter.
    """
    if len(np.unique(values)) <= MANY:
        return values
    return np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values, side="left")


def _by_group(counts: np.ndarray, groups: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from the order in which puzzles take the labels, (n,), to joint counts, (g, N)."""
    _, label = np.unique(groups, return_inverse=True)
    by_label = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[by_label], prepend=-1))
    return lambda order: np.add.reduceat(counts[order[by_label]], starts, axis=0)


def _nats(joint: np.ndarray) -> float:
    return float(mutual_info_score(None, None, contingency=joint))


def _compared(value: float, null: Sequence[float]) -> dict[str, float]:
    mean, (low, high) = float(np.mean(null)), np.quantile(null, [0.025, 0.975]).tolist()
    compared = {"value": value, "null_mean": mean, "null_low": low, "null_high": high}
    return compared | {"null_corrected": value - mean, "low": value - high, "high": value - low}
