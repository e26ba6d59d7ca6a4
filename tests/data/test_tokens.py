"""Integers never wrap around, and questions without one answer are refused."""

from typing import Any

import numpy as np
import pytest

from memhrm.data import Examples, GridTask, Maze, Sampler, Sudoku, Task
from memhrm.data.checks import PuzzleError
from memhrm.data.episodes.recall import Recall
from memhrm.data.examples import examples_of
from memhrm.data.keys import row_keys
from memhrm.data.sampler import batch_of
from memhrm.data.sudoku.solver import random_grids, solve

SOLVED = "1234341221434321"
SUDOKU = Sudoku(side=4)


class Letters(Recall):
    """A task of strings over any alphabet."""

    def __init__(self, alphabet: str, length: int) -> None:
        GridTask.__init__(self, name="letters", side=length, rows=1, alphabet=alphabet)
        self.digits = len(alphabet)
        self.answers = len(alphabet)


def tokens(*rows: list[int]) -> np.ndarray:
    return np.array(rows)


def small_set(inputs: np.ndarray, labels: np.ndarray | None = None) -> Examples:
    return examples_of(
        inputs, inputs if labels is None else labels, np.zeros(len(inputs)), ["x"] * len(inputs)
    )


def test_large_tokens_are_kept():
    puzzles = small_set(tokens([1, 300]), tokens([70_000, 255]))
    assert puzzles.inputs.tolist() == [[1, 300]] and puzzles.labels.tolist() == [[70_000, 255]]
    batch = batch_of(puzzles)
    assert batch["inputs"].tolist() == [[1, 300]] and batch["labels"].tolist() == [[70_000, 255]]


def test_storage_is_narrow_where_the_values_allow():
    assert small_set(tokens([0, 255])).inputs.dtype == np.uint8
    assert small_set(tokens([0, 256])).inputs.dtype == np.int32


@pytest.mark.parametrize("token", [-1, 1 << 31, 1 << 40, -(1 << 33)])
def test_tokens_beyond_int32_are_refused(token: int):
    with pytest.raises(ValueError, match=f"inputs has {token} in row 1"):
        small_set(tokens([1, 2], [1, token]))


def test_ratings_beyond_int32_are_refused():
    with pytest.raises(ValueError, match="ratings has 4294967296"):
        examples_of(tokens([1]), tokens([1]), np.array([1 << 32]), ["x"])


def test_alphabets_of_any_size_and_script():
    alphabet = "".join(chr(0x4E00 + k) for k in range(400)) + "é😀a"
    task = Letters(alphabet, 3)
    inputs = task.encode([alphabet[299] + "😀a"]).inputs
    assert inputs.tolist() == [[300, 402, 403]]
    assert task.decode(inputs) == alphabet[299] + "😀a"
    for wrong in ("b", "?", "\udc80", "\U0010ffff"):
        with pytest.raises(ValueError, match="at character 2"):
            task.encode(["a" + wrong + "a"])


def test_pairs_of_a_large_alphabet():
    task = Letters("".join(chr(0x4E00 + k) for k in range(20)), 1)
    assert task.pair(np.array([[20]], np.uint8), np.array([[20]], np.uint8)).tolist() == [[440]]


@pytest.mark.parametrize("rows", [([300, 1], [44, 1]), ([256, 256], [256, 1]), ([1, 0], [1, 256])])
def test_row_keys_of_large_tokens_differ(rows: tuple[list[int], list[int]]):
    assert len(set(row_keys(np.array(rows)).tolist())) == 2


def test_row_keys_sort_as_rows_do():
    rows = np.random.default_rng(0).integers(0, 1000, (200, 5))
    order = sorted(range(200), key=lambda row: rows[row].tolist())
    assert row_keys(rows).argsort(kind="stable").tolist() == order


@pytest.mark.thorough
def test_long_paths_are_measured():
    side = 260  # a corridor of 33,930 moves, more than int16 holds
    grid = np.full((side, side), 2)
    grid[1::2] = 1
    grid[1::4, -1], grid[3::4, 0] = 2, 2
    grid[0, 0] = 3
    grid[-1], grid[-2, 0] = 1, 4
    task = Maze(side=side)
    distances = task.distances(grid.reshape(1, -1) == 3, grid.reshape(1, -1) != 1)
    assert distances.max() == task.shortest(grid.reshape(1, -1))[0] > 32_767


