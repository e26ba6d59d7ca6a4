"""Signals that ask a run to stop, and what it raises then."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""

    def __init__(self, step: int, signal_number: int, first: bool):
        super().__init__(f"stopped at step {step}")
        self.step, self.signal_number, self.first = step, signal_number, first


class StoppedAtOnce(KeyboardInterrupt):
    """A second Ctrl-C came before the run had saved its state."""


STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)
]
"""Ctrl-C; the end of a job; a terminal that is closed; the warning that Slurm gives before a job's end."""


@contextmanager
def stop_signals(saved: Callable[[], int] = lambda: 0) -> Iterator[list[int]]:
    """Catch STOP_SIGNALS; the list holds those that came. A second SIGINT acts at once.

    The others change nothing when they come again: what ends a job may send one to each process, and torchrun
    sends it on to the same. SIGHUP stays ignored where it is ignored (nohup).

    saved: the step of the last checkpoint, 0 without one; for the message of a second Ctrl-C.

    Raises:
        StoppedAtOnce: SIGINT came a second time.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Only that one can be told.
        yield asked
        return
    before: dict[int, Any] = {int(number): signal.getsignal(number) for number in STOP_SIGNALS}
    ignored = [number for number in before if number != signal.SIGINT and before[number] == signal.SIG_IGN]
    for number in [*ignored, *(number for number in before if before[number] is None)]:
        before.pop(number, None)  # None: set by code that is not Python, which cannot be put back.

    def ask(number: int, _frame: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(number, before[number])
        asked.append(number)

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked
    except KeyboardInterrupt as error:
        step = saved()
        kept = f"nothing after step {step} was saved" if step else "nothing was saved"
        raise StoppedAtOnce(f"stopped at once; {kept}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
