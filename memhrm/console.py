"""How commands end: a fault of the user's input is one line on stderr and exit code 2."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from memhrm.settings import SettingWarning

_PLAIN = warnings.formatwarning


def run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its code."""
    sys.exit(code_of(command))


def code_of(command: Callable[[], int | None]) -> int:
    """Run a command: 0 when done, its own code, or 2 after a one-line message.

    ValueError and OSError are the user's to mend; anything else is ours and shows its traceback.
    """
    warnings.formatwarning = _formatted
    try:
        return command() or 0
    except BrokenPipeError:  # The reader of our output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Else the interpreter tries to flush once more.
        return 141  # As the shell says of a process that SIGPIPE ended.
    except (ValueError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _formatted(message: Warning | str, category: type[Warning], *where: object) -> str:
    """A warning about settings is one line for the user; others say where in the code they arise."""
    if issubclass(category, SettingWarning):
        return f"warning: {message}\n"
    return _PLAIN(message, category, *where)  # pyright: ignore[reportArgumentType]


def one_line(error: BaseException) -> str:
    """The error's text without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
