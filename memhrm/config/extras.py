"""Libraries that an extra of this package installs, imported only where they are used."""

import importlib
from typing import Any


def library(module: str, extra: str, lacking: str) -> Any:
    """Return a library.

    Args:
        module: the name under which it is imported.
        extra: the extra that installs it.
        lacking: what cannot be done without it, as a sentence without its end.

    Raises:
        ValueError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f"{lacking}; install it with `pip install 'memhrm[{extra}]'`") from None
