"""Broken files of every kind: what reads one says its name and what is wrong; what only looks odd is read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import memhrm
from bad import call, cases, make_runs, refused, refused_call
from memhrm.data import Maze, Sudoku
from memhrm.runs import checkpoint
from memhrm.weights.transfer import load as load_memory
from tiny import variations

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")

SOLVED = "1234341221434321"
QUESTION = "1..4....21......"
HEADER = "source,question,answer,rating"
ROW = f"book,{QUESTION},{SOLVED},7"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with runs, in which every case is tried."""
    folder = tmp_path_factory.mktemp("place")
    make_runs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (["export", "run=cells"], ["transfer", "export", "run=cells"]):
            assert call(*words) == 0
    np.savez(folder / "some.npz", a=np.ones(2))
    return folder


# Files of puzzles: the content, and what is said of it.

SUDOKUS: dict[str, tuple[bytes | str, str]] = {
    "empty": ("", "empty file"),
    "spaces": ("  \n\t\n\n", "empty file"),
    "mark.csv": (b"\xef\xbb\xbf", "empty file"),
    "header.csv": (f"{HEADER}\n", "no puzzles after the header"),
    "headers.csv": (f"\n\n{HEADER}\n\n", ":4: empty row"),
    "wrong-header.csv": (f"a,b,c\n{ROW}\n", ":1: header is 'a,b,c'"),
    "mark-wrong.csv": ("\ufeffsrc,quest,ans\nx\n", ":1: header is"),
    "no-question.csv": (f"source,answer,rating\nx,{SOLVED},3\n", ":1: header is 'source,answer,rating'"),
    "twice.csv": (f"question,question\n{QUESTION},{QUESTION}\n", ":1: header names the question twice"),
    "alias.csv": (f"question,puzzle\n{QUESTION},{QUESTION}\n", ":1: header names the question twice"),
    "answers.csv": (f"puzzle,solution,answer\n{QUESTION},{SOLVED},{SOLVED}\n", "names the answer twice"),
    "ratings.csv": (f"question,rating,rating\n{QUESTION},1,2\n", "names the rating twice"),
    "no-header.csv": (f"{ROW}\n{ROW}\n", ":1: header is 'book,1..4"),
    "short-row.csv": (f"{HEADER}\n{ROW}\nbook,{QUESTION}\n", ":3: 2 fields"),
    "long-row.csv": (f"{HEADER}\n{ROW},more\n", ":2: 5 fields"),
    "blank-row.csv": (f"{HEADER}\n{ROW}\n\n{ROW}\n", ":3: empty row"),
    "unquoted.csv": (f'{HEADER}\n"book,{QUESTION},{SOLVED},7\n', "unexpected end of data"),
    "quote.csv": (f'{HEADER}\n"bo"ok,{QUESTION},{SOLVED},7\n', "expected after"),
    "nul.csv": (f"{HEADER}\nbook,1..4\0...21......,{SOLVED},7\n", ":2"),
    "nul-only.csv": (b"\0" * 64, "nul-only.csv"),
    "short.csv": (f"{HEADER}\nbook,1..4,{SOLVED},7\n", ":2: question has 4 characters; sudoku4 has 16"),
    "long.csv": (f"{HEADER}\nbook,{QUESTION}1,{SOLVED},7\n", ":2: question has 17 characters"),
    "short-answer.csv": (f"{HEADER}\nbook,{QUESTION},1234,7\n", ":2: answer has 4 characters"),
    "nine.csv": (f"question\n{'.' * 81}\n", ":2: question has 81 characters"),
    "letter.csv": (f"question\n{QUESTION[:-1]}x\n", ":2: question has 'x' at character 16"),
    "five.csv": (f"question\n{QUESTION[:-1]}5\n", ":2: question has '5' at character 16"),
    "wide.csv": (f"question\n{QUESTION[:-1]}１\n", ":2: question has"),
    "minus.csv": (f"question\n{QUESTION[:-1]}\u2212\n", ":2: question has"),
    "space.csv": (f"question\n {QUESTION[:-1]}\n", ":2: question has ' '"),
    "blank-answer.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED[:-1]}.,7\n", ":2"),
    "no-solution.csv": (f"{HEADER}\nbook,{QUESTION},2{SOLVED[1:]},7\n", ":2"),
    "changed.csv": (f"{HEADER}\nbook,2{QUESTION[1:]},{SOLVED},7\n", ":2: answer has '1' at row 1, column 1"),
    "rows.csv": (f"{HEADER}\nbook,{'.' * 16},{'1234' * 4},7\n", ":2"),
    "third.csv": (f"{HEADER}\n{ROW}\n{ROW}\nbook,{QUESTION},{'1' * 16},7\n", ":4"),
    "clash.csv": (f"question\n11{'.' * 14}\n", ":2: question repeats 1 in row 1"),
    "clash-column.csv": (f"question\n1...1{'.' * 11}\n", ":2"),
    "several.csv": (f"question\n1{'.' * 15}\n", ":2: question has several answers"),
    "no-answer.csv": (f"question\n123.{'.' * 3}4{'.' * 8}\n", ":2: question has no answer"),
    "text-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},hard\n", ":2: rating is 'hard'"),
    "float-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},1.5\n", ":2: rating is '1.5'"),
    "long-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},{'9' * 20}\n", f":2: rating is '{'9' * 20}'"),
    "big-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},3000000000\n", ":2: rating is '3000000000'"),
    "nan-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},nan\n", ":2: rating is 'nan'"),
    "huge-rating.csv": (f"{HEADER}\nbook,{QUESTION},{SOLVED},{'1' * 6000}\n", ":2: rating is"),
    "utf16.csv": (f"{HEADER}\n{ROW}\n".encode("utf-16"), "it is in UTF-16, save it as UTF-8"),
    "utf16le.csv": (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "utf16le.csv:1"),
    "utf32.csv": (f"{HEADER}\n{ROW}\n".encode("utf-32"), "utf32.csv:1"),
    "utf16.sdk": ("1..4\n3.1.\n21..\n....\n".encode("utf-16"), "it is in UTF-16"),
    "utf16be.csv": (b"\xfe\xff" + f"{HEADER}\n{ROW}\n".encode("utf-16-be"), "it is in UTF-16"),
    "latin.csv": (
        f"{HEADER}\nh\xe9bdo,{QUESTION},{SOLVED},7\n".encode("latin-1"),
        "latin.csv:2: not a text file in UTF-8",
    ),
    "binary.csv": (bytes(range(256)) * 4, "binary.csv"),
    "zip.csv": (b"PK\x03\x04" + bytes(range(128, 256)), "not a text file in UTF-8"),
    "html.csv": ("<!DOCTYPE html>\n<html><body>404</body></html>\n", "html.csv:1"),
    "json.csv": ('[{"question": "1...."}]\n', "json.csv:1"),
    "pointer.csv": ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "pointer.csv:1"),
    "comments.txt": ("# nothing\n", "empty file"),
    "first.txt": (f"{'.' * 16}\n{'.' * 15}\n", ":1: question has several answers"),
    "second.txt": (f"1..43.1.21......\n\n123....4{'.' * 8}\n", ":3: question has no answer"),
    "lines.txt": (f"{QUESTION}\n{QUESTION},{SOLVED},3\n", ":2: 3 fields"),
    "prose.txt": ("solve this, please\n", "prose.txt:1"),
    "puzzle.sdm": ("1.....2..3.....4\n1..4\n", ":2: question has 4 characters"),
    "grid.sdk": ("[Puzzle]\n1..4\n....\n21..\n", ":2: grid has 3 rows; sudoku4 has 4"),
    "ragged.sdk": ("[Puzzle]\n1..4\n.....\n21..\n....\n", ":3: row has 5 characters"),
    "state.sdk": ("#A author\n[State]\n1..4\n....\n21..\n....\n", "state.sdk"),
    "grid.ss": ("1.|.4\n..|..\n-----\n21|..\n", ":1: grid has 3 rows"),
    "letters.ss": ("1.|.4\n..|..\n-----\n21|..\n..|.x\n", "letters.ss:1: question has 'x'"),
}