def test_keys_of_long_strings_do_not_wrap():
    task = Recall(digits=6, length=60)
    rows = np.ones((2, 60), int)
    rows[1, 59] = 2
    assert len(set(task.class_keys(rows, rows).tolist())) == 2


def test_large_seeds_differ():
    puzzles = small_set(SUDOKU.tokens("question", [SOLVED] * 50))
    orders = [
        Sampler(puzzles, SUDOKU, batch_size=50, seed=seed, augment=False).rows(0).tolist()
        for seed in (0, (1 << 63) + 1, (1 << 64) - 1)
    ]
    assert orders[0] != orders[1] != orders[2]


def test_solve_finds_the_answers():
    for side in (4, 6, 9):
        task = Sudoku(side=side)
        full = random_grids(5, task.shape, np.random.default_rng(0))
        questions = full.copy()
        questions[:, : side // 2] = 1
        assert (task.solve(questions) == full).all()
    maze = Maze(side=3)
    questions = maze.tokens("question", ["S  # # G ", "S       G"])
    answers = maze.solve(questions)
    maze.check(questions, answers)
    assert (maze.solve(questions[1:]) == answers[1:]).all()


@pytest.mark.parametrize(
    ("task", "question", "message"),
    [
        (SUDOKU, "11" + "." * 14, "question repeats 1 in row 1: it has no answer"),
        (SUDOKU, "123." + "...4" + "." * 8, "question has no answer"),
        (SUDOKU, "1234" + "." * 12, "question has several answers"),
        (Maze(side=3), "S#######G", "question has no path from start to goal"),
        (Maze(side=3), "SS#    G ", "question has 2 cells 'S'"),
        (Maze(side=3), "So     G ", "question marks a path at row 1, column 2"),
    ],
)
def test_questions_without_an_answer_are_refused(task: Task, question: str, message: str):
    with pytest.raises(ValueError) as caught:
        task.solve(task.tokens("question", [question]))
    assert message in str(caught.value)


def test_a_question_whose_search_takes_too_long_is_refused(monkeypatch):
    questions = SUDOKU.tokens("question", [SOLVED, "1234" + "." * 12])
    monkeypatch.setattr("memhrm.data.sudoku.task.MOST_GUESSES", 0)
    assert (SUDOKU.solve(questions[:1]) == questions[:1]).all()
    with pytest.raises(
        PuzzleError, match=r"question takes too long to solve: .* more than 0 guesses"
    ) as caught:
        SUDOKU.solve(questions)
    assert caught.value.row == 1


@pytest.mark.parametrize("bad", [None, 1.5, "x", [[1], [2, 3]], {}], ids=repr)
def test_bad_sets(bad: Any):
    good = np.ones((1, 4), int)
    for call in (
        lambda: examples_of(bad, good, np.zeros(1), ["x"]),
        lambda: examples_of(good, bad, np.zeros(1), ["x"]),
        lambda: examples_of(good, good, bad or [], ["x"]),
        lambda: examples_of(good, good, np.zeros(1), bad or []),
        lambda: examples_of(good, good, mask=bad or []),
        lambda: examples_of(good, good, identifiers=bad or []),
        lambda: examples_of(good, good, groups=bad or []),
        lambda: examples_of(good, np.ones((1, 5), int), np.zeros(1), ["x"]),
        lambda: examples_of(good, good, np.zeros(2), ["x"]),
        lambda: examples_of(good, good, np.array([np.nan]), ["x"]),
        lambda: examples_of(good, good, np.array([0.5]), ["x"]),
        lambda: Examples(bad, bad, bad, bad, bad, bad, bad),
        lambda: Examples(good, good, None, *[np.zeros(1, int)] * 3, bad),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_bad_strings():
    for values in ({"digits": 7, "length": 2}, {"digits": 0, "length": 2}, {"digits": 2, "length": 0}):
        with pytest.raises(ValueError):
            Recall(**values)


def test_the_solver_takes_tokens_alone():
    for puzzles in (np.zeros((1, 16), int), np.full((1, 16), 6), np.full((1, 16), -1), np.ones((1, 15), int)):
        with pytest.raises(ValueError):
            solve(puzzles, SUDOKU.shape)


def test_set_without_some_rows():
    puzzles = small_set(tokens([1], [2], [3]))
    assert puzzles.without(np.array([True, False, True])).inputs.tolist() == [[2]]
