"""From runs to a report: open them, compute the numbers of every section, write the files."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from memhrm.models.reasoner import count_parameters
from memhrm.probes.subject import open_subject
from memhrm.report.page import ReportPart, percent, render, sentences, table, worded
from memhrm.report.run import ProbedRun
from memhrm.report.sections import SECTIONS
from memhrm.report.settings import ReportSettings
from memhrm.runs.directory import RunDirectory, locked
from memhrm.runs.summary import labels
from memhrm.system.files import write_json, write_text

MOST = 256
"""Numbers of the largest array in numbers.json."""


def open_runs(
    paths: Sequence[Path], settings: ReportSettings, threads: int | None = None, **which: Any
) -> list[ProbedRun]:
    """Open all runs, so that a missing one fails before anything is computed.

    Args:
        paths: the run directories.
        settings: how much is measured.
        threads: of the CPU; None: all cores.
        which: `checkpoint` and `weights`, as of `open_subject`.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    runs = []
    for index, (label, path) in enumerate(zip(labels(paths), paths)):
        subject = open_subject(path, puzzles=settings.puzzles, **which)
        runs.append(ProbedRun(index, label, subject, settings, RunDirectory(path).metrics()))
    return runs


def write_report(out: Path, runs: list[ProbedRun], settings: ReportSettings, progress: bool = True) -> None:
    """Write report.html, figures/, and numbers.json and .npz, with every array as RUN/SECTION/NAME."""
    with locked(out):
        for number, run in enumerate(runs, 1):
            run.numbers["about"] = _about(run)
            for name in tqdm(SECTIONS, desc=f"probe {run.label}", disable=not progress):
                if (found := SECTIONS[name].compute(run)) is not None:
                    run.numbers[name] = found
            # Save after every run so that a later failure loses nothing.
            numbers = {run.label: run.numbers for run in runs[:number]}
            np.savez_compressed(out / "numbers.npz", **flat(numbers))  # pyright: ignore[reportArgumentType]
            write_json(out / "numbers.json", {"settings": asdict(settings), "runs": plain(numbers)})
        sections = {}
        for name, section in SECTIONS.items():
            if shown := [run for run in runs if name in run.numbers]:
                sections[name] = {"words": worded(name, runs=shown), "parts": section.show(shown)}
        _write_figures(out / "figures", [part for section in sections.values() for part in section["parts"]])
        summary = {
            run.label: [one for name in sections if name in run.numbers for one in sentences(name, run)]
            for run in runs
        }
        title, overview = f"Inside {', '.join(summary)}", _overview(runs)
        page = render(title, overview=overview, summary=summary, sections=sections)
        write_text(out / "report.html", page)


def _write_figures(folder: Path, parts: Sequence[ReportPart]) -> None:
    """Write figures/, and remove the figures of an earlier report."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for drawing in (part.drawing for part in parts if part.drawing is not None):
        (folder / f"{drawing.name}.svg").write_text(drawing.file(), encoding="utf-8")


def _about(run: ProbedRun) -> dict[str, Any]:
    """Return what was probed: the run's model, its size and the puzzles, with its scores on them."""
    subject, model = run.subject, run.subject.model
    return {
        "path": str(subject.path),
        "model": model.settings.name,
        "memory": model.H_module.settings.name,
        "task": subject.task.name,
        "parameters": count_parameters(model),
        "step": subject.step,
        "puzzles": len(subject),
        "halt_max_steps": subject.halt_max_steps,
        "exact_accuracy": float(run.near.exact[-1].mean()),
        "accuracy": float(run.near.accuracy[-1].mean(dtype=float)),
        "position": run.position,
    }


def _overview(runs: Sequence[ProbedRun]) -> ReportPart:
    def text(value: Any) -> str:
        return (
            percent(value)
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else value or ""
        )

    rows = [[run.label, *map(text, list(run.numbers["about"].values())[1:-1])] for run in runs]
    return replace(table("overview", rows, runs=runs), marks=[run.index for run in runs])


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays and numbers of nested mappings by path, for an .npz."""
    found: dict[str, np.ndarray] = {}
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}/")
        elif (array := np.asarray(value)).dtype.kind in "biuf" and (array.size or array is value):
            found[f"{prefix}{name}"] = array
    return found


def plain(value: Any) -> Any:
    """Return plain data for JSON, without arrays of more than `MOST` numbers in mappings."""
    if isinstance(value, Mapping):
        kept = {name: v for name, v in value.items() if not (isinstance(v, np.ndarray) and v.size > MOST)}
        return {str(name): plain(v) for name, v in kept.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
