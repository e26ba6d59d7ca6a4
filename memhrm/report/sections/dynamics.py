"""Dynamics of the state: residuals, norms and trajectories."""

from typing import Any

import numpy as np

from memhrm.probes import dynamics
from memhrm.report.curves import Series, curves
from memhrm.report.maps import trajectories
from memhrm.report.page import ReportPart, table
from memhrm.report.run import ProbedRun, shared_depth

STARTS = 6
LEVELS = "z_H", "z_L"


def compute(run: ProbedRun) -> dict[str, Any]:
    """Return how the state moves, and whether that tells right from wrong.

    `residual` and `norm` are of some puzzles, far beyond the training depth; `auroc` is of all puzzles at the
    training depth, `auroc_far` of some at the end; `paths` are of a solved and an unsolved puzzle.
    """
    steps, puzzles = 4 * run.depth, list(run.examples.values())
    found = dynamics.trajectories(run.subject, steps, puzzles=puzzles, starts=STARTS, seed=run.settings.seed)
    return {
        "residual": dynamics.residuals(run.far),
        "norm": dynamics.norms(run.far),
        "auroc": dynamics.residual_auroc(run.near),
        "auroc_far": dynamics.residual_auroc(run.far),
        "chance": list(dynamics.chance(run.near.exact[-1])),
        "chance_far": list(dynamics.chance(run.far.exact[-1])),
        "paths": {kind: {key: of[i] for key, of in found.items()} for i, kind in enumerate(run.examples)},
    }


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures, and a table of how well residuals predict right answers."""
    memory = ["memory"] * any(len(run.numbers["dynamics"]["norm"]) > len(LEVELS) for run in runs)
    parts = []
    for what in (*LEVELS, *memory):
        series = []
        for run, tensor, label in _tensors(runs, what):
            for kind, word in (("correct", "right"), ("incorrect", "wrong")):
                y = run.numbers["dynamics"]["residual"][tensor][kind]["median"]
                y = np.where(y > 0, y, np.nan)  # A logarithm has no place for what stands still.
                if np.isfinite(y).any():
                    series.append(Series(f"{label}, {word}", y, run=run.index, dashed=word == "wrong"))
        parts.append(_over_steps("residual", what, series, runs))
    for what, names in (("state", LEVELS), *(("memory", ["memory"]) for _ in memory)):
        series = [
            Series(
                f"{label}, {name}" if what == "state" else label,
                run.numbers["dynamics"]["norm"][tensor]["all"]["mean"],
                run=run.index,
                dashed=name == "z_L",
            )
            for name in names
            for run, tensor, label in _tensors(runs, name)
        ]
        parts.append(_over_steps("norm", what, series, runs))
    for run in runs:
        for kind, found in run.numbers["dynamics"]["paths"].items():
            parts.append(_path(run, kind, found))
    return [*parts, _table(runs)]


def _tensors(runs: list[ProbedRun], what: str) -> list[tuple[ProbedRun, str, str]]:
    """Return the tensors of z_H, z_L or the memory that a chart shows: run, name and label of each."""
    found = []
    for run in runs:
        names = [name for name in run.numbers["dynamics"]["norm"] if name not in LEVELS]
        names = [what] if what in LEVELS else names
        found += [(run, name, run.label if len(names) == 1 else f"{run.label}, {name}") for name in names]
    return found


def _over_steps(kind: str, what: str, series: list[Series], runs: list[ProbedRun]) -> ReportPart:
    whole = what if what in LEVELS else f"the {what}"
    name = f"dynamics-{kind}-{what}"
    return curves(f"dynamics-{kind}", series, depth=shared_depth(runs), name=name, what=whole)


def _path(run: ProbedRun, kind: str, found: dict[str, Any]) -> ReportPart:
    right = found["exact"].sum(axis=0)
    return trajectories(
        "dynamics-paths",
        run,
        found["points"],
        found["shares"],
        right=found["exact"][:, -1],
        name=f"dynamics-paths-{run.index}-{kind}",
        starts=STARTS,
        steps=len(right),
        solved=kind == "solved",
        ended=(right[run.depth - 1], right[-1]),
    )


def _table(runs: list[ProbedRun]) -> ReportPart:
    names = list(dict.fromkeys(name for run in runs for name in run.numbers["dynamics"]["auroc"]))
    rows = []
    for run in runs:
        for ends, seen in (("", run.near), ("_far", run.far)):
            found, (low, high) = (run.numbers["dynamics"][f"{key}{ends}"] for key in ("auroc", "chance"))
            exact, values = seen.exact[-1], [found.get(name, np.nan) for name in names]
            texts = [f"{value:.2f}" if np.isfinite(value) else "" for value in values]
            texts.append(f"{low:.2f} to {high:.2f}" if np.isfinite(low) else "")
            rows.append([run.label, str(len(seen)), f"{int((~exact).sum())} of {len(exact)}", *texts])
    return table("dynamics-table", rows, ["run", "after step", "wrong", *names, "by chance (95 %)"])