MAZES: dict[str, tuple[str, str]] = {
    "no-start": ("question,answer\n   #  G  ,   #  G  \n", ":2"),
    "no-goal": ("question,answer\nS  #     ,S  #     \n", ":2"),
    "starts": ("question\nSS #  G  \n", ":2"),
    "goals": ("question\nS  #  GG \n", ":2"),
    "walled": ("question\nS# ## G  \n", ":2"),
    "character": ("question\nS  x  G  \n", ":2: question has 'x'"),
    "cut": ("question\nS  #\n", ":2: question has 4 characters; maze3 has 9"),
    "longer": ("question,answer\nSG       ,SGooooooo\n", ":2"),
    "through": ("question,answer\nS## # ##G,So# # ##G\n", ":2"),
    "detour": ("question,answer\nS G      ,S Gooo   \n", ":2"),
    "drawn": ("S #\n # \n", "grid has 2 rows"),
    "ragged": ("S #\n # \n G\n", ":3"),
}


@pytest.mark.parametrize("name", SUDOKUS)
def test_file_of_sudokus(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, said = SUDOKUS[name]
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    refused_call(lambda: Sudoku(side=4).read(Path(name)), [name, said])


@pytest.mark.parametrize("name", MAZES)
def test_file_of_mazes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, said = MAZES[name]
    Path(name).write_text(content)
    refused_call(lambda: Maze(side=3).read(Path(name)), [name, said])


BY_COMMAND = """
train data.path=there | there/train.csv
train data.path=there data.train_file=test.csv data.test_file=folder.csv | folder.csv: a folder
train data.path=there/test.csv data.holdout=9 data.test_size=null | data.holdout is 9
train data.path=there data.train_file=test.csv data.test_size=9 | data.test_size is 9
train data.path=there data.train_file=test.csv data.train_size=9 | data.train_size is 9
evaluate run=plain data.path=there data.test_file=bad.csv | bad.csv:2: rating is 'hard'
evaluate run=plain data.path=there data.test_file=folder.csv | folder.csv: a folder
evaluate run=plain data.path=there data.test_size=9 | data.test_size is 9
evaluate run=recall data.path=there | test.csv:2: question has 16 characters
solve run=plain file=there/bad.csv | bad.csv:2: rating is 'hard'
solve run=plain file=there/wide.bin | wide.bin
solve run=plain file=there/clash.txt | clash.txt:1
data inspect path=there/bad.csv | bad.csv:2
data inspect path=there/wide.bin | wide.bin
data inspect path=there/folder.csv | folder.csv
data inspect sudoku9 path=there/test.csv | test.csv:2: question has 16 characters
data convert maze path=there/test.csv out=new.csv | test.csv
data convert sudoku4 path=there/bad.csv out=new.csv | bad.csv:2: rating is 'hard'
data convert sudoku4 path=there/wide.bin out=new.csv | wide.bin
data convert sudoku4 path=there/unsolvable.txt out=new.csv | unsolvable.txt:1
"""


@pytest.fixture
def there(place, monkeypatch):
    monkeypatch.chdir(place)
    folder = place / "there"
    if not folder.exists():
        (folder / "folder.csv").mkdir(parents=True)
        (folder / "test.csv").write_text(f"{HEADER}\n{ROW}\n")
        (folder / "bad.csv").write_text(f"{HEADER}\nbook,{QUESTION},{SOLVED},hard\n")
        (folder / "wide.bin").write_bytes(bytes(range(256)))
        (folder / "clash.txt").write_text("11" + "." * 14)
        (folder / "unsolvable.txt").write_text("123....4........\n")


@pytest.mark.parametrize(("words", "parts"), cases(BY_COMMAND))
def test_file_of_puzzles_by_command(words, parts, there, capsys):
    tiny = [
        "model=trm",
        "model.hidden_size=16",
        "model.num_heads=2",
        "steps=1",
        "dir=new",
        "progress=false",
        "threads=1",
    ]
    refused([*words, *(tiny if words[0] == "train" and words[1:] else [])], parts, capsys)


# Files of a run. Broken in every way, each is refused by every command that reads it.

TEXTS: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"packages": {"torch"',
    "binary": b"\xff\xfe\x00\x01",
    "list": b"[1, 2]",
    "number": b"3",
    "null": b"null",
    "tab": b"a:\n\t- b: c: d",
    "deep": b"[" * 20000,
    "tag": b"!!python/object/apply:os.getcwd []",
    "twice": b'{"a": 1} {"b": 2}',
}
READERS = {
    "config.yaml": ("evaluate run=copy", "export run=copy", "compare copy", "probe run=copy"),
    "summary.json": ("compare copy",),
    "origin.json": ("prune run=copy keep=2 out=new batch_size=8 progress=false",),
}


@pytest.fixture
def copied(place, monkeypatch):
    """A copy of the run with cells in the current folder; it is gone afterwards."""
    monkeypatch.chdir(place)
    yield Path(shutil.copytree("cells", "copy"))
    shutil.rmtree("copy")


@pytest.mark.parametrize("content", variations(TEXTS, 3))
@pytest.mark.parametrize("name", READERS)
def test_text_file_of_a_run(name, content, copied, capsys):
    (copied / name).write_bytes(TEXTS[content])
    for line in READERS[name]:
        refused(line.split(), [f"copy/{name}"], capsys)


EMPTY = {"optimisers": [], "carry": {}, "random": {}, "model": {}, "average": {}, "config": {}}
CHECKPOINTS = {
    "empty": lambda path, _: path.write_bytes(b""),
    "text": lambda path, _: path.write_text("text"),
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:-200]),
    "list": lambda path, _: torch.save([1, 2], path),
    "tensor": lambda path, _: torch.save(torch.ones(3), path),
    "format": lambda path, content: torch.save({**content, "format": 99}, path),
    "formats": lambda path, content: torch.save({**content, "format": [3]}, path),
    "formless": lambda path, content: torch.save({"config": content["config"]}, path),
    "safetensors": lambda path, _: save_file({"a": torch.ones(2)}, path),
    "npz": lambda path, _: path.write_bytes(Path("some.npz").read_bytes()),
    "parts": lambda path, content: torch.save({"format": content["format"], "step": 1}, path),
    "step": lambda path, content: torch.save({**content, "step": "one"}, path),
    "no weights": lambda path, content: torch.save({**content, "model": {}, "average": {}}, path),
    "no tensors": lambda path, content: torch.save(
        {
            **content,
            "model": dict.fromkeys(content["model"], 3),
            "average": dict.fromkeys(content["average"], 3),
        },
        path,
    ),
    "no config": lambda path, content: torch.save({**content, "config": {}}, path),
    "config": lambda path, content: torch.save({**content, "config": {"a": 1}}, path),
    "config of lists": lambda path, content: torch.save(
        {**content, "config": {**content["config"], "model": [1]}}, path
    ),
    "no data": lambda path, content: torch.save(
        {**content, "config": {**content["config"], "data": None}}, path
    ),
    "used": lambda path, content: torch.save({**content, "used": 3}, path),
    "used parts": lambda path, content: torch.save({**content, "used": {"trained": "x"}}, path),
}


