"""The run directory: the files that a run writes. Local files are the truth; a logger only mirrors them.

config.yaml        the resolved configuration        environment.json   versions, device, commit
metrics.jsonl      one JSON object a line            checkpoints/       last.pt, best.pt
summary.json       the final result                  origin.json        how a run was made from another one
.lock              held while a process writes here
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from filelock import FileLock, Timeout

from memhrm.system.files import named, read_json, read_yaml, to_json, write_json, write_text

PACKAGES = ("memhrm", "torch", "numpy", "einops", "hydra-core", "safetensors", "xformers", "wandb")


class Mirror(Protocol):
    """A logger that receives a copy of the metrics."""

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Record the metrics of an optimiser step."""
        ...

    def summarise(self, summary: Mapping[str, Any]) -> None:
        """Record the final result."""
        ...

    def close(self) -> None:
        """End the record."""
        ...


class RunDirectory:
    """The files of one run, which only the first rank writes.

    Args:
        path: the directory, which need not exist yet.
        mirror: a logger that receives a copy of the metrics.

    Attributes:
        last: the path of the last checkpoint.
        best: the path of the best checkpoint.
    """

    def __init__(self, path: Path, mirror: Mirror | None = None):
        self.path = path
        self.mirror = mirror
        self.last = path / "checkpoints" / "last.pt"
        self.best = path / "checkpoints" / "best.pt"
        self._metrics = path / "metrics.jsonl"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the directory for this process alone; the system releases it however the process ends.

        Raises:
            ValueError: another process writes there, or the directory holds what is to be kept.
        """
        with locked(self.path):
            self.require_own()
            yield

    def require_own(self) -> None:
        """Raise an error for a directory with files that a run would overwrite but that are to be kept.

        Raises:
            ValueError: there is a file that is not of a run, which the message names, or the result of a run
                whose last checkpoint is gone; or the path is that of a file.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ValueError(f"dir is {str(self.path)!r}, which is a file; allowed: a folder, or a new name")
        there = self._there()
        if there and not self.is_run():
            raise ValueError(
                f"dir is {str(self.path)!r}, whose {there[0]} was not written by memhrm and is kept; "
                "allowed: a new folder, or that of a run"
            )
        if not self.last.exists() and (self.path / "summary.json").exists():
            raise ValueError(
                f"dir is {str(self.path)!r}, which has the result of a run whose last.pt is gone; to train "
                "there again, remove it, or give another dir=..."
            )

    def is_run(self) -> bool:
        """Return whether a run has written the files that are there, and not something else of their names.

        Raises:
            ValueError: a file that would tell is damaged.
        """
        made = [self.path / name for name in ("environment.json", "origin.json")]
        found = [mapping(path, read_json(path)) for path in made if path.exists()]
        ours = any("packages" in one or "command" in one for one in found)
        begun = self._there() == ["environment.json"]  # All there is of a run that ended while it began.
        return ours and (begun or (self.path / "config.yaml").exists())

    def _there(self) -> list[str]:
        return [name for name in FILES if (self.path / name).exists()]

    def begin(self, config: Mapping[str, Any], environment: Mapping[str, Any], step: int = 0) -> None:
        """Create the directory and write the configuration and the environment of the run.

        Args:
            config: the resolved configuration.
            environment: what the run depends on besides.
            step: the steps that are done. Other environments that they had are kept under `earlier`, each
                with the step at which it ended.
        """
        path, earlier = self.path / "environment.json", []
        if step and path.exists():
            before = mapping(path, read_json(path))
            earlier = before.pop("earlier", [])
            if before != environment:
                earlier = [*earlier, {"step": step, **before}]
        write_json(path, {**environment, **({"earlier": earlier} if earlier else {})})
        write_text(
            self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        )

    def rewind(self, step: int) -> None:
        """Drop the lines that a resumed run writes again: the metrics after a step, and the final scores.

        A line that a crash cut short is dropped as well; at step 0 also a best checkpoint without a last one.
        """
        if step == 0:
            self.best.unlink(missing_ok=True)
        if self._metrics.exists():
            lines = self._lines()
            kept = [line for line in lines if 0 <= _step_of(line) <= step and '"test/' not in line]
            write_text(self._metrics, "".join(line + "\n" for line in kept))

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append a line of metrics, whose names begin with their kind, for example train/lm_loss."""
        with named(self._metrics), open(self._metrics, "a", encoding="utf-8") as file:
            file.write(to_json({"step": step, **metrics}) + "\n")
        if self.mirror is not None:
            self.mirror.log(metrics, step)

    def summarise(self, summary: Mapping[str, Any]) -> None:
        """Write the final result, whose presence marks the run as finished."""
        if self.mirror is not None:
            self.mirror.summarise(summary)
        write_json(self.path / "summary.json", summary)

    def summary(self) -> dict[str, Any] | None:
        """Return the final result, or None if the run is not finished.

        Raises:
            ValueError: the file is damaged.
        """
        path = self.path / "summary.json"
        return mapping(path, read_json(path)) if path.exists() else None

    def config(self) -> dict[str, Any]:
        """Return the resolved configuration with which the run was started.

        Raises:
            ValueError: the directory holds no run, or the file is damaged.
        """
        path = self.path / "config.yaml"
        if not path.exists():
            raise ValueError(f"{self.path} holds no run (no config.yaml in it)")
        return mapping(path, read_yaml(path))

    def metrics(self) -> list[dict[str, Any]]:
        """Return all lines of metrics so far, oldest first."""
        if not self._metrics.exists():
            return []
        return [json.loads(line) for line in self._lines() if _step_of(line) >= 0]

    def _lines(self) -> list[str]:
        return [line for line in self._metrics.read_text("utf-8", "replace").split("\n") if line]


FILES = ("config.yaml", "environment.json", "metrics.jsonl", "summary.json", "checkpoints")
"""The files and folders that a run writes into its directory."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone; create it if necessary.

    The lock is one of the system, on the file `.lock`: it ends with the process, even if that is killed.

    Raises:
        ValueError: another process holds the folder.
        OSError: the folder cannot be written.
    """
    made = not folder.exists()
    with named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{folder} is in use: another process writes there; wait until it ends or give another folder"
            ) from None
    try:
        yield
    finally:
        lock.release()
        if made and [path.name for path in folder.iterdir()] in ([], [".lock"]):  # Nothing was written.
            (folder / ".lock").unlink(missing_ok=True)
            folder.rmdir()


def mapping(path: Path, content: Any) -> dict[str, Any]:
    """Return the content of a file that must hold a mapping.

    Args:
        path: the file, for the message.
        content: its parsed content.

    Raises:
        ValueError: the content is not a mapping.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds {type(content).__name__}, not a mapping")
    return content


def _step_of(line: str) -> int:
    """Return the step of a line of metrics; -1 for a line that a crash cut short."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return -1


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a result depends on besides its configuration: versions, device, processes and commit."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{device.type} {name}".strip(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "git": _git(),
    }


def _processor() -> str:
    """Return the processor's name, where the system tells it, and the instructions PyTorch uses of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name} {torch.backends.cpu.get_cpu_capability()}".strip()


def _git() -> dict[str, Any] | None:
    """Return the commit of the checkout that this package runs from, and whether the checkout has changes.

    None if the package does not run from a checkout.
    """
    root = Path(__file__).parent

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        ask("ls-files", "--error-unmatch", __file__)  # An installed copy may lie inside another repository.
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return None
