"""Canonical forms, fingerprints and numbers of classes, against plain symmetry moves."""

from itertools import combinations

import numpy as np
import pytest

from memhrm.data.sudoku.generate import Difficulty, all_grids4, all_sudokus4
from memhrm.data.sudoku.solver import random_grids, solve
from memhrm.data.sudoku.symmetry import canonical, fingerprint, shape_of
from memhrm.data.sudoku.task import Sudoku

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_4x4_grids_fall_in_two_classes():
    task = Sudoku(side=4)
    grids = all_grids4(task)
    assert len(np.unique(grids, axis=0)) == 288
    assert len(np.unique(canonical(grids, task.shape), axis=0)) == 2


def test_6x6_grids_fall_in_49_classes():
    shape = shape_of(6)
    grids = random_grids(6000, shape, rng())
    marks = fingerprint(grids, shape)
    # Up to 12 grids of each fingerprint: few grids, but the rare classes are among them.
    grids = np.concatenate([grids[marks == mark][:12] for mark in np.unique(marks)])
    assert len(np.unique(canonical(grids, shape), axis=0)) == 49


def test_4x4_puzzle_classes_are_the_orbits_of_clue_sets():
    """The reference counts the clue sets of a grid up to the grid's own symmetries."""
    task = Sudoku(side=4)
    grids, orbits = all_grids4(task), 0
    for grid in {form.tobytes(): form for form in canonical(grids, task.shape)}.values():
        same = [image for image in task.shape.images if len(set(zip(grid, grid[image], strict=True))) == 4]
        others = [set(np.flatnonzero(grid != other).tolist()) for other in grids if (grid != other).any()]
        for clues in range(4, 7):
            seen: set[frozenset[int]] = set()
            for cells in map(frozenset, combinations(range(16), clues)):
                if cells not in seen and all(cells & other for other in others):
                    orbits += 1
                    seen |= {frozenset(int(image[cell]) for cell in cells) for image in same}
    puzzles = all_sudokus4(task, Difficulty.of(max_clues=6), rng())
    assert len(puzzles) == orbits


def test_4x4_puzzles_with_at_most_8_clues_are_2236():
    task = Sudoku(side=4)
    puzzles = all_sudokus4(task, Difficulty.of(max_clues=8), rng())
    assert len(puzzles) == 2236
    assert len(np.unique(task.class_keys(puzzles.inputs, puzzles.labels))) == 2236
    found = solve(puzzles.inputs, task.shape)
    assert (found.solutions == 1).all()
    assert (found.grids == puzzles.labels).all()


def reference_image(grid: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
    """Apply a random symmetry as a sequence of elementary moves: swaps and transpositions."""
    height, width = BOXES[side]
    grid = grid.reshape(side, side)
    for _ in range(30):
        if generator.random() < 0.5:
            a, b = generator.choice(np.arange(2, side + 2), 2, replace=False)
            grid = np.where(grid == a, b, np.where(grid == b, a, grid))
        axis = int(generator.integers(2))
        blocks = np.arange(side).reshape(-1, (height, width)[axis])
        if generator.random() < 0.5:
            a, b = generator.choice(len(blocks), 2, replace=False)
            blocks[[a, b]] = blocks[[b, a]]
        else:
            a, b = generator.choice(blocks.shape[1], 2, replace=False)
            block = generator.integers(len(blocks))
            blocks[block, [a, b]] = blocks[block, [b, a]]
        grid = np.take(grid, blocks.ravel(), axis=axis)
        if height == width and generator.random() < 0.5:
            grid = grid.T
    return grid.ravel()


@pytest.mark.parametrize("side", [4, 6])
def test_canonical_form_is_the_same_for_all_images(side: int):
    shape, generator = shape_of(side), rng(5)
    grids = random_grids(30, shape, rng())
    puzzles = np.where(generator.random(grids.shape) < np.linspace(0.2, 1, 30)[:, None], grids, 1)
    images = np.stack([reference_image(puzzle, side, generator) for puzzle in puzzles])
    assert (images != puzzles).any(axis=1).sum() > 20
    assert (canonical(images, shape) == canonical(puzzles, shape)).all()


@pytest.mark.parametrize("side", [4, 6])
def test_canonical_form_is_an_image_of_the_puzzle(side: int):
    """Hence two puzzles with the same canonical form are images of each other."""
    shape = shape_of(side)
    grids = random_grids(5, shape, rng())
    puzzles = np.where(rng(1).random(grids.shape) < 0.4, grids, 1)
    for puzzle, form in zip(puzzles, canonical(puzzles, shape), strict=True):
        images = puzzle[shape.images]
        pairings = [set(zip(image, form, strict=True)) for image in images.tolist()]
        assert any(len(p) == len(dict(p)) == len({b for _, b in p}) and (1, 1) in p for p in pairings)


@pytest.mark.parametrize("side", [4, 6, 9])
def test_fingerprint_is_invariant(side: int):
    shape, generator = shape_of(side), rng(6)
    grids = random_grids(100, shape, rng())
    images = np.stack([reference_image(grid, side, generator) for grid in grids])
    assert (images != grids).any()
    assert (fingerprint(images, shape) == fingerprint(grids, shape)).all()


def test_fingerprint_separates_random_grids():
    shape = shape_of(9)
    assert len(np.unique(fingerprint(random_grids(3000, shape, rng()), shape))) == 3000
