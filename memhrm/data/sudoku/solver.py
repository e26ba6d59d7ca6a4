"""A sudoku solver for many puzzles at once: depth-first search in lockstep, vectorised over the puzzles.

Each cell holds its candidates as bits, bit ``d - 1`` for digit ``d``. Arrays keep cells first and puzzles
last, so that every operation runs along contiguous memory.
"""

import math
from dataclasses import dataclass

import numpy as np

from memhrm.data.checks import in_range, integers
from memhrm.data.sudoku.symmetry import Shape


@dataclass(frozen=True)
class Search:
    """The result of a search in ``n`` puzzles.

    Attributes:
        solutions: ``(n,)`` solutions found, at most the limit.
        guesses: ``(n,)`` guesses made until the search stopped.
        grids: ``(n, side^2)`` uint8 tokens of the first solution; 0 where there is none.
    """

    solutions: np.ndarray
    guesses: np.ndarray
    grids: np.ndarray


def candidates_of(puzzles: np.ndarray, side: int) -> np.ndarray:
    """Return the candidates ``(side^2, n)`` uint16 of puzzles ``(n, side^2)``: all digits in empty cells."""
    bits = np.concatenate([[0, (1 << side) - 1], 1 << np.arange(side)]).astype(np.uint16)
    return np.ascontiguousarray(bits[puzzles].T)


def tokens_of(candidates: np.ndarray) -> np.ndarray:
    """Return the tokens ``(n, side^2)`` uint8 of candidates ``(side^2, n)`` with one bit each."""
    return np.bitwise_count(candidates - 1).T.astype(np.uint8) + 2


