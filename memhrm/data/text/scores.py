"""What is said of the answers of a classifier together.

n texts, C categories.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 15
"""Of confidence, for the error of calibration."""

ACCEPTED = 0.95
"""Share of the right answers to texts in scope that a threshold on confidence lets pass."""


def classified(
    labels: np.ndarray, predictions: np.ndarray, confidence: np.ndarray, categories: Sequence[str]
) -> dict[str, Any]:
    """Return the scores of a classifier.

    Args:
        labels: the right labels, 1 to C; 0 where a text belongs to no category, ``(n,)``.
        predictions: the labels that were given, ``(n,)``.
        confidence: the probability of each, ``(n,)``.
        categories: their names.

    Returns:
        `macro_f1`, the mean over the categories of the test; `calibration_error`, the mean distance between
        confidence and accuracy (Guo et al. 2017, arXiv 1706.04599); `confusions`, as [right, given, count],
        the most frequent first; and with texts out of scope `out_of_scope`, how many there are, `oos_auroc`,
        how well confidence tells them from the others, `oos_threshold`, the confidence that 95 % of the right
        answers in scope reach, and `oos_recall`, the share of them below it.
    """
    inside = labels > 0
    right, given, sure = labels[inside], predictions[inside], confidence[inside]
    found: dict[str, Any] = {
        "macro_f1": macro_f1(right, given),
        "calibration_error": calibration_error(right == given, sure),
        "confusions": confusions(right, given, categories),
    }
    if inside.all():
        return found
    outside, correct = confidence[~inside], sure[right == given]
    threshold = np.quantile(correct, 1 - ACCEPTED) if len(correct) else 1.0
    return found | {
        "out_of_scope": int((~inside).sum()),
        "oos_auroc": auroc(sure, outside),
        "oos_threshold": float(threshold),
        "oos_recall": float((outside < threshold).mean()),
    }


def macro_f1(right: np.ndarray, given: np.ndarray) -> float:
    """Return the mean F1 over the categories that occur among the right labels."""
    scores = []
    for category in np.unique(right):
        hits = int(((right == category) & (given == category)).sum())
        scores.append(2 * hits / int((right == category).sum() + (given == category).sum()))
    return float(np.mean(scores)) if scores else 0.0


def calibration_error(correct: np.ndarray, sure: np.ndarray) -> float:
    """Return the distance of accuracy from mean confidence, over bins weighted by their size."""
    if not len(sure):
        return 0.0
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    gaps = np.bincount(bins, correct - sure, minlength=BINS)
    return float(np.abs(gaps).sum() / sizes.sum())


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return the probability that one of the first is larger than one of the second; a tie counts half."""
    if not len(inside) or not len(outside):
        return 0.5
    ordered = np.sort(inside)
    below, upto = (np.searchsorted(ordered, outside, side=side) for side in ("left", "right"))
    return float(1 - (below + upto).mean() / (2 * len(inside)))


def confusions(right: np.ndarray, given: np.ndarray, categories: Sequence[str]) -> list[list[Any]]:
    """Return the wrong answers as [right, given, count], the most frequent first."""
    wrong = right != given
    counts = Counter(zip(right[wrong].tolist(), given[wrong].tolist()))
    names = ("", *categories)
    return [[names[a], names[b], count] for (a, b), count in counts.most_common()]
