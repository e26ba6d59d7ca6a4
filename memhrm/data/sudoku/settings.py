"""The settings of a set of sudokus."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from memhrm.config.settings import require
from memhrm.data.collect import Progress, collect
from memhrm.data.examples import Examples
from memhrm.data.settings import DataSettings
from memhrm.data.sudoku.generate import Difficulty, RandomSudokus, all_sudokus4
from memhrm.data.sudoku.task import Sudoku

FEWEST_CLUES = {4: 4, 6: 8, 9: 17}
"""Clues below which a sudoku has several solutions (side 9: McGuire, Tugemann and Civario, 2014)."""


@dataclass(frozen=True, kw_only=True)
class SudokuSettings(Difficulty, DataSettings):
    """A sudoku set; generated puzzles keep the bounds of `Difficulty`. All 4x4 sudokus are known.

    Attributes:
        side: cells of a row.
    """

    FILE: ClassVar[str] = "data/_sudoku"

    side: Literal[4, 6, 9]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high in (
            ("clues", self.min_clues, self.max_clues),
            ("guesses", self.min_guesses, self.max_guesses),
        ):
            ordered = low is None or high is None or low <= high
            require(ordered, f"data.min_{name}", low, f"numbers up to data.max_{name}, which is {high}")
        fewest = FEWEST_CLUES[self.side]
        enough = self.max_clues is None or self.max_clues >= fewest
        require(enough, "data.max_clues", self.max_clues, f"numbers from {fewest}")
        cells = self.side**2
        some = self.min_clues is None or self.min_clues < cells
        require(some, "data.min_clues", self.min_clues, f"numbers below {cells}, the cells there are")

    def task(self) -> Sudoku:
        """Return the task of the set."""
        return Sudoku(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return ``count`` puzzles in random order, no two symmetric; None for all that can be listed."""
        if self.side != 4:
            return collect(self.task(), count, RandomSudokus(self.task(), self), rng, progress)
        puzzles = all_sudokus4(self.task(), self, rng)
        if count is not None and count > len(puzzles):
            raise ValueError(
                f"data.train_size, test_size and holdout ask for {count} puzzles; "
                f"up to symmetry there are {len(puzzles)} 4x4 sudokus within the bounds"
            )
        puzzles = puzzles.select(slice(count))
        progress(len(puzzles), len(puzzles))
        return puzzles
