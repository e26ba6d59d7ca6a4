"""Launch what is missing of a grid, with a progress bar."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments.grid.run import ROOT, Run, complete, failure
from memhrm.config.command import compose
from memhrm.config.settings import require
from memhrm.config.words import quote
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import check_same
from memhrm.runs.settings import parse
from memhrm.system.files import read_json, write_json

EVERY = 2.0  # Seconds between looks at the files.


def launch(runs: Sequence[Run], root: Path, launcher: str, settings: Sequence[str]) -> dict[Path, str]:
    """Run what is missing through one of Hydra's launchers.

    A finished run is kept, an interrupted one continues, a failed one is tried again. A run that was trained
    under other defaults than today's counts as failed and stays as it is.

    Args:
        runs: The runs of the grid.
        root: The folder of their directories.
        launcher: local, slurm or ray (experiments/grid/conf/launcher).
        settings: Overrides of the launcher's configuration.

    Returns:
        The reason of each failure, by the run's directory.

    Raises:
        ValueError: The launcher itself failed.
    """
    failures = {path: error for run in runs if (error := outdated(run, path := run.folder(root)))}
    missing = {
        path: run for run in runs if not complete(path := run.folder(root), run) and path not in failures
    }
    if not missing:
        return failures
    for path, run in missing.items():
        threads = ["threads=1"] if launcher == "local" else []  # As many runs at once as there are cores.
        file = path / "job.json"
        waiting = read_json(file)["measures"] if file.exists() else []  # Of a study that shares the run.
        measures = list(dict.fromkeys((*run.measures, *waiting)))
        write_json(file, {"settings": [*run.settings, f"seed={run.seed}", *threads], "measures": measures})
        (path / "failed.txt").unlink(missing_ok=True)
    paths = ",".join(quote(str(path)) for path in missing)
    jobs = [f"launcher={launcher}", f"hydra.sweep.dir={quote(str(root / '.jobs'))}", f"job={paths}"]
    command = [sys.executable, "-m", "experiments.grid.job", "-m", *jobs, *settings]
    with open(root / "launcher.txt", "w") as output, _interrupted_by_sigterm():
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _watch(process, {run.folder(root): run for run in runs})
        except BaseException:  # Its runs save themselves and stop; those of a cluster go on.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if process.returncode:
        raise ValueError(f"the launcher failed; {root / 'launcher.txt'} says why")
    unfinished = [path for path, run in missing.items() if not complete(path, run)]
    return failures | {path: failure(path) or "did not run to its end" for path in unfinished}


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def outdated(run: Run, path: Path) -> str | None:
    """Return how a finished run differs from what its settings mean today, or None if it does not."""
    directory = RunDirectory(path)
    summary = directory.summary()
    if summary is None:
        return None
    try:
        today = parse(_config((*run.settings, f"seed={run.seed}")))
        check_same(today, directory.config(), path)
        require(summary["step"] == today.steps, "steps", today.steps, f"those of {path}, {summary['step']}")
    except ValueError as error:
        return str(error)
    return None


@cache
def _config(settings: tuple[str, ...]) -> dict[str, Any]:
    return compose("train", settings)


def _watch(process: subprocess.Popen, runs: dict[Path, Run]) -> None:
    """Show how many runs are done, under way and failed, until the process ends."""

    def done() -> int:
        return sum(complete(path, run) for path, run in runs.items())

    interval = 0.1 if sys.stderr.isatty() else 60.0  # A log needs no line every two seconds.
    with tqdm(total=len(runs), initial=done(), unit="run", miniters=0, mininterval=interval) as bar:
        ended = False
        while not ended:
            ended = process.poll() is not None
            failed = sum(failure(path) is not None for path in runs)
            bar.set_postfix(running=sum(map(held, runs)), failed=failed, refresh=False)
            bar.update(done() - bar.n)
            if not ended:
                time.sleep(EVERY)


def held(path: Path) -> bool:
    """Return whether a job is at work in a run's directory, in this process or another."""
    lock = path / "job.lock"
    if not lock.exists():
        return False
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
