"""What is offered at each optimiser step: a function of the seed and the step alone; resuming needs no state.

b batch, u random numbers that one H-step wants.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.data import Dataset, Sampler
from memhrm.data.episodes.episodes import Episodes, moments
from memhrm.data.sampler import arrays
from memhrm.runs.settings import RunSettings
from memhrm.system.ranks import Ranks

Key = tuple[int, ...]
"""What a supervision step is known by where something is drawn for it."""


class Offer(NamedTuple):
    """For one supervision step: its key, the batch of all processes, and the supervision steps that each row
    must at least run, (b,)."""

    key: Key
    batch: dict[str, np.ndarray]
    least: np.ndarray


class Batches:
    """One rank's part of what is offered."""

    def __init__(self, run: RunSettings, dataset: Dataset, ranks: Ranks, noise_size: int):
        self.run, self.ranks, self.noise_size = run, ranks, noise_size
        self.offers = Puzzles(run, dataset) if dataset.episodes is None else InStep(run, dataset)

    def span(self, step: int) -> int:
        """Supervision steps of the optimiser step after `step` finished ones."""
        return self.offers.span(step)

    def take(self, step: int) -> tuple[list[dict[str, Tensor]], list[Tensor], list[Tensor | None]]:
        """Batches, least supervision steps and noise for the optimiser step after `step` finished ones; one
        of each for every supervision step that it spans."""
        offers = list(self.offers.at(step))
        batches = [self._to_device(offer.batch) for offer in offers]
        least = [self._to_device({"least": offer.least})["least"] for offer in offers]
        return batches, least, [self._noise(offer.key) for offer in offers]

    def _noise(self, key: Key) -> Tensor | None:
        """What the H-module draws with, (b, H_cycles, u), in (0, 1)."""
        if not self.noise_size:
            return None
        size = (self.run.batch_size, self.run.model.H_cycles, self.noise_size)
        noise = np.random.default_rng((self.run.seed, *key, 0x5E)).random(size, dtype=np.float32)
        return self._to_device({"noise": np.maximum(noise, np.float32(1e-7))})["noise"]

    def _to_device(self, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        device, rows = self.ranks.device, self.ranks.rows(self.run.batch_size)
        tensors = {name: torch.from_numpy(array[rows]) for name, array in arrays.items()}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}


class Puzzles:
    """Puzzles that stand alone: each row takes one when it has halted (HRM, arXiv 2506.21734)."""

    def __init__(self, run: RunSettings, dataset: Dataset):
        assert isinstance(run.memory.horizon, int)
        self.run, self.horizon = run, run.memory.horizon
        self.sampler = Sampler(
            dataset.train, dataset.task, batch_size=run.batch_size, seed=run.seed, augment=dataset.augment
        )

    def span(self, step: int) -> int:
        return self.horizon

    def at(self, step: int) -> Iterator[Offer]:
        """The supervision steps of the optimiser step after `step` finished ones."""
        for index in range(step * self.horizon, (step + 1) * self.horizon):
            least = self.run.halting.exploration(self.run.seed, index, self.run.batch_size)
            yield Offer((index,), self.sampler.batch(index), least)


class InStep:
    """Episodes that all rows go through in step: every puzzle takes halt_max_steps, then one of feedback.

    Their length grows: each of `data.lengths` has an equal part of the training, which begins with new
    episodes. With memory.horizon=episode an optimiser step is a batch of whole episodes.
    """

    def __init__(self, run: RunSettings, dataset: Dataset):
        assert dataset.episodes is not None
        self.run, self.dataset, self.lengths = run, dataset, dataset.episodes.lengths
        self.relabelled = dataset.relabelled()
        self._drawn: tuple[Key, Episodes] | None = None

    def at(self, step: int) -> Iterator[Offer]:
        """The supervision steps of the optimiser step after `step` finished ones."""
        run, stage, span = self.run, self._stage(step), self.span(step)
        since = step - -(-stage * run.steps // len(self.lengths))  # optimiser steps that the stage has done
        plan = list(moments(self.lengths[stage], run.halting.halt_max_steps))
        least = np.full(run.batch_size, run.halting.halt_max_steps)
        for index in range(since * span, (since + 1) * span):
            number, moment = divmod(index, len(plan))
            puzzle, feedback = plan[moment]
            episodes = self._episodes((stage, number))
            batch = moment_of(episodes, puzzle, feedback)
            batch["begins"] = np.full(
                run.batch_size, moment == 0
            )  # The stage before may end within a puzzle.
            yield Offer((stage, index), batch, least)

    def span(self, step: int) -> int:
        return span(self.run, self.lengths[self._stage(step)])

    def _stage(self, step: int) -> int:
        return min(step * len(self.lengths) // self.run.steps, len(self.lengths) - 1)

    def _episodes(self, key: Key) -> Episodes:
        if self._drawn is None or self._drawn[0] != key:
            drawn = self.relabelled.draw(
                self.dataset.train,
                self.run.batch_size,
                self.lengths[key[0]],
                np.random.default_rng((self.run.seed, *key, 0xE9)),
                augment=self.dataset.augment,
                test=False,
            )
            self._drawn = key, drawn
        return self._drawn[1]


def span(run: RunSettings, puzzles: int) -> int:
    """Supervision steps of an optimiser step, with episodes of so many puzzles if there are any."""
    if run.memory.horizon == "episode":
        return sum(1 for _ in moments(puzzles, run.halting.halt_max_steps))
    return run.memory.horizon or 1


def moment_of(episodes: Episodes, puzzle: int, feedback: bool) -> dict[str, np.ndarray]:
    """What one supervision step of episodes is given: as `Sampler.batch`, and what `Carry.refill` reads."""
    rows = len(episodes)
    if feedback:
        batch = arrays(episodes.feedback[:, puzzle], np.zeros_like(episodes.labels[:, puzzle]))
    else:
        batch = arrays(episodes.inputs[:, puzzle], episodes.labels[:, puzzle])
    batch["feedback"] = np.full(rows, feedback)
    batch["episode_start"] = np.full(rows, puzzle == 0)
    return batch
