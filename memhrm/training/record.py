"""The run directory: what a run leaves on disk. Local files are the truth; a logger only mirrors them.

config.yaml        the resolved configuration        environment.json   versions, device, commit
metrics.jsonl      one JSON object a line            checkpoints/       last.pt, best.pt
summary.json       the final result                   origin.json        of a run made from another: how
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

PACKAGES = ("memhrm", "torch", "numpy", "einops", "hydra-core", "safetensors", "xformers", "wandb")


class Mirror(Protocol):
    """Somewhere else that wants to see the metrics too."""

    def log(self, metrics: Mapping[str, Any], step: int) -> None: ...
    def summarise(self, summary: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class RunDirectory:
    """The files of one run. Only the first rank opens one."""

    def __init__(self, path: Path, mirror: Mirror | None = None):
        self.path = path
        self.mirror = mirror
        self.last = path / "checkpoints" / "last.pt"
        self.best = path / "checkpoints" / "best.pt"
        self._metrics = path / "metrics.jsonl"

    def begin(self, config: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Create the directory and write what is known before the first step."""
        self.path.mkdir(parents=True, exist_ok=True)
        _replace(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
        _replace(self.path / "environment.json", json.dumps(environment, indent=1) + "\n")

    def rewind(self, step: int) -> None:
        """Drop what a resumed run writes again: the metrics after a step, and the final scores.

        A line that a crash cut short is dropped with them.
        """
        if self._metrics.exists():
            lines = self._metrics.read_text().splitlines()
            kept = [line for line in lines if 0 <= _step_of(line) <= step and '"test/' not in line]
            _replace(self._metrics, "".join(line + "\n" for line in kept))

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append a line of metrics; names say their kind, as train/lm_loss."""
        with _named(self._metrics), open(self._metrics, "a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        if self.mirror is not None:
            self.mirror.log(metrics, step)

    def summarise(self, summary: Mapping[str, Any]) -> None:
        """Write the final result; its presence says that the run is finished."""
        _replace(self.path / "summary.json", json.dumps(summary, indent=1) + "\n")
        if self.mirror is not None:
            self.mirror.summarise(summary)

    def summary(self) -> dict[str, Any] | None:
        """The final result, if the run is finished."""
        path = self.path / "summary.json"
        return json.loads(path.read_text()) if path.exists() else None

    def config(self) -> dict[str, Any]:
        """The resolved configuration the run was begun with.

        Raises:
            ValueError: the directory holds no run.
        """
        path = self.path / "config.yaml"
        if not path.exists():
            raise ValueError(f"{self.path} holds no run (no config.yaml in it)")
        return yaml.safe_load(path.read_text())

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics so far, oldest first."""
        if not self._metrics.exists():
            return []
        return [json.loads(line) for line in self._metrics.read_text().splitlines() if _step_of(line) >= 0]


def _step_of(line: str) -> int:
    """The step of a line of metrics; -1 for one that a crash cut short."""
    try:
        return int(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return -1


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _named(path):
            unfinished.write_text(text)
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A failure to write says which file it was; of its own, a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def environment(device: torch.device) -> dict[str, Any]:
    """What a result depends on beside its configuration."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{device.type} {name}".strip(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "git": _git(),
    }


def _git() -> dict[str, Any] | None:
    """Commit of the checkout that this package runs from, if it does; whether it has changes."""
    root = Path(__file__).parent

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        ask("ls-files", "--error-unmatch", __file__)  # An installed copy may lie inside another repository.
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return None
