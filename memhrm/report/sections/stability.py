"""Stability of solutions: do they hold if the question is made easier, or replaced by a symmetric one?"""

from typing import Any

from memhrm.probes.stability import from_solution, one_blank, relabelled
from memhrm.report.curves import curves, of_runs
from memhrm.report.page import ReportPart, percent, table
from memhrm.report.run import ProbedRun

VARIANTS = 8


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return None where there is nothing of it: in episodes, and for a task without symmetries, as texts."""
    subject, seed = run.few(), run.settings.seed
    found = {
        "one_blank": one_blank(subject, seed=seed),
        "from_solution": from_solution(subject),
        "relabelled": relabelled(subject, tries=VARIANTS, seed=seed, baseline=run.near_few),
    }
    known = {name: value for name, value in found.items() if value is not None}
    return {"puzzles": len(subject), **known} if known else None


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures, and a table of the failures that a symmetry mends."""
    found = [(run, run.numbers["stability"]) for run in runs]
    figures = {name: of_runs(runs, "stability", name, "exact") for name in ("one_blank", "from_solution")}
    parts = [curves(f"stability-{name}", series) for name, series in figures.items() if series]
    rows = []
    for run, one in found:  # If anything was found, so were the variants.
        failed = f"{len(one['relabelled']['rows'])} of {one['puzzles']}"
        rows.append([run.label, failed, *(percent(one["relabelled"][key]) for key in ("mean", "any"))])
    return [*parts, table("stability-table", rows)]
