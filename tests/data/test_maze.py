"""Mazes: search, grading, generation and symmetry, against a plain breadth-first search."""

from collections import deque

import numpy as np
import pytest

from memhrm.data.collect import collect
from memhrm.data.maze.generate import Layout, RandomMazes, mark_shortest_path
from memhrm.data.maze.task import Maze


def reference_distances(grid: str, side: int) -> list[int]:
    """Return the moves from 'S' to every cell by breadth-first search; -1 if the cell is unreachable."""
    distances = [-1] * len(grid)
    start = grid.index("S")
    distances[start] = 0
    queue = deque([start])
    while queue:
        row, column = divmod(queue.popleft(), side)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < side and 0 <= c < side and grid[r * side + c] != "#" and distances[r * side + c] < 0:
                distances[r * side + c] = distances[row * side + column] + 1
                queue.append(r * side + c)
    return distances


def some_mazes(side: int = 8, count: int = 60, min_length: int = 6, unique: bool = False):
    task = Maze(side=side)
    layout = Layout.of(min_walls=0.25, max_walls=0.45, min_length=min_length, unique=unique)
    draw = RandomMazes(task, layout)
    return task, collect(task, count, draw, np.random.default_rng(0), lambda done, total: None)


def test_a_verdict_knows_a_shortest_path_from_others():
    task = Maze(side=3)
    answers = ["So #o Go ", "Soo#ooGoo", "So #  Go ", "So  o Go "]  # Shortest, a crowd, broken, a wall less.
    found = task.verdict(*(task.tokens("grid", texts) for texts in (["S  #  G  "] * 4, answers)))
    assert found.keeps_givens.tolist() == [True, True, True, False]
    assert found.keeps_rules.tolist() == [True, False, False, True]


def test_distances_are_those_of_a_plain_search():
    task, puzzles = some_mazes()
    found = task.distances(puzzles.inputs == 3, puzzles.inputs != 1)
    assert found.tolist() == [reference_distances(task.decode(row), 8) for row in puzzles.inputs]


def test_generated_labels_mark_a_shortest_path():
    task, puzzles = some_mazes()
    for question, answer, rating in zip(puzzles.inputs, puzzles.labels, puzzles.ratings, strict=True):
        text, marked = task.decode(question), task.decode(answer)
        length = reference_distances(text, 8)[text.index("G")]
        # Only the marked cells are open here: the marks connect, and are no more than a shortest path needs.
        walled = marked.replace(" ", "#")
        assert reference_distances(walled, 8)[walled.index("G")] == length == rating
        assert marked.count("o") == length - 1
        assert marked.replace("o", " ") == text


def reference_paths(grid: str, side: int) -> int:
    """Return the number of shortest paths from start to goal; a cell sums those of its nearer neighbours."""
    distances = reference_distances(grid, side)
    paths = [int(character == "S") for character in grid]
    for cell in sorted(range(len(grid)), key=lambda cell: distances[cell]):
        row, column = divmod(cell, side)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < side and 0 <= c < side and distances[cell] > 0:
                paths[cell] += paths[r * side + c] * (distances[r * side + c] == distances[cell] - 1)
    return paths[grid.index("G")]


def test_a_unique_maze_has_one_shortest_path():
    task, puzzles = some_mazes(unique=True)
    assert [reference_paths(task.decode(row), 8) for row in puzzles.inputs] == [1] * 60
    _, others = some_mazes()
    assert max(reference_paths(task.decode(row), 8) for row in others.inputs) > 1


def test_generated_mazes_keep_the_bounds_and_differ_up_to_symmetry():
    _, puzzles = some_mazes(count=100, min_length=10)
    walls = (puzzles.inputs == 1).sum(axis=1)
    assert (walls >= 16).all() and (walls <= 29).all()  # 0.25 and 0.45 of 64 cells, rounded
    assert puzzles.ratings.min() == 10
    grids = puzzles.inputs.reshape(-1, 8, 8)
    images = {np.rot90(g, k).tobytes() for grid in grids for g in (grid, grid.T) for k in range(4)}
    assert len(images) == 800


