"""Films: what is followed is what is answered; boards mark what differs; a GIF shows each step."""

import importlib
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

import memhrm
from memhrm.data.arc.draw import PALETTE
from memhrm.data.arc.task import Arc
from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.task import Sudoku
from memhrm.report.board import board_of
from memhrm.report.film import film, right_answer
from memhrm.report.gif import animated
from memhrm.weights.answerer import Seen
from memhrm.weights.opening import load
from tiny import call, train

PUZZLE = "1.34" + "." * 12


def frames(gif: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(gif)) as image:
        return [frame.copy() for frame in ImageSequence.Iterator(image)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "plain"
    assert train(path) == 0
    return path


@pytest.fixture(scope="module")
def recall(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "recall"
    words = ["data=recall", "data.lengths=[2,3]", "data.test_length=4", "data.test_episodes=20"]
    words += ["+memory=multicell", "memory.cells=3", "k=1", "memory.tokens=2", "memory.gate=all"]
    assert train(path, *words) == 0
    return path


def test_what_is_followed_is_what_is_answered(plain, recall):
    solver = load(plain)
    seen = solver.follow(PUZZLE, steps=5)
    assert [one.step for one in seen] == [1, 2, 3, 4, 5] and not any(one.told or one.read for one in seen)
    assert [one.answer for one in seen] == [solver.solve([PUZZLE], steps=n)[0] for n in range(1, 6)]
    solver = load(recall)
    length, examples = solver.task.seq_len, [("1" * solver.task.seq_len, "2" * solver.task.seq_len)]
    asked = "12" * (length // 2) + "1" * (length % 2)
    seen = solver.follow(asked, examples=[*examples, (asked, asked)])
    assert [(one.example, one.told) for one in seen if one.step == 1] == [
        (0, False),
        (0, True),
        (1, False),
        (1, True),
        (None, False),
    ]
    assert seen[-1].answer == solver.solve([asked], examples=[*examples, (asked, asked)])[0]
    cycles = solver.model.settings.H_cycles
    assert all(len(one.read) == cycles and all(0 <= cell < 3 for (cell,) in one.read) for one in seen)
    assert seen[0].written == seen[0].read and seen[0].residual > 0
    assert all(one.answer == "" for one in seen if one.told)


def test_a_board_marks_what_is_given_changed_and_wrong():
    sudoku = Sudoku(side=4)
    question, answer, right = (
        sudoku.tokens("grid", [text])[0]
        for text in (PUZZLE, "1234" + "1" * 12, "1234" + "3412" + "2143" + "4321")
    )
    board = board_of(sudoku, answer, question=question, before=question, right=right)
    assert (board.rows, board.columns, board.boxes) == (4, 4, (2, 2))
    kinds = [one.kind for one in board.squares]
    assert kinds == ["given", "open", "given", "given", *["open"] * 12]
    wrong = [at for at in range(16) if answer[at] != right[at]]
    assert [at for at, one in enumerate(board.squares) if one.wrong] == wrong and board.wrong == len(wrong)
    assert board.changed == 13 and board.text.splitlines()[0] == "1234"
    assert board_of(sudoku, question).text.splitlines()[0] == "1 34"

    maze = Maze(side=3)
    path = maze.tokens("grid", ["S##oo##oG"])[0]
    assert [one.kind for one in board_of(maze, path).squares][:4] == ["open", "wall", "wall", "path"]

    arc = Arc(canvas=4)
    grids = arc.encode(["[[1,2],[3,0]]", "[[1,2],[3,4]]", "[[1]]"]).inputs
    board = board_of(arc, grids[0], question=grids[0], before=grids[1], right=grids[2])
    assert [one.colour for one in board.squares] == [PALETTE[one] for one in (1, 2, 3, 0)]
    assert [one.changed for one in board.squares] == [False, False, False, True] and board.wrong == 0
    assert board_of(arc, np.zeros(16, int)).squares[0].colour is None  # There is no grid.


def test_any_shortest_path_is_right():
    maze = Maze(side=3)
    both, longer, cut = (maze.tokens("grid", [text])[0] for text in ("Soo  o  G", "Sooo oooG", "S oo oo G"))
    other = maze.tokens("grid", ["S  o  ooG"])[0]
    steps = [
        Seen(None, False, n + 1, "", one, 0.5, 0.1, [], [])
        for n, one in enumerate((both, other, longer, cut))
    ]
    model = SimpleNamespace(H_module=SimpleNamespace(cells=0))
    solver: Any = SimpleNamespace(task=maze, model=model, judges=True, follow=lambda *given: steps)
    wrong = [board.wrong for one in film(solver, "S       G") for _, board in one.boards]
    assert wrong[:2] == [0, 0] and all(wrong[2:])


def test_a_gif_has_a_picture_for_each_step_and_shows_what_changes(plain, monkeypatch):
    solver = load(plain)
    pictures = film(solver, PUZZLE, steps=6)
    assert len(pictures) == 6 and pictures[0].words.startswith("step 1 of 6, Q 0.")
    right = right_answer(solver, solver.task.encode([PUZZLE]).inputs[0])
    assert right is None  # It has several.
    only = "1234341221434321"
    found = right_answer(solver, solver.task.encode([only.replace("1", ".", 1)]).inputs[0])
    assert found is not None and solver.task.decode(found) == only
    monkeypatch.setattr("memhrm.data.sudoku.task.MOST_GUESSES", -1)
    assert right_answer(solver, found) is None  # It takes too long to find.
    lasting = [frame.info["duration"] for frame in frames(animated(pictures, 0.25))]
    assert len(lasting) == 6 or len({one.boards[0][1] for one in pictures}) < 6  # Equal ones are joined.
    assert sum(lasting) == 8 * 250
    (one,), (two,) = (frames(animated([picture], 1.0)) for picture in (pictures[0], pictures[-1]))
    assert one.height == two.height and one.convert("RGB").tobytes() != two.convert("RGB").tobytes()


def test_the_command_films_examples_whose_answers_have_their_own_rule(recall, tmp_path, capsys):
    """So does solving: answers that are shown need not be those without a relabelling."""
    task = load(recall).task
    one, other = "1" * task.seq_len, "2" * task.seq_len
    shown = tmp_path / "shown.csv"
    shown.write_text(f"question,answer\n{one},{other}\n")
    out = tmp_path / "film.gif"
    words = [f"run={recall}", one, f"examples={shown}", f"out={out}", "threads=1"]
    assert call("film", *words) == 0
    steps = load(recall).halt_max_steps
    assert f"{2 * steps + 1} pictures" in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.format == "GIF"
    (tmp_path / "asked.txt").write_text(f"{one}\n")
    assert (
        call("solve", f"run={recall}", str(tmp_path / "asked.txt"), f"examples={shown}", "progress=false")
        == 0
    )
    answer = memhrm.load(recall).solve([one], examples=[(one, other)])[0]
    assert f"{one},{answer}" in capsys.readouterr().out


BAD = {
    "no answer": ("question,answer\n{one},\n", ":2: answer is empty; allowed: what the episode shows"),
    "unknown": ("question,answer\n{one},{x}\n", ":2: answer has 'x' at character 1"),
    "nothing": ("question,answer\n", ": no puzzles after the header"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_examples_that_is_wrong_is_said(name, recall, tmp_path, capsys):
    length = load(recall).task.seq_len
    content, message = BAD[name]
    file = tmp_path / "shown.csv"
    file.write_text(content.format(one="1" * length, x="x" * length))
    words = [f"run={recall}", "puzzle=" + "1" * length, f"examples={file}", f"out={tmp_path / 'x.gif'}"]
    assert call("film", *words) == 2
    assert f"error: {file}{message}" in capsys.readouterr().err


def test_what_a_film_needs_is_said(plain, monkeypatch, capsys, tmp_path):
    assert call("film", f"run={plain}", PUZZLE) == 2
    assert "out is None; allowed: a file, as out=film.gif" in capsys.readouterr().err
    real = importlib.import_module

    def without(name, *more):
        if name == "PIL":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", without)
    assert call("film", f"run={plain}", PUZZLE, f"out={tmp_path / 'x.gif'}") == 2
    assert "films need Pillow; install it with `pip install 'memhrm[play]'`" in capsys.readouterr().err
