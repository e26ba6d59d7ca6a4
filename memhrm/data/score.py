"""What exact means, for numpy arrays and torch tensors alike."""

from typing import Any, NamedTuple


class Score(NamedTuple):
    """Scores of n answers, ``(n,)`` each.

    Attributes:
        right: number of labelled tokens that are right.
        total: number of labelled tokens.
        exact: whether there is at least one label and every labelled token is right.
    """

    right: Any
    total: Any
    exact: Any


def score(labelled: Any, predictions: Any, labels: Any) -> Score:
    """Compare predictions with labels; the one definition of an exact answer.

    Args:
        labelled: ``(n, l)`` bool, where there is a label.
        predictions: ``(n, l)`` whole numbers.
        labels: ``(n, l)`` whole numbers, of any value where there is no label.
    """
    right = (labelled & (predictions == labels)).sum(-1)
    total = labelled.sum(-1)
    return Score(right, total, (right == total) & (total > 0))
