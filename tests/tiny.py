"""Tiny runs of the real training command in this process."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from memhrm import __main__ as memhrm
from memhrm.config.command import command, compose, console, given
from memhrm.runs import loop
from memhrm.train import main
from pages import ROOT

TINY = """
    data=sudoku4 data.test_size=20 validation_size=10 model=trm model.hidden_size=16 model.num_heads=2
    model.expansion=1.0 model.L_layers=1 model.H_cycles=1 model.L_cycles=1 model.puzzle_emb_len=1
    halting.halt_max_steps=3 batch_size=8 steps=8 eval_every=4 optim.warmup=2 progress=false threads=1
""".split()  # noqa: SIM905 (written as on a command line)
"""Overrides for a run that takes a second; HRM needs `model.H_layers=1` as well."""


TEXTS = {
    "intent": (f"data.path={ROOT}/docs/texts.csv", "data.holdout=9"),
    "intent_episodes": (
        *(f"data.path={ROOT}/docs", "data.train_file=texts.csv", "data.test_file=texts.csv"),
        *("data.ways=[2]", "data.test_ways=[2]", "data.held_out_categories=0.5"),
    ),
    "text": (f"data.path={ROOT}/README.md", "data.length=32"),
}
"""What data and recipes of texts need to be given, by name: they cannot be generated."""


def variations(values: Iterable[Any], share: int) -> list[Any]:
    """Return the values as parameters of a test; all but every `share`-th are marked thorough."""
    return [
        pytest.param(value, marks=() if number % share == 0 else pytest.mark.thorough)
        for number, value in enumerate(values)
    ]


def train(path: Path, *changes: str) -> int:
    """Run the body of the training command on a tiny configuration, and return the exit code."""
    settings = [*TINY, *changes]  # Without the folder, so that equal settings are composed once.
    return console.code_of(lambda: main({**compose("train", settings), "dir": str(path)}, given(changes)))


def call(*words: str) -> int:
    """Run `memhrm WORDS` as from the command line, in this process; return its exit code."""
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(SystemExit) as ended,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*found in sys.modules")  # The tests import commands, too.
        patch.setattr(sys, "argv", ["memhrm", *words])
        memhrm.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def command_line(name: str, body: Callable, *arguments: str) -> int:
    """Run a command as its command line does, and return the exit code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [f"memhrm.{name}", *arguments])
        command(name, body)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def at_step(patch: pytest.MonkeyPatch, step: int, action: Callable) -> None:
    """Call `action(learner)` once, just before optimiser step `step`."""
    original = loop.train_step

    def with_action(learner, *args):
        if learner.step == step - 1:
            patch.setattr(loop, "train_step", original)
            action(learner)
        return original(learner, *args)

    patch.setattr(loop, "train_step", with_action)


def send(number: signal.Signals) -> Callable:
    """Return an action, for `at_step`, that sends this process a signal."""
    return lambda _learner: os.kill(os.getpid(), number)


def poison(learner) -> None:
    """Make the model compute NaN from now on; an action for `at_step`."""
    with torch.no_grad():
        next(learner.model.parameters()).fill_(torch.nan)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the single error line on stderr without "error: ", ignoring the generator's progress."""
    lines = [line for line in capsys.readouterr().err.splitlines() if "generating" not in line and line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def write_set(folder: Path, data) -> None:
    """Write the training and test puzzles of a dataset as CSV files into a new folder."""
    folder.mkdir()
    for part in ("train", "test"):
        puzzles = getattr(data, part)
        rows = [
            f"x,{data.task.decode(question)},{data.task.decode(answer)},{rating}"
            for question, answer, rating in zip(puzzles.inputs, puzzles.labels, puzzles.ratings)
        ]
        text = "source,question,answer,rating\n" + "".join(f"{row}\n" for row in rows)
        (folder / f"{part}.csv").write_text(text)
