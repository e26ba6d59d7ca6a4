"""The models that a page offers, opened when they are first asked for."""

import threading
from collections.abc import Sequence
from pathlib import Path

import torch

from memhrm.config.settings import unknown
from memhrm.data.settings import parse
from memhrm.data.task import Task
from memhrm.play.offered import offered
from memhrm.weights.opening import load
from memhrm.weights.restore import FORMAT, MADE_BY
from memhrm.weights.solver import Solver
from memhrm.weights.tensors import read_tensors
from memhrm.weights.zoo import ZOO


class Choices:
    """Models by name: those that come with the package, and others.

    Args:
        places: as `memhrm.load` takes them; they come first.
        device: where they compute, as in the settings.

    Raises:
        ValueError: a place holds no model.
    """

    def __init__(self, places: Sequence[str] = (), device: str | torch.device = "cpu") -> None:
        self._device, self._alone = device, threading.Lock()
        self._places = offered(places)
        self._opened: dict[str, Solver] = {}
        self._tasks: dict[str, Task] = {}
        for name in self.names[: len(places)]:
            self.solver(name)

    @property
    def names(self) -> list[str]:
        """The names, in the order in which they are offered."""
        return list(self._places)

    def solver(self, name: str) -> Solver:
        """Return a model.

        Raises:
            ValueError: none has this name.
        """
        if name not in self._places:
            raise ValueError(unknown(f"model is {name!r}, which is not offered", name, self._places))
        with self._alone:
            if name not in self._opened:
                self._opened[name] = load(self._places[name]).to(self._device)
            return self._opened[name]

    def beside(self, name: str) -> list[str]:
        """Return the other models that answer the same questions."""
        task = self._task(name)
        return [one for one in self._places if one != name and _alike(task, self._task(one))]

    def _task(self, name: str) -> Task:
        """Return a model's task, without opening one that comes with the package."""
        if name not in self._tasks:
            path = Path(self._places[name])
            packaged = path.parent == ZOO and name not in self._opened
            self._tasks[name] = _described(path) if packaged else self.solver(name).task
        return self._tasks[name]


def _described(path: Path) -> Task:
    about, _ = read_tensors(path).about(FORMAT, MADE_BY)
    return parse(about["data"]).task()


def _alike(one: Task, other: Task) -> bool:
    """Return whether two tasks take the same questions, and learn from the same examples."""
    return (one.name, one.seq_len, one.vocab_size, one.answers) == (
        other.name, other.seq_len, other.vocab_size, other.answers,
    )  # fmt: skip
