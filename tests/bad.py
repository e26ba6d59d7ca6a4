"""Helpers for the tables of bad inputs: tiny runs to work on, and the checks of a case."""

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tiny import call, train

SECONDS = 10
"""The most time that an error message may take, in seconds."""

PLAIN = ("steps=1", "eval_every=0")
CELLS = (*PLAIN, "+memory=multicell", "model.H_cycles=2", "memory.cells=4", "memory.tokens=2")
RECALL = (*PLAIN, "data=recall", "data.test_size=20", "data.lengths=[2]", "data.test_length=3",
          "data.test_episodes=4", "validation_size=0")  # fmt: skip


SHARE = 9
"""One in so many cases of a table runs by default, since Hydra takes a fifth of a second for each."""


class TooLong(BaseException):
    """A case takes too long. It is not an `Exception`, so that no command catches it."""


def cases(table: str) -> list[Any]:
    """Return the cases of a table as parameters of a test: a command line and the parts of its message.

    A line is `words | part | part`. Without parts the message must contain the name and the value of the last
    word, which has the form setting=value. One case in SHARE runs by default, all with --thorough.
    """
    made = []
    for number, line in enumerate(filter(None, map(str.strip, table.splitlines()))):
        command, *parts = line.split(" | ")
        words = [word.encode().decode("unicode_escape") if "\\" in word else word
                 for word in shlex.split(command)]  # fmt: skip
        if not parts:
            name, _, value = words[-1].lstrip("+~").partition("=")
            parts = [name, value]
        marks = () if number % SHARE == 0 else pytest.mark.thorough
        made.append(pytest.param(words, parts, id=command, marks=marks))
    return made


@contextmanager
def in_time() -> Iterator[None]:
    """Raise `TooLong` in a block that takes more than `SECONDS`, instead of waiting for it."""

    def stop(*_: object) -> None:
        raise TooLong(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def files() -> dict[str, tuple[int, int] | None]:
    """Return the paths below the current folder: size and modification time of files, None for folders."""
    found = {}
    for folder, folders, names in os.walk("."):
        found |= {os.path.join(folder, name): None for name in folders}
        for name in names:
            path = os.path.join(folder, name)
            state = os.lstat(path)
            found[path] = (state.st_size, state.st_mtime_ns)
    return found


def refused(words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a command ends with one line that contains `parts`, and changes no file."""
    before = files()
    capsys.readouterr()
    with in_time():
        code = call(*words)
    out, err = capsys.readouterr()
    err = "\n".join(line for line in err.split("\n") if not line.startswith("\rgenerating "))
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and len(err) < 900, (code, err)
    assert [part for part in parts if part not in err] == [], err
    assert out == ""
    after = files()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.endswith(".lock") and ".multirun" not in name} == set()


def refused_call(act: Callable[[], Any], parts: list[str]) -> None:
    """Check that a function raises a ValueError of one line that contains `parts`, and changes no file."""
    before = files()
    with in_time(), pytest.raises(ValueError) as raised:
        act()
    message = str(raised.value)
    assert message and "\n" not in message and len(message) < 900, message
    assert [part for part in parts if part not in message] == [], message
    assert files() == before


def make_runs(folder: Path) -> None:
    """Train the runs `plain`, `cells` and `recall` for one step each."""
    for name, words in (("plain", PLAIN), ("cells", CELLS), ("recall", RECALL)):
        assert train(folder / name, *words) == 0
