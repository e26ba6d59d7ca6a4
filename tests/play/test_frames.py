"""Questions as boards, frames of answers, the models that are offered, the folder of a Space."""

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

import memhrm
from driven import ended, until
from memhrm.config.command import compose
from memhrm.data.arc.task import Arc
from memhrm.data.maze.task import Maze
from memhrm.data.settings import parse
from memhrm.data.sudoku.task import Sudoku
from memhrm.play.boards import START, edited, task_in, text_of
from memhrm.play.choices import Choices
from memhrm.play.frames import Frame, drawn, frames
from memhrm.play.markup import frame_html, told_html
from memhrm.play.space import needed, write_space
from memhrm.play.turns import Turns
from memhrm.play.visit import Visit
from memhrm.report.film import film
from memhrm.weights.restore import FORMAT, MADE_BY
from memhrm.weights.tensors import read_tensors
from memhrm.weights.zoo import path_of
from pages import ROOT
from tiny import call, train

ARC = Arc(canvas=5, identified=False)
QUESTIONS = (
    (Sudoku(side=4), "12..34..2.4....1"),
    (Sudoku(side=6), "1" + "." * 35),
    (Maze(side=3), "S# # #  G"),
    (ARC, "[[1,2],[3,4],[0,9]]"),
)


@pytest.mark.parametrize("task, question", QUESTIONS, ids=lambda one: getattr(one, "name", ""))
def test_a_board_is_its_question(task, question):
    board = edited(task, question)
    assert board is not None and text_of(task, board) == question
    assert len(board["squares"]) == board["rows"] * board["columns"]
    assert len(board["names"]) == len(board["alphabet"]) == len(set(board["names"]))
    assert set(board["squares"]) <= set(board["alphabet"])
    empty = edited(task, "")
    assert empty is not None and set(empty["squares"]) == {board["alphabet"][0]}
    assert text_of(task, empty) == (START if isinstance(task, Arc) else empty["squares"])
    assert edited(task, "no board") is None


def test_a_task_of_arc_is_pasted_as_it_is():
    shown = [{"input": [[1]], "output": [[2]]}, {"input": [[3, 3]], "output": [[4, 4]]}]
    given = json.dumps({"train": shown, "test": [{"input": [[5], [6]]}]})
    assert task_in(ARC, given) == ("[[5],[6]]", [("[[1]]", "[[2]]"), ("[[3,3]]", "[[4,4]]")])
    assert task_in(ARC, "[[1]]") is None and task_in(ARC, "{}") is None
    assert task_in(Sudoku(side=4), given) is None
    assert told_html(ARC, [("[[1]]", "[[2]]")]).count("<table") == 2


def test_what_was_shown_is_read_from_its_pairs():
    task, rng = memhrm.load("recall").task, np.random.default_rng(0)
    inputs, labels = rng.integers(1, task.vocab_size, (2, 5, task.seq_len))
    assert (task.unpaired(task.pair(inputs, labels)) == labels).all()


@pytest.mark.parametrize("name", sorted({*Choices().names} - {"intents"}))
def test_a_question_is_drawn_and_its_answer_has_a_frame_for_each_step(name):
    solver = memhrm.load(name)
    rng = np.random.default_rng(0)
    found = drawn(solver, rng)
    assert found is not None and bool(found.told) == (solver.task.answers > 0)
    every = frames(solver, found.question, found.told, None)
    assert [one.words for one in every] == [one.words for one in film(solver, *found)]
    (answer,) = solver.solve([found.question], examples=found.told)
    shown = "".join(square.text for square in every[-1].boards[-1][1].squares)
    assert shown.replace("●", "") == re.sub("[# o]", "", answer)  # Walls and ways have no text.
    assert all(one.cells == solver.model.H_module.cells for one in every)
    page = frame_html(name, every, len(every) - 1)
    assert page.count("<td") == sum(len(board.squares) for _, board in every[-1].boards)
    assert ("Q " in page) == solver.judges
    assert drawn(solver, rng) is not None


