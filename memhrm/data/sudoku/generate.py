"""Random sudokus with a unique solution each; no two of a set are symmetric to each other."""

from dataclasses import dataclass
from itertools import permutations
from typing import ClassVar

import numpy as np

from memhrm.config.settings import Settings
from memhrm.data.examples import Examples, examples_of
from memhrm.data.sudoku.solver import candidates_of, random_grids, search, solve
from memhrm.data.sudoku.symmetry import Shape, canonical
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.trials import Reach, Trials


@dataclass(frozen=True, kw_only=True)
class Difficulty(Settings):
    """Bounds on generated sudokus, all inclusive; None means no bound.

    Attributes:
        min_clues: fewest given cells.
        max_clues: most given cells.
        min_guesses: fewest guesses of the solver (`solver.search`).
        max_guesses: most guesses of the solver.
    """

    FILE: ClassVar[str] = "data/_sudoku"
    GROUP: ClassVar[str] = "data"

    min_clues: int | None
    max_clues: int | None
    min_guesses: int | None
    max_guesses: int | None

    def allows_clues(self, clues: np.ndarray) -> np.ndarray:
        """Return which numbers of clues ``(n,)`` are within the bounds, ``(n,)`` bool."""
        return _within(clues, self.min_clues, self.max_clues)

    def allows_guesses(self, guesses: np.ndarray) -> np.ndarray:
        """Return which numbers of guesses ``(n,)`` are within the bounds, ``(n,)`` bool."""
        return _within(guesses, self.min_guesses, self.max_guesses)


def _within(values: np.ndarray, low: int | None, high: int | None) -> np.ndarray:
    return (values >= (0 if low is None else low)) & (values <= (np.inf if high is None else high))


class RandomSudokus(Trials):
    """A source of puzzles made from random full grids by `dig`, rated by guesses (`solver.search`).

    Args:
        task: their task.
        difficulty: their bounds.
    """

    def __init__(self, task: Sudoku, difficulty: Difficulty) -> None:
        self.task, self.bounds = task, difficulty
        self.clues, self.guesses = Reach(), Reach()

    def __call__(self, count: int, rng: np.random.Generator, /) -> Examples:
        """Return the puzzles of ``count`` trials that are within the bounds."""
        task = self.task
        grids = random_grids(count, task.shape, rng)
        puzzles = dig(grids, task.shape, rng, min_clues=self.bounds.min_clues or 0)
        clues = (puzzles > BLANK).sum(axis=1)
        kept = self.bounds.allows_clues(clues)
        rated = _rated(task, puzzles[kept], grids[kept], Difficulty.of())
        self.clues.add(clues)
        self.guesses.add(rated.ratings)
        return rated.select(self.bounds.allows_guesses(rated.ratings))

    def chance(self) -> float:
        """Return an estimate of the chance that a trial is within the bounds, biased upwards."""
        clues, guesses = self.bounds.max_clues, self.bounds.min_guesses
        chance = 1.0 if clues is None else self.clues.chance_below(clues)
        if guesses and self.guesses.most < guesses:
            # Few puzzles need many guesses, but more than a normal tail predicts: assume an inverse square.
            chance *= 1 / max(guesses, 1) ** 2
        return chance

    def found(self) -> str:
        """Return, for messages, what came closest to each bound that trials rarely meet."""
        reached = ""
        if self.bounds.max_clues is not None:
            reached += f", where data.max_clues is {self.bounds.max_clues} and the fewest clues were "
            reached += f"{self.clues.least:.0f}"
        if self.guesses.count and self.bounds.min_guesses:
            reached += f", where data.min_guesses is {self.bounds.min_guesses} and the most guesses were "
            reached += f"{self.guesses.most:.0f}"
        return reached


def _rated(task: Sudoku, puzzles: np.ndarray, grids: np.ndarray, difficulty: Difficulty) -> Examples:
    guesses = solve(puzzles, task.shape, limit=1).guesses
    kept = difficulty.allows_guesses(guesses)
    return examples_of(puzzles[kept], grids[kept], guesses[kept], ["generated"] * int(kept.sum()))


def dig(grids: np.ndarray, shape: Shape, rng: np.random.Generator, *, min_clues: int) -> np.ndarray:
    """Return puzzles ``(n, s)``: full grids with cells emptied in random order while the solution is unique.

    A clue can be removed if the puzzle has no solution with another digit in its cell. Unless ``min_clues``
    stops the removal earlier, the puzzle is minimal: no further clue can be removed.

    Args:
        grids: tokens ``(n, s)`` of full grids.
        shape: their shape.
        rng: the source of randomness.
        min_clues: the number of clues at which to stop.
    """
    n, cells = grids.shape
    puzzles, clues = grids.copy(), np.full(n, cells)
    order = rng.permuted(np.tile(np.arange(cells), (n, 1)), axis=1)
    for k in range(cells):
        rows = np.flatnonzero(clues > min_clues)
        cell = order[rows, k]
        others = candidates_of(puzzles[rows], shape.side)
        others[cell, np.arange(rows.size)] ^= np.uint16((1 << shape.side) - 1)
        free = search(others, shape, limit=1).solutions == 0
        puzzles[rows[free], cell[free]] = BLANK
        clues[rows[free]] -= 1
    return puzzles


def all_sudokus4(task: Sudoku, difficulty: Difficulty, rng: np.random.Generator) -> Examples:
    """Return a random image of every symmetry class of 4x4 puzzles within the bounds, in random order.

    There are 288 grids in two classes. Every set of clues of one grid of each class is tried: the solution is
    unique if no other grid agrees with the clues in all their cells.
    """
    assert task.side == 4
    found = all_grids4(task)
    _, representatives = np.unique(canonical(found, task.shape), axis=0, return_index=True)
    bit = 1 << np.arange(16)
    sets = np.arange(1 << 16)  # sets of clues, a bit for each cell
    sets = sets[difficulty.allows_clues(np.bitwise_count(sets))]
    puzzles, grids = [], []
    for grid in found[representatives]:
        unique = np.ones(len(sets), bool)
        for other in found:
            if (differs := int(((grid != other) * bit).sum())) > 0:
                unique &= (sets & differs) > 0
        masks = (sets[unique, None] & bit) > 0
        forms = canonical(np.where(masks, grid, BLANK), task.shape)
        _, first = np.unique(forms, axis=0, return_index=True)
        puzzles.append(np.where(masks[first], grid, BLANK))
        grids.append(np.tile(grid, (len(first), 1)))
    order = rng.permutation(sum(map(len, puzzles)))
    puzzles = examples_of(np.concatenate(puzzles)[order], np.concatenate(grids)[order])
    images = task.augment(puzzles, rng)
    return _rated(task, images.inputs, images.labels, difficulty)


def all_grids4(task: Sudoku) -> np.ndarray:
    """Return all 288 full 4x4 grids as tokens ``(288, 16)`` uint8, by testing all stacks of four rows."""
    orders = np.array(list(permutations(range(BLANK + 1, BLANK + 5))), np.uint8)
    stacks = np.indices((len(orders),) * 4).reshape(4, -1).T
    grids = orders[stacks].reshape(-1, 16)
    return grids[task.complete_units(grids).all(axis=1)]
