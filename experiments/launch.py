"""Launches what is missing of a grid, and shows how far it is."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from experiments.runs import ROOT, Run, complete, fault, measured
from memhrm.config.command import compose
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import check_same
from memhrm.runs.settings import parse

EVERY = 2.0  # Seconds between looks at the files.


def launch(runs: Sequence[Run], root: Path, launcher: str, settings: Sequence[str]) -> dict[Path, str]:
    """Run what is missing through one of Hydra's launchers; returns why those failed that did.

    launcher: local, slurm or ray (experiments/conf/launcher); settings: overrides of it. A finished run is
    kept, an interrupted one goes on, a failed one is tried again. One that was trained under other
    defaults than today's is named, and not used.
    """
    wrong = {path: text for run in runs if (text := outdated(run, path := run.folder(root)))}
    todo = [run for run in runs if not complete(path := run.folder(root), run) and path not in wrong]
    if not todo:
        return wrong
    for run in todo:
        path = run.folder(root)
        path.mkdir(parents=True, exist_ok=True)
        threads = ["threads=1"] if launcher == "local" else []  # As many at once as there are cores.
        words = {"words": [*run.words(), *threads], "measures": run.measures}
        (path / "job.json").write_text(json.dumps(words) + "\n")
        (path / "failed.txt").unlink(missing_ok=True)
    jobs = ",".join(str(run.folder(root)) for run in todo)
    where = [f"launcher={launcher}", f"hydra.sweep.dir={root / '.jobs'}"]
    command = [sys.executable, "-m", "experiments.job", "-m", *where, f"job={jobs}", *settings]
    with open(root / "launcher.txt", "w") as output, terminable():
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            watch(process, runs, root)
        except BaseException:  # Its runs save themselves and stop; those of a cluster go on.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if process.returncode:
        raise ValueError(f"the launcher failed; {root / 'launcher.txt'} says why")
    for run in todo:
        if not complete(path := run.folder(root), run):
            wrong[path] = fault(path) or "did not run to its end"
    return wrong


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def outdated(run: Run, path: Path) -> str | None:
    """In what a finished run differs from what its settings mean today, where a default has changed since."""
    if not (path / "summary.json").exists():
        return None
    try:
        settings = parse({**_config(run.settings), "seed": run.seed})
        check_same(settings, RunDirectory(path).config(), path)
    except ValueError as error:
        return str(error)
    return None


@cache
def _config(settings: tuple[str, ...]) -> dict[str, Any]:
    return compose("train", settings)


def watch(process: subprocess.Popen, runs: Sequence[Run], root: Path) -> None:
    """Show the state of the grid until the process ends."""
    states = {run: State(run, run.folder(root)) for run in runs}
    live, said, at_once = sys.stderr.isatty(), "", 1
    while True:
        ended = process.poll() is not None
        for state in states.values():
            state.look()
        at_once = max(at_once, sum(state.running for state in states.values()))
        line = summary(list(states.values()), at_once)
        if live:
            print(f"\r{line:<100}", end="", file=sys.stderr, flush=True)
        elif line.split(";")[0] != said:  # Once for each run that ends.
            print(line, file=sys.stderr, flush=True)
            said = line.split(";")[0]
        if ended:
            break
        time.sleep(EVERY)
    if live:
        print(file=sys.stderr)


@dataclass
class State:
    """What is known of one run."""

    run: Run
    path: Path
    done: bool = False
    running: bool = False
    share: float = 0.0  # Of its training and its measures, taken as equally long.
    speed: float | None = None  # Seconds for the whole, as it looks now.
    seen: tuple[float, float] | None = None  # When it was first seen running, and its share then.

    def look(self) -> None:
        if self.done:
            return
        self.done, self.running = complete(self.path, self.run), held(self.path / "job.lock")
        if self.done:
            self.running, self.share = False, 1.0
            trained = (RunDirectory(self.path).summary() or {})["seconds"]
            file = self.path / "job-done.json"  # Of the last time only.
            whole = json.loads(file.read_text())["seconds"] if file.exists() else 0.0
            self.speed = max(trained, whole)
        elif (self.path / "config.yaml").exists():
            self.share = self._share()
            now = time.monotonic()
            if self.running and self.seen is None:
                self.seen = (now, self.share)
            elif self.seen is not None and self.share > self.seen[1]:
                self.speed = (now - self.seen[0]) / (self.share - self.seen[1])

    def _share(self) -> float:
        directory, names = RunDirectory(self.path), self.run.measures
        if (self.path / "summary.json").exists():
            trained = 1.0
        else:
            lines = directory.metrics()
            trained = min(lines[-1]["step"] / directory.config()["steps"], 1.0) if lines else 0.0
        return (trained + sum(measured(self.path, name) is not None for name in names)) / (1 + len(names))


def held(lock: Path) -> bool:
    """Whether a job is at work, here or in another process."""
    if not lock.exists():
        return False
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def summary(states: Sequence[State], at_once: int) -> str:
    """How many runs are done, failed and under way, and how long the rest will take, so many at once."""
    done = sum(state.done for state in states)
    failed = sum(fault(state.path) is not None for state in states if not state.done)
    running = sum(state.running for state in states)
    text = f"{done}/{len(states)} runs done" + (f", {failed} failed" if failed else "")
    return f"{text}; {running} under way; about {left(states, at_once)} left"


def left(states: Sequence[State], workers: int) -> str:
    """The time that the rest takes, from what the same variants took, or all, where none of them has run."""
    known: dict[tuple[str, str], list[float]] = {}
    for state in states:
        if state.speed is not None:
            known.setdefault((state.run.task, state.run.variant), []).append(state.speed)
    if not known:
        return "an unknown time"
    typical = fmean(fmean(values) for values in known.values())
    seconds = 0.0
    for state in states:
        if not state.done and fault(state.path) is None:
            whole = fmean(known.get((state.run.task, state.run.variant), [typical]))
            seconds += (1 - state.share) * whole
    minutes = round(seconds / workers / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