def test_ties_between_shortest_paths_are_broken_at_random():
    task = Maze(side=3)
    question = "S       G"
    distances = np.array([reference_distances(question, 3)] * 200)
    inputs = task.tokens("question", [question] * 200)
    answers = mark_shortest_path(inputs, distances, np.random.default_rng(0))
    assert len({task.decode(answer) for answer in answers}) == 6


def test_augmentation_draws_all_eight_images_evenly():
    task, puzzles = some_mazes()
    one = puzzles.select(np.zeros(4000, int))
    drawn = task.augment(one, np.random.default_rng(0))
    task.check(drawn.inputs, drawn.labels)
    grid = puzzles.inputs[0].reshape(8, 8)
    expected = {np.rot90(g, k).tobytes() for g in (grid, grid.T) for k in range(4)}
    images, counts = np.unique(drawn.inputs, axis=0, return_counts=True)
    assert {image.tobytes() for image in images} == expected
    assert counts.min() > 400  # 500 expected, with a standard deviation of 21


def test_class_keys_are_shared_by_images_alone():
    task, puzzles = some_mazes()
    keys = task.class_keys(puzzles.inputs, puzzles.labels)
    images = task.augment(puzzles, np.random.default_rng(0))
    assert (task.class_keys(images.inputs, images.labels) == keys).all()
    assert len(set(keys.tolist())) == len(puzzles)


QUESTION = "S  # # G "
LABEL = "So #o# G "


@pytest.mark.parametrize(
    ("prediction", "exact", "valid", "optimal"),
    [
        ("So #o# G ", 1, 1, 1),
        ("Soo#o# G ", 0, 1, 0),  # one cell too many
        ("S  #o# G ", 0, 0, 0),  # a gap
        ("So o # G ", 0, 0, 0),  # through a wall
        ("So #o# o ", 0, 0, 0),  # the goal overwritten
        ("So #o  G ", 0, 0, 0),  # a wall removed
        ("SoS#o# G ", 0, 0, 0),  # a second start
    ],
)
def test_grade_of_paths(prediction: str, exact: int, valid: int, optimal: int):
    task = Maze(side=3)
    maze = task.encode([QUESTION], [LABEL])
    tokens = np.array([["# SGo".index(character) + 1 for character in prediction]], np.int32)
    scores = task.score(maze.inputs, maze.labels, tokens)
    found = [scores[name].tolist() for name in ("exact_accuracy", "valid_path", "optimal_path")]
    assert found == [[exact], [valid], [optimal]]


def test_any_shortest_path_is_optimal():
    task = Maze(side=3)
    maze, other = (task.encode(["S       G"], [answer]) for answer in ("Soo  o  G", "S  o  ooG"))
    scores = task.score(maze.inputs, maze.labels, other.labels)
    assert scores["exact_accuracy"][0] == 0 and scores["optimal_path"][0] == 1


def test_padding_predictions_are_graded_as_wrong():
    task = Maze(side=3)
    maze = task.encode([QUESTION], [LABEL])
    scores = task.score(maze.inputs, maze.labels, np.zeros((1, 9), np.int32))
    assert {name: float(score[0]) for name, score in scores.items()} == dict.fromkeys(scores, 0.0)


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        ("   # # G ", LABEL, "question has 0 cells 'S'; it needs one start"),
        ("SG # # G ", LABEL, "question has 2 cells 'G'; it needs one goal"),
        ("So # # G ", LABEL, "question marks a path at row 1, column 2"),
        (QUESTION, "So oo# G ", "answer has 'o' at row 2, column 1, where the question has '#'"),
        (QUESTION, "So # # G ", "answer does not mark a path from start to goal"),
        (QUESTION, "Soo#o# G ", "answer marks 3 cells; a shortest path has 2"),
        (QUESTION[:-1], LABEL, "question has 8 characters; maze3 has 9"),
        ("x" + QUESTION[1:], LABEL, "question has 'x' at character 1; allowed are '# SGo'"),
    ],
)
def test_bad_mazes_are_refused(question: str, answer: str, message: str):
    with pytest.raises(ValueError) as caught:
        Maze(side=3).encode([question], [answer])
    assert message in str(caught.value)