@pytest.mark.parametrize("how", variations(CHECKPOINTS, 2))
def test_checkpoint(how, copied, capsys):
    path = copied / "checkpoints/last.pt"
    CHECKPOINTS[how](path, checkpoint.read(path))
    for line in ("export run=copy out=new", "evaluate run=copy out=new progress=false batch_size=8"):
        refused(line.split(), ["copy/checkpoints/last.pt"], capsys)


WEIGHTS = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("text" * 99),
    "folder": lambda path: path.mkdir(),
    "cut": lambda path: path.write_bytes(Path("cells/model.safetensors").read_bytes()[:-8]),
    "header": lambda path: path.write_bytes(b"\xff" * 64),
    "plain": lambda path: save_file({"a": torch.ones(2)}, path),
    "format": lambda path: save_file({"a": torch.ones(2)}, path, metadata={"format": "memhrm 99"}),
    "about": lambda path: save_file(
        {"a": torch.ones(2)}, path, metadata={"format": "memhrm 2", "about": "{"}
    ),
    "about list": lambda path: save_file(
        {"a": torch.ones(2)}, path, metadata={"format": "memhrm 2", "about": "[]"}
    ),
    "about empty": lambda path: save_file(
        {"a": torch.ones(2)}, path, metadata={"format": "memhrm 2", "about": "{}"}
    ),
    "about null": lambda path: save_file(
        {"a": torch.ones(2)},
        path,
        metadata={
            "format": "memhrm 2",
            "about": json.dumps(dict.fromkeys(("model", "memory", "shape", "data", "halt_max_steps"))),
        },
    ),
    "memory": lambda path: shutil.copy("cells/memory.safetensors", path),
    "checkpoint": lambda path: shutil.copy("cells/checkpoints/last.pt", path),
    "nan": lambda path: save_file({"a": torch.full((2,), torch.nan)}, path, metadata={"format": "memhrm 2"}),
}


@pytest.mark.parametrize("how", WEIGHTS)
def test_exported_file(how, place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    path = tmp_path / "w.safetensors"
    WEIGHTS[how](path)
    refused_call(lambda: memhrm.load(path), ["" if how == "folder" else "w.safetensors"])
    if how != "memory":
        refused_call(lambda: load_memory(path), ["w.safetensors"])
