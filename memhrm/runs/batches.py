"""What each optimiser step is offered: a function of seed and step alone, so that resuming needs no state.

b batch, t position, d width, u random numbers that one H-step wants.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import stage
from memhrm.data import Dataset, Sampler
from memhrm.data.episodes.episodes import Course, Episodes, usual_course
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.data.sampler import schedule
from memhrm.runs.settings import RunSettings
from memhrm.system.ranks import Ranks
from memhrm.training.supervision import QUESTION, Occasion

Key = tuple[int, ...]
"""What identifies a supervision step where random numbers are drawn for it."""


class Offer(NamedTuple):
    """What one supervision step is offered.

    Attributes:
        key: identifies the supervision step.
        batch: the examples of all processes, as `Sampler.batch`, and what `Carry.refill` reads: `begins`,
            `feedback` and `episode_start`, (b,) bool each.
        least: supervision steps that each row must at least run, (b,).
        occasion: what it is for.
    """

    key: Key
    batch: dict[str, np.ndarray]
    least: np.ndarray
    occasion: Occasion = QUESTION


class Batches:
    """One process's part of what is offered."""

    def __init__(self, run: RunSettings, dataset: Dataset, ranks: Ranks, noise_size: int):
        self.run, self.ranks, self.noise_size = run, ranks, noise_size
        self.state_shape = (run.model.prefix_length() + dataset.task.positions, run.model.hidden_size)
        self.offers = (InStep if dataset.episodes.in_step else Adaptive)(run, dataset)

    def span(self, step: int) -> int:
        """Return the supervision steps of the optimiser step after `step` finished ones."""
        return self.offers.span(step)

    def take(
        self, step: int
    ) -> tuple[list[dict[str, Tensor]], list[Tensor], list[Tensor | None], list[Occasion]]:
        """Return what is offered to the step after `step` finished ones.

        Returns:
            Batches, least supervision steps, noises and occasions: one of each for every supervision step
            that the optimiser step spans. With `noise` a batch says, as `shift`, what it adds to the states.
        """
        offers = list(self.offers.at(step))
        batches = [self._to_device(offer.batch) | self._shift(offer.key) for offer in offers]
        least = [self._to_device({"least": offer.least})["least"] for offer in offers]
        noises = [self._noise(offer.key) for offer in offers]
        return batches, least, noises, [offer.occasion for offer in offers]

    def _noise(self, key: Key) -> Tensor | None:
        """Return what the H-module draws with, (b, H_cycles, u), in (0, 1)."""
        if not self.noise_size:
            return None
        size = (self.run.batch_size, self.run.model.H_cycles, self.noise_size)
        noise = np.random.default_rng((self.run.seed, *key, 0x5E)).random(size, dtype=np.float32)
        return self._to_device({"noise": np.maximum(noise, np.float32(1e-7))})["noise"]

    def _shift(self, key: Key) -> dict[str, Tensor]:
        """Return what is added to z_H and z_L before a supervision step, (b, 2, t, d), if there is noise."""
        if not self.run.noise:
            return {}
        seed = np.random.SeedSequence((self.run.seed, *key, 0x5F)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seed[0]))
        normal = torch.randn((self.run.batch_size, 2, *self.state_shape), generator=generator)
        return self._to_device({"shift": (self.run.noise * normal).numpy()})

    def _to_device(self, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        device, rows = self.ranks.device, self.ranks.rows(self.run.batch_size)
        tensors = {name: torch.from_numpy(array[rows]) for name, array in arrays.items()}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}


class Offers(ABC):
    """The course of the training: which examples come at which supervision step."""

    @abstractmethod
    def span(self, step: int) -> int:
        """Return the supervision steps of the optimiser step after `step` finished ones."""

    @abstractmethod
    def at(self, step: int) -> Iterator[Offer]:
        """Yield the offers of the optimiser step after `step` finished ones."""


