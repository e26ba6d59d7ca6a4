"""The small models that come with the package: weights in memhrm/zoo, each with its card."""

import re
from pathlib import Path
from typing import NamedTuple

from memhrm.config.settings import unknown

ZOO = Path(__file__).parents[1] / "zoo"

HELD_OUT = re.compile(
    r"^\| held out \| ([\d,]+) \| ([\d.]+) \| ([^|]*) \| [\d.]+ \|(?: ([\d.]+) \|)?", re.MULTILINE
)
"""The line of a card that says what was scored on the test, and the best that is possible."""


class Model(NamedTuple):
    """A model that comes with the package.

    Attributes:
        name: what `memhrm.load` is given.
        data: what it was trained on.
        memory: its memory.
        size: bytes of its file.
        examples: how many were scored.
        exact: share of exact answers, in %, as its card says.
        between: its 95 % interval, as text.
        best: the best that is possible, in %; empty where that is 100, or not known.
    """

    name: str
    data: str
    memory: str
    size: int
    examples: str
    exact: str
    between: str
    best: str


def names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in ZOO.glob("*.safetensors"))


def path_of(name: str) -> Path:
    """Return where a model that comes with the package lies.

    Raises:
        ValueError: there is none of this name.
    """
    path = ZOO / f"{name}.safetensors"
    if not path.exists():
        raise ValueError(unknown(f"no file {name}; the model {name!r}", name, names()))
    return path


def described(name: str) -> Model:
    """Return what a model is, from its file and its card."""
    from memhrm.weights.restore import FORMAT, MADE_BY  # Names alone do not wait for PyTorch.
    from memhrm.weights.tensors import read_tensors

    path = path_of(name)
    about, _ = read_tensors(path).about(FORMAT, MADE_BY)
    line = HELD_OUT.search(path.with_suffix(".md").read_text(encoding="utf-8"))
    examples, exact, between, best = line.groups(default="") if line else ("", "", "", "")
    memory = about["memory"]["name"]
    return Model(name, about["data"]["name"], memory, path.stat().st_size, examples, exact, between, best)