def propagate(candidates: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Apply naked and hidden singles until nothing changes.

    A naked single is a cell with one candidate, which is then removed from the rest of its units; a hidden
    single is a digit with one place left in a unit. The order of application does not change the result.

    Args:
        candidates: ``(side^2, n)`` uint16, not changed.
        shape: the shape of the grids.

    Returns:
        The reduced candidates ``(side^2, n)``, and ``(n,)`` bool, False where a contradiction appeared; such
        puzzles are left unfinished.
    """
    side, n = shape.side, candidates.shape[1]
    full = np.uint16((1 << side) - 1)
    candidates = candidates.copy()
    consistent = np.ones(n, bool)
    active = np.arange(n)
    while active.size:
        before = candidates[:, active]
        cells = before[shape.units]  # (units, side, active)
        single = np.where(cells & (cells - 1), 0, cells)
        once, twice, fixed, clash = np.zeros((4, len(cells), active.size), np.uint16)
        for k in range(side):
            twice |= once & cells[:, k]
            once |= cells[:, k]
            clash |= fixed & single[:, k]
            fixed |= single[:, k]
        good = ~((once != full) | (clash != 0)).any(axis=0)

        taken = np.bitwise_or.reduce(fixed[shape.cell_units], axis=1)
        after = np.where(before & (before - 1), before & ~taken, before)
        hidden = np.bitwise_or.reduce((once & ~twice)[shape.cell_units], axis=1) & after
        after = np.where(hidden, hidden, after)
        # A cell that is the only place of two digits keeps both bits: fixing one of them is a contradiction.
        good &= after.all(axis=0)

        candidates[:, active] = after
        consistent[active] = good
        active = active[good & (after != before).any(axis=0)]
    return candidates, consistent


def search(candidates: np.ndarray, shape: Shape, *, limit: int, most_guesses: float = math.inf) -> Search:
    """Search every puzzle depth first for up to ``limit`` solutions.

    Between propagations the search guesses: in the first of the cells with the fewest candidates it takes the
    smallest digit; on failure it removes that digit and propagates again. Each digit taken counts as a guess.

    Args:
        candidates: ``(side^2, n)`` uint16.
        shape: the shape of the grids.
        limit: the number of solutions at which the search of a puzzle stops.
        most_guesses: the search of a puzzle that takes more guesses is given up at the first of them.
    """
    cells, n = candidates.shape
    solutions, guesses, depth = np.zeros((3, n), np.int32)
    grids = np.zeros((n, cells), np.uint8)
    stack = np.zeros((n, 4, cells), np.uint16)  # the candidates left to try at each guess
    rows, state = np.arange(n), candidates
    while rows.size:
        state, consistent = propagate(state, shape)
        sizes = np.bitwise_count(state)
        solved = consistent & (sizes == 1).all(axis=0)
        new = solved & (solutions[rows] == 0)
        grids[rows[new]] = tokens_of(state[:, new])
        solutions[rows[solved]] += 1

        guess = np.flatnonzero(consistent & ~solved)
        here = rows[guess]
        cell = np.where(sizes[:, guess] > 1, sizes[:, guess], 99).argmin(axis=0)
        options = state[cell, guess]
        digit = options & -options
        if (depth[here] == stack.shape[1]).any():
            stack = np.concatenate([stack, np.zeros_like(stack)], axis=1)
        state[cell, guess] = options ^ digit
        stack[here, depth[here]] = state[:, guess].T
        state[cell, guess] = digit
        depth[here] += 1
        guesses[here] += 1

        closed = ~consistent | solved
        back = np.flatnonzero(closed & (depth[rows] > 0) & (solutions[rows] < limit))
        depth[rows[back]] -= 1
        state[:, back] = stack[rows[back], depth[rows[back]]].T
        closed[back] = False
        closed |= guesses[rows] > most_guesses
        rows, state = rows[~closed], state[:, ~closed]
    return Search(solutions, guesses, grids)


def solve(puzzles: np.ndarray, shape: Shape, *, limit: int = 2, most_guesses: float = math.inf) -> Search:
    """Search puzzles for up to ``limit`` solutions.

    Args:
        puzzles: tokens ``(n, side^2)``, 1 for an empty cell and ``d + 1`` for digit ``d``.
        shape: the shape of the grids.
        limit: most solutions to look for. With 1, ``guesses`` measures difficulty; with 2, ``solutions``
            tells whether the solution is unique.
        most_guesses: the search of a puzzle that takes more guesses is given up, as in `search`.

    Raises:
        ValueError: `puzzles` has another shape, or a number in it is not a token.
    """
    puzzles = integers("puzzles", puzzles, 2)
    if puzzles.shape[1] != shape.side**2:
        raise ValueError(f"puzzles have shape {puzzles.shape}; allowed: {shape.side**2} cells a row")
    in_range("puzzles", puzzles, 1, shape.side + 1)
    return search(candidates_of(puzzles, shape.side), shape, limit=limit, most_guesses=most_guesses)


def random_grids(count: int, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return random full grids as tokens ``(count, side^2)`` uint8.

    Each grid starts empty. A random digit is put into a random one of the cells with the fewest candidates
    and propagated; after a contradiction the grid starts over. Every grid is possible, but not all are
    equally likely.
    """
    cells = shape.side**2
    empty = candidates_of(np.ones((1, cells), np.uint8), shape.side)
    state = np.tile(empty, count)
    grids = np.zeros((count, cells), np.uint8)
    rows = np.arange(count)
    while rows.size:
        sizes = np.bitwise_count(state)
        column = np.arange(rows.size)
        cell = np.where(sizes > 1, sizes + rng.random(state.shape), 99).argmin(axis=0)
        options = state[cell, column][:, None] >> np.arange(shape.side) & 1
        digit = (options * rng.random(options.shape)).argmax(axis=1)
        state[cell, column] = (1 << digit).astype(np.uint16)
        state, consistent = propagate(state, shape)
        state[:, ~consistent] = empty
        solved = (np.bitwise_count(state) == 1).all(axis=0)
        grids[rows[solved]] = tokens_of(state[:, solved])
        rows, state = rows[~solved], state[:, ~solved]
    return grids