class Adaptive(Offers):
    """Examples that stand alone: a row takes one whenever it has halted (HRM, arXiv 2506.21734)."""

    def __init__(self, run: RunSettings, dataset: Dataset):
        self.run, self.horizon = run, span(run, usual_course(1))
        self.sampler = Sampler(
            dataset.train,
            dataset.task,
            batch_size=run.batch_size,
            seed=run.seed,
            augment=dataset.episodes.augment,
        )

    def span(self, step: int) -> int:
        """Return `memory.horizon`."""
        return self.horizon

    def at(self, step: int) -> Iterator[Offer]:
        """Yield a new batch for every supervision step; rows that have not halted decline it."""
        for index in range(step * self.horizon, (step + 1) * self.horizon):
            least = self.run.halting.exploration(self.run.seed, index, self.run.batch_size)
            batch = self.sampler.batch(index) | schedule(self.run.batch_size)
            yield Offer((index,), batch, least)


def occasion(episodes: EpisodeMaker, stage: int, told: bool) -> Occasion:
    """Return what a supervision step of episodes is for: something told, or a question of a stage."""
    return Occasion(told, None if told else episodes.cycles(stage))


class InStep(Offers):
    """Episodes that all rows go through in step: what is asked takes halt_max_steps, what is told one step.

    Their length grows: each of `data.lengths` has an equal part of the training, which begins with new
    episodes. With memory.horizon=episode an optimiser step is a batch of whole episodes.
    """

    def __init__(self, run: RunSettings, dataset: Dataset):
        self.run, self.dataset, self.lengths = run, dataset, dataset.episodes.lengths
        self._drawn: tuple[Key, Episodes] | None = None

    def span(self, step: int) -> int:
        """Return `memory.horizon`, in supervision steps."""
        return span(self.run, self._course(self._stage(step)))

    def at(self, step: int) -> Iterator[Offer]:
        """Yield the moments of the episodes, one after the other."""
        run, stage, width = self.run, self._stage(step), self.span(step)
        since = step - -(-stage * run.steps // len(self.lengths))  # Optimiser steps that the stage has done.
        plan = list(self._course(stage).moments(run.halting.halt_max_steps))
        least = np.full(run.batch_size, run.halting.halt_max_steps)
        for index in range(since * width, (since + 1) * width):
            number, moment = divmod(index, len(plan))
            at, told = plan[moment]
            batch = self._episodes((stage, number)).batch(at, feedback=told)
            batch |= marks(plan, moment, run.batch_size)
            yield Offer((stage, index), batch, least, occasion(self.dataset.episodes, stage, told))

    def _stage(self, step: int) -> int:
        return stage(step, self.run.steps, len(self.lengths))

    def _course(self, stage: int) -> Course:
        return self.dataset.episodes.course(self.lengths[stage])

    def _episodes(self, key: Key) -> Episodes:
        if self._drawn is None or self._drawn[0] != key:
            rng = np.random.default_rng((self.run.seed, *key, 0xE9))
            maker, examples = self.dataset.episodes, self.dataset.train
            self._drawn = key, maker.stage(examples, self.run.batch_size, key[0], rng)
        return self._drawn[1]


def marks(plan: Sequence[tuple[int, bool]], moment: int, rows: int) -> dict[str, np.ndarray]:
    """Return what a moment of an episode does to each row, as `memhrm.data.sampler.schedule`.

    Args:
        plan: the moments of the episode, as `Course.moments`.
        moment: which one.
        rows: the number of rows.
    """
    at, told = plan[moment]
    begins = moment == 0 or plan[moment - 1][0] < at  # What came before need not have halted.
    return schedule(rows, begins=begins, feedback=told and not begins, episode_start=at == 0)


def span(run: RunSettings, course: Course) -> int:
    """Return the supervision steps of an optimiser step in a training with episodes of this course."""
    if run.memory.horizon == "episode":
        return sum(1 for _ in course.moments(run.halting.halt_max_steps))
    return run.memory.horizon or 1
