"""A puzzle of your own: sort the letters of a string."""

from dataclasses import dataclass

import numpy as np

from memhrm.data import DataSettings, Examples, GridTask, examples_of
from memhrm.data.checks import require_none


class Sorting(GridTask):
    """Write the letters of a string in alphabetical order."""

    def __init__(self, length: int) -> None:
        super().__init__(name=f"sorting{length}", side=length, rows=1, alphabet="abcd")

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        return np.sort(inputs, axis=1)

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        inputs, labels = self.checked_pair(inputs, labels)
        require_none((labels != self.solve(inputs)).any(axis=1), "answer is not the sorted question")


@dataclass(frozen=True, kw_only=True)
class SortingSettings(DataSettings):
    """Random strings, no two the same.

    Attributes:
        length: letters of a string.
    """

    length: int

    def task(self) -> Sorting:
        return Sorting(self.length)

    def generate(self, count, rng, progress) -> Examples:
        numbers = rng.permutation(4**self.length)[:count]
        inputs = numbers[:, None] // 4 ** np.arange(self.length) % 4 + 1
        return examples_of(inputs, self.task().solve(inputs), sources=["generated"] * len(inputs))
