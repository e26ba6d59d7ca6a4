"""Which puzzles a run has used, so that none of them is ever scored.

Those are the puzzles that it was trained on, and those that chose its best checkpoint.
Puzzles are known by their identities (`Task.identities`), which symmetry images share. n puzzles.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from memhrm.data import Dataset, Examples, Task

_DAMAGED = "damaged: its list of the puzzles that the run has used cannot be read"


NONE_LEFT = (
    "none of the {:,} test puzzles of {} can be scored: the run was trained on them, or chose its best "
    "checkpoint by them (up to symmetry); give others, as data.path=DIR"
)
"""The message where no test puzzle is left: how many there were, and of which data set."""


def _none() -> np.ndarray:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True)
class UsedPuzzles:
    """Identities of the puzzles that a run has used, (n,) uint64 each, sorted, each once.

    trained: the weights, or those that the run began from, were trained on them. chosen: they chose the best
    checkpoint, here or there; they may choose again.
    """

    trained: np.ndarray = field(default_factory=_none)
    chosen: np.ndarray = field(default_factory=_none)

    def with_trained(self, identities: np.ndarray) -> "UsedPuzzles":
        """Return these, with more that were trained on."""
        return replace(self, trained=np.union1d(self.trained, identities))

    def with_chosen(self, identities: np.ndarray) -> "UsedPuzzles":
        """Return these, with more that chose the best checkpoint."""
        return replace(self, chosen=np.union1d(self.chosen, identities))

    def with_seen(self, other: "UsedPuzzles") -> "UsedPuzzles":
        """Return these and those of another run, whose weights or memory go on here."""
        return self.with_trained(other.trained).with_chosen(other.chosen)

    def all(self) -> np.ndarray:
        """Return the identities of all of them, (n,)."""
        return np.union1d(self.trained, self.chosen)

    def tensors(self) -> dict[str, Tensor]:
        """Both as int64 tensors, for a file."""
        found = {"trained": self.trained, "chosen": self.chosen}
        return {name: torch.from_numpy(values.view(np.int64).copy()) for name, values in found.items()}

    def text(self) -> str:
        """Both as text, for the metadata of a file."""
        found = {"trained": self.trained, "chosen": self.chosen}
        return json.dumps({name: b64encode(values.tobytes()).decode() for name, values in found.items()})

    @classmethod
    def of_text(cls, text: str) -> "UsedPuzzles":
        """Return what `text` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(text)
            return cls(**{name: np.frombuffer(b64decode(value), np.uint64) for name, value in found.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(_DAMAGED) from error

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> "UsedPuzzles":
        """Return what `tensors` gave.

        Raises:
            ValueError: they are something else.
        """
        try:
            return cls(**{name: tensors[name].numpy().view(np.uint64) for name in ("trained", "chosen")})
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(_DAMAGED) from error


def identities(puzzles: Examples, task: Task) -> np.ndarray:
    """Return the identity by which each puzzle that is trained on is remembered, (n,) uint64."""
    return task.trained_identities(puzzles)


def unused(dataset: Dataset, used: np.ndarray) -> tuple[Dataset, int]:
    """Return the dataset without the test puzzles whose identities are in `used`, and their number.

    Raises:
        ValueError: no test puzzle is left.
    """
    left = whole(dataset.test, ~dataset.test_used(used))
    count = int((~left).sum())
    if not count:
        return dataset, 0
    if not left.any():
        raise ValueError(NONE_LEFT.format(len(left), dataset.name))
    return replace(dataset, test=dataset.test.select(left)), count


def whole(examples: Examples, left: np.ndarray) -> np.ndarray:
    """Return which examples are left, (n,) bool: where some tell others something, whole groups alone."""
    return left if examples.told is None else ~np.isin(examples.groups, examples.groups[~left])


def left_out(count: int, total: int) -> str:
    """Say that test puzzles are not scored."""
    return (
        f"left out {count:,} of {total:,} test puzzles: the weights were trained on them, or they chose the "
        "best checkpoint (up to symmetry)"
    )
