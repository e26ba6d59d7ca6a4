"""Stability, with a planted model that fails in known ways on known grids."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from memhrm.data import Examples, Maze, Sudoku
from memhrm.data.episodes.episodes import Episodes, usual_course
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.data.sudoku.task import BLANK
from memhrm.data.task import Task
from memhrm.models.reasoner import Output
from memhrm.models.recursion import State
from memhrm.probes.rollout import rollout
from memhrm.probes.stability import from_solution, one_blank, relabelled
from memhrm.probes.subject import Subject, examples

SUDOKU, MAZE = Sudoku(side=4), Maze(side=3)
N = 24


class Planted(nn.Module):
    """Answers with `say(inputs (b, s), step)`, where the step counts from 1; remembers what it was asked."""

    def __init__(self, say):
        super().__init__()
        self.say, self.asked = say, []
        self.H_module = SimpleNamespace(cells=0, noise_in_evaluation=False, noise_size=0)
        self.settings, self.decoder = SimpleNamespace(H_cycles=1), None
        self.H_init = torch.zeros(1)

    def initial_state(self, batch_size: int, dtype: torch.dtype = torch.float32) -> State:
        return State(torch.zeros(batch_size, 1, 1), torch.zeros(batch_size, 1, 1), {})

    def puzzle_rows(self, identifiers: Tensor) -> None:
        return None

    def forward(
        self, state: State, inputs: Tensor, puzzle_rows: None, guide, mask=None
    ) -> tuple[State, Output]:
        z_H = state.z_H + 1
        step = int(z_H[0, 0, 0])
        self.asked.append((step, inputs.numpy().copy()))
        answer = torch.from_numpy(self.say(inputs.numpy().copy(), step)).long()
        q = torch.zeros(len(inputs))
        return State(z_H, state.z_L, {}), Output(nn.functional.one_hot(answer, 6).float(), q, q, [])


def grids(count: int = N, seed: int = 0) -> np.ndarray:
    """Random full grids, (count, 16)."""
    rows = SUDOKU.tokens("answer", ["1234341221434321"] * count)
    return SUDOKU.augment(examples_of(rows, rows), np.random.default_rng(seed)).labels


def sudokus() -> Examples:
    """Full grids of which some cells are blank."""
    labels = grids()
    blank = np.random.default_rng(1).random(labels.shape) < 0.5
    return examples_of(np.where(blank, BLANK, labels), labels, np.zeros(N), ["x"] * N)


def subject_of(say, puzzles: Examples, task: Task = SUDOKU) -> Subject:
    return Subject(
        name="planted", path=None, model=Planted(say), task=task, halt_max_steps=3, write=True,
        **examples(each_alone(puzzles)),
    )  # fmt: skip


def spoiled(grid: np.ndarray, cell: int) -> None:
    """Another digit at a cell, in place."""
    grid[cell] = 2 + (grid[cell] - 1) % 4


# One blank.


def fill(inputs: np.ndarray, step: int) -> np.ndarray:
    """Fills in one blank, but cells 5, 10, 15, 0 only from the second step on; where cell 3 is a 1 it spoils
    another cell than the blank one."""
    for grid in inputs:
        cells = np.flatnonzero(grid == BLANK)
        assert len(cells) == 1
        row = grid.reshape(4, 4)[cells[0] // 4]
        if cells[0] % 5 or step >= 2:
            grid[cells[0]] = 15 - row.sum()  # The tokens of a row are 2, 3, 4 and 5, and BLANK is 1.
        if grid[3] == 2:
            spoiled(grid, (cells[0] + 1) % 16)
    return inputs


def test_one_blank_of_a_model_that_fills_in_what_is_planted():
    subject = subject_of(fill, sudokus())
    found = one_blank(subject, seed=5, batch_size=7)
    early = found["blank"] % 5 > 0
    whole = subject.labels.numpy()[:, 3] != 2
    whole |= (found["blank"] == 3) & ~early
    assert 0 < early.mean() < 1
    np.testing.assert_allclose(found["filled"], [early.mean(), 1, 1])
    answers = []
    for step in (1, 2, 3):
        right = []
        for solution, cell in zip(subject.labels.numpy(), found["blank"]):
            asked = solution.copy()
            asked[cell] = BLANK
            right.append((fill(asked[None], step)[0] == solution).all())
        answers.append(np.mean(right))
    np.testing.assert_allclose(found["exact"], answers)
    assert answers[0] < answers[1] < 1
    again, other = one_blank(subject, seed=5), one_blank(subject, seed=6)
    assert (again["blank"] == found["blank"]).all() and (other["blank"] != found["blank"]).any()
    assert len(one_blank(subject, steps=5)["exact"]) == 5


# From the solution.


def wander(inputs: np.ndarray, step: int) -> np.ndarray:
    """Holds a solution whose first digit is d for d steps, leaves it for one, returns; 4 it never leaves."""
    for grid in inputs:
        if step == grid[0] and grid[0] < 5:  # Token d + 1 is digit d.
            spoiled(grid, 7)
    return inputs


def test_from_solution_counts_the_steps_before_the_first_error():
    subject = subject_of(wander, sudokus())
    first = subject.labels.numpy()[:, 0] - 1
    assert set(first) == {1, 2, 3, 4}
    found = from_solution(subject, steps=6, batch_size=7)
    held = np.where(first == 4, 6, first)
    assert found["held"].tolist() == held.tolist()
    assert found["mean_held"] == pytest.approx(held.mean())
    assert found["stays"] == pytest.approx((first == 4).mean())
    left = [np.mean(first == step - 1) if step - 1 < 4 else 0 for step in range(1, 7)]
    np.testing.assert_allclose(found["exact"], 1 - np.array(left))
    asked = np.concatenate([inputs for step, inputs in subject.model.asked if step == 1])
    assert (asked == subject.labels.numpy()).all()
    assert len(from_solution(subject)["exact"]) == 3


# Relabelled.


def moody(inputs: np.ndarray, step: int) -> np.ndarray:
    """Copies, from the second step on, a grid whose first digit is 1 or 2, and spoils the others."""
    for grid in inputs:
        if grid[0] > 3 or step == 1:
            spoiled(grid, 9)
    return inputs


def test_relabelled_failures_are_images_of_them_and_judged_as_such():
    labels = grids()
    puzzles = examples_of(labels, labels, np.zeros(N), ["x"] * N)
    subject = subject_of(moody, puzzles)
    found = relabelled(subject, tries=20, seed=1, batch_size=50)
    failed = np.flatnonzero(labels[:, 0] > 3)
    assert found["rows"].tolist() == failed.tolist() and 0 < len(failed) < N
    asked = [inputs for step, inputs in subject.model.asked if step == 1]
    assert len(asked) == 21 and (asked[0] == labels).all()
    for image, solved in zip(asked[1:], found["solved"]):
        assert SUDOKU.complete_units(image).all()
        assert (image != labels[failed]).any()
        assert solved.tolist() == (image[:, 0] <= 3).tolist()
    assert found["mean"] == pytest.approx(np.mean([image[:, 0] <= 3 for image in asked[1:]]))
    assert found["mean"] == pytest.approx(0.5, abs=0.1)  # Four digits are equally likely to come first.
    assert found["any"] == 1
    two = relabelled(subject, tries=2, seed=1)
    assert (two["solved"] == found["solved"][:2]).all()
    assert two["any"] == pytest.approx((found["solved"][0] | found["solved"][1]).mean()) and two["any"] < 1
    assert (relabelled(subject, tries=2, seed=2)["solved"] != two["solved"]).any()
    at_hand = relabelled(subject, tries=2, seed=1, baseline=rollout(subject, subject.halt_max_steps + 1))
    assert all(np.array_equal(values, at_hand[name]) for name, values in two.items())


def test_what_no_symmetry_changes_no_relabelling_solves():
    """Images have as many blanks as their puzzles."""

    def honest(inputs: np.ndarray, step: int) -> np.ndarray:
        return inputs

    puzzles = sudokus()
    puzzles.inputs[:5] = puzzles.labels[:5]
    subject = subject_of(honest, puzzles)
    found = relabelled(subject, tries=3)
    assert found["rows"].tolist() == [*range(5, N)]
    assert found["any"] == found["mean"] == 0
    subject.model.asked.clear()
    relabelled(subject, tries=3)
    blanks = (puzzles.inputs[5:] == BLANK).sum(axis=1).tolist()
    images = [inputs for step, inputs in subject.model.asked if step == 1][1:]
    assert all((image == BLANK).sum(axis=1).tolist() == blanks for image in images)


def test_without_failures_there_is_nothing_to_relabel():
    labels = grids()
    found = relabelled(
        subject_of(lambda inputs, step: inputs, examples_of(labels, labels, np.zeros(N), ["x"] * N))
    )
    assert len(found["rows"]) == 0 and found["solved"].shape == (8, 0)
    assert np.isnan(found["any"]) and np.isnan(found["mean"])


def test_mazes_have_symmetries_but_no_blanks():
    """Start and goal are neighbours, so that the question is its own answer."""
    questions = ["SG      #", "  # GS   ", "#S  G    "]
    mazes = MAZE.encode(questions, questions)

    def upright(inputs: np.ndarray, step: int) -> np.ndarray:
        for grid in inputs:
            if grid[8] != 1:  # Token 1 is a wall.
                grid[4] = 5
        return inputs

    puzzles = examples_of(mazes.inputs, mazes.labels, np.zeros(3), ["x"] * 3)
    subject = subject_of(upright, puzzles, MAZE)
    found = relabelled(subject, tries=40)
    assert found["rows"].tolist() == [1, 2]
    assert found["any"] == 1 and found["mean"] == pytest.approx(0.25, abs=0.12)  # One corner of four.
    assert one_blank(subject) is None and from_solution(subject) is None


def test_answers_that_do_not_follow_from_the_questions_have_none_of_it():
    """In an episode with a secret relabelling, an image of a puzzle would have another secret."""
    puzzles = sudokus()
    secret = examples_of(puzzles.inputs, np.array([0, 0, 3, 4, 5, 2])[puzzles.labels], np.zeros(N), ["x"] * N)
    subject = subject_of(wander, secret)
    assert one_blank(subject) is None and from_solution(subject) is None and relabelled(subject) is None


def test_without_symmetries_and_in_episodes_there_are_no_variants():
    """The task's own `augment` changes nothing; and in an episode others come before a puzzle."""

    def nothing(inputs: np.ndarray, step: int) -> np.ndarray:
        return np.zeros_like(inputs)

    assert relabelled(subject_of(nothing, sudokus(), Still(side=4)), tries=1) is None
    solved = each_alone(sudokus())
    alone, pairs = (
        replace(subject_of(nothing, sudokus()), episodes=one) for one in (solved, doubled(solved))
    )
    assert relabelled(alone, tries=1) is not None
    assert relabelled(pairs, tries=1) is None and one_blank(pairs) is None and from_solution(pairs) is None


class Still(Sudoku):
    """Sudoku without its symmetries."""

    augment = Task.augment


def doubled(episodes: Episodes) -> Episodes:
    """Each puzzle twice, in an episode of two."""
    twice = {
        one.name: np.repeat(value, 2, axis=1)
        for one in fields(episodes)
        if isinstance(value := getattr(episodes, one.name), np.ndarray) and value.ndim > 1
    }
    return replace(episodes, **twice, course=usual_course(2))


def test_no_try_is_refused():
    with pytest.raises(ValueError, match="tries is 0; allowed: 1 or above"):
        relabelled(subject_of(moody, sudokus()), tries=0)
