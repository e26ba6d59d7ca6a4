"""Bad calls of the Python functions: each raises a ValueError of one line, whatever it is given."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import memhrm
from bad import make_runs, refused_call
from memhrm.config import compose
from memhrm.data import (
    Maze,
    PuzzleSet,
    Sampler,
    Sudoku,
    evaluation_batches,
    load,
    load_test,
    read_puzzles,
    read_questions,
)
from memhrm.data.puzzle import puzzle_set
from memhrm.interop import from_published, load_published, our_name, published_name
from memhrm.memory.choice import parse, trust
from memhrm.models.reasoner import ModelSettings, PuzzleShape, Reasoner
from memhrm.probes import effects, open_subject, roll_out
from memhrm.replay import replay
from memhrm.settings import build
from memhrm.training.evaluation import EvaluationSettings
from memhrm.training.run import settings
from memhrm.transplant import load as load_memory

NAN = math.nan
GRID = "1" + "." * 15
SMALL = {"hidden_size": 16, "num_heads": 2, "L_layers": 1, "H_net": "shared", "H_cycles": 1, "L_cycles": 1}
SET = {"name": "x", "kind": "sudoku", "side": 4, "test_size": 20, "max_clues": 8}
TASK = Sudoku(side=4)
ROWS = np.array([[1] * 16], np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    make_runs(folder)
    return folder


@pytest.fixture(scope="module")
def solver(place):
    return memhrm.load(place / "plain")


@pytest.fixture(scope="module")
def subject(place):
    return open_subject(place / "cells", puzzles=2)


def puzzles() -> PuzzleSet:
    return puzzle_set(ROWS, ROWS, [1], ["x"])


CALLS = {
    # Opening.
    **{f"load {bad!r}": lambda s, bad=bad: memhrm.load(bad)
       for bad in (None, 3, True, 1.5, [], {}, b"x", "", "nowhere", "plain/config.yaml", "\0")},
    **{f"load checkpoint {bad!r}": lambda s, bad=bad: memhrm.load("plain", bad)
       for bad in (None, 3, "first", "plain", [], True)},
    **{f"load weights {bad!r}": lambda s, bad=bad: memhrm.load("plain", weights=bad)
       for bad in (None, 3, "mean", [], True)},
    **{f"open_subject {bad!r}": lambda s, bad=bad: open_subject(bad)
       for bad in (None, 3, [], "nowhere", "", b"x")},
    **{f"open_subject puzzles {bad!r}": lambda s, bad=bad: open_subject("plain", puzzles=bad)
       for bad in (None, 0, -1, 1.5, "3", True, NAN, [3])},
    **{f"open_subject data {bad!r}": lambda s, bad=bad: open_subject("plain", data=bad)
       for bad in (3, "x", [1], {"x": 1}, {"path": "nowhere"}, {"test_size": 0}, {"path": 3}, {1: 2})},
    **{f"load_memory {bad!r}": lambda s, bad=bad: load_memory(bad)
       for bad in (None, 3, "", "nowhere", Path("nowhere"), Path("plain"), Path("plain/config.yaml"))},
    **{f"replay {bad!r}": lambda s, bad=bad: replay(bad)
       for bad in (None, 3, "", "nowhere", Path("nowhere"), Path("plain"), Path("plain/config.yaml"))},
    # Solving.
    **{f"solve {bad!r}": lambda s, bad=bad: s.solve(bad)
       for bad in (None, 3, True, GRID, b"x", [3], [None], [GRID, 3], [""], ["1"], [GRID + "."], ["x" * 16],
                   ["11" + "." * 14], {GRID}, {"a": GRID}, [[GRID]], np.array([GRID]), [GRID.encode()])},
    **{f"solve steps {bad!r}": lambda s, bad=bad: s.solve([GRID], bad)
       for bad in (0, -1, 1.5, True, "3", [3], NAN, 10**9)},
    **{f"solve examples {bad!r}": lambda s, bad=bad: s.solve([GRID], examples=bad)
       for bad in (None, 3, GRID, [GRID], [(GRID,)], [(GRID, GRID)], [(1, 2)], {"a": 1})},
    **{f"answer {bad!r}": lambda s, bad=bad: s.answer(bad)
       for bad in (None, 3, GRID, [GRID], [[1, 2]], np.ones(16), np.ones((1, 16)), np.ones((1, 3), int),
                   np.full((1, 16), 99), np.full((1, 16), -1), np.full((1, 16), NAN), [[1], [1, 2]],
                   np.zeros((1, 16), int), np.ones((1, 2, 8), int), torch.ones(1, 16))},
    **{f"answer examples {bad!r}": lambda s, bad=bad: s.answer(ROWS, examples=bad)
       for bad in (3, [3], [(ROWS[0],)], [(ROWS[0], ROWS[0])], [("a", "b")], None)},
    **{f"to {bad!r}": lambda s, bad=bad: s.to(bad) for bad in (None, "tpu", "", 99, [], "cuda:77", "cpu:x", 1.5)},
    # Data.
    **{f"data {change!r}": lambda s, change=change: load(**{**SET, **change})
       for change in ({"side": 5}, {"side": "4"}, {"side": None}, {"side": 4.0}, {"side": True}, {"kind": None},
                      {"kind": []}, {"name": None}, {"name": ""}, {"name": 3}, {"seed": -1}, {"seed": 1.5},
                      {"seed": NAN}, {"train_size": 0}, {"train_size": True}, {"train_size": "all"},
                      {"test_size": None}, {"test_size": 99999}, {"holdout": -1}, {"holdout": None},
                      {"augment": 1}, {"augment": None}, {"path": 3}, {"path": Path("x")}, {"path": "a\0b"},
                      {"path": ""}, {"path": "nowhere"}, {"cache": 3}, {"unknown": 1}, {"max_clues": NAN},
                      {"max_clues": [8]}, {"min_clues": 16})},
    "data nothing": lambda s: load(),
    "data kind alone": lambda s: load(kind="sudoku"),
    "load_test nothing": lambda s: load_test(),
    "load_test holdout": lambda s: load_test(**SET, path="nowhere", holdout=3),
    "load_test nowhere": lambda s: load_test(**SET, path="nowhere"),
    **{f"read_puzzles {bad!r}": lambda s, bad=bad: read_puzzles(bad, TASK)
       for bad in (None, 3, "", "nowhere", Path("nowhere"), Path("plain"))},
    **{f"read_questions {bad!r}": lambda s, bad=bad: read_questions(bad, TASK)
       for bad in (None, 3, Path("nowhere"), Path("plain"))},
    **{f"read_puzzles task {bad!r}": lambda s, bad=bad: read_puzzles(Path("plain/config.yaml"), bad)
       for bad in (None, 3, "sudoku4", Sudoku)},
    **{f"sudoku {bad!r}": lambda s, bad=bad: Sudoku(side=bad) for bad in (None, 0, 5, "4", 4.0, True, NAN)},
    **{f"maze {bad!r}": lambda s, bad=bad: Maze(side=bad) for bad in (None, 0, 1, -3, "4", 4.0, True, 10**6)},
    **{f"tokens {bad!r}": lambda s, bad=bad: TASK.tokens("question", bad)
       for bad in (None, 3, GRID, b"x", [3], [None], ["1"], ["x" * 16], {GRID}, [[GRID]])},
    **{f"check {bad!r}": lambda s, bad=bad: TASK.check(bad, bad)
       for bad in (None, 3, "x", [[1, 2]], np.ones(16, int), np.ones((1, 16)), np.full((1, 16), 9), ROWS)},
    **{f"solve task {bad!r}": lambda s, bad=bad: TASK.solve(bad)
       for bad in (None, 3, "x", [[1]], np.ones((1, 16)), np.full((1, 16), 9), ROWS)},
    **{f"grade {bad!r}": lambda s, bad=bad: TASK.grade(ROWS, ROWS, bad)
       for bad in (None, 3, "x", np.ones(16, int), np.ones((2, 16), int), np.ones((1, 16)))},
    **{f"verdict {bad!r}": lambda s, bad=bad: TASK.verdict(ROWS, bad)
       for bad in (None, 3, "x", np.ones(16, int), np.ones((2, 16), int), np.ones((1, 16)))},
    **{f"decode {bad!r}": lambda s, bad=bad: TASK.decode(bad) for bad in (None, "x", [1.5], [NAN], [None])},
    **{f"batch_size {bad!r}": lambda s, bad=bad: Sampler(puzzles(), TASK, batch_size=bad, seed=0, augment=False)
       for bad in (None, 0, -1, 1.5, "8", True, NAN, 2**40)},
    **{f"seed {bad!r}": lambda s, bad=bad: Sampler(puzzles(), TASK, batch_size=1, seed=bad, augment=False)
       for bad in (None, -1, 1.5, "0", True, 2**64)},
    **{f"augment {bad!r}": lambda s, bad=bad: Sampler(puzzles(), TASK, batch_size=1, seed=0, augment=bad)
       for bad in (None, 1, "true")},
    **{f"sampler {bad!r}": lambda s, bad=bad: Sampler(bad, TASK, batch_size=1, seed=0, augment=False)
       for bad in (None, 3, ROWS, [ROWS])},
    **{f"batch {bad!r}": lambda s, bad=bad: Sampler(puzzles(), TASK, batch_size=1, seed=0, augment=False).batch(bad)
       for bad in (None, -1, 1.5, "0", True, 2**70)},
    **{f"evaluation {bad!r}": lambda s, bad=bad: evaluation_batches(puzzles(), bad)
       for bad in (None, 0, -1, 1.5, "8", True)},
    **{f"puzzle_set {bad!r}": lambda s, bad=bad: puzzle_set(bad, bad, [1], ["x"])
       for bad in (None, 3, "x", [[1], [1, 2]], [[1.5]], [[NAN]], [[-1]], [[2**31]], [[2**70]], [1, 2], [[None]])},
    **{f"ratings {bad!r}": lambda s, bad=bad: puzzle_set(ROWS, ROWS, bad, ["x"])
       for bad in (None, 3, [], [1, 2], ["x"], [1.5], [NAN], [2**40], [None])},
    **{f"sources {bad!r}": lambda s, bad=bad: puzzle_set(ROWS, ROWS, [1], bad) for bad in (None, 3, "x", [], ["a", "b"])},
    # Settings.
    **{f"model {change!r}": lambda s, change=change: ModelSettings(**{**SMALL, **change})
       for change in ({"hidden_size": 0}, {"hidden_size": None}, {"hidden_size": "16"}, {"hidden_size": 16.0},
                      {"hidden_size": True}, {"hidden_size": 2**40}, {"num_heads": 3}, {"num_heads": -1},
                      {"expansion": NAN}, {"expansion": None}, {"expansion": 0}, {"mixer": "x"}, {"mixer": None},
                      {"H_cycles": 0}, {"L_layers": -1}, {"L_layers": [1]}, {"gradient_window": 3},
                      {"gradient_window": {"cycles": 5}}, {"H_net": "x"}, {"H_net": "own"}, {"positions": 3},
                      {"puzzle_emb_ndim": -1}, {"puzzle_emb_len": None}, {"unit": "x"}, {"name": None})},
    **{f"build {bad!r}": lambda s, bad=bad: build(ModelSettings, bad, "model")
       for bad in (None, 3, "x", [], [("hidden_size", 3)], {}, {"x": 1}, {1: 2}, {None: 3})},
    **{f"run {change!r}": lambda s, change=change: settings({**compose("train", []), **change})
       for change in ({"steps": 0}, {"steps": None}, {"seed": NAN}, {"data": 3}, {"data": {}}, {"model": None},
                      {"optim": []}, {"halting": "x"}, {"loss": 3}, {"memory": 3}, {"memory": {}},
                      {"memory": {"module": 3}}, {"k": 3}, {"x": 1}, {1: 2}, {"logger": None})},
    **{f"settings {bad!r}": lambda s, bad=bad: settings(bad) for bad in (None, 3, "x", [], {})},
    **{f"compose {bad!r}": lambda s, bad=bad: compose("train", [bad])
       for bad in ("steps", "=3", "stepz=3", "model=trn", "seed=0,1", "steps=[", "model=null", "~seed")},
    **{f"evaluation {change!r}": lambda s, change=change: EvaluationSettings(**{"steps": 1, **change})
       for change in ({"steps": 0}, {"steps": None}, {"steps": 1.5}, {"steps": True}, {"threshold": 2},
                      {"threshold": NAN}, {"threshold": "x"}, {"batch_size": 0}, {"batch_size": None},
                      {"restarts": 0}, {"restarts": 2}, {"restarts": None}, {"noise": -1}, {"noise": NAN},
                      {"noise": None}, {"select": "x"}, {"select": None}, {"seed": -1}, {"seed": "x"},
                      {"write": 1}, {"loss": None}, {"loss": "x"})},
    **{f"parse {bad!r}": lambda s, bad=bad: parse(bad)
       for bad in ({}, {"module": None}, {"module": "os.path"}, {"module": "no.Such"}, {"module": []}, None, 3, "x",
                   {"module": "memhrm.memory.bicross.BiCross", "name": 3})},
    **{f"trust {bad!r}": lambda s, bad=bad: trust(bad)
       for bad in (3, "x", "os.path", "no.Such", [3], [None], ["a b.c"], True, {"a": 1})},
    **{f"shape {change!r}": lambda s, change=change: Reasoner(
        ModelSettings(**SMALL), PuzzleShape(**{"vocab_size": 6, "num_tokens": 16, "num_puzzle_identifiers": 1, **change}))
       for change in ({"vocab_size": 0}, {"vocab_size": None}, {"num_tokens": -1}, {"num_tokens": "x"},
                      {"num_puzzle_identifiers": 1.5}, {"answers": -1})},
    # Published weights.
    **{f"from_published {bad!r}": lambda s, bad=bad: from_published(bad)
       for bad in (None, 3, [], {"x": 1}, {1: torch.ones(2)}, {"x": torch.ones(2)}, {"lm_head.weight": [1]})},
    **{f"load_published {bad!r}": lambda s, bad=bad: load_published(s.model, bad)
       for bad in (None, {}, {"lm_head.weight": torch.ones(2)}, {"lm_head.weight": 3})},
    **{f"our_name {bad!r}": lambda s, bad=bad: our_name(bad) for bad in (None, 3, "", "x", b"lm_head.weight")},
    **{f"published_name {bad!r}": lambda s, bad=bad: published_name(bad) for bad in (None, 3, "", "x")},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_call(name, solver, place, monkeypatch):
    monkeypatch.chdir(place)
    refused_call(lambda: CALLS[name](solver), [])


LOOKS = {
    **{f"roll_out {name} {bad!r}": lambda s, name=name, bad=bad: roll_out(s, **{"steps": 1, name: bad})
       for name in ("steps", "batch_size") for bad in (None, 0, -1, 1.5, "3", True)},
    **{f"roll_out noise {bad!r}": lambda s, bad=bad: roll_out(s, steps=1, noise=bad) for bad in (-1, NAN, "x")},
    **{f"roll_out keep {bad!r}": lambda s, bad=bad: roll_out(s, steps=1, keep=bad) for bad in (["x"], 3, [3])},
    **{f"roll_out prefer {bad!r}": lambda s, bad=bad: roll_out(s, steps=1, prefer=bad)
       for bad in (3, torch.ones(2), torch.ones(2, 9))},
    **{f"effects {bad!r}": lambda s, bad=bad: effects(s, steps=bad) for bad in (0, -1, 1.5, "3", True)},
    "roll_out nothing": lambda s: roll_out(None, steps=1),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_look(name, subject, place, monkeypatch):
    monkeypatch.chdir(place)
    refused_call(lambda: LOOKS[name](subject), [])
