"""The small models that come with the package: weights in memhrm/zoo, each with its card."""

from pathlib import Path
from typing import NamedTuple

import yaml

from memhrm.config.settings import unknown

ZOO = Path(__file__).parents[1] / "zoo"


class Model(NamedTuple):
    """A model that comes with the package.

    Attributes:
        name: what `memhrm.load` is given.
        data: what it was trained on.
        memory: its memory.
        size: bytes of its file.
        examples: how many were scored.
        exact: share of exact answers, in %, as its card says.
        interval: its 95 % interval, in %.
        best: the best that is possible, in %; None where that is 100, or not known.
    """

    name: str
    data: str
    memory: str
    size: int
    examples: int
    exact: float
    interval: tuple[float, float]
    best: float | None


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
    _, head, _ = path.with_suffix(".md").read_text(encoding="utf-8").split("---\n", 2)
    (result,) = yaml.safe_load(head)["model-index"][0]["results"]
    scores = {one["type"]: one for one in result["metrics"]}
    exact, best = scores["exact_accuracy"], scores.get("best_possible", {}).get("value")
    low, high = exact["args"]["interval"]
    return Model(
        name=name,
        data=about["data"]["name"],
        memory=about["memory"]["name"],
        size=path.stat().st_size,
        examples=exact["args"]["examples"],
        exact=exact["value"],
        interval=(low, high),
        best=best,
    )
