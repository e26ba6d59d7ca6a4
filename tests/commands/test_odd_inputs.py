"""Inputs that look odd and are right: none is refused, and every path is the text that was typed."""

from pathlib import Path

import pytest

import memhrm
from bad import call, in_time, make_runs
from memhrm.data import Maze, Sudoku

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")

SOLVED = "1234341221434321"
QUESTION = "1234341221......"
ROW = f"{QUESTION},{SOLVED}"

FILES: dict[str, bytes | str] = {
    "mark.csv": f"\ufeffquestion,answer\n{ROW}\n",
    "windows.csv": f"question,answer\r\n{ROW}\r\n",
    "order.csv": f"rating,answer,question\n3,{SOLVED},{QUESTION}\n",
    "upper.csv": f"QUESTION,Answer\n{ROW}\n",
    "spaced.csv": f" question , answer \n{ROW}\n",
    "kaggle.csv": f"quizzes,solutions\n{ROW}\n",
    "further.csv": f"id,question,notes\n7,{QUESTION},none\n",
    "semicolon.csv": f"question;answer\n{QUESTION};{SOLVED}\n",
    "tab.csv": f"question\tanswer\n{QUESTION}\t{SOLVED}\n",
    "quoted.csv": f'"question","answer"\n"{QUESTION}","{SOLVED}"\n',
    "zeros.csv": f"question\n{QUESTION.replace('.', '0')}\n",
    "no-end.csv": f"question,answer\n{ROW}",
    "empty-answer.csv": f"question,answer,rating\n{QUESTION},,\n",
    "blank-lines.txt": f"\n\n{QUESTION}\n\n",
    "comments.txt": f"# mine\n{QUESTION}  # the first\n",
    "puzzle.sdm": f"{QUESTION}\n",
    "grid.sdk": "#A me\n[Puzzle]\n1234\n3412\n21..\n....\n",
    "grid.ss": "12|34\n34|12\n-----\n21|..\n..|..\n",
    "a b=c#d'é,日本.csv": f"question\n{QUESTION}\n",
    "2024": f"{QUESTION}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_file_of_puzzles(name, tmp_path):
    content = FILES[name]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = Sudoku(side=4).read(path)
    assert Sudoku(side=4).decode(found.inputs[0]) == QUESTION.replace("0", ".")
    assert Sudoku(side=4).decode(found.labels[0]) == SOLVED
    assert len(Sudoku(side=4).read(path, solve=False)) == 1


def test_maze_that_begins_and_ends_with_spaces(tmp_path):
    (tmp_path / "maze.csv").write_text("question,answer\n  S G    , oS G    \n")
    assert len(Maze(side=3).read(tmp_path / "maze.csv")) == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    make_runs(folder)
    (folder / "p.txt").write_text("1" + "." * 15 + "\n")
    return folder


NAMES = [
    "a b",
    "lr=1e-3",
    "a#b",
    "it's",
    'say "a"',
    "été",
    "日本🙂",
    "2024",
    "a,b",
    "{a}",
    "true",
    "x~y",
    "-a",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file(name, place, tmp_path, monkeypatch, capsys):
    """Written by one command, read by another and from Python."""
    monkeypatch.chdir(tmp_path)
    with in_time():
        assert call("export", f"run={place}/plain", f"out={name}") == 0
        assert call("solve", f"run={name}", f"file={place}/p.txt", "progress=false") == 0
    assert Path(name).is_file()
    assert len(memhrm.load(name).solve(["1" + "." * 15], 1)) == 1
    capsys.readouterr()


@pytest.mark.parametrize("name", ["a b=c#d,é", "2024"])
def test_any_name_of_a_run(name, place, tmp_path, monkeypatch, capsys):
    (tmp_path / name).symlink_to(place / "plain")
    monkeypatch.chdir(tmp_path)
    words = ("progress=false", "batch_size=16", f"out={name} scores.json")
    assert call("evaluate", f"run={name}", *words) == 0
    assert call("compare", name) == 0
    capsys.readouterr()


WORDS = {
    "job": ["dir=runs/${seed}-${model.name}"],
    "quoted": ["dir='a b'"],
    "null": ["dir=null", "init=null"],
    "twice": ["seed=1", "seed=2"],
    "number": ["optim.lr=1", "optim.clip=1"],
    "home": ["dir=~/run"],
}


@pytest.mark.parametrize("name", WORDS)
def test_settings(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny = [
        "steps=1",
        "eval_every=0",
        "validation_size=0",
        "data.test_size=20",
        "model=trm",
        "progress=false",
    ]
    small = ["model.hidden_size=16", "model.num_heads=2", "batch_size=4", "threads=1", "optim.warmup=0"]
    assert call("train", *tiny, *small, *WORDS[name]) == 0
    assert list(tmp_path.rglob("summary.json"))
    assert name != "job" or (tmp_path / "runs/0-trm/summary.json").is_file()
    capsys.readouterr()
