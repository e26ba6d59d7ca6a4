"""Puzzle files: what is written is read back, in every format (commands/test_bad_files.py: broken ones)."""

from pathlib import Path

import numpy as np
import pytest

from memhrm.data.examples import examples_of
from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.task import Sudoku

HEADER = "source,question,answer,rating"
SOLVED = "1234341221434321"
TASK = Sudoku(side=4)
GOOD = f"book,1..4....21......,{SOLVED},7"


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_reads_fields_as_tokens(tmp_path: Path):
    puzzles = TASK.read(write(tmp_path / "a.csv", HEADER, GOOD, f"web,0...{'.' * 12},{SOLVED},"))
    assert puzzles.inputs[0].tolist() == [2, 1, 1, 5, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 1]
    assert puzzles.inputs[1].tolist() == [1] * 16
    assert puzzles.labels[1].tolist() == [int(digit) + 1 for digit in SOLVED]
    assert puzzles.ratings.tolist() == [7, -1]
    assert puzzles.sources.tolist() == ["book", "web"]
    assert puzzles.inputs.dtype == puzzles.labels.dtype == np.uint8


def test_line_ends_may_be_those_of_windows(tmp_path: Path):
    assert len(Sudoku(side=4).read(write(tmp_path / "a.csv", HEADER, GOOD, end="\r\n"))) == 1


def test_written_file_reads_back_the_same(tmp_path: Path):
    task = Maze(side=3)
    # The fields of the first maze begin and end with spaces.
    rows = task.encode(["  S G    ", "S  # # G "], [" oS G    ", "So #o# G "])
    inputs, labels = rows.inputs, rows.labels
    puzzles = examples_of(inputs, labels, np.array([-1, 3]), ["a, b", 'say "so"'])
    task.write(tmp_path / "new" / "maze.csv", puzzles)
    back = task.read(tmp_path / "new" / "maze.csv")
    assert (back.inputs == inputs).all() and (back.labels == labels).all()
    assert back.ratings.tolist() == [-1, 3]
    assert back.sources.tolist() == ["a, b", 'say "so"']
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["maze.csv"]


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"b\.csv: no such file"):
        Sudoku(side=4).read(tmp_path / "b.csv")


NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
QUESTION = "1..43.1.21......"


def text_of(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bom.csv", f"\ufeff{HEADER}\nbook,{QUESTION},{SOLVED},7\n"),
        ("order.csv", f"rating,answer,source,question\n7,{SOLVED},book,{QUESTION}\n"),
        ("more.csv", f"id,source,question,answer,clues,rating\n5,book,{QUESTION},{SOLVED},4,7\n"),
        ("upper.csv", f"Source,QUESTION,Answer,Rating\nbook,{QUESTION},{SOLVED},7\n"),
        ("semicolon.csv", f"source;question;answer;rating\nbook;{QUESTION};{SOLVED};7\n"),
        ("tab.tsv", f"source\tquestion\tanswer\trating\nbook\t{QUESTION}\t{SOLVED}\t7\n"),
        ("dos.csv", f"{HEADER}\r\nbook,{QUESTION},{SOLVED},7\r\n"),
    ],
)
def test_columns_go_by_name(tmp_path: Path, name: str, text: str):
    puzzles = TASK.read(text_of(tmp_path / name, text))
    assert TASK.decode(puzzles.inputs) == QUESTION and TASK.decode(puzzles.labels) == SOLVED
    assert puzzles.ratings.tolist() == [7] and puzzles.sources.tolist() == ["book"]


