"""Puzzle files: what is written is read back, and what is wrong is named with its line."""

from pathlib import Path

import numpy as np
import pytest

from memhrm.data.csv_files import read_csv, write_csv
from memhrm.data.maze import Maze
from memhrm.data.puzzle import puzzle_set
from memhrm.data.sudoku import Sudoku

HEADER = "source,question,answer,rating"
SOLVED = "1234341221434321"
GOOD = f"book,1..4....21......,{SOLVED},7"


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_reads_fields_as_tokens(tmp_path: Path):
    puzzles = read_csv(
        write(tmp_path / "a.csv", HEADER, GOOD, f"web,0...{'.' * 12},{SOLVED},"), Sudoku(side=4)
    )
    assert puzzles.inputs[0].tolist() == [2, 1, 1, 5, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 1]
    assert puzzles.inputs[1].tolist() == [1] * 16
    assert puzzles.labels[1].tolist() == [int(digit) + 1 for digit in SOLVED]
    assert puzzles.ratings.tolist() == [7, -1]
    assert puzzles.sources.tolist() == ["book", "web"]
    assert puzzles.inputs.dtype == puzzles.labels.dtype == np.uint8


def test_line_ends_may_be_those_of_windows(tmp_path: Path):
    assert len(read_csv(write(tmp_path / "a.csv", HEADER, GOOD, end="\r\n"), Sudoku(side=4))) == 1


def test_written_file_reads_back_the_same(tmp_path: Path):
    task = Maze(side=3)
    # The fields of the first maze begin and end with spaces.
    rows = [task.encode("  S G    ", " oS G    "), task.encode("S  # # G ", "So #o# G ")]
    inputs, labels = (np.stack(parts) for parts in zip(*rows, strict=True))
    puzzles = puzzle_set(inputs, labels, np.array([-1, 3]), ["a, b", 'say "so"'])
    write_csv(tmp_path / "new" / "maze.csv", task, puzzles)
    back = read_csv(tmp_path / "new" / "maze.csv", task)
    assert (back.inputs == inputs).all() and (back.labels == labels).all()
    assert back.ratings.tolist() == [-1, 3]
    assert back.sources.tolist() == ["a, b", 'say "so"']
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["maze.csv"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "a.csv: empty file; expected the header source,question,answer,rating"),
        ([HEADER], "a.csv: no puzzles after the header"),
        ([GOOD, GOOD], "a.csv:1: header is 'book,1..4"),
        ([HEADER, GOOD, "", GOOD], "a.csv:3: empty row"),
        ([HEADER, GOOD, "book,1,2"], "a.csv:3: 3 fields"),
        ([HEADER, GOOD + ",x"], "a.csv:2: 5 fields"),
        ([HEADER, GOOD, GOOD, GOOD.replace("1..4", "1..")], "a.csv:4: question has 15 characters"),
        ([HEADER, GOOD, GOOD.replace("..4", "..x")], "a.csv:3: question has 'x' at character 4"),
        ([HEADER, GOOD, GOOD.replace("1..4", "2..4")], "a.csv:3: answer has '1' at row 1, column 1"),
        ([HEADER, GOOD, GOOD[:-1] + "hard"], "a.csv:3: rating is 'hard'"),
        ([HEADER, GOOD, '"' + GOOD], "a.csv:3: unexpected end of data"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, lines: list[str], message: str):
    with pytest.raises(ValueError) as caught:
        read_csv(write(tmp_path / "a.csv", *lines), Sudoku(side=4))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"b\.csv: no such file"):
        read_csv(tmp_path / "b.csv", Sudoku(side=4))


def test_binary_file_is_named(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"a\.csv: not a text file in UTF-8"):
        read_csv(tmp_path / "a.csv", Sudoku(side=4))
