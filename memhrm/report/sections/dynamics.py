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
    parts = []
    for kind, whats in (("residual", (*LEVELS, "memory")), ("norm", ("state", "memory"))):
        for what in whats:
            series = [line for run in runs for line in _lines(run, kind, what)]
            if series:
                about = {"depth": shared_depth(runs), "what": what if what in LEVELS else f"the {what}"}
                parts.append(curves(f"dynamics-{kind}", series, name=f"dynamics-{kind}-{what}", **about))
    parts += [_path(run, kind) for run in runs for kind in run.numbers["dynamics"]["paths"]]
    return [*parts, _table(runs)]


def _lines(run: ProbedRun, kind: str, what: str) -> list[Series]:
    """Return the residuals or norms of a run for z_H, z_L, both (the state) or the memory."""
    found, lines = run.numbers["dynamics"][kind], []
    names = {"state": LEVELS, "memory": [name for name in found if name not in LEVELS]}.get(what, [what])
    for name in names:
        label = run.label if len(names) == 1 else f"{run.label}, {name}"
        if kind == "norm":
            lines.append(Series(label, found[name]["all"]["mean"], run=run.index, dashed=name == "z_L"))
            continue
        for outcome, word in (("correct", "right"), ("incorrect", "wrong")):
            y = found[name][outcome]["median"]
            y = np.where(y > 0, y, np.nan)  # A logarithm has no place for what stands still.
            if np.isfinite(y).any():
                lines.append(Series(f"{label}, {word}", y, run=run.index, dashed=word == "wrong"))
    return lines


def _path(run: ProbedRun, kind: str) -> ReportPart:
    found = run.numbers["dynamics"]["paths"][kind]
    right, name = found["exact"].sum(axis=0), f"dynamics-paths-{run.index}-{kind}"
    about = {"starts": STARTS, "steps": len(right), "ended": (right[run.depth - 1], right[-1])}
    about |= {"solved": kind == "solved", "right": found["exact"][:, -1]}
    return trajectories("dynamics-paths", run, found["points"], found["shares"], name=name, **about)


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
