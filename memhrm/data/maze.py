"""Mazes on a square grid: '#' wall, ' ' free, 'S' start, 'G' goal, and 'o' on a path from start to goal."""

import numpy as np

from memhrm.data.puzzle import Task
from memhrm.data.symmetry import row_keys

WALL, FREE, START, GOAL, PATH = range(1, 6)


class Maze(Task):
    """Mark the free cells of a shortest path from start to goal; moves go up, down, left and right."""

    def __init__(self, *, side: int) -> None:
        super().__init__(name=f"maze{side}", side=side, alphabet="# SGo")
        cells = np.arange(side * side).reshape(side, side)
        turned = [np.rot90(cells, k) for k in range(4)]
        self.images = np.stack([image.ravel() for c in turned for image in (c, c.T)])  # (8, t) gathers

    def check(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        for token, name in ((START, "start"), (GOAL, "goal")):
            counts = (inputs == token).sum(axis=1)
            if (counts != 1).any():
                found, character = counts[counts != 1][0], self.alphabet[token - 1]
                raise ValueError(f"question has {found} cells {character!r}; it needs one {name}")
        if (inputs == PATH).any():
            cell = int(np.argwhere(inputs == PATH)[0, 1])
            raise ValueError(f"question marks a path at {self.place(cell)}")
        changed = ~self._keeps(inputs, labels)
        if changed.any():
            row, cell = np.argwhere(changed)[0].tolist()
            given, found = self.decode(inputs[row, cell]), self.decode(labels[row, cell])
            raise ValueError(f"answer has {found!r} at {self.place(cell)}, where the question has {given!r}")
        if not self.connects(labels).all():
            raise ValueError("answer does not mark a path from start to goal")
        moves, best = (labels == PATH).sum(axis=1) + 1, self.shortest(inputs)
        if (moves != best).any():
            row = int((moves != best).argmax())
            raise ValueError(f"answer marks {moves[row] - 1} cells; a shortest path has {best[row] - 1}")

    def grade(self, inputs: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Adds ``valid_path`` and ``optimal_path`` to the scores of every task.

        A path is valid if the prediction differs from the question only by 'o' on free cells, and start and
        goal are connected through 'o'. It is optimal if it is valid and has as many 'o' as the label, so
        that any shortest path counts.
        """
        valid = self._keeps(inputs, predictions).all(axis=1) & self.connects(predictions)
        optimal = valid & ((predictions == PATH).sum(axis=1) == (labels == PATH).sum(axis=1))
        scores = super().grade(inputs, labels, predictions)
        return scores | {"valid_path": valid.astype(np.float64), "optimal_path": optimal.astype(np.float64)}

    def _keeps(self, inputs: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return (predictions == inputs) | ((inputs == FREE) & (predictions == PATH))

    def connects(self, grids: np.ndarray) -> np.ndarray:
        """Whether start and goal of ``(n, t)`` grids are connected through 'o': ``(n,)`` bool."""
        return self._goal_distance(grids, grids >= START) >= 0

    def shortest(self, inputs: np.ndarray) -> np.ndarray:
        """Moves on a shortest path of each question ``(n, t)``, or -1 where there is none: ``(n,)``."""
        return self._goal_distance(inputs, inputs != WALL)

    def _goal_distance(self, grids: np.ndarray, open_cells: np.ndarray) -> np.ndarray:
        distances = self.distances(grids == START, open_cells)
        return np.where(grids == GOAL, distances, -1).max(axis=1, initial=-1)

    def distances(self, sources: np.ndarray, open_cells: np.ndarray) -> np.ndarray:
        """Moves from the nearest source through open cells, by breadth-first search of all grids in step.

        Args:
            sources: ``(n, t)`` bool.
            open_cells: ``(n, t)`` bool.

        Returns:
            ``(n, t)`` int16, -1 where a cell cannot be reached.
        """
        side = self.side
        distances = np.full(sources.shape, -1, np.int16)
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

    def augment(
        self, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        cells = self.images[rng.integers(8, size=len(inputs))]
        return np.take_along_axis(inputs, cells, axis=1), np.take_along_axis(labels, cells, axis=1)

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The least of the eight rotations and reflections of the question."""
        images = np.stack([row_keys(inputs[:, image]) for image in self.images])
        return np.sort(images, axis=0)[0]
