"""How commands end and speak: a fault of the user's input is one line on stderr and exit code 2."""

import argparse
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from memhrm.config.settings import SettingWarning, unknown

_PLAIN = warnings.formatwarning


def run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its code."""
    sys.exit(code_of(command))


def code_of(command: Callable[[], int | None], where: str = "") -> int:
    """Run a command: 0 when done, its own code, or 2 after a one-line message.

    ValueError and OSError are the user's to mend, and so are a machine with too little memory and one without
    a compiler. An error in a file of the user's own shows its place; anything else is ours and shows its
    traceback.

    where: words that the message begins with.
    """
    warnings.formatwarning = _formatted
    try:
        return command() or 0
    except BrokenPipeError:  # The reader of our output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Else the interpreter tries to flush once more.
        return 141  # As the shell says of a process that SIGPIPE ended.
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        explained = isinstance(error, ValueError | OSError)
        message = one_line(error) if explained else _machine(error)
        own = _own_frame(error, explained) if explained or message is None else None
        if own is not None and explained and (own.line or "").startswith("raise "):  # As the user words it.
            message = f"{message} ({own.filename}:{own.lineno})"
        elif own is not None:
            print(f"error: {where}in your own {own.filename}:{own.lineno}:", file=sys.stderr)
            traceback.print_exception(error)
            return 1
        if message is None:
            raise
        print(f"error: {where}{message}", file=sys.stderr)
        return 2


OWN_FILES: set[str] = set()
"""The files of the classes of the user's own that settings name (`memhrm.config.trust`)."""

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


def _own_frame(error: BaseException, explained: bool) -> traceback.FrameSummary | None:
    """Return where in a file of the user's own an error arises; None if it does not.

    explained: whether the error has a message for the user. Then the last frame counts, without those of
        libraries: where this package refuses what an own file gives it, the message is enough.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = [frame for frame in frames if frame.filename in OWN_FILES or frame.filename.startswith(_PACKAGE)]
    own = [frame for frame in known if frame.filename in OWN_FILES]
    if own:
        return own[-1] if own[-1] is known[-1] or not explained else None
    return None if error.__cause__ is None else _own_frame(error.__cause__, explained)  # Told again.


_MEMORY = re.compile(
    r"(?i)(can't|cannot) allocate memory|not enough memory|out of memory|_ALLOC_FAILED"
    r"|Storage size calculation overflowed|Overflow when unpacking long"  # More than any machine has.
)
_EXTRAS = {"matplotlib": "probe", "jinja2": "probe", "scipy": "probe", "sklearn": "probe"}
"""Packages that an extra of this package installs, by the names under which they are imported."""
_COMPILER = re.compile(r"(?i)No working C\+\+ compiler|Failed to find C compiler|C\+\+ compile error")


def _machine(error: BaseException) -> str | None:
    """Return the message on what the machine lacks, if that is what the error says; without PyTorch."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in chain:
        kind, text = type(one).__name__, str(one)
        missing = (one.name or "").partition(".")[0] if isinstance(one, ImportError) else ""
        if missing in _EXTRAS:
            return f"{missing} is not installed; install it with pip install 'memhrm[{_EXTRAS[missing]}]'"
        # A look at the text alone would take any exception that quotes such a message for one.
        memory = isinstance(one, RuntimeError | TypeError) and _MEMORY.search(text)
        if memory or isinstance(one, MemoryError) or kind == "OutOfMemoryError":
            tried = re.search(r"(?:[Tt]ried|Unable) to allocate (?:([\d.]+ [KMGT]i?B)|(\d+) bytes)", text)
            asked = f" (for {tried[1] or _size(int(tried[2]))})" if tried else ""
            return (
                f"out of memory{asked}; use a smaller batch_size or model.hidden_size, or "
                "model.checkpoint_activations=true in training"
            )
        if kind in ("InvalidCxxCompiler", "CppCompileError") or _COMPILER.search(text):
            return (
                "compile=true needs a working C++ compiler, and none was found; install one, such as g++, "
                "name it in the environment variable CXX, or leave compile=true out"
            )
    return None


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


class Parser(argparse.ArgumentParser):
    """A parser of command lines whose errors are ValueErrors, to be said in one line."""

    def __init__(self, **settings: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=form, allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Show the help wherever it is asked for, whatever else is wrong; else parse as usual."""
        if {"-h", "--help"} & set(sys.argv[1:] if args is None else args):  # Whatever else is wrong.
            self.print_help()
            self.exit()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError with the message."""
        if match := re.match(r"argument (.+): invalid choice: '(.*)' \(choose from (.*)\)", message):
            allowed = [choice.strip("'") for choice in match[3].split(", ")]
            raise ValueError(unknown(f"the {match[1]} {match[2]!r}", match[2], allowed))
        raise ValueError(f"{message}; {self.prog} --help says what can be given")


def _formatted(message: Warning | str, category: type[Warning], *where: object) -> str:
    """Return the text of a warning: one line for a setting; for others also where in the code it arises."""
    if issubclass(category, SettingWarning):
        return f"warning: {message}\n"
    return _PLAIN(message, category, *where)  # pyright: ignore[reportArgumentType]


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, in the singular or the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(error: BaseException) -> str:
    """Return the text of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
