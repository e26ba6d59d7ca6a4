"""Mazes on a square grid: '#' wall, ' ' free, 'S' start, 'G' goal, and 'o' on a path from start to goal."""

from functools import partial

import numpy as np

from memhrm.data.checks import PuzzleError, number, require_none
from memhrm.data.examples import Examples, quantiles
from memhrm.data.grid import GridTask
from memhrm.data.keys import row_keys

MOST_SIDE = 1000
WALL, FREE, START, GOAL, PATH = range(1, 6)


class Maze(GridTask):
    """Mark the free cells of a shortest path from start to goal; moves go up, down, left and right."""

    def __init__(self, *, side: int) -> None:
        side = number("side", side, 2, MOST_SIDE)
        super().__init__(name=f"maze{side}", side=side, alphabet="# SGo")
        cells = np.arange(side * side).reshape(side, side)
        turned = [np.rot90(cells, k) for k in range(4)]
        self.images = np.stack([image.ravel() for c in turned for image in (c, c.T)])  # (8, s) gathers

    def check_questions(self, inputs: np.ndarray) -> None:
        """Check that questions ``(n, s)`` are well formed."""
        inputs = self.checked("inputs", inputs)
        for token, name in ((START, "start"), (GOAL, "goal")):
            counts = (inputs == token).sum(axis=1)
            if (counts != 1).any():
                row = int((counts != 1).argmax())
                text = f"question has {counts[row]} cells {self.alphabet[token - 1]!r}; it needs one {name}"
                raise PuzzleError(row, text)
        if (inputs == PATH).any():
            row, cell = np.argwhere(inputs == PATH)[0].tolist()
            raise PuzzleError(row, f"question marks a path at {self.place(cell)}")

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Check that every answer ``(n, s)`` solves its question."""
        inputs, labels = self.checked_pair(inputs, labels)
        self.check_questions(inputs)
        changed = ~self._keeps(inputs, labels)
        if changed.any():
            row, cell = np.argwhere(changed)[0].tolist()
            given, found = self.decode(inputs[row, cell]), self.decode(labels[row, cell])
            raise PuzzleError(
                row, f"answer has {found!r} at {self.place(cell)}, where the question has {given!r}"
            )
        require_none(~self.connects(labels), "answer does not mark a path from start to goal")
        moves, best = (labels == PATH).sum(axis=1) + 1, self.shortest(inputs)
        if (moves != best).any():
            row = int((moves != best).argmax())
            raise PuzzleError(
                row, f"answer marks {moves[row] - 1} cells; a shortest path has {best[row] - 1}"
            )

    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether answers ``(n, s)`` keep what the questions give, ``(n,)`` bool."""
        return np.all(self._keeps(inputs, answers), axis=1)

    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return whether 'o' marks a path from start to goal, and no shorter one exists: ``(n,)`` bool."""
        shortest = (answers == PATH).sum(axis=1) + 1 == self.shortest(inputs)
        return self.connects(answers) & shortest

    def solve(self, inputs: np.ndarray) -> np.ndarray:
        """Return mazes ``(n, s)`` with one of their shortest paths marked, always the same one: ``(n, s)``.

        Raises:
            ValueError: a maze has no path from start to goal, or is not well formed.
        """
        inputs = self.checked("inputs", inputs)
        self.check_questions(inputs)
        distances = self.distances(inputs == START, inputs != WALL)
        cut = ((inputs == GOAL) & (distances < 0)).any(axis=1)
        require_none(cut, "question has no path from start to goal")
        return mark_shortest_path(inputs, distances, None)

    def score(self, inputs: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Add ``valid_path`` and ``optimal_path`` to the scores of every task.

        A path is valid if the prediction differs from the question only by 'o' on free cells, and start and
        goal are connected through 'o'. It is optimal if it is valid and has as many 'o' as the label, so
        that any shortest path counts.
        """
        scores = super().score(inputs, labels, predictions)  # checks the arrays
        inputs, labels, predictions = map(np.asarray, (inputs, labels, predictions))
        valid = self._keeps(inputs, predictions).all(axis=1) & self.connects(predictions)
        optimal = valid & ((predictions == PATH).sum(axis=1) == (labels == PATH).sum(axis=1))
        return scores | {"valid_path": valid.astype(np.float64), "optimal_path": optimal.astype(np.float64)}

    def describe(self, examples: Examples) -> str:
        """Return one line on the puzzles of a set."""
        return quantiles("walls in %", (100 * (examples.inputs == WALL).mean(axis=1)).round())

    def _keeps(self, inputs: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return (predictions == inputs) | ((inputs == FREE) & (predictions == PATH))

    def connects(self, grids: np.ndarray) -> np.ndarray:
        """Return whether start and goal of ``(n, s)`` grids are connected through 'o': ``(n,)`` bool."""
        return self._goal_distance(grids, grids >= START) >= 0

    def shortest(self, inputs: np.ndarray) -> np.ndarray:
        """Return the moves on a shortest path of each question ``(n, s)``, -1 where none: ``(n,)``."""
        return self._goal_distance(inputs, inputs != WALL)

    def _goal_distance(self, grids: np.ndarray, open_cells: np.ndarray) -> np.ndarray:
        distances = self.distances(grids == START, open_cells)
        return np.where(grids == GOAL, distances, -1).max(axis=1, initial=-1)

    def distances(self, sources: np.ndarray, open_cells: np.ndarray) -> np.ndarray:
        """Return the moves from the nearest source through open cells.

        All grids are searched in step, breadth first.

        Args:
            sources: ``(n, s)`` bool.
            open_cells: ``(n, s)`` bool.

        Returns:
            ``(n, s)`` int32, -1 where a cell cannot be reached.
        """
        side = self.side
        distances = np.full(sources.shape, -1, np.int32)
        rows = np.arange(len(sources))
        frontier, unseen = sources & open_cells, open_cells.copy()
        step = 0
        while rows.size:
            row, cell = np.nonzero(frontier)
            distances[rows[row], cell] = step
            unseen &= ~frontier
            grid = frontier.reshape(-1, side, side)
            spread = np.zeros_like(grid)
            spread[:, 1:] |= grid[:, :-1]
            spread[:, :-1] |= grid[:, 1:]
            spread[:, :, 1:] |= grid[:, :, :-1]
            spread[:, :, :-1] |= grid[:, :, 1:]
            frontier = spread.reshape(frontier.shape) & unseen
            alive = frontier.any(axis=1)
            rows, frontier, unseen = rows[alive], frontier[alive], unseen[alive]
            step += 1
        return distances

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return each puzzle under a random symmetry; all symmetries are equally likely."""
        cells = self.images[rng.integers(8, size=len(examples))]
        image = partial(np.take_along_axis, indices=cells, axis=1)
        return examples.having(inputs=image(examples.inputs), labels=image(examples.labels))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the least of the eight rotations and reflections of the question."""
        images = np.stack([row_keys(inputs[:, image]) for image in self.images])
        return np.sort(images, axis=0)[0]


def random_cell(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a uniformly random allowed cell of each row of ``(n, s)`` bool; cell 0 where none is allowed."""
    return (allowed * (1.0 - rng.random(allowed.shape))).argmax(axis=1)


def mark_shortest_path(
    questions: np.ndarray, distances: np.ndarray, rng: np.random.Generator | None
) -> np.ndarray:
    """Return questions ``(n, s)`` with 'o' on one shortest path, which walks back from the goal.

    Each step goes to one of the neighbours nearer to the start, all mazes in step.

    Args:
        questions: tokens with one goal, which can be reached.
        distances: moves from the start to each cell ``(n, s)``, -1 where it cannot be reached.
        rng: chooses among such neighbours; None takes the first of above, below, left and right.
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
        chosen = nearer.argmax(axis=1) if rng is None else random_cell(nearer, rng)
        here = neighbours[np.arange(len(rows)), chosen]
        answers[rows, (here // wide - 1) * side + here % wide - 1] = PATH