def test_of_a_text_the_categories_are_shown_and_no_question_is_drawn():
    solver = memhrm.load("intents")
    assert drawn(solver, np.random.default_rng(0)) is None
    every = frames(solver, "what is my checking account balance", [], None)
    (best, *_), share = every[-1].categories[0], every[-1].categories[0][1]
    assert best == "balance" and share > 0.5
    assert "balance" in frame_html("intents", every, 0)


@pytest.mark.parametrize("words", ["arc_rules data.side=4", "contexts", "episodes", "hops", "recall", "maze"])
def test_a_question_of_every_generated_set_is_drawn(words):
    data = parse(compose("train", ["data=" + words.split()[0], *words.split()[1:]])["data"])
    found = drawn(types.SimpleNamespace(data=data), np.random.default_rng(0))
    assert found is not None and bool(found.told) == (data.task().answers > 0)
    assert data.task().encode([found.question]).inputs.shape == (1, data.task().seq_len)


def test_wrong_and_changed_squares_are_said(tmp_path):
    assert train(tmp_path / "run", "steps=1") == 0
    solver = memhrm.load(tmp_path / "run")
    every = frames(solver, "12..34..2.4....1", [], 2)
    page = frame_html("run", every, 1)
    wrong, changed = every[1].boards[0][1].wrong, every[1].boards[0][1].changed
    assert wrong > 0 and page.count(', wrong"') == wrong and page.count(", changed") == changed


def test_the_right_answer_is_searched_once_for_each_answer(monkeypatch):
    found, original = [], Sudoku.solve

    def solve(task, inputs):
        found.append(original(task, inputs))
        return found[-1]

    monkeypatch.setattr(Sudoku, "solve", solve)
    turns, state = Turns(Choices(), 2), Visit()
    *_, last = turns.solve("sudoku4", "sudoku4-multicell", "1..4..1.2....3..", 1, state)
    assert len(found) == 2 and set(state.seen) == {"sudoku4", "sudoku4-multicell"}
    assert last["say"].count("solved") + last["say"].count("wrong") == 2


def test_cells_are_numbered_from_0():
    one = Frame((), "", cells=3, read=frozenset({2, 0}))
    assert "cells read: 0, 2; written: none" in frame_html("cells", [one], 0)


def test_a_run_that_is_given_comes_first_and_stands_beside_its_like(tmp_path):
    assert train(tmp_path / "mine", "steps=1") == 0
    choices = Choices([str(tmp_path / "mine")])
    assert choices.names[0] == "mine"
    assert set(choices.beside("mine")) == {"sudoku4", "sudoku4-multicell"}
    assert choices.solver("mine") is choices.solver("mine")
    with pytest.raises(ValueError, match=r"model is 'sudoku5', which is not offered.*sudoku4"):
        choices.solver("sudoku5")
    with pytest.raises(ValueError, match="nothing"):
        Choices([str(tmp_path / "nothing")])


def test_the_settings_are_checked(capsys):
    for words, said in {
        "port=0": "port is 0; allowed: null, or 1 to 65535",
        "steps=0": "steps is 0",
        "runs=[nowhere]": "nowhere",
        "space=x trust=mine": "trust is mine, which changes nothing with space",
        "prot=1": "port",
    }.items():
        assert call("play", "browser=false", *words.split()) != 0
        assert said in capsys.readouterr().err


def test_a_space_has_all_that_it_needs(tmp_path):
    assert train(tmp_path / "mine", "steps=1") == 0
    folder = tmp_path / "space"
    write_space(str(folder), [str(tmp_path / "mine")])
    with pytest.raises(ValueError, match=r"space is .*; allowed: a folder that does not exist yet"):
        write_space(str(folder), [])
    assert (folder / "models" / "mine.safetensors").exists()
    readme = (folder / "README.md").read_text()
    assert (
        "sdk: gradio" in readme and f'python_version: "{sys.version_info[0]}.{sys.version_info[1]}"' in readme
    )
    assert "torch" in (folder / "requirements.txt").read_text()
    assert not any(one.startswith(("wandb", "xformers", "gradio")) for one in needed())
    assert any(one.startswith("pillow") for one in needed())
    # It is served from its own copy of the package, and offers its own models.
    code = "import memhrm, memhrm.play.page as page; print(memhrm.__file__, flush=True); import app"
    port = str(20000 + os.getpid() % 20000)
    words = [sys.executable, "-P", "-c", code]
    more = {"PYTHONPATH": str(folder), "GRADIO_SERVER_PORT": port, "OMP_NUM_THREADS": "1"}
    with ended(
        subprocess.Popen(words, cwd=folder, env=os.environ | more, stdout=subprocess.PIPE, text=True)
    ) as app:
        assert app.stdout is not None
        assert Path(app.stdout.readline().strip()).is_relative_to(folder)
        config = until(lambda: json.load(urlopen(f"http://127.0.0.1:{port}/config")), OSError)
        (choice,) = [one["props"] for one in config["components"] if one["props"].get("elem_id") == "model"]
        assert choice["choices"][0][0] == "mine" and ["hops", "hops"] in choice["choices"]


