"""Checks of what callers hand in: whole numbers, and arrays of tokens that never wrap."""

from collections.abc import Sequence
from typing import Any

import numpy as np

MOST = (1 << 31) - 1  # the largest token, rating or identifier: batches are int32


class PuzzleError(ValueError):
    """A puzzle that breaks the rules of its task; `row` is its place among those that were checked."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


def require_none(faulty: np.ndarray, text: str) -> None:
    """Raise a `PuzzleError` with this text for the first True of ``(n,)``, if there is one."""
    if faulty.any():
        raise PuzzleError(int(faulty.argmax()), text)


def number(name: str, value: Any, low: int, high: int = MOST) -> int:
    """Return a whole number between two bounds, both inclusive.

    Raises:
        ValueError: it is of another type (bool included), or out of bounds.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= int(value) <= high:
        raise ValueError(f"{name} is {shown(value)}; allowed: whole numbers from {low} to {high}")
    return int(value)


def shown(value: Any) -> str:
    """Return a short text for a value, for messages of one line."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def integers(name: str, value: Any, dimensions: int) -> np.ndarray:
    """Return an array of whole numbers.

    Args:
        name: what the array is called in messages.
        value: an array, or nested lists.
        dimensions: how many the array must have.

    Raises:
        ValueError: it holds something else, or has another number of dimensions.
    """
    if not isinstance(value, np.ndarray):
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise ValueError(f"{name} is {shown(value)}; allowed: an array of whole numbers")
        try:
            value = np.asarray(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"{name} is {shown(value)}; allowed: rows of equal length") from None
    if value.dtype.kind not in "iu":
        raise ValueError(f"{name} is {shown(value)}; allowed: whole numbers")
    if value.ndim != dimensions:
        raise ValueError(f"{name} has shape {value.shape}; allowed: {dimensions} dimensions")
    return value


def in_range(name: str, values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return whole numbers ``(n, ...)`` unless one is out of bounds.

    Raises:
        PuzzleError: the first row with a number below `low` or above `high`.
    """
    limits = np.iinfo(values.dtype)
    within = limits.min >= low and limits.max <= high  # the type alone sees to it
    if within or not values.size or (values.min() >= low and values.max() <= high):
        return values
    wrong = (values < low) | (values > high)
    row = int(wrong.reshape(len(values), -1).any(axis=1).argmax())
    found = values[wrong][0]
    raise PuzzleError(row, f"{name} has {found} in row {row}; allowed: numbers from {low} to {high}")


def narrow(name: str, tokens: np.ndarray) -> np.ndarray:
    """Return tokens as uint8 if all of them fit, else as int32.

    Puzzles are stored so: a million 9x9 sudokus take 162 MB, as int32 648 MB.

    Raises:
        ValueError: a token is negative or above `MOST`.
    """
    in_range(name, tokens, 0, MOST)
    fits = not tokens.size or np.iinfo(tokens.dtype).max < 256 or tokens.max() < 256
    return tokens.astype(np.uint8 if fits else np.int32, copy=False)
