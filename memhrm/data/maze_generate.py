"""Random mazes: walls thrown at random, start and goal far apart, one shortest path marked."""

from dataclasses import dataclass

import numpy as np

from memhrm.data.generate import Draw
from memhrm.data.maze import FREE, GOAL, PATH, START, WALL, Maze
from memhrm.data.puzzle import PuzzleSet, puzzle_set


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Bounds on generated mazes, inclusive: the share of walls, and the moves from start to goal.

    unique: only mazes with a single shortest path, so that no right answer differs from the label.
    """

    min_walls: float = 0.28
    max_walls: float = 0.45
    min_length: int = 1
    unique: bool = False


def random_mazes(task: Maze, layout: Layout) -> Draw:
    """Mazes whose goal is ``min_length`` moves or more from a random start; that distance is the rating.

    The share of walls of each maze tried is uniform between its bounds. Mazes in which no cell is far enough
    from the start are left out, and with ``unique`` those with several shortest paths.
    """

    def draw(count: int, rng: np.random.Generator) -> PuzzleSet:
        mazes = np.arange(count)
        cells = task.seq_len
        walls = np.rint(rng.uniform(layout.min_walls, layout.max_walls, count) * cells)
        questions = np.where(_ranks(rng, count, cells) < walls[:, None], WALL, FREE).astype(np.uint8)
        start = _random_cell(questions == FREE, rng)
        questions[mazes, start] = START
        distances = task.distances(questions == START, questions != WALL)
        far = distances >= layout.min_length
        goal = _random_cell(far, rng)
        length = distances[mazes, goal]
        questions[mazes, goal] = GOAL
        possible = far.any(axis=1)
        if layout.unique:
            back = task.distances(questions == GOAL, questions != WALL)
            possible &= (distances + back == length[:, None]).sum(axis=1) == length + 1
        answers = mark_shortest_path(questions[possible], distances[possible], rng)
        return puzzle_set(questions[possible], answers, length[possible], ["generated"] * len(answers))

    return draw


def _ranks(rng: np.random.Generator, count: int, cells: int) -> np.ndarray:
    return rng.permuted(np.tile(np.arange(cells), (count, 1)), axis=1)


def _random_cell(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A uniformly random allowed cell of each row of ``(n, t)`` bool; cell 0 where none is allowed."""
    return (allowed * (1.0 - rng.random(allowed.shape))).argmax(axis=1)


def mark_shortest_path(questions: np.ndarray, distances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Questions ``(n, t)`` with 'o' on one shortest path, which walks back from the goal.

    Each step goes to a random one of the neighbours nearer to the start, all mazes in step.

    Args:
        questions: tokens with one goal, which can be reached.
        distances: moves from the start to each cell ``(n, t)``, -1 where it cannot be reached.
    """
    n, cells = questions.shape
    side = int(cells**0.5)
    wide = side + 2  # a border of unreachable cells spares the walk a test for the edge
    border = np.pad(distances.reshape(n, side, side), ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    border = border.reshape(n, wide * wide)
    answers = questions.copy()
    rows = np.arange(n)
    goal = (questions == GOAL).argmax(axis=1)
    here = (goal // side + 1) * wide + goal % side + 1
    while True:
        left = border[rows, here]
        rows, here, left = rows[left > 1], here[left > 1], left[left > 1]
        if not rows.size:
            return answers
        neighbours = here[:, None] + np.array([-wide, wide, -1, 1])
        nearer = border[rows[:, None], neighbours] == left[:, None] - 1
        here = neighbours[np.arange(len(rows)), _random_cell(nearer, rng)]
        answers[rows, (here // wide - 1) * side + here % wide - 1] = PATH
