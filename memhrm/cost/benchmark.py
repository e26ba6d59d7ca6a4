"""How fast a configuration runs, how much memory it takes, how near it comes to what the machine can do."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from memhrm.config.trust import trust_own
from memhrm.data.sampler import schedule
from memhrm.data.settings import parse as parse_data
from memhrm.data.task import Task
from memhrm.evaluation.answers import tensors
from memhrm.evaluation.rollout import evaluating, rollout
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.models.settings import puzzle_shape
from memhrm.runs.batches import marks, occasion, span
from memhrm.runs.build import make_learner, prepare_machine
from memhrm.runs.settings import RunSettings, parse
from memhrm.system.ranks import Ranks, choose_device
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import QUESTION

_UNKNOWN_TO_THE_COUNTER = {  # Functions of shapes.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, q, k, v, *_, **__: sdpa_backward_flop_count(gradient, q, k, v)
    ),
}

BANK = 1000
"""Random examples that a memory of labelled examples holds."""


class Subject:
    """One configuration under measurement, on random puzzles of the right shape."""

    def __init__(self, config: dict[str, Any]):
        self.run: RunSettings = parse(config)
        self.device = choose_device(self.run.device)
        prepare_machine(self.run)
        data = parse_data(self.run.data)
        task = data.task()
        maker = data.maker(task)
        self.horizon = span(self.run, maker.course(max(maker.lengths)))
        self.model = Reasoner(self.run.model, puzzle_shape(task), self.run.memory)
        if task.num_labels:
            self.model.H_module.learn_from(*_labelled(task, BANK))
            self.model.H_module.schedule(0, self.run.steps)
        self.learner: Learner = make_learner(self.run, self.model, Ranks(0, 1, self.device))
        size = (self.run.batch_size, task.seq_len)
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(1, task.vocab_size, size, generator=generator, dtype=torch.int32)
        labels = tokens[:, :1] % task.num_labels + 1 if task.num_labels else tokens.flip(1).contiguous()
        self.batch = {
            "inputs": tokens.to(self.device),
            "labels": labels.to(self.device),
            "identifiers": torch.zeros(size[0], dtype=torch.int32, device=self.device),
            **tensors(schedule(size[0]), self.device),
        }
        self.occasions, self.marks = [QUESTION] * self.horizon, [{}] * self.horizon
        if maker.in_step:  # As in a training with the longest episodes: the memory goes through each.
            plan = list(maker.course(max(maker.lengths)).moments(self.run.halting.halt_max_steps))
            moments = [number % len(plan) for number in range(self.horizon)]
            self.marks = [tensors(marks(plan, one, size[0]), self.device) for one in moments]
            last = len(maker.lengths) - 1
            self.occasions = [occasion(maker, last, plan[one][1]) for one in moments]
        if self.run.memory.needs_address:  # Each row in a context of its own.
            contexts = torch.arange(size[0], dtype=torch.int32, device=self.device)
            self.batch["address"] = torch.stack([contexts, contexts], dim=1)
        wanted = (size[0], self.run.model.H_cycles, self.model.H_module.noise_size)
        self.noise = torch.rand(wanted, generator=generator).to(self.device) if wanted[-1] else None
        self.least = torch.zeros(size[0], dtype=torch.int32, device=self.device)

    def train_step(self) -> None:
        """One optimiser step, with all the supervision steps it spans."""
        batches, horizon = [self.batch | one for one in self.marks], self.horizon
        train_step(self.learner, batches, [self.least] * horizon, [self.noise] * horizon, self.occasions)

    @torch.no_grad()
    def evaluation_step(self) -> None:
        """One supervision step without gradient."""
        with evaluating(self.model):
            next(rollout(self.model, self.batch, self.learner.initial, 1, dtype=self.run.dtype))

    def flops(self, step: Callable[[], None]) -> float:
        """Floating-point operations of a step per row, by PyTorch's counter (matrix products)."""
        with FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_THE_COUNTER) as counter:
            step()
        return counter.get_total_flops() / self.run.batch_size

    def seconds(self, step: Callable[[], None], repeat: int = 1) -> float:
        """Wall-clock seconds of a step, the mean of `repeat`."""
        self._wait()
        begun = time.perf_counter()
        for _ in range(repeat):
            step()
        self._wait()
        return (time.perf_counter() - begun) / repeat

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _labelled(task: Task, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random examples, as `HModule.learn_from` takes them."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, task.vocab_size, (count, task.seq_len), np.int32)
    return tokens, rng.integers(1, task.num_labels + 1, (count, 1)), np.full(count, -1)


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int = 2048, repeat: int = 5) -> float:
    """Return the machine's measured rate of square matrix products, in FLOP/s."""
    a: Tensor = torch.randn(size, size, device=device).to(dtype)

    def seconds() -> float:
        begun = time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begun

    seconds()
    return 2 * size**3 / median(seconds() for _ in range(repeat))


