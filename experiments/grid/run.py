"""The runs of the grids: what each is called, its settings, and where it lies.

Runs are shared: two experiments that ask for the same task, variant and settings find the same directory.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUNS = Path("runs/experiments")
SCALES = ("smoke", "cpu", "gpu")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run of a grid.

    task, variant: its row in the tables; settings: those of `memhrm.train`, but for the seed and what says
    how it is run; measures: what is measured after training (experiments/measures.py).
    """

    task: str
    variant: str
    seed: int
    settings: tuple[str, ...]
    measures: tuple[str, ...] = ()

    def folder(self, root: Path) -> Path:
        digest = hashlib.sha256(" ".join(self.settings).encode()).hexdigest()[:8]
        return root / f"{slug(self.task)}-{slug(self.variant)}-seed{self.seed}-{digest}"

    def words(self) -> list[str]:
        """The settings on the command line of `memhrm.train`."""
        return [*self.settings, f"seed={self.seed}"]


def slug(name: str) -> str:
    """A name as a part of file names."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")


def grid(
    tasks: dict[str, str], variants: dict[str, str], seeds: Sequence[int], measures: Sequence[str] = ()
) -> list[Run]:
    """Every variant on every task with every seed; seed by seed, so that an interrupted grid has them all.

    tasks, variants: settings by name; where both set the same thing the variant's counts.
    """
    return [
        Run(
            task=task,
            variant=variant,
            seed=seed,
            settings=(*common.split(), *own.split()),
            measures=tuple(measures),
        )
        for seed in seeds
        for task, common in tasks.items()
        for variant, own in variants.items()
    ]


def merge(runs: Sequence[Run], root: Path) -> list[Run]:
    """Each run once, with all that is measured of it by any experiment that asks for it."""
    merged: dict[Path, Run] = {}
    for run in runs:
        path = run.folder(root)
        known = merged.get(path, run)
        merged[path] = replace(known, measures=tuple(dict.fromkeys((*known.measures, *run.measures))))
    return list(merged.values())


# What a job leaves beside the run's own files.


def spec(path: Path) -> dict[str, Any]:
    """What the job in a directory is to do: `words`, `measures`."""
    return json.loads((path / "job.json").read_text())


def complete(path: Path, run: Run) -> bool:
    """Whether a run is trained and all is measured that is asked for."""
    return (path / "summary.json").exists() and all(measured(path, name) for name in run.measures)


def measured(path: Path, name: str) -> dict[str, Any] | None:
    """What a measure found, if it was made."""
    file = path / f"measure-{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def fault(path: Path) -> str | None:
    """Why the job in a directory failed, if it did when it was last tried."""
    file = path / "failed.txt"
    return file.read_text().strip() if file.exists() else None
