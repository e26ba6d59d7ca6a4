"""Sudoku puzzles: text, grading, augmentation and generation."""

from itertools import permutations

import numpy as np
import pytest

from memhrm.data.collect import collect
from memhrm.data.examples import examples_of
from memhrm.data.keys import row_keys
from memhrm.data.sudoku.generate import Difficulty, RandomSudokus, all_sudokus4
from memhrm.data.sudoku.solver import random_grids, solve
from memhrm.data.sudoku.task import Sudoku


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_verdict_looks_at_the_givens_and_at_the_rules():
    task, solved = Sudoku(side=4), "1234341221434321"
    answers = [solved, "2" + solved[1:], "1234" * 4]
    found = task.verdict(*(task.tokens("grid", texts) for texts in (["1" + "." * 15] * 3, answers)))
    assert found.keeps_givens.tolist() == [True, False, True]
    assert found.keeps_rules.tolist() == [True, False, False]


@pytest.mark.parametrize("side", [4, 6, 9])
def test_augmentation_keeps_the_class_and_the_pairing(side: int):
    task = Sudoku(side=side)
    grids = random_grids(200, task.shape, rng())
    puzzles = np.where(rng(1).random(grids.shape) < 0.5, grids, 1)
    images = task.augment(examples_of(puzzles, grids), rng(2))
    inputs, labels = images.inputs, images.labels
    task.check(inputs, labels)
    assert (inputs != puzzles).mean() > 0.3
    assert (task.class_keys(inputs, labels) == task.class_keys(puzzles, grids)).all()


def every_image(puzzle: np.ndarray, task: Sudoku) -> set[bytes]:
    digits = np.array([[0, 1, *order] for order in permutations(range(2, 6))], np.uint8)
    return set(row_keys(digits[:, puzzle[task.shape.images]].reshape(-1, 16)).tolist())


def test_augmentation_is_uniform_over_the_group():
    """A 4x4 puzzle without symmetries of its own has 128 x 24 images, all equally likely."""
    task = Sudoku(side=4)
    puzzles = all_sudokus4(task, Difficulty.of(min_clues=8, max_clues=8), rng())
    row = next(row for row, puzzle in enumerate(puzzles.inputs) if len(every_image(puzzle, task)) == 3072)
    one = puzzles.select(np.full(3072 * 30, row))
    drawn = task.augment(one, rng(1))
    images, counts = np.unique(row_keys(drawn.inputs), return_counts=True)
    assert set(images.tolist()) == every_image(puzzles.inputs[row], task)
    # The chi-square statistic has 3071 degrees of freedom: mean 3071, standard deviation 78.
    assert abs(((counts - 30) ** 2 / 30).sum() - 3071) < 4 * 78


def test_augmentation_leaves_unlabelled_positions():
    task = Sudoku(side=4)
    grids = random_grids(10, task.shape, rng())
    labels = np.where(rng(1).random(grids.shape) < 0.5, grids, 0)
    images = task.augment(examples_of(grids, labels), rng(2)).labels
    assert ((images > 0).sum(axis=1) == (labels > 0).sum(axis=1)).all()


def test_collected_puzzles_are_in_different_classes_and_within_bounds():
    task = Sudoku(side=6)
    bounds = Difficulty.of(min_clues=10, max_clues=11, min_guesses=0, max_guesses=1)
    puzzles = collect(task, 150, RandomSudokus(task, bounds), rng(), lambda done, total: None)
    assert len(np.unique(task.class_keys(puzzles.inputs, puzzles.labels))) == len(puzzles) == 150
    assert set((puzzles.inputs > 1).sum(axis=1).tolist()) == {10, 11}
    assert (puzzles.ratings <= 1).all()
    found = solve(puzzles.inputs, task.shape)
    assert (found.solutions == 1).all()
    assert (found.grids == puzzles.labels).all()


def test_a_draw_without_new_classes_ends_with_a_message():
    task = Sudoku(side=4)
    known = all_sudokus4(task, Difficulty.of(max_clues=4), rng())
    with pytest.raises(ValueError, match=r"only 13 of 14 sudoku4 puzzles found in \d+ tries"):
        collect(task, 14, lambda count, generator: known, rng(), lambda done, total: None)


SOLVED = "1234341221434321"


def test_text_form_round_trips():
    task = Sudoku(side=4)
    one = task.encode(["1..0....2......."], [SOLVED])
    inputs, labels = one.inputs[0], one.labels[0]
    assert inputs.tolist() == [2, 1, 1, 1, 1, 1, 1, 1, 3, *[1] * 7]
    assert task.decode(inputs) == "1.......2......."
    assert task.decode(labels) == SOLVED
    assert task.decode(np.array([0, 9])) == "??"


def test_render_draws_the_boxes():
    task = Sudoku(side=6)
    text = task.render(np.arange(36) % 6 + 2)
    assert text.splitlines()[:3] == ["1 2 3 | 4 5 6", "1 2 3 | 4 5 6", "------+------"]


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        ("1" + "." * 14, SOLVED, "question has 15 characters; sudoku4 has 16"),
        ("." * 16, SOLVED + "1", "answer has 17 characters; sudoku4 has 16"),
        ("..5" + "." * 13, SOLVED, "question has '5' at character 3; allowed are '.1234'"),
        ("..²" + "." * 13, SOLVED, "question has '²' at character 3"),
        (".一" + "." * 14, SOLVED, "question has '一' at character 2"),
        ("....2" + "." * 11, SOLVED, "answer has '3' at row 2, column 1, where the question gives '2'"),
        ("." * 16, SOLVED[:5] + "." + SOLVED[6:], "answer has no digit at row 2, column 2"),
        ("." * 16, "1134341221434321", "answer repeats a digit in row 1"),
        ("." * 16, "1234" * 4, "answer repeats a digit in column 1"),
        ("." * 16, "1234234134124123", "answer repeats a digit in box 1"),
    ],
)
def test_bad_puzzles_are_refused(question: str, answer: str, message: str):
    with pytest.raises(ValueError) as caught:
        Sudoku(side=4).encode([question], [answer])
    assert message in str(caught.value)


def test_grade_counts_labelled_positions_only():
    task = Sudoku(side=4)
    labels = np.array([[2, 3, 0, -100], [2, 3, 4, 5], [0, 0, 0, 0]])
    predictions = np.array([[2, 3, 5, 5], [2, 3, 4, 4], [0, 0, 0, 0]])
    scores = task.score(labels, labels, predictions)
    assert scores["exact_accuracy"].tolist() == [1, 0, 0]
    assert scores["accuracy"].tolist() == [1, 0.75, 0]
