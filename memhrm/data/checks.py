"""Checks of arguments: integers, and arrays of tokens, which must never wrap around."""

from collections.abc import Sequence
from typing import Any

import numpy as np

MOST = (1 << 31) - 1  # the largest token and rating: batches are int32
MOST_IDENTIFIER = (1 << 63) - 1  # identifiers may be hashes of what they stand for


class PuzzleError(ValueError):
    """A puzzle breaks the rules of its task.

    Args:
        row: the index of the puzzle among those that were checked.
        text: the message.
    """

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


def require_none(faulty: np.ndarray, text: str) -> None:
    """Raise an error if a puzzle is faulty.

    Args:
        faulty: ``(n,)`` bool.
        text: the message.

    Raises:
        PuzzleError: an entry is True; its `row` is that of the first.
    """
    if faulty.any():
        raise PuzzleError(int(faulty.argmax()), text)


def number(name: str, value: Any, low: int, high: int = MOST) -> int:
    """Return a value that must be an integer between two bounds, both inclusive.

    Args:
        name: the name of the value, for the message.
        value: the value to check.
        low: lower bound.
        high: upper bound.

    Raises:
        ValueError: the value has another type (bool included), or is out of bounds.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= int(value) <= high:
        raise ValueError(f"{name} is {shown(value)}; allowed: whole numbers from {low} to {high}")
    return int(value)


def shown(value: Any) -> str:
    """Return a short description of a value, for messages of one line."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def integers(name: str, value: Any, dimensions: int) -> np.ndarray:
    """Return a value that must be an array of integers.

    Args:
        name: the name of the array, for messages.
        value: an array, or nested lists.
        dimensions: the number of dimensions it must have.

    Raises:
        ValueError: the value is not an array of integers, or has another number of dimensions.
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
    """Return integers ``(n, ...)`` that must be between two bounds, both inclusive.

    Args:
        name: the name of the array, for the message.
        values: the integers.
        low: lower bound.
        high: upper bound.

    Raises:
        PuzzleError: a number is out of bounds; `row` is the first row with such a number.
    """
    limits = np.iinfo(values.dtype)
    within = limits.min >= low and limits.max <= high  # guaranteed by the type alone
    if within or not values.size or (values.min() >= low and values.max() <= high):
        return values
    wrong = (values < low) | (values > high)
    row = int(wrong.reshape(len(values), -1).any(axis=1).argmax())
    found = values[wrong][0]
    raise PuzzleError(row, f"{name} has {found} in row {row}; allowed: numbers from {low} to {high}")


def narrow(name: str, tokens: np.ndarray) -> np.ndarray:
    """Return tokens as uint8 if all of them fit, otherwise as int32.

    Puzzles are stored in this form: a million 9x9 sudokus take 162 MB instead of 648 MB.

    Args:
        name: the name of the array, for the message.
        tokens: integers of any shape.

    Raises:
        PuzzleError: a token is negative or above `MOST`.
    """
    in_range(name, tokens, 0, MOST)
    fits = not tokens.size or np.iinfo(tokens.dtype).max < 256 or tokens.max() < 256
    return tokens.astype(np.uint8 if fits else np.int32, copy=False)