@dataclass(frozen=True)
class Measured:
    """What one configuration costs. Rates are medians over the repetitions.

    A batch has many rows, each with an example at a time; a question is an example that is to be answered, in
    `halt_max_steps` supervision steps. What is told in episodes takes further ones.
    """

    name: str
    parameters: int
    train_flops: float  # per row and optimiser step
    evaluation_flops: float  # per row and supervision step
    train_seconds: list[float]  # per optimiser step
    evaluation_seconds: list[float]  # per supervision step
    matmul_rates: list[float]  # FLOP/s, measured beside each training step
    peak_bytes: int
    batch_size: int
    horizon: int
    halt_max_steps: int

    def rows(self) -> list[tuple[str, str]]:
        """Return the figures as pairs of a name and a text."""
        train, evaluation = median(self.train_seconds), median(self.evaluation_seconds)
        shares = [
            self.train_flops * self.batch_size / s / r for s, r in zip(self.train_seconds, self.matmul_rates)
        ]
        each = self.train_flops / self.horizon / 1e9
        whole = self.evaluation_flops * self.halt_max_steps / 1e9
        return [
            ("configuration", self.name),
            ("parameters", f"{self.parameters:,}"),
            ("training", f"{self.batch_size * self.horizon / train:,.1f} supervision steps of a row/s"),
            ("  per supervision step", f"{1000 * train / self.horizon:,.1f} ms"),
            ("  per step of a row", f"{each:,.3f} GFLOP"),
            (
                "  share of matmul rate",
                f"{median(shares):.0%} of {median(self.matmul_rates) / 1e9:,.0f} GFLOP/s",
            ),
            ("evaluation", f"{self.batch_size / evaluation / self.halt_max_steps:,.1f} questions/s"),
            ("  per supervision step", f"{1000 * evaluation:,.1f} ms"),
            ("  per question", f"{whole:,.3f} GFLOP"),
            ("peak memory", f"{self.peak_bytes / 2**20:,.0f} MiB"),
        ]


def measure(configs: dict[str, dict[str, Any]], repeat: int) -> list[Measured]:
    """Measure configurations in alternation, so that the machine's moods fall on all of them alike."""
    subjects = {name: Subject(config) for name, config in configs.items()}
    flops, times = {}, {name: ([], [], []) for name in subjects}
    for name, subject in subjects.items():
        # The counter sees operations, which a compiled step hides.
        eager = Subject({**configs[name], "compile": False}) if subject.run.compile else subject
        train = eager.flops(eager.train_step)
        eager.evaluation_step()  # With new weights a bank is indexed anew, which is no part of a step.
        flops[name] = train, eager.flops(eager.evaluation_step)
        for _ in range(2):
            subject.train_step()
        subject.evaluation_step()
    inner = {name: max(1, round(0.2 / s.seconds(s.train_step))) for name, s in subjects.items()}
    for _ in range(repeat):
        for name, subject in subjects.items():
            train, evaluation, rates = times[name]
            rates.append(matmul_rate(subject.device, subject.run.dtype))
            train.append(subject.seconds(subject.train_step, inner[name]))
            subject.evaluation_step()
            evaluation.append(subject.seconds(subject.evaluation_step, inner[name]))
    return [
        Measured(
            name=name,
            parameters=count_parameters(subject.model),
            train_flops=flops[name][0],
            evaluation_flops=flops[name][1],
            train_seconds=times[name][0],
            evaluation_seconds=times[name][1],
            matmul_rates=times[name][2],
            peak_bytes=peak_memory(configs[name]),
            batch_size=subject.run.batch_size,
            horizon=subject.horizon,
            halt_max_steps=subject.run.halting.halt_max_steps,
        )
        for name, subject in subjects.items()
    ]


def peak_memory(config: dict[str, Any]) -> int:
    """Bytes that model, optimiser and training steps take at most, in a process of their own."""
    command = [sys.executable, "-m", "memhrm.cost.benchmark"]
    root, told = Path(__file__).parents[2], json.dumps([os.getcwd(), config])
    done = subprocess.run(command, input=told, capture_output=True, text=True, cwd=root)
    if done.returncode:
        raise ValueError(f"the process that measures memory failed: {done.stderr.strip()[-500:]}")
    return int(done.stdout.split()[-1])  # A class of the user's own may say something before.


def _peak_of_this_process(config: dict[str, Any]) -> int:
    """On CUDA the allocator's peak; on the CPU the growth of the resident set above the bare libraries."""
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))  # Draws in the libraries.
    before = _resident("VmRSS")
    subject = Subject(config)
    for _ in range(3):
        subject.train_step()
    if subject.device.type == "cuda":
        return torch.cuda.max_memory_allocated(subject.device)
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:  # Not Linux.
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    raise AssertionError(field)


if __name__ == "__main__":
    folder, config = json.load(sys.stdin)
    os.chdir(folder)
    trust_own(config)  # The process that started this one has the classes already.
    print(_peak_of_this_process(config))
