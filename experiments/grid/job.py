"""python -m experiments.grid.job job=DIR: one run of a grid, from where it stands to its end.

    python -m experiments.grid.job -m launcher=local job=DIR,DIR,...   # several, through a launcher of Hydra

DIR/job.json says what to do. The training and each measure are processes of their own, so that none can take
the others with it; what they print is in DIR/output.txt, and why one failed in DIR/failed.txt.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig

from experiments.grid.run import ROOT, fault, measured, spec


def work(path: Path) -> None:
    """Train, measure; a job that another process is at is waited for."""
    path = path.resolve()
    with open(path / "job.lock", "w") as lock, open(path / "output.txt", "a") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path / "failed.txt").unlink(missing_ok=True)
        begun, todo = time.monotonic(), spec(path)
        train = ["memhrm.train", *todo["words"], "progress=false", f"dir={path}"]
        steps = [] if (path / "summary.json").exists() else [train]
        steps += [
            ["experiments.grid.measures", name, str(path)]
            for name in todo["measures"]
            if not measured(path, name)
        ]
        for words in steps:
            if wrong := _run(words, output, lock.fileno()):
                (path / "failed.txt").write_text(f"{words[0]}: {wrong}\n")
                return
        if steps:
            (path / "job-done.json").write_text(json.dumps({"seconds": time.monotonic() - begun}) + "\n")


def _run(words: list[str], output, lock: int) -> str | None:
    """Returns what went wrong. The child holds the lock too: it may outlive this process."""
    start = output.tell()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    code = subprocess.run(
        [sys.executable, "-m", *words],
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        pass_fds=[lock],
    ).returncode
    if not code:
        return None
    with open(output.name) as file:
        file.seek(start)
        said = file.read().strip().splitlines()
    return said[-1] if said else f"ended with code {code} and said nothing"


@hydra.main(version_base="1.3", config_path="conf", config_name="job")
def main(config: DictConfig) -> None:
    path = Path(config.job)
    work(path)
    if wrong := fault(path):
        print(f"{path.name}: {wrong}", file=sys.stderr)


if __name__ == "__main__":
    main()
