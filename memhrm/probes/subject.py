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
    groups: labels of the puzzles, (n,) each, those that several puzzles share and others lack: `source`, in
        episodes `rule` and `family`, with one label an example `category`; and `rating`, -1 where unknown.
    address: numbers of the puzzles' contexts and cues, (n, 2) int32; None: there are no contexts.
    memory: what the memory holds when a puzzle begins, (n, ...) each; None: what it starts with.
    halt_max_steps: the supervision steps of training. write: whether evaluation writes the memory.
    judges: whether training taught the Q-head; else it says nothing.
    dtype: the precision in which the run trained and evaluates.
    places: each puzzle's place in the evaluation, (n,), of which noise is a function; None: in order.
    unlabelled: examples that were left out since they have no label, as evaluation does.
    step: optimiser steps that the weights have had; None: not known.
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
    judges: bool = True
    dtype: torch.dtype = torch.float32
    places: np.ndarray | None = None
    unlabelled: int = 0
    step: int | None = None
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

    def spread(self, most: int) -> np.ndarray:
        """Return the rows of up to `most` puzzles, evenly spaced."""
        return spread(len(self), most)

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
    """Return a run's model, on the CPU, with up to `puzzles` of those that the run is tested on.

    They are evenly spaced, since files may be sorted. For a run on episodes it is one puzzle of each, at the
    last position of the longest training episodes or the next that is asked (with contexts, at a later one
    whose rule has been shown), with the memory that the earlier puzzles left. Texts without a label are left
    out.

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
    model, name = restored.model, path.resolve().name
    subject = subject_of(model, run, test.dataset, test.episodes, name=name, path=path, puzzles=puzzles)
    return replace(subject, step=restored.step)


def subject_of(
    model: Reasoner,
    run: RunSettings,
    dataset: Dataset,
    episodes: Episodes,
    *,
    name: str,
    path: Path | None = None,
    puzzles: int | None = None,
) -> Subject:
    """Return a model with the example of each episode that `open_subject` names.

    Where examples have one label, those without any are left out; unless all lack it.

    Args:
        model: the model.
        run: the settings of its run.
        dataset: the data of which the episodes are made.
        episodes: the episodes.
        name: what the subject is called.
        path: the directory of the run, if there is one.
        puzzles: the most episodes, which are evenly spaced; None: all of them.

    Raises:
        ValueError: there are no episodes.
    """
    require(len(episodes) >= 1, "puzzles", len(episodes), "1 or above; there is none to look at")
    at = probed_place(dataset, episodes)
    labelled = (episodes.labels[:, at] > 0).any(axis=1)
    if not (dataset.task.num_labels and labelled.any()):
        labelled = np.ones(len(episodes), bool)
    rows = np.flatnonzero(labelled)
    rows = rows[spread(len(rows), len(rows) if puzzles is None else puzzles)]
    chosen = episodes.select(rows)
    return Subject(
        name=name,
        path=path,
        model=model,
        task=dataset.task,
        **examples(chosen, at),
        memory=_memory_before(model, run, chosen, at, rows),
        halt_max_steps=run.halting.halt_max_steps,
        write=run.memory.write_in_evaluation,
        judges=run.loss.judges,
        dtype=run.dtype,
        places=rows * episodes.length + at,
        unlabelled=int((~labelled).sum()),
        dataset=dataset,
        episodes=chosen,
    )


def spread(count: int, most: int) -> np.ndarray:
    """Return which of `count` rows to take, up to `most` and evenly spaced, since files may be sorted."""
    few = min(count, most)
    return np.arange(few) * count // max(few, 1)


def probed_place(dataset: Dataset, episodes: Episodes) -> int:
    """Return the place of the example that is probed, from 0.

    It is the last one of the longest training episodes, or the next one that is asked; with contexts the
    first one from there on at which every episode visits a context whose rule has been shown, since any other
    can only be guessed. Where there is none, it is the last one that is asked.
    """
    answered = episodes.answered
    later = answered[answered >= min(max(dataset.episodes.lengths), episodes.length) - 1]
    if episodes.address is not None:
        later = later[(episodes.facets["gap"].index[:, later] >= 0).all(axis=0)]
    return int(later[0] if len(later) else answered[-1])


def examples(episodes: Episodes, at: int = 0) -> dict[str, Any]:
    """Return a subject's fields for example `at` of each episode: the batch, and groups for people.

    Of values that are shared by less than two examples, on average, nothing can be found out. Those of a
    rating need not be shared: they are binned (`memhrm.probes.information.cell_information`).
    """
    count, labels = len(episodes), episodes.labels[:, at]
    known = {
        "rule": episodes.rules[:, at],
        "family": episodes.families,
        "rating": episodes.ratings[:, at],
        "source": episodes.sources[:, at].astype(str),
    }
    if episodes.length == 1 and labels.shape[1] == 1:
        known["category"] = labels[:, 0]
    different = {name: len(np.unique(values)) for name, values in known.items()}
    most = dict.fromkeys(known, count // 2) | {"rating": count}
    return {
        **{name: torch.from_numpy(array) for name, array in episodes.batch(at).items()},
        "groups": {name: values for name, values in known.items() if 1 < different[name] <= most[name]},
    }


def _memory_before(
    model: Reasoner, run: RunSettings, episodes: Episodes, at: int, rows: np.ndarray
) -> Memory:
    """Return the memory with which example `at` of each episode, which is asked, begins.

    rows: the places of the episodes in the evaluation, (n,).
    """
    if at == 0:
        return model.initial_state(len(episodes), run.dtype).memory
    how = EvaluationSettings(steps=run.halting.halt_max_steps, write=run.memory.write_in_evaluation)
    with evaluating(model):  # In training it is looked at as it trains.
        moments = walk(model, episodes, how, first=rows, device=model.H_init.device, dtype=run.dtype)
        return next(moment.memory for moment in moments if moment.at == at)
