"""Random mazes: random walls, start and goal far apart, one shortest path marked."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memhrm.config.settings import Settings
from memhrm.data.examples import Examples, examples_of
from memhrm.data.maze.task import FREE, GOAL, START, WALL, Maze, mark_shortest_path, random_cell
from memhrm.data.trials import Reach, Trials


@dataclass(frozen=True, kw_only=True)
class Layout(Settings):
    """Bounds on generated mazes, all inclusive.

    Attributes:
        min_walls: smallest share of walls.
        max_walls: largest share of walls.
        min_length: fewest moves from start to goal.
        unique: keep only mazes with a single shortest path, so that every correct answer equals the label.
    """

    FILE: ClassVar[str] = "data/_maze"
    GROUP: ClassVar[str] = "data"

    min_walls: float
    max_walls: float
    min_length: int
    unique: bool


class RandomMazes(Trials):
    """A source of mazes with random walls, rated by the moves from start to goal.

    The start is random, and the goal is a random cell at least ``min_length`` moves away. The share of walls
    of each trial is uniform between its bounds. Mazes in which no cell is far enough from the start are left
    out; with ``unique``, so are mazes with several shortest paths.

    Args:
        task: their task.
        layout: their bounds.
    """

    def __init__(self, task: Maze, layout: Layout) -> None:
        self.task, self.layout = task, layout
        self.lengths, self.single = Reach(), 0

    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples:
        """Return the puzzles of ``count`` trials that are within the bounds."""
        task, layout = self.task, self.layout
        mazes = np.arange(count)
        cells = task.seq_len
        walls = np.rint(rng.uniform(layout.min_walls, layout.max_walls, count) * cells)
        questions = np.where(_ranks(rng, count, cells) < walls[:, None], WALL, FREE).astype(np.uint8)
        start = random_cell(questions == FREE, rng)
        questions[mazes, start] = START
        distances = task.distances(questions == START, questions != WALL)
        self.lengths.add(distances.max(axis=1))
        far = distances >= layout.min_length
        goal = random_cell(far, rng)
        length = distances[mazes, goal]
        questions[mazes, goal] = GOAL
        possible = far.any(axis=1)
        if layout.unique:
            back = task.distances(questions == GOAL, questions != WALL)
            possible &= (distances + back == length[:, None]).sum(axis=1) == length + 1
            self.single += int(possible.sum())
        answers = mark_shortest_path(questions[possible], distances[possible], rng)
        return examples_of(questions[possible], answers, length[possible], ["generated"] * len(answers))

    def chance(self) -> float:
        """Return an estimate of the chance that a trial is within the bounds, biased upwards."""
        return self.lengths.chance_above(self.layout.min_length, 1.5)

    def found(self) -> str:
        """Return, for messages, what came closest to each bound that trials rarely meet."""
        reached = f", where data.min_length is {self.layout.min_length} and the longest path was "
        reached += f"{self.lengths.most:.0f} moves"
        return reached + (f", and {self.single} had a single shortest path" if self.layout.unique else "")


def _ranks(rng: np.random.Generator, count: int, cells: int) -> np.ndarray:
    return rng.permuted(np.tile(np.arange(cells), (count, 1)), axis=1)
