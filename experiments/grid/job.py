"""Work on one run of a grid, from where it stands to its end: `python -m experiments.grid.job job=DIR`.

    python -m experiments.grid.job -m launcher=local job=DIR,DIR,...   # several, through a launcher of Hydra

DIR/job.json lists the settings and the measures. The training and each measure are processes of their own, so
that a crash of one leaves the others alone. Their output is in DIR/output.txt, the reason of a failure in
DIR/failed.txt.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import hydra
from omegaconf import DictConfig

from experiments.grid.run import ROOT, failure, is_measured
from memhrm.system.files import read_json


def work(path: Path) -> None:
    """Train and measure a run; waits first if another process is at work on it.

    Args:
        path: The run's directory, with its job.json.
    """
    path = path.resolve()
    with open(path / "job.lock", "w") as lock, open(path / "output.txt", "a") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path / "failed.txt").unlink(missing_ok=True)
        job = read_json(path / "job.json")
        for command in _missing(path, job):
            if error := _run(command, output, lock.fileno()):
                (path / "failed.txt").write_text(f"{command[0]}: {error}\n")
                return


def _missing(path: Path, job: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the modules that are still to be run, with their arguments: first the training."""
    if not (path / "summary.json").exists():
        yield ["memhrm.train", *job["settings"], "progress=false", f"dir={path}"]
    for name in job["measures"]:
        if not is_measured(path, name):
            yield ["experiments.grid.measures", name, str(path)]


def _run(command: list[str], output: TextIO, lock: int) -> str | None:
    """Run a module, which holds the lock too as it may outlive this process, and return its error, if any."""
    start = output.tell()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    code = subprocess.run(
        [sys.executable, "-m", *command],
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=[lock],
    ).returncode
    if not code:
        return None
    with open(output.name) as file:
        file.seek(start)
        lines = file.read().strip().splitlines()
    if code < 0:
        return "; its last line: ".join([_killed(-code), *lines[-1:]])
    return lines[-1] if lines else f"exit code {code}, without a message"


def _killed(number: int) -> str:
    """Say which signal ended a process."""
    often = "SIGKILL: often out of memory" if number == signal.SIGKILL else signal.strsignal(number)
    return f"killed by signal {number} ({often})"


@hydra.main(version_base="1.3", config_path="conf", config_name="job")
def main(config: DictConfig) -> None:
    """Run the job that the command line names."""
    path = Path(config.job)
    work(path)
    if error := failure(path):
        print(f"{path.name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
