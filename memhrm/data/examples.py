"""Sets of examples as arrays."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields

import numpy as np

from memhrm.data.checks import MOST, MOST_IDENTIFIER, in_range, integers, narrow, shown


@dataclass(frozen=True)
class Examples:
    """``n`` original examples of ``s`` tokens each, before any augmentation.

    Tokens and labels are stored as uint8 where all of them fit and as int32 otherwise; batches are int32
    always.

    Attributes:
        inputs: ``(n, s)`` whole numbers.
        labels: ``(n, l)`` whole numbers, 0 where there is no label; l is s, or 1 for a label per example.
        mask: ``(n, t)`` bool, False at padding; None where nothing is padded. t is s, or a divisor of it
            where several tokens share a position (`Task.bag`).
        identifiers: ``(n,)`` int64, the row of the puzzle table, or its key.
        groups: ``(n,)`` int32. Examples of one number are variants of one source, and are never split between
            training, validation and test; numbers of different sets have nothing to do with each other.
        ratings: ``(n,)`` int32, the difficulty; -1 where unknown.
        sources: ``(n,)`` str objects, where each example comes from.
        told: ``(n,)`` bool, which examples tell their group's others something and are never asked; None:
            none.

    Raises:
        ValueError: a field is no array of its shape, or holds something else than whole numbers.
    """

    inputs: np.ndarray
    labels: np.ndarray
    mask: np.ndarray | None
    identifiers: np.ndarray
    groups: np.ndarray
    ratings: np.ndarray
    sources: np.ndarray
    told: np.ndarray | None = None

    def __post_init__(self) -> None:
        signed = ("groups", "ratings")
        for name in ("inputs", "labels", "identifiers", *signed):
            values = getattr(self, name)
            if not isinstance(values, np.ndarray):
                raise ValueError(f"{name} is {shown(values)}; allowed: an array of whole numbers")
            integers(name, values, 2 if name in ("inputs", "labels") else 1)
            most = MOST_IDENTIFIER if name == "identifiers" else MOST
            in_range(name, values, -MOST if name in signed else 0, most)
        n, t = self.inputs.shape
        if self.labels.shape not in ((n, t), (n, 1)):
            raise ValueError(f"labels have shape {self.labels.shape}; the inputs have {self.inputs.shape}")
        mask = self.mask
        fits = mask is None or (
            isinstance(mask, np.ndarray)
            and mask.dtype == bool
            and mask.ndim == 2
            and len(mask) == n
            and 0 < mask.shape[1] <= t
            and t % mask.shape[1] == 0
        )
        if not fits:
            raise ValueError(f"mask is {shown(mask)}; allowed: None, or an array of bool of shape {(n, t)}")
        for name in ("identifiers", "groups", "ratings", "sources"):
            shape = np.shape(getattr(self, name))
            if shape != (n,):
                raise ValueError(f"{name} have shape {shape}; there are {n} examples")
        told = self.told
        fits = told is None or (isinstance(told, np.ndarray) and told.dtype == bool and told.shape == (n,))
        if not fits:
            raise ValueError(f"told is {shown(told)}; allowed: None, or an array of bool of shape {(n,)}")

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, rows: np.ndarray | slice) -> "Examples":
        """Return the examples at ``rows`` (indices, a boolean mask or a slice), in that order."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return self.having(**{name: values[rows] for name, values in arrays.items() if values is not None})

    def having(self, **arrays: np.ndarray) -> "Examples":
        """Return these examples with other arrays of the same kinds, which are not checked again."""
        made = copy(self)
        vars(made).update(arrays)
        return made

    def without(self, rows: np.ndarray) -> "Examples":
        """Return the examples at which the boolean mask ``rows`` ``(n,)`` is False."""
        return self.select(~np.asarray(rows, bool))

    def asked(self) -> np.ndarray:
        """Return which examples are asked, ``(n,)`` bool: all that tell nothing."""
        return np.ones(len(self), bool) if self.told is None else ~self.told

    def part(self, count: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Choose examples for a part of the set, with whole groups.

        Args:
            count: how many at least that are asked; more only where the last group that is taken has more.
            rng: chooses the groups; None takes those that begin first.

        Returns:
            ``(n,)`` bool, which are chosen.
        """
        _, first, number = np.unique(self.groups, return_index=True, return_inverse=True)
        sizes = np.bincount(number, self.asked())
        order = np.argsort(first)  # the groups as they begin in the set
        if rng is not None:
            order = order[rng.permutation(len(order))]
        before = np.cumsum(sizes[order]) - sizes[order]
        chosen = np.zeros(len(order), bool)
        chosen[order[before < count]] = True
        return chosen[number]


def examples_of(
    inputs: np.ndarray,
    labels: np.ndarray,
    ratings: Sequence[int] | np.ndarray | None = None,
    sources: Sequence[str] | np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    identifiers: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    told: np.ndarray | None = None,
) -> Examples:
    """Return a set of examples; what is left out is what it is in sets of sudokus and mazes.

    Args:
        inputs: tokens ``(n, s)`` of any integer type.
        labels: ``(n, s)`` or ``(n, 1)`` of any integer type, 0 where there is none.
        ratings: ``(n,)``; None where unknown, which is -1.
        sources: ``(n,)``; None: empty.
        mask: ``(n, t)`` bool, False at padding; None: nothing is padded.
        identifiers: ``(n,)``; None: all share 0.
        groups: ``(n,)``; None: every example is a group of its own.
        told: ``(n,)`` bool, which examples are never asked; None: none.

    Raises:
        ValueError: wrong shapes or types, or a number that is too large.
    """
    inputs, labels = integers("inputs", inputs, 2), integers("labels", labels, 2)
    n = len(inputs)
    rated = np.full(n, -1) if ratings is None else ratings
    rated = np.asarray(rated) if isinstance(rated, Sequence | np.ndarray) else rated
    if isinstance(rated, np.ndarray) and rated.dtype.kind == "f" and (np.abs(rated) <= MOST).all():
        rated = rated.astype(np.int64) if (rated == np.trunc(rated)).all() else rated
    sources = [""] * n if sources is None else sources
    if not isinstance(sources, Sequence | np.ndarray) or isinstance(sources, str | bytes):
        raise ValueError(f"sources is {shown(sources)}; allowed: one text for each puzzle")
    return Examples(
        narrow("inputs", inputs),
        narrow("labels", labels),
        mask,
        _identifiers(np.zeros(n, np.int64) if identifiers is None else identifiers),
        _whole("groups", np.arange(n) if groups is None else groups),
        _whole("ratings", rated),
        np.array(sources, dtype=object),
        told,
    )


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    return in_range(name, integers(name, values, 1), -MOST, MOST).astype(np.int32)


def _identifiers(values: np.ndarray) -> np.ndarray:
    return in_range("identifiers", integers("identifiers", values, 1), 0, MOST_IDENTIFIER).astype(np.int64)


def no_examples(length: int, labels: int | None = None) -> Examples:
    """Return a set without examples, of ``length`` tokens and ``labels`` labels each (None: as many)."""
    shapes = (0, length), (0, length if labels is None else labels)
    return examples_of(*(np.zeros(shape, np.uint8) for shape in shapes))


def concatenate(sets: list[Examples]) -> Examples:
    """Return the examples of all sets, in order; no group of one set is a group of another."""
    numbers = [np.unique(part.groups, return_inverse=True)[1] for part in sets]
    starts = np.cumsum([0, *(number.max(initial=-1) + 1 for number in numbers)])
    joined = {name: np.concatenate([getattr(part, name) for part in sets])
              for name in ("inputs", "labels", "identifiers", "ratings", "sources")}  # fmt: skip
    masks = [part.mask for part in sets]
    told = [part.told for part in sets]
    shown = [np.ones(part.inputs.shape, bool) if part.mask is None else part.mask for part in sets]
    return examples_of(
        **joined,
        mask=None if all(mask is None for mask in masks) else np.concatenate(shown),
        groups=np.concatenate([number + start for number, start in zip(numbers, starts)]),
        told=None if all(part is None for part in told) else np.concatenate(
            [np.zeros(len(part), bool) if part.told is None else part.told for part in sets]),
    )  # fmt: skip


def quantiles(name: str, values: np.ndarray) -> str:
    """Return a line with the quantiles of a quantity that each example has."""
    points = np.quantile(values, [0, 0.1, 0.5, 0.9, 1], method="nearest")
    return f"{name}: {' '.join(f'{value:.0f}' for value in points)} (min, 10 %, median, 90 %, max)"
