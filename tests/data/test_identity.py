"""Identities: all images of a puzzle share one; different puzzles, even with the same solution, do not."""

import csv
from pathlib import Path

import numpy as np
import pytest

from memhrm.data import Examples, Task, examples_of
from memhrm.data.episodes.recall import Recall
from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.solver import random_grids
from memhrm.data.sudoku.task import BLANK, Sudoku

EXTREME = Path(__file__).parents[2] / ".." / "shared" / "data" / "sudoku" / "test.csv"
TASK = Sudoku(side=9)


def grids(count: int, seed: int = 0, side: int = 9) -> np.ndarray:
    return random_grids(count, Sudoku(side=side).shape, np.random.default_rng(seed))


def some_puzzles(count: int, clues: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    full = grids(count, seed)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(81), (count, 1)), axis=1)
    return np.where(order < clues, full, BLANK), full


def identities(task: Task, puzzles: Examples) -> np.ndarray:
    return task.identities(puzzles.inputs, puzzles.labels)


def image(puzzle: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return question and answer ``(2, 81)`` under one random symmetry, step by step, without the package."""

    def lines() -> list[int]:
        return [3 * band + line for band in rng.permutation(3) for line in rng.permutation(3)]

    digits = np.concatenate([[0, BLANK], BLANK + 1 + rng.permutation(9)])
    rows, columns, turned = lines(), lines(), rng.random() < 0.5
    found = []
    for tokens in puzzle:
        grid = tokens.reshape(9, 9)[rows][:, columns]
        found.append(digits[grid.T if turned else grid].reshape(81))
    return found


@pytest.mark.parametrize("clues", [0, 1, 17, 25, 40, 80, 81])
def test_all_images_of_a_sudoku_share_its_identity(clues: int):
    questions, answers = some_puzzles(20, clues)
    own = TASK.identities(questions, answers)
    rng = np.random.default_rng(1)
    for _ in range(10):
        images = [image(np.stack(puzzle), rng) for puzzle in zip(questions, answers)]
        turned, solved = (np.array(part) for part in zip(*images))
        assert (TASK.identities(turned, solved) == own).all()
    assert len(np.unique(own)) == 20
    assert own.dtype == np.uint64


@pytest.mark.parametrize("clues", [1, 80])
def test_puzzles_of_one_solution_that_differ_in_one_cell_have_different_identities(clues: int):
    """Colours alone need three rounds here: all cells of the grid look alike except one."""
    for full in grids(5):
        one = np.eye(81, dtype=bool)
        questions = np.where(one if clues == 1 else ~one, full, BLANK)
        assert len(np.unique(TASK.identities(questions, np.tile(full, (81, 1))))) == 81


def test_a_clue_more_or_less_is_another_puzzle():
    questions, answers = some_puzzles(1, 26)
    given = np.flatnonzero(questions[0] > BLANK)
    fewer = np.tile(questions, (27, 1))
    fewer[np.arange(26), given] = BLANK
    assert len(np.unique(TASK.identities(fewer, np.tile(answers, (27, 1))))) == 27


def test_puzzles_that_give_whole_rows_are_told_apart():
    """The cells of such puzzles keep few colours, however often these are refined."""
    full = grids(30)
    found = []
    for rows in ([0, 1, 2], [3, 4, 5], [0], [0, 1], [0, 3]):
        given = np.isin(np.arange(81) // 9, rows)
        found.append(TASK.identities(np.where(given, full, BLANK), full))
    assert len(np.unique(np.concatenate(found))) == 150


@pytest.mark.skipif(not EXTREME.exists(), reason="the puzzles of Sudoku-Extreme are not stored here")
def test_published_puzzles_have_different_identities():
    with open(EXTREME, newline="") as file:
        rows = list(csv.DictReader(file))
    puzzles = TASK.encode([row["question"] for row in rows], [row["answer"] for row in rows])
    found = identities(TASK, puzzles)
    assert len(np.unique(found)) == len({(row["question"], row["answer"]) for row in rows})
    images = TASK.augment(puzzles, np.random.default_rng(0))
    assert (identities(TASK, images) == found).all()


@pytest.mark.parametrize("side", [4, 6])
def test_identities_of_small_sudokus_are_those_of_their_canonical_form(side: int):
    task, full = Sudoku(side=side), grids(60, side=side)
    questions = np.where(np.random.default_rng(0).random(full.shape) < 0.5, full, BLANK)
    found, keys = task.identities(questions, full), task.class_keys(questions, full)
    assert len(np.unique(found)) == len(np.unique(keys))
    images = task.augment(examples_of(questions, full), np.random.default_rng(0))
    assert (identities(task, images) == found).all()


def test_identities_of_mazes_and_strings():
    maze = Maze(side=3)
    tokens = np.stack([maze.tokens("question", [text])[0] for text in ("S  # # G ", "S  #   G ")])
    tokens = np.repeat(tokens, 20, axis=0)
    images = maze.augment(examples_of(tokens, tokens), np.random.default_rng(0))
    assert len(np.unique(identities(maze, images))) == 2
    recall = Recall(digits=4, length=6)
    strings = np.indices((4,) * 6).reshape(6, -1).T + 1
    assert len(np.unique(recall.identities(strings, strings))) == 4**6


@pytest.mark.parametrize(
    "part", [None, 3, "12", [[1, 2], [3]], [[0] * 81], [[1.5] * 81], [[99] * 81], [[1] * 80]]
)
def test_identities_of_what_is_no_puzzle(part: object):
    questions, answers = some_puzzles(1, 25)
    for arguments in ((part, answers), (questions, part)):
        with pytest.raises(ValueError):
            TASK.identities(*arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="answer has an empty cell"):
        TASK.identities(questions, questions)
