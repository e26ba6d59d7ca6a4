"""The settings of a set of mazes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memhrm.config.settings import require
from memhrm.data.collect import Progress, collect
from memhrm.data.examples import Examples
from memhrm.data.maze.generate import Layout, RandomMazes
from memhrm.data.maze.task import MOST_SIDE, Maze
from memhrm.data.settings import DataSettings


@dataclass(frozen=True, kw_only=True)
class MazeSettings(Layout, DataSettings):
    """A maze set; generated mazes keep the bounds of `Layout`.

    Attributes:
        side: cells of a row.
    """

    FILE: ClassVar[str] = "data/_maze"

    side: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 < self.side <= MOST_SIDE, "data.side", self.side, f"numbers from 2 to {MOST_SIDE}")
        ordered = self.min_walls <= self.max_walls
        require(ordered, "data.min_walls", self.min_walls, "shares up to data.max_walls")
        require(self.max_walls < 1, "data.max_walls", self.max_walls, "shares of the cells below 1")
        require(self.min_length > 0, "data.min_length", self.min_length, "numbers from 1")
        if self.path is None and self.download is None:
            cells = self.side**2
            free = cells - round(self.min_walls * cells)
            allowed = f"shares that leave 2 of {cells} cells free"
            require(free >= 2, "data.min_walls", self.min_walls, allowed)
            allowed = f"numbers below {free}, the free cells that data.min_walls={self.min_walls} leaves"
            require(self.min_length < free, "data.min_length", self.min_length, allowed)

    def task(self) -> Maze:
        """Return the task of the set."""
        return Maze(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return ``count`` puzzles in random order, no two symmetric."""
        return collect(self.task(), count, RandomMazes(self.task(), self), rng, progress)
