"""memhrm: recursive reasoning with memory. `memhrm.load` opens exported weights; the rest are commands."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memhrm.pretrained import load as load

__all__ = ["load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load":  # On demand: commands must answer --help before PyTorch is there.
        from memhrm.pretrained import load

        return load
    raise AttributeError(f"module 'memhrm' has no attribute {name!r}")