GRID = "1 . | . 4\n3 . | 1 .\n---------\n2 1 | . .\n. . | . .\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"question,answer\n{QUESTION},{SOLVED}\n"),
        ("kaggle.csv", f"puzzle,solution\n{QUESTION.replace('.', '0')},{SOLVED}\n"),
        ("kaggle2.csv", f"quizzes,solutions\n{QUESTION.replace('.', '0')},{SOLVED}\n"),
        ("alone.csv", f"question\n{QUESTION}\n"),
        ("empty.csv", f"question,answer\n{QUESTION},\n"),
        ("bare.csv", f"{QUESTION},{SOLVED}\n"),
        ("lines.txt", f"# a comment\n\n{QUESTION.replace('.', '*')}  # another\n"),
        ("lines2.txt", f"{QUESTION.replace('.', '_')};{SOLVED}\n"),
        ("lines3.txt", f"{QUESTION.replace('.', '-')} {SOLVED}\n"),
        ("many.sdm", f"{QUESTION}\n"),
        ("one.sdk", "#Aauthor\n#DEasy\n1..4\n3.1.\n21..\n....\n"),
        ("sections.sdk", "[Puzzle]\n1..4\n3.1.\n21..\n....\n[State]\n1234\n....\n21..\n....\n"),
        ("one.ss", "1.|.4\n3.|1.\n-----\n21|..\n..|..\n"),
        ("framed.ss", "*-------*\n|1.|.4|\n|3.|1.|\n|--+--|\n|21|..|\n|..|..|\n*-------*\nSimple Sudoku\n"),
        ("drawn.txt", GRID),
        ("titled.txt", "Grid 01\n1004\n3010\n2100\n0000\n"),
    ],
)
def test_public_formats(tmp_path: Path, name: str, text: str):
    question = "1..43.1.21......"
    puzzles = TASK.read(text_of(tmp_path / name, text))
    assert [TASK.decode(row) for row in puzzles.inputs] == [question]
    assert [TASK.decode(row) for row in puzzles.labels] == [SOLVED]
    assert puzzles.ratings.tolist() == [-1] and puzzles.sources.tolist() == [name]


def test_several_drawn_grids_with_titles(tmp_path: Path):
    path = text_of(tmp_path / "a.txt", f"{GRID}\nGrid 02\n{GRID}")
    assert len(TASK.read(path)) == 2


def test_lines_of_nine(tmp_path: Path):
    task = Sudoku(side=9)
    puzzles = task.read(text_of(tmp_path / "a.sdm", f"{NINE}\n{NINE}\n"))
    task.check(puzzles.inputs, puzzles.labels)
    assert task.decode(puzzles.inputs[1]) == NINE


def test_mazes_keep_their_spaces_and_walls(tmp_path: Path):
    task = Maze(side=3)
    question, answer = "# S G    ", "#oS G    "
    for name, text in (
        ("a.csv", f"question\n{question}\n"),
        ("b.csv", f"question,answer\n{question},{answer}\n"),
        ("c.txt", f"{question}\n"),
        ("d.txt", f"{question},{answer}\n"),
        ("e.txt", "# S\n G \n   \n"),
    ):
        puzzles = task.read(text_of(tmp_path / name, text))
        assert task.decode(puzzles.inputs) == question
        task.check(puzzles.inputs, puzzles.labels)


def test_questions_are_read_without_being_solved(tmp_path: Path):
    several = "1" + "." * 15
    path = text_of(tmp_path / "a.csv", f"question,answer\n{'.' * 16},\n{QUESTION},{SOLVED}\n{several},\n")
    puzzles = TASK.read(path, solve=False)
    assert [TASK.decode(row) for row in puzzles.inputs] == ["." * 16, QUESTION, several]
    assert puzzles.labels.any(axis=1).tolist() == [False, True, False]
    for line, message in (
        ("1...", "question has 4 characters"),
        ("x" * 16, "question has 'x'"),
        ("11" + "." * 14, "question repeats 1 in row 1"),
    ):
        with pytest.raises(ValueError, match=f"a.csv:2: {message}"):
            TASK.read(text_of(tmp_path / "a.csv", f"question\n{line}\n"), solve=False)
    with pytest.raises(ValueError, match=r"a\.csv:2: answer"):
        TASK.read(text_of(tmp_path / "a.csv", f"question,answer\n2{QUESTION[1:]},{SOLVED}\n"), solve=False)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    puzzles = TASK.read(write(tmp_path / "a.csv", HEADER, GOOD))
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(OSError, match=r"b\.csv"):
        TASK.write(tmp_path / "b.csv", puzzles)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "b.csv"]
