"""Jobs on two ranks, which share a batch."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import torch
from torch.distributed import TCPStore

from memhrm.runs.directory import RunDirectory

Job = tuple[Callable[..., int], tuple]
TIMEOUT = 300
"""Seconds for all jobs of a test, which take at most 60 on two free cores; they may not be free."""


def _rank(rank: int, ports: list[int], folder: Path, jobs: dict[str, Job]) -> None:
    torch.set_num_threads(1)
    for port, (name, (body, args)) in zip(ports, jobs.items()):
        os.environ |= {
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # As under torchrun, the store is there before the ranks.
        }
        with open(folder / f"{name}{rank}", "w") as file, redirect_stderr(file):
            try:
                print(body(*args), file=sys.stderr)
            except BaseException:
                traceback.print_exc()


def on_two_ranks(folder: Path, jobs: dict[str, Job]) -> dict[str, list[str]]:
    """Run functions, one after another, on two ranks.

    Returns:
        For each job the stderr of both ranks, whose last line is the returned code.
    """
    context = multiprocessing.get_context("spawn")
    # Each store holds its port to the end: a port that is only looked up may be taken until a rank listens.
    stores = [TCPStore("localhost", 0, is_master=True, wait_for_workers=False) for _ in jobs]
    ports = [store.port for store in stores]
    processes = [context.Process(target=_rank, args=(rank, ports, folder, jobs)) for rank in range(2)]
    for process in processes:
        process.start()
    late = time.monotonic() + TIMEOUT
    for process in processes:
        process.join(timeout=max(0, late - time.monotonic()))
    ended = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    files = {name: [folder / f"{name}{rank}" for rank in range(2)] for name in jobs}
    said = {name: [file.read_text() for file in pair if file.exists()] for name, pair in files.items()}
    assert ended == [0, 0], f"exit codes {ended} after at most {TIMEOUT} seconds; the ranks said {said}"
    return said


def losses(path: Path) -> torch.Tensor:
    """Return all training metrics of a run except those of time, (steps, metrics)."""
    lines = [line for line in RunDirectory(path).metrics() if "train/loss" in line]
    names = sorted(name for name in lines[0] if name.startswith("train/") and "per_second" not in name)
    return torch.tensor(np.array([np.hstack([line[name] for name in names]) for line in lines]))
