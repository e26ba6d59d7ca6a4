"""Which models the page offers, by name."""

from collections.abc import Sequence

from memhrm.config.settings import require
from memhrm.weights.zoo import names, path_of


def offered(places: Sequence[str]) -> dict[str, str]:
    """Return where the models are that a page offers, as `memhrm.load` takes it, by their names.

    Args:
        places: those that come first; behind them are the models that come with the package.

    Raises:
        ValueError: there are none.
    """
    found: dict[str, str] = {}
    for place in places:
        base = place.rstrip("/").rsplit("/", 1)[-1].removesuffix(".safetensors")
        found[base if base not in found else f"{base} ({len(found)})"] = place
    for name in sorted(names(), key=lambda one: not one.startswith("sudoku")):  # Everybody knows these.
        found.setdefault(name, str(path_of(name)))
    require(bool(found), "runs", list(places), "a run directory or a file; no model came with it")
    return found
