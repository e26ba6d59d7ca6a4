"""The subject of a probe: a trained model and the puzzles it is probed with.

n puzzles, s tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require, require_size
from memhrm.data import Dataset
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.task import Task
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.rollout import evaluating
from memhrm.memory.base import Memory
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.runs.held_out import scored
from memhrm.runs.settings import RunSettings
from memhrm.weights.restore import from_run


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trained model and the puzzles it is probed with.

    inputs: tokens, (n, s) int32, on any device. labels: (n, s) or (n, 1), -100 where there is none.
    mask: (n, s) bool, False at padding; None: nothing is padded.
    groups: labels of the puzzles, (n,) each, those that differ between them: `rating` (-1 unknown), `source`.
    address: numbers of the puzzles' contexts and cues, (n, 2) int32; None: there are no contexts.
    memory: what the memory holds when a puzzle begins, (n, ...) each; None: what it starts with.
    halt_max_steps: the supervision steps of training. write: whether evaluation writes the memory.
    dtype: the precision in which the run trained and evaluates.
    places: each puzzle's place in the evaluation, (n,), of which noise is a function; None: in order.
    episodes, dataset: all of each puzzle's episode, and what it was made of.
    """

    name: str
    path: Path | None
    model: Reasoner
    task: Task
    inputs: Tensor
    labels: Tensor
    identifiers: Tensor
    groups: dict[str, np.ndarray]
    mask: Tensor | None = None
    address: Tensor | None = None
    memory: Memory | None = None
    halt_max_steps: int
    write: bool
    dtype: torch.dtype = torch.float32
    places: np.ndarray | None = None
    dataset: Dataset | None = None
    episodes: Episodes | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def writes_at_questions(self) -> bool:
        """Return whether a question writes the memory; where it does not, at most feedback does."""
        return self.write and self.model.H_module.settings.write_when == "always"

    def data(self) -> dict[str, Tensor]:
        """Return the examples as a batch."""
        data = {"inputs": self.inputs, "labels": self.labels, "identifiers": self.identifiers}
        others = {"mask": self.mask, "address": self.address}
        return data | {name: tensor for name, tensor in others.items() if tensor is not None}

    def numbered(self) -> np.ndarray:
        """Return the puzzles' places, (n,)."""
        return np.arange(len(self)) if self.places is None else self.places

    def select(self, rows: slice | np.ndarray | Tensor | list[int]) -> "Subject":
        """Return the puzzles at `rows` (a slice, indices or a mask), in that order; each keeps its place."""
        chosen = np.arange(len(self))[rows.cpu().numpy() if isinstance(rows, Tensor) else rows]

        def taken(tensor: Tensor) -> Tensor:
            return tensor[torch.from_numpy(chosen).to(tensor.device)]

        return replace(
            self,
            inputs=taken(self.inputs),
            labels=taken(self.labels),
            identifiers=taken(self.identifiers),
            mask=None if self.mask is None else taken(self.mask),
            address=None if self.address is None else taken(self.address),
            groups={name: values[chosen] for name, values in self.groups.items()},
            memory=None if self.memory is None else {name: taken(m) for name, m in self.memory.items()},
            places=self.numbered()[chosen],
            episodes=None if self.episodes is None else self.episodes.select(chosen),
        )

    def initial_state(self) -> State:
        """Return the state with which the puzzles begin, on the model's device."""
        state = self.model.initial_state(len(self), self.dtype)
        if self.memory is None:
            return state
        device = state.z_H.device
        return state._replace(memory={name: m.to(device) for name, m in self.memory.items()})


def open_subject(
    path: str | Path,
    *,
    puzzles: int = 512,
    checkpoint: Literal["last", "best"] = "last",
    weights: Literal["ema", "raw"] = "ema",
    data: Mapping[str, Any] | None = None,
) -> Subject:
    """Return a run's model, on the CPU, with the first `puzzles` of those that the run is tested on.

    For a run on episodes it is one puzzle of each, at the last position of the longest training episodes
    (with contexts, at a later one whose rule has been shown), with the memory that the earlier puzzles left.

    data: settings of the `data` group that take the place of the run's (other files, another `test_size`);
        all their held-out puzzles then serve, none is set aside for validation.

    Raises:
        ValueError: there is no run or no whole checkpoint, another version wrote it, or no puzzle is left.
    """
    require_size("puzzles", puzzles)
    require(isinstance(path, str | Path), "path", path, "a run directory, as text or pathlib.Path")
    by_name = data is None or (isinstance(data, Mapping) and all(isinstance(name, str) for name in data))
    require(by_name, "data", data, "settings of the data group, by name")
    path = Path(path)
    restored = from_run(path, checkpoint, weights)
    run = restored.run
    test = scored(run, restored.used, restored.content.get("data"), data or {})
    chosen = test.episodes.select(slice(puzzles))
    return subject_of(restored.model, run, test.dataset, chosen, name=path.resolve().name, path=path)


def subject_of(
    model: Reasoner,
    run: RunSettings,
    dataset: Dataset,
    episodes: Episodes,
    *,
    name: str,
    path: Path | None = None,
) -> Subject:
    """Return a model with the example of each episode that `open_subject` names.

    Args:
        model: the model.
        run: the settings of its run.
        dataset: the data of which the episodes are made.
        episodes: the episodes.
        name: what the subject is called.
        path: the directory of the run, if there is one.

    Raises:
        ValueError: there are no episodes.
    """
    require(len(episodes) >= 1, "puzzles", len(episodes), "1 or above; there is none to look at")
    at = probed_place(dataset, episodes)
    return Subject(
        name=name,
        path=path,
        model=model,
        task=dataset.task,
        **examples(episodes, at),
        memory=_memory_before(model, run, episodes, at),
        halt_max_steps=run.halting.halt_max_steps,
        write=run.memory.write_in_evaluation,
        dtype=run.dtype,
        places=np.arange(len(episodes)) * episodes.length + at,
        dataset=dataset,
        episodes=episodes,
    )


def probed_place(dataset: Dataset, episodes: Episodes) -> int:
    """Return the place of the example that is probed, from 0.

    It is the last one of the longest training episodes; with contexts the first one from there on at which
    every episode visits a context whose rule has been shown, since any other can only be guessed.
    """
    at = min(max(dataset.episodes.lengths), episodes.length) - 1
    if episodes.address is None:
        return at
    known = np.flatnonzero((episodes.facets["gap"].index[:, at:] >= 0).all(axis=0))
    return at + int(known[0]) if len(known) else episodes.length - 1


def examples(episodes: Episodes, at: int = 0) -> dict[str, Any]:
    """Return a subject's fields for example `at` of each episode: the batch, and groups for people."""
    known = {
        "rule": episodes.rules[:, at],
        "family": episodes.families,
        "rating": episodes.ratings[:, at],
        "source": episodes.sources[:, at].astype(str),
    }
    return {
        **{name: torch.from_numpy(array) for name, array in episodes.batch(at).items()},
        "groups": {name: values for name, values in known.items() if len(np.unique(values)) > 1},
    }


def _memory_before(model: Reasoner, run: RunSettings, episodes: Episodes, at: int) -> Memory:
    """Return the memory with which example `at` of each episode, which is asked, begins."""
    if at == 0:
        return model.initial_state(len(episodes), run.dtype).memory
    how = EvaluationSettings(steps=run.halting.halt_max_steps, write=run.memory.write_in_evaluation)
    with evaluating(model):  # In training it is looked at as it trains.
        moments = walk(model, episodes, how, device=model.H_init.device, dtype=run.dtype)
        return next(moment.memory for moment in moments if moment.at == at)
