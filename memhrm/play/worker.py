"""A process that takes the turns, and imports PyTorch while that of the page imports the page's library."""

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any

from memhrm.play.parts import Parts
from memhrm.play.visit import Visit

if TYPE_CHECKING:
    from memhrm.play.turns import Turns

VISITS = 100
"""How many visits are kept, the last ones."""


@dataclass(frozen=True)
class Kept:
    """A visit that the other process keeps: what is in it needs PyTorch."""

    number: int


class Worker:
    """A process that takes the turns, one after the other, and ends with the one that began it.

    Args:
        places: the models, as `Choices` takes them; the first one is opened.
        most_steps: supervision steps of an answer, at most.
        device: where they compute, as in the settings.
        threads: of PyTorch; None: its own choice.
        trusted: modules whose code models may use, as in the settings.
    """

    def __init__(
        self,
        places: Sequence[str],
        most_steps: int,
        device: str = "cpu",
        threads: int | None = None,
        trusted: str | Sequence[str] | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._other, its = context.Pipe()
        self._alone, self._ready = Lock(), False
        given = (places, most_steps, device, threads, trusted)
        context.Process(target=_serve, args=(its, *given), daemon=True).start()
        its.close()  # So that the end of the process is noticed here.

    def wait(self) -> None:
        """Wait until turns can be taken.

        Raises:
            ValueError: a place holds no model, or another setting does not fit.
        """
        with self._alone:
            self._wait()

    def take(self, name: str, *given: Any) -> Parts | list[Parts]:
        """Return what a turn returns, with a `Kept` for the visit, as it takes one.

        Args:
            name: a method of `Turns`.
            given: its arguments.
        """
        with self._alone:
            self._wait()
            return self._reply(name, *given)

    def _wait(self) -> None:
        if not self._ready:
            self._reply()
            self._ready = True

    def _reply(self, *asked: Any) -> Any:
        try:
            if asked:
                self._other.send(asked)
            found = self._other.recv()
        except (EOFError, OSError):
            raise RuntimeError("the process that holds the models has ended; start the page again") from None
        if isinstance(found, Exception):
            raise found
        return found


def _serve(other: Connection, *given: Any) -> None:
    """Take turns until the page has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page.
    with suppress(EOFError, ConnectionError):  # What it leaves unread resets the connection.
        _take_turns(other, *given)


def _take_turns(other: Connection, *given: Any) -> None:
    try:
        turns = _turns(*given)
    except ValueError as error:
        other.send(error)
        return
    other.send(None)
    visits = _Visits()
    while True:
        name, *words = other.recv()
        try:
            found = getattr(turns, name)(*map(visits.opened, words))
            for parts in found if isinstance(found, list) else [found]:
                if "visit" in parts:
                    parts["visit"] = visits.keep(parts["visit"])
        except Exception as error:  # The page says it, and further turns can be taken.
            found = error
        other.send(found)


def _turns(
    places: Sequence[str],
    most_steps: int,
    device: str,
    threads: int | None,
    trusted: str | Sequence[str] | None,
) -> "Turns":
    import torch

    from memhrm.config.trust import trust
    from memhrm.play.choices import Choices
    from memhrm.play.turns import Turns
    from memhrm.system.ranks import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    trust(trusted)
    choices = Choices(places, choose_device(device))
    choices.solver(choices.names[0])
    return Turns(choices, most_steps)


class _Visits:
    """The visits that are kept, by number."""

    def __init__(self) -> None:
        self._kept: dict[int, Visit] = {}
        self._begun = 0

    def keep(self, visit: Visit) -> Kept:
        """Return what stands for a visit; of too many the oldest is forgotten."""
        for number, one in self._kept.items():
            if one is visit:
                return Kept(number)
        self._begun += 1
        self._kept[self._begun] = visit
        self._kept.pop(self._begun - VISITS, None)
        return Kept(self._begun)

    def opened(self, given: Any) -> Any:
        """Return the visit that something stands for; anything else as it is."""
        if not isinstance(given, Kept):
            return given
        if given.number not in self._kept:
            raise ValueError(f"{VISITS} visits have begun since this one; load the page again")
        return self._kept[given.number]