def test_a_space_is_made_of_whatever_a_model_is_loaded_from(tmp_path):
    write_space(str(tmp_path / "space"), ["hops"])
    copied = read_tensors(tmp_path / "space/models/hops.safetensors")
    assert copied.metadata == read_tensors(path_of("hops")).metadata  # The checksum of its tensors too.


def test_a_space_tells_no_path_of_the_machine_it_was_made_on(tmp_path):
    assert train(tmp_path / "mine", "steps=1") == 0
    assert call("export", f"run={tmp_path / 'mine'}", f"out={tmp_path / 'own.safetensors'}") == 0
    write_space(str(tmp_path / "space"), [str(tmp_path / "mine"), str(tmp_path / "own.safetensors")])
    for name in ("mine", "own"):
        about, _ = read_tensors(tmp_path / f"space/models/{name}.safetensors").about(FORMAT, MADE_BY)
        assert str(tmp_path) not in json.dumps(about) and about["config"]["dir"] == "mine"


def test_a_folder_here_does_not_stand_for_a_model_of_the_package(tmp_path, monkeypatch):
    (tmp_path / "hops").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Choices().solver("hops").task.name == "hops7"


@pytest.mark.parametrize("steps, told", [(512, 0), (128, 3), (4, 102)])
def test_an_answer_has_so_many_frames_at_most(steps, told):
    solver, one = memhrm.load("recall"), "1" * memhrm.load("recall").task.seq_len
    few = [(one, one)] * told
    with pytest.raises(
        ValueError, match=rf"steps is {steps + 1}; allowed: fewer with {told} examples?: .*512 at most"
    ):
        frames(solver, one, few, steps + 1)


def test_a_text_is_followed_as_far_as_it_is_classified():
    solver = memhrm.load("intents")
    every = solver.classify_by_step("what is my balance?", 3, 4)
    for steps, found in enumerate(every, start=1):
        (right,) = solver.classify(["what is my balance?"], 3, steps)
        assert [name for name, _ in found] == [name for name, _ in right]
        assert dict(found) == pytest.approx(dict(right), abs=1e-5)


def test_what_does_not_fit_is_not_told():
    """A pasted task leaves what was told before as it was."""
    turns, state = Turns(_Strict(), 4), Visit([("[[1]]", "[[2]]")])
    fits, wide = [[1]], [[1] * 6]
    for shown, asked in ((wide, fits), (fits, wide)):
        given = {"train": [{"input": shown, "output": fits}], "test": [{"input": asked}]}
        told = turns.paste("arc", json.dumps(given), state)
        assert "room for 5" in told["say"] or "fits the model" in told["say"]
        assert state.told == [("[[1]]", "[[2]]")]
    assert "up to 100,000" in turns.paste("arc", "[" * 100_001, state)["say"]
    assert turns.paste("arc", "[" * 50_000, state) == {"visit": state}


class _Strict:
    """Stands for the models of a page: one of the strict protocol of ARC, of which the task is asked."""

    def solver(self, name: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(task=ARC)


def test_the_file_of_settings_is_that_of_the_command():
    assert compose("play", [])["port"] is None


def test_the_page_needs_no_pytorch():
    """Another process imports it meanwhile."""
    code = (
        "import sys\n"
        "from memhrm.play import page\n"
        "from memhrm.play.offered import offered\n"
        "import memhrm.play.worker\n"
        "page.page(list(offered([])), print, most_steps=4)\n"
        "print([one for one in ('torch', 'mcp') if one in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
