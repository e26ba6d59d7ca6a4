"""The sudoku solver and everything that uses it, against plain recursive solvers."""

from itertools import product

import numpy as np
import pytest

from memhrm.data.sudoku.generate import dig
from memhrm.data.sudoku.solver import candidates_of, propagate, random_grids, solve
from memhrm.data.sudoku.symmetry import shape_of
from memhrm.data.sudoku.task import Sudoku

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def peers(side: int) -> list[set[int]]:
    """Return, for each cell, the cells that must differ from it by the rules."""
    height, width = BOXES[side]

    def together(a: int, b: int) -> bool:
        (row, column), (other_row, other_column) = divmod(a, side), divmod(b, side)
        same_box = row // height == other_row // height and column // width == other_column // width
        return a != b and (row == other_row or column == other_column or same_box)

    cells = range(side * side)
    return [{b for b in cells if together(a, b)} for a in cells]


def count_solutions(puzzle: list[int], side: int, limit: int) -> int:
    """Count solutions by plain backtracking over the cells in order, without propagation."""
    neighbours, grid, found = peers(side), list(puzzle), 0
    for cell, token in enumerate(grid):
        if token > 1 and any(grid[other] == token for other in neighbours[cell]):
            return 0

    def visit(cell: int) -> None:
        nonlocal found
        while cell < side * side and grid[cell] > 1:
            cell += 1
        if cell == side * side:
            found += 1
            return
        taken = {grid[other] for other in neighbours[cell]}
        for token in range(2, side + 2):
            if token not in taken and found < limit:
                grid[cell] = token
                visit(cell + 1)
        grid[cell] = 1

    visit(0)
    return found


def reference_guesses(puzzle: list[int], side: int) -> int:
    """Count the guesses of a recursive depth-first solver on candidate sets until the first solution."""
    neighbours = peers(side)
    units = [set(map(int, unit)) for unit in shape_of(side).units]
    guesses = 0

    def settle(options: list[set[int]]) -> bool:
        changed = True
        while changed:
            changed = False
            for cell, values in enumerate(options):
                if len(values) == 1:
                    for other in neighbours[cell]:
                        if values <= options[other]:
                            options[other] = options[other] - values
                            changed = True
            if not all(options):
                return False
            for unit, token in product(units, range(2, side + 2)):
                places = [cell for cell in unit if token in options[cell]]
                if not places:
                    return False
                if len(places) == 1 and len(options[places[0]]) > 1:
                    options[places[0]] = {token}
                    changed = True
        return True

    def visit(options: list[set[int]]) -> bool:
        nonlocal guesses
        if not settle(options):
            return False
        open_cells = [cell for cell, values in enumerate(options) if len(values) > 1]
        if not open_cells:
            return True
        cell = min(open_cells, key=lambda c: len(options[c]))
        token = min(options[cell])
        guesses += 1
        rest = list(options)
        rest[cell] = options[cell] - {token}
        taken = list(options)
        taken[cell] = {token}
        return visit(taken) or visit(rest)

    visit([{token} if token > 1 else set(range(2, side + 2)) for token in puzzle])
    return guesses


@pytest.mark.parametrize("side", [4, 6, 9])
def test_units_are_the_rows_columns_and_boxes(side: int):
    shape = shape_of(side)
    for cell, neighbours in enumerate(peers(side)):
        assert set(shape.units[shape.cell_units[cell]].ravel().tolist()) == neighbours | {cell}


@pytest.mark.parametrize("side", [4, 6])
def test_solver_counts_solutions_as_backtracking_does(side: int):
    shape = shape_of(side)
    grids = random_grids(60, shape, rng())
    share = np.linspace(0.2, 0.6, 60)[:, None]
    puzzles = np.where(rng(1).random(grids.shape) < share, grids, 1)
    wrong = puzzles.copy()
    wrong[:, 0] = wrong[:, 1] = 2
    puzzles = np.concatenate([puzzles, wrong])
    expected = [count_solutions(puzzle, side, 2) for puzzle in puzzles.tolist()]
    assert set(expected) == {0, 1, 2}
    assert solve(puzzles, shape).solutions.tolist() == expected


def test_solver_counts_every_4x4_grid():
    empty = np.ones((1, 16), np.uint8)
    assert solve(empty, shape_of(4), limit=1000).solutions.tolist() == [288]


def test_solution_keeps_the_givens_and_the_rules():
    task = Sudoku(side=9)
    grids = random_grids(20, task.shape, rng())
    puzzles = dig(grids, task.shape, rng(1), min_clues=0)
    task.check(puzzles, solve(puzzles, task.shape).grids)


@pytest.mark.parametrize(("side", "count"), [(6, 200), (9, 30)])
def test_guesses_are_those_of_the_recursive_solver(side: int, count: int):
    shape = shape_of(side)
    puzzles = dig(random_grids(count, shape, rng(2)), shape, rng(3), min_clues=0)
    expected = [reference_guesses(puzzle, side) for puzzle in puzzles.tolist()]
    assert max(expected) > 1
    assert solve(puzzles, shape, limit=1).guesses.tolist() == expected


def test_a_search_is_given_up_after_so_many_guesses():
    """The other puzzles are searched as if nothing had been given up."""
    shape = shape_of(9)
    puzzles = dig(random_grids(30, shape, rng(2)), shape, rng(3), min_clues=0)
    whole = solve(puzzles, shape)
    most = int(np.sort(whole.guesses)[-3])
    found, done = solve(puzzles, shape, most_guesses=most), whole.guesses <= most
    assert 0 < done.sum() < len(puzzles)
    for name, values in vars(whole).items():
        assert (getattr(found, name)[done] == values[done]).all()
    assert (found.guesses[~done] == most + 1).all()


def test_dug_puzzles_are_unique_and_minimal():
    shape = shape_of(6)
    for puzzle in dig(random_grids(8, shape, rng()), shape, rng(1), min_clues=0).tolist():
        assert count_solutions(puzzle, 6, 2) == 1
        for cell in np.flatnonzero(np.array(puzzle) > 1):
            fewer = list(puzzle)
            fewer[cell] = 1
            assert count_solutions(fewer, 6, 2) == 2


def test_cell_without_candidates_is_a_contradiction():
    puzzle = np.ones((9, 9), np.uint8)
    puzzle[0, 3:7] = [2, 3, 4, 5]
    puzzle[3:5, 0] = [6, 7]
    puzzle[[1, 1, 2], [1, 2, 1]] = [8, 9, 10]
    _, consistent = propagate(candidates_of(puzzle.reshape(1, 81), 9), shape_of(9))
    assert not consistent[0]


def test_random_grids_obey_the_rules():
    task = Sudoku(side=9)
    grids = random_grids(50, task.shape, rng())
    task.check(grids, grids)
