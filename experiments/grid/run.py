"""What a grid is made of: tasks, variants and seeds, and the training run that each combination names.

Studies share runs: two that ask for the same task, variant and settings find the same directory.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memhrm.system.files import read_json

ROOT = Path(__file__).parents[2]
RUNS = Path("runs/experiments")
SCALES = ("smoke", "cpu", "gpu")


@dataclass(frozen=True)
class Task:
    """A data set, with the training that all variants share on it.

    Attributes:
        name: Its name in the tables.
        overrides: Settings of `memhrm.train`, each as `name=value`.
    """

    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A model that is compared with others.

    Attributes:
        name: Its name in the tables.
        baseline: The variant it is compared with, seed by seed; None if it is compared with none.
        overrides: Settings of `memhrm.train`, each as `name=value`; they count more than the task's.
    """

    name: str
    baseline: str | None = None
    overrides: tuple[str, ...] = ()

    def change(self, name: str, *overrides: str) -> "Variant":
        """Return this variant with further overrides, to be compared with it."""
        return Variant(name, self.name, (*self.overrides, *overrides))


def pick(variants: Iterable[Variant], *names: str) -> list[Variant]:
    """Return the variants of these names, in the order of the names."""
    known = {variant.name: variant for variant in variants}
    return [known[name] for name in names]


def baselines(variants: Iterable[Variant]) -> dict[str, str]:
    """Return the baseline of each variant that has one, by the variant's name."""
    return {variant.name: variant.baseline for variant in variants if variant.baseline}


@dataclass(frozen=True)
class Run:
    """One training run of a grid.

    Attributes:
        task: Name of the task.
        variant: Name of the variant.
        seed: Seed of the run.
        settings: Overrides of the task, then of the variant.
        measures: What is measured after training (`experiments.grid.measures`).
    """

    task: str
    variant: str
    seed: int
    settings: tuple[str, ...]
    measures: tuple[str, ...] = ()

    def folder(self, root: Path) -> Path:
        """Return the run's directory in `root`."""
        digest = hashlib.sha256(" ".join(self.settings).encode()).hexdigest()[:8]
        return root / f"{slug(self.task)}-{slug(self.variant)}-seed{self.seed}-{digest}"


def slug(name: str) -> str:
    """Return a name in the form it has in file names."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")


def grid(
    variants: Mapping[Task, Sequence[Variant]], seeds: Sequence[int], measures: Sequence[str] = ()
) -> list[Run]:
    """Return a run for each variant of each task and each seed.

    Runs are ordered by seed first, so that an interrupted grid has all variants.

    Args:
        variants: The variants of each task.
        seeds: The seeds of each variant.
        measures: What is measured of each run.
    """
    return [
        Run(task.name, variant.name, seed, (*task.overrides, *variant.overrides), tuple(measures))
        for seed in seeds
        for task, of_task in variants.items()
        for variant in of_task
    ]


def merge(runs: Sequence[Run], root: Path) -> list[Run]:
    """Return each run once, with the measures of all runs that share its directory."""
    merged: dict[Path, Run] = {}
    for run in runs:
        path = run.folder(root)
        known = merged.get(path, run)
        merged[path] = replace(known, measures=tuple(dict.fromkeys((*known.measures, *run.measures))))
    return list(merged.values())


def complete(path: Path, run: Run) -> bool:
    """Return whether the run in a directory is trained and everything asked for is measured."""
    return (path / "summary.json").exists() and all(is_measured(path, name) for name in run.measures)


def is_measured(path: Path, name: str) -> bool:
    """Return whether a measure is of the run's last weights: it is not older than their result."""
    file = measure_file(path, name)
    return file.exists() and file.stat().st_mtime_ns >= (path / "summary.json").stat().st_mtime_ns


def measure_file(path: Path, name: str) -> Path:
    """Return the file of a measure in a run's directory."""
    return path / f"measure-{name}.json"


def measured(path: Path, name: str) -> dict[str, Any]:
    """Return the result of a measure."""
    return read_json(measure_file(path, name))


def failure(path: Path) -> str | None:
    """Return why the last job in a directory failed, or None if it did not."""
    file = path / "failed.txt"
    return file.read_text().strip() if file.exists() else None
