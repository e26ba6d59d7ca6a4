"""memhrm: recursive reasoning with memory. `memhrm.load` opens exported weights; the rest are commands."""

import os
import sys


def _leave_current_folder() -> None:
    """Take the current folder off the front of the module path, where `python -m memhrm...` puts it.

    Else a file yaml.py or wandb.py that lies there would be imported in the place of the package of that
    name. Programs that import memhrm, or run another module with -m, keep their path. A few modules of the
    standard library, such as contextlib, Python has imported before this line; the script `memhrm` and
    `python -P -m memhrm...` never look for those in the current folder either.
    """
    if sys.argv[:1] != ["-m"]:  # What sys.argv begins with while Python looks for the module.
        return
    module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    package = os.path.dirname(os.path.abspath(__file__))
    here = os.path.dirname(package)
    if module.partition(".")[0] != "memhrm" or sys.flags.safe_path:
        return
    first = sys.path.pop(0)
    if first == here and here not in sys.path:
        # A checkout in which the user stands: processes that this one starts must find memhrm there, too, and
        # before any other memhrm.
        others = (os.path.isfile(os.path.join(path, "memhrm", "__init__.py")) for path in sys.path)
        sys.path.insert(next((i for i, other in enumerate(others) if other), len(sys.path)), here)


_leave_current_folder()

from typing import TYPE_CHECKING, Any  # noqa: E402 (not before the current folder is off the path)

if TYPE_CHECKING:
    from memhrm.weights.opening import load as load

__all__ = ["load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load":  # On demand: commands must answer --help before PyTorch is there.
        from memhrm.weights.opening import load

        return load
    raise AttributeError(f"module 'memhrm' has no attribute {name!r}")
