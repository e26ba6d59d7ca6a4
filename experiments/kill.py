"""Is a run that is killed again and again the same run, bit for bit? `python -m experiments.kill`.

A small training run is killed (SIGKILL) at random moments and started again by the same command, as often as
asked; then it may finish. It is compared with an undisturbed run.
"""

import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from experiments.grid.run import ROOT
from memhrm.config import console
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory

TIMING = {"seconds", "train/examples_per_second"}
DIRECTORIES = {"last.pt/config/dir", "best.pt/config/dir"}
SETTINGS = [
    *("data=sudoku4", "data.test_size=20", "validation_size=10"),
    *("model=trm", "model.hidden_size=32", "model.num_heads=2", "model.H_cycles=1", "model.L_cycles=2"),
    *("halting.halt_max_steps=4", "halting.rule=q_learning", "batch_size=16", "optim.warmup=20"),
    *("eval_every=20", "checkpoint_every=5", "log_every=1", "threads=1", "progress=false"),
]


def main() -> int:
    """Run the command; its exit code is 1 if the runs differ."""
    parser = console.Parser(prog="python -m experiments.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often the run is killed")
    parser.add_argument("--steps", type=int, default=400, help="optimiser steps of the run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        startup = run_whole(whole, args.steps)
        kill_often(killed, args.steps, startup, args.kills, random.Random(args.seed))
        wait(start(killed, args.steps))
        found = differences(whole, killed)
    print("\n".join(found))
    same = "identical: weights, averages, optimiser, carry, metrics"
    print(f"{args.kills} kills, {args.steps} steps; {f'{len(found)} differences' if found else same}")
    return int(bool(found))


def run_whole(path: Path, steps: int) -> float:
    """Run without a disturbance, and return the seconds until the first step was done."""
    begun = time.monotonic()
    process = start(path, steps)
    while last_step(path) < 1 and process.poll() is None:
        time.sleep(0.01)
    startup = time.monotonic() - begun
    wait(process)
    print(
        f"undisturbed: {steps} steps in {time.monotonic() - begun:.1f} s, of them {startup:.1f} s to start up"
    )
    return startup


def kill_often(path: Path, steps: int, startup: float, kills: int, rng: random.Random) -> None:
    """Kill the run at random steps, spread over its length; one kill in five comes while it starts up.

    Raises:
        ValueError: The run ended before the last kill.
    """
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
        seconds = time.monotonic() - begun
        print(f"kill {number:>3}: at step {last_step(path):>4} after {seconds:4.1f} s{during}")


def start(path: Path, steps: int) -> subprocess.Popen:
    """Start the training command, always the same for a path."""
    command = [sys.executable, "-m", "memhrm.train", *SETTINGS, f"steps={steps}", f"dir={path}"]
    one_thread, silent = {**os.environ, "OMP_NUM_THREADS": "1"}, subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, env=one_thread, stdout=silent, stderr=subprocess.PIPE)


def wait(process: subprocess.Popen) -> None:
    """Wait for the end of a run.

    Raises:
        ValueError: The run failed.
    """
    _, errors = process.communicate()
    if process.returncode:
        raise ValueError(f"the run failed: {errors.decode().strip()[-500:]}")


def last_step(path: Path) -> int:
    """Return the last step in the metrics, 0 before the first."""
    lines = RunDirectory(path).metrics()
    return lines[-1]["step"] if lines else 0


def written(path: Path) -> int:
    """Return when the metrics were last written, in nanoseconds."""
    file = path / "metrics.jsonl"
    return file.stat().st_mtime_ns if file.exists() else 0


def differences(a: Path, b: Path) -> list[str]:
    """Return how two finished runs differ, apart from their directories and times, a line each."""
    found: list[str] = []
    one, other = RunDirectory(a), RunDirectory(b)
    for left, right in ((one.last, other.last), (one.best, other.best)):
        found += compare(checkpoint.read(left), checkpoint.read(right), left.name)
    found += compare(one.metrics(), other.metrics(), "metrics")
    found += compare(one.summary(), other.summary(), "summary")
    lines = [(path / "metrics.jsonl").read_text().count("\n") for path in (a, b)]
    return found + compare(lines[0], lines[1], "lines of metrics.jsonl")


def compare(a: Any, b: Any, where: str) -> list[str]:
    """Return the leaves in which two nested values differ, bit for bit, a line each."""
    one, other = _leaves(a, where), _leaves(b, where)
    alone = [f"{name}: only in one" for name in sorted(one.keys() ^ other.keys())]
    return alone + [f"{name}: differs" for name in one if name in other and not _same(one[name], other[name])]


def _leaves(value: Any, where: str) -> dict[str, Any]:
    """Return the leaves of a nested value by their paths, without what differs by intent."""
    if where in DIRECTORIES:
        return {}
    if not isinstance(value, dict | list | tuple):
        return {where: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    parts = (_leaves(item, f"{where}/{key}") for key, item in items if key not in TIMING)
    return {where: type(value)} | {name: leaf for part in parts for name, leaf in part.items()}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and bool(a == b)


if __name__ == "__main__":
    console.run(main)
