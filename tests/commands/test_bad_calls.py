"""Bad calls of the Python functions: each raises a ValueError of one line, whatever it is given."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import memhrm
from bad import make_runs, refused_call
from memhrm.config.command import compose
from memhrm.config.settings import build
from memhrm.config.trust import trust
from memhrm.data import (
    Examples,
    Maze,
    Sampler,
    Sudoku,
    load,
    load_test,
)
from memhrm.data.checks import shown
from memhrm.data.examples import examples_of
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.memory.registry import parse
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.probes import effects, open_subject, roll_out
from memhrm.published.replay import replay
from memhrm.published.weights import from_published, load_published, our_name, published_name
from memhrm.runs.settings import parse as parse_run
from memhrm.weights.transfer import load as load_memory

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


def puzzles() -> Examples:
    return examples_of(ROWS, ROWS, [1], ["x"])


def each(name: str, act: Callable[[Any, Any], Any], *bads: Any) -> dict[str, Callable[[Any], Any]]:
    """Return a case for each bad value: what is called with the solver, or the subject, and the value."""
    return {f"{name} {shown(bad)}": lambda opened, bad=bad: act(opened, bad) for bad in bads}


CALLS = {
    # Opening.
    **each(
        "load",
        lambda s, bad: memhrm.load(bad),
        None,
        3,
        True,
        1.5,
        [],
        {},
        b"x",
        "",
        "nowhere",
        "plain/config.yaml",
        "\0",
    ),
    **each("load checkpoint", lambda s, bad: memhrm.load("plain", bad), None, 3, "first", "plain", [], True),
    **each("load weights", lambda s, bad: memhrm.load("plain", weights=bad), None, 3, "mean", [], True),
    **each("open_subject", lambda s, bad: open_subject(bad), None, 3, [], "nowhere", "", b"x"),
    **each(
        "open_subject puzzles",
        lambda s, bad: open_subject("plain", puzzles=bad),
        None,
        0,
        -1,
        1.5,
        "3",
        True,
        NAN,
        [3],
    ),
    **each(
        "open_subject data",
        lambda s, bad: open_subject("plain", data=bad),
        3,
        "x",
        [1],
        {"x": 1},
        {"path": "nowhere"},
        {"test_size": 0},
        {"path": 3},
        {1: 2},
    ),
    **each(
        "load_memory",
        lambda s, bad: load_memory(bad),
        None,
        3,
        "",
        "nowhere",
        Path("nowhere"),
        Path("plain"),
        Path("plain/config.yaml"),
    ),
    **each(
        "replay",
        lambda s, bad: replay(bad),
        None,
        3,
        "",
        "nowhere",
        Path("nowhere"),
        Path("plain"),
        Path("plain/config.yaml"),
    ),
    # Solving.
    **each(
        "solve",
        lambda s, bad: s.solve(bad),
        None,
        3,
        True,
        GRID,
        b"x",
        [3],
        [None],
        [GRID, 3],
        [""],
        ["1"],
        [GRID + "."],
        ["x" * 16],
        ["11" + "." * 14],
        {GRID},
        {"a": GRID},
        [[GRID]],
        np.array([GRID]),
        [GRID.encode()],
    ),
    **each("solve steps", lambda s, bad: s.solve([GRID], bad), 0, -1, 1.5, True, "3", [3], NAN, 10**9),
    **each(
        "solve examples",
        lambda s, bad: s.solve([GRID], examples=bad),
        None,
        3,
        GRID,
        [GRID],
        [(GRID,)],
        [(GRID, GRID)],
        [(1, 2)],
        {"a": 1},
    ),
    **each(
        "answer",
        lambda s, bad: s.answer(bad),
        None,
        3,
        GRID,
        [GRID],
        [[1, 2]],
        np.ones(16),
        np.ones((1, 16)),
        np.ones((1, 3), int),
        np.full((1, 16), 99),
        np.full((1, 16), -1),
        np.full((1, 16), NAN),
        [[1], [1, 2]],
        np.zeros((1, 16), int),
        np.ones((1, 2, 8), int),
        torch.ones(1, 16),
    ),
    **each(
        "answer examples",
        lambda s, bad: s.answer(ROWS, examples=bad),
        3,
        [3],
        [(ROWS[0],)],
        [(ROWS[0], ROWS[0])],
        [("a", "b")],
        None,
    ),
    **each("to", lambda s, bad: s.to(bad), None, "tpu", "", 99, [], "cuda:77", "cpu:x", 1.5),
    # Data.
    **each(
        "data",
        lambda s, bad: load(**{**SET, **bad}),
        {"side": 5},
        {"side": "4"},
        {"side": None},
        {"side": 4.0},
        {"side": True},
        {"kind": None},
        {"kind": []},
        {"name": None},
        {"name": ""},
        {"name": 3},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": NAN},
        {"train_size": 0},
        {"train_size": True},
        {"train_size": "all"},
        {"test_size": None},
        {"test_size": 99999},
        {"holdout": -1},
        {"holdout": None},
        {"augment": 1},
        {"augment": None},
        {"path": 3},
        {"path": Path("x")},
        {"path": "a\0b"},
        {"path": ""},
        {"path": "nowhere"},
        {"cache": 3},
        {"unknown": 1},
        {"max_clues": NAN},
        {"max_clues": [8]},
        {"min_clues": 16},
    ),
    "data nothing": lambda s: load(),
    "data kind alone": lambda s: load(kind="sudoku"),
    "load_test nothing": lambda s: load_test(),
    "load_test holdout": lambda s: load_test(**SET, path="nowhere", holdout=3),
    "load_test nowhere": lambda s: load_test(**SET, path="nowhere"),
    **each(
        "read",
        lambda s, bad: TASK.read(bad),
        None,
        3,
        "",
        "nowhere",
        Path("nowhere"),
        Path("plain"),
    ),
    **each(
        "read questions", lambda s, bad: TASK.read(bad, solve=False), None, 3, Path("nowhere"), Path("plain")
    ),
    **each("sudoku", lambda s, bad: Sudoku(side=bad), None, 0, 5, "4", 4.0, True, NAN, [4], 10**9),
    **each("maze", lambda s, bad: Maze(side=bad), None, 0, 1, -3, "4", 4.0, True, 10**6),
    **each(
        "tokens",
        lambda s, bad: TASK.tokens("question", bad),
        None,
        3,
        GRID,
        b"x",
        [3],
        [None],
        ["1"],
        ["x" * 16],
        {GRID},
        [[GRID]],
    ),
    **each(
        "check",
        lambda s, bad: TASK.check(bad, bad),
        None,
        3,
        "x",
        [[1, 2]],
        np.ones(16, int),
        np.ones((1, 16)),
        np.full((1, 16), 9),
        ROWS,
    ),
    **each(
        "solve task",
        lambda s, bad: TASK.solve(bad),
        None,
        3,
        "x",
        [[1]],
        np.ones((1, 16)),
        np.full((1, 16), 9),
        ROWS,
    ),
    **each(
        "score",
        lambda s, bad: TASK.score(ROWS, ROWS, bad),
        None,
        3,
        "x",
        np.ones(16, int),
        np.ones((2, 16), int),
        np.ones((1, 16)),
    ),
    **each(
        "verdict",
        lambda s, bad: TASK.verdict(ROWS, bad),
        None,
        3,
        "x",
        np.ones(16, int),
        np.ones((2, 16), int),
        np.ones((1, 16)),
    ),
    **each("encode", lambda s, bad: TASK.encode(bad), None, 3, b"x", [None], [[1], [2, 3]], {}),
    **each("encode answers", lambda s, bad: TASK.encode([GRID], bad), 3, b"x", [None], [[1], [2, 3]]),
    **each("check_questions", lambda s, bad: TASK.check_questions(bad), None, 3, "x", [None], [[1], [2, 3]]),
    **each("identities", lambda s, bad: TASK.identities(bad, ROWS), None, 3, "x", [None], [[1], [2, 3]]),
    **each("decode", lambda s, bad: TASK.decode(bad), None, "x", [1.5], [NAN], [None]),
    **each(
        "batch_size",
        lambda s, bad: Sampler(puzzles(), TASK, batch_size=bad, seed=0, augment=False),
        None,
        0,
        -1,
        1.5,
        "8",
        True,
        NAN,
        2**40,
    ),
    **each(
        "seed",
        lambda s, bad: Sampler(puzzles(), TASK, batch_size=1, seed=bad, augment=False),
        None,
        -1,
        1.5,
        "0",
        True,
        2**64,
    ),
    **each(
        "augment", lambda s, bad: Sampler(puzzles(), TASK, batch_size=1, seed=0, augment=bad), None, 1, "true"
    ),
    **each(
        "sampler",
        lambda s, bad: Sampler(bad, TASK, batch_size=1, seed=0, augment=False),
        None,
        3,
        ROWS,
        [ROWS],
        examples_of(ROWS[:0], ROWS[:0], [], []),
    ),
    "sampler of no task": lambda s: Sampler(puzzles(), None, batch_size=1, seed=0, augment=False),
    **each(
        "batch",
        lambda s, bad: Sampler(puzzles(), TASK, batch_size=1, seed=0, augment=False).batch(bad),
        None,
        -1,
        1.5,
        "0",
        True,
        2**70,
    ),
    **each(
        "examples_of",
        lambda s, bad: examples_of(bad, bad, [1], ["x"]),
        None,
        3,
        "x",
        [[1], [1, 2]],
        [[1.5]],
        [[NAN]],
        [[-1]],
        [[2**31]],
        [[2**70]],
        [1, 2],
        [[None]],
    ),
    **each(
        "ratings",
        lambda s, bad: examples_of(ROWS, ROWS, bad, ["x"]),
        3,
        [],
        [1, 2],
        ["x"],
        [1.5],
        [NAN],
        [2**40],
        [None],
    ),
    **each("sources", lambda s, bad: examples_of(ROWS, ROWS, [1], bad), 3, "x", [], ["a", "b"]),
    # Settings.
    **each(
        "model",
        lambda s, bad: ModelSettings.of(**{**SMALL, **bad}),
        {"hidden_size": 0},
        {"hidden_size": None},
        {"hidden_size": "16"},
        {"hidden_size": 16.0},
        {"hidden_size": True},
        {"hidden_size": 2**40},
        {"num_heads": 3},
        {"num_heads": -1},
        {"expansion": NAN},
        {"expansion": None},
        {"expansion": 0},
        {"mixer": "x"},
        {"mixer": None},
        {"H_cycles": 0},
        {"L_layers": -1},
        {"L_layers": [1]},
        {"gradient_window": 3},
        {"gradient_window": {"cycles": 5}},
        {"H_net": "x"},
        {"H_net": "own"},
        {"positions": 3},
        {"puzzle_emb_ndim": -1},
        {"puzzle_emb_len": None},
        {"unit": "x"},
        {"name": None},
    ),
    **each(
        "build",
        lambda s, bad: build(ModelSettings, bad, "model"),
        None,
        3,
        "x",
        [],
        [("hidden_size", 3)],
        {"x": 1},
        {1: 2},
        {None: 3},
    ),
    **each(
        "run",
        lambda s, bad: parse_run({**compose("train", []), **bad}),
        {"steps": 0},
        {"steps": None},
        {"seed": NAN},
        {"data": 3},
        {"data": {}},
        {"model": None},
        {"optim": []},
        {"halting": "x"},
        {"loss": 3},
        {"memory": 3},
        {"memory": {}},
        {"memory": {"module": 3}},
        {"k": 3},
        {"x": 1},
        {1: 2},
        {"logger": None},
    ),
    **each("settings", lambda s, bad: parse_run(bad), None, 3, "x", [], {}),
    **each(
        "compose",
        lambda s, bad: compose("train", [bad]),
        "steps",
        "=3",
        "stepz=3",
        "model=trn",
        "seed=0,1",
        "steps=[",
        "model=null",
        "~seed",
    ),
    **each(
        "evaluation",
        lambda s, bad: EvaluationSettings(**{"steps": 1, **bad}),
        {"steps": 0},
        {"steps": None},
        {"steps": 1.5},
        {"steps": True},
        {"threshold": 2},
        {"threshold": NAN},
        {"threshold": "x"},
        {"batch_size": 0},
        {"batch_size": None},
        {"restarts": 0},
        {"restarts": 2},
        {"restarts": None},
        {"noise": -1},
        {"noise": NAN},
        {"noise": None},
        {"select": "x"},
        {"select": None},
        {"seed": -1},
        {"seed": "x"},
        {"write": 1},
        {"loss": None},
        {"loss": "x"},
    ),
    **each(
        "parse",
        lambda s, bad: parse(bad),
        {},
        {"module": None},
        {"module": "os.path"},
        {"module": "no.Such"},
        {"module": []},
        None,
        3,
        "x",
        {"module": "memhrm.memory.bicross.BiCross", "name": 3},
    ),
    **each(
        "trust",
        lambda s, bad: trust(bad),
        3,
        "x",
        "os.path",
        "no.Such",
        [3],
        [None],
        ["a b.c"],
        True,
        {"a": 1},
    ),
    **each(
        "shape",
        lambda s, bad: Reasoner(
            ModelSettings.of(**SMALL),
            PuzzleShape(**{"vocab_size": 6, "num_tokens": 16, "num_identifiers": 1, **bad}),
        ),
        {"vocab_size": 0},
        {"vocab_size": None},
        {"num_tokens": -1},
        {"num_tokens": "x"},
        {"num_identifiers": 1.5},
        {"answers": -1},
    ),
    # Published weights.
    **each(
        "from_published",
        lambda s, bad: from_published(bad),
        None,
        3,
        [],
        {"x": 1},
        {1: torch.ones(2)},
        {"x": torch.ones(2)},
        {"lm_head.weight": [1]},
    ),
    **each(
        "load_published",
        lambda s, bad: load_published(s.model, bad),
        None,
        {},
        {"lm_head.weight": torch.ones(2)},
        {"lm_head.weight": 3},
    ),
    **each("our_name", lambda s, bad: our_name(bad), None, 3, "", "x", b"lm_head.weight"),
    **each("published_name", lambda s, bad: published_name(bad), None, 3, "", "x"),
}


@pytest.mark.parametrize("name", CALLS, ids=str)
def test_call(name, solver, place, monkeypatch):
    monkeypatch.chdir(place)
    refused_call(lambda: CALLS[name](solver), [])


LOOKS = {
    **each("roll_out steps", lambda s, bad: roll_out(s, steps=bad), None, 0, -1, 1.5, "3", True),
    **each("roll_out batch_size", lambda s, bad: roll_out(s, 1, batch_size=bad), None, 0, -1, 1.5, "3", True),
    **each("roll_out noise", lambda s, bad: roll_out(s, steps=1, noise=bad), -1, NAN, "x"),
    **each("roll_out keep", lambda s, bad: roll_out(s, steps=1, keep=bad), ["x"], 3, [3]),
    **each(
        "roll_out prefer", lambda s, bad: roll_out(s, steps=1, prefer=bad), 3, torch.ones(2), torch.ones(2, 9)
    ),
    **each("effects", lambda s, bad: effects(s, steps=bad), 0, -1, 1.5, "3", True),
    "roll_out nothing": lambda s: roll_out(None, steps=1),
}


@pytest.mark.parametrize("name", LOOKS)
def test_look(name, subject, place, monkeypatch):
    monkeypatch.chdir(place)
    refused_call(lambda: LOOKS[name](subject), [])
