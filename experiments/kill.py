"""python -m experiments.kill: is a run that is killed again and again the same run, bit for bit?

A small training run is killed (SIGKILL) at random moments and started again by the same command, until it
was killed as often as asked; then it may finish. It is compared with a run that nothing disturbed.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory

ROOT = Path(__file__).parents[1]
TIMING = {"seconds", "train/examples_per_second"}
SETTINGS = [
    "data=sudoku4",
    "model=trm",
    "data.test_size=20",
    "validation_size=10",
    "model.hidden_size=32",
    "model.num_heads=2",
    "model.H_cycles=1",
    "model.L_cycles=2",
    "halting.halt_max_steps=4",
    "halting.rule=q_learning",
    "batch_size=16",
    "optim.warmup=20",
    "eval_every=20",
    "checkpoint_every=5",
    "log_every=1",
    "threads=1",
    "progress=false",
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        startup = run_whole(whole, args.steps)
        kill_often(killed, args.steps, startup, args.kills, random.Random(args.seed))
        wait(start(killed, args.steps))
        found = differences(whole, killed)
    print("\n".join(found))
    verdict = (
        f"{len(found)} differences" if found else "identical: weights, averages, optimiser, carry, metrics"
    )
    print(f"{args.kills} kills, {args.steps} steps; {verdict}")
    return int(bool(found))


def run_whole(path: Path, steps: int) -> float:
    """The undisturbed run; returns the seconds until its first step was done."""
    begun = time.monotonic()
    process = start(path, steps)
    while last_step(path) < 1 and process.poll() is None:
        time.sleep(0.01)
    startup = time.monotonic() - begun
    wait(process)
    print(
        f"undisturbed: {steps} steps in {time.monotonic() - begun:.1f} s, {startup:.1f} s of them starting up"
    )
    return startup


def kill_often(path: Path, steps: int, startup: float, kills: int, rng: random.Random) -> None:
    """Kill the run at random steps, spread over its length; one kill in five comes while it starts up."""
    targets = sorted(rng.randrange(1, steps - 1) for _ in range(kills))
    for number, target in enumerate(targets, start=1):
        process, begun = start(path, steps), time.monotonic()
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, startup))
        else:
            before = written(path)
            while (last_step(path) < target or written(path) == before) and process.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.03))  # A step and a checkpoint take about as long together.
        if process.poll() is not None:
            wait(process)
            raise ValueError(f"the run ended before kill {number}; give it more --steps")
        process.kill()
        process.wait()
        during = ", while it wrote a checkpoint" if list((path / "checkpoints").glob(".*.pt.*")) else ""
        print(
            f"kill {number:>3}: at step {last_step(path):>4} after {time.monotonic() - begun:4.1f} s{during}"
        )


def start(path: Path, steps: int) -> subprocess.Popen:
    """The training command, always the same for a path."""
    command = [sys.executable, "-m", "memhrm.train", *SETTINGS, f"steps={steps}", f"dir={path}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def wait(process: subprocess.Popen) -> None:
    """Wait for the end of a run.

    Raises:
        ValueError: it failed.
    """
    _, errors = process.communicate()
    if process.returncode:
        raise ValueError(f"the run failed: {errors.decode().strip()[-500:]}")


def last_step(path: Path) -> int:
    """The last step in the metrics, 0 before the first."""
    lines = RunDirectory(path).metrics()
    return lines[-1]["step"] if lines else 0


def written(path: Path) -> int:
    """When the metrics were last written, in nanoseconds."""
    file = path / "metrics.jsonl"
    return file.stat().st_mtime_ns if file.exists() else 0


def differences(a: Path, b: Path) -> list[str]:
    """All in which two finished runs differ, apart from their directories and times, a line each."""
    found: list[str] = []
    one, other = RunDirectory(a), RunDirectory(b)
    for left, right in ((one.last, other.last), (one.best, other.best)):
        found += compare(checkpoint.read(left), checkpoint.read(right), left.name)
    found += compare(one.metrics(), other.metrics(), "metrics")
    found += compare(one.summary(), other.summary(), "summary")
    lines = [(path / "metrics.jsonl").read_text().count("\n") for path in (a, b)]
    return found + compare(lines[0], lines[1], "lines of metrics.jsonl")


def compare(a: Any, b: Any, where: str) -> list[str]:
    """The leaves in which two nested values differ, bit for bit."""
    return [f"{name}: {text}" for name, text in _compare(a, b, where)]


def _compare(a: Any, b: Any, where: str) -> Iterator[tuple[str, str]]:
    if type(a) is not type(b):
        yield where, f"{type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, dict):
        for key in sorted((a.keys() | b.keys()) - TIMING, key=str):
            if key not in a or key not in b:
                yield f"{where}/{key}", "only in one"
            elif f"{where}/{key}" not in ("last.pt/config/dir", "best.pt/config/dir"):
                yield from _compare(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield where, f"{len(a)} and {len(b)} entries"
        for number, (one, other) in enumerate(zip(a, b)):
            yield from _compare(one, other, f"{where}/{number}")
    elif isinstance(a, torch.Tensor):
        if a.dtype != b.dtype or not torch.equal(a, b):
            yield where, f"tensors {tuple(a.shape)} and {tuple(b.shape)} differ"
    elif a != b and not (isinstance(a, float) and math.isnan(a) and math.isnan(b)):
        yield where, f"{a!r} and {b!r}"


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
