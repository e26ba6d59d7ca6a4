"""How stable a solution is."""

from typing import Any

import numpy as np

from memhrm.probes.stability import from_solution, one_blank, relabelled
from memhrm.report.curves import Line, lines
from memhrm.report.page import Figure, Section, Table
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, percent

NAME = "stability"
TRIES = 8
SOURCE = "Ren and Liu, arXiv 2601.10679."


def look(looking: Looking) -> Numbers | None:
    """Return None for episodes: a symmetry would break the secret rule that their answers follow."""
    subject, seed = looking.few(looking.how.few_puzzles), looking.how.seed
    found = {
        "one_blank": one_blank(subject, seed=seed),
        "from_solution": from_solution(subject),
        "relabelled": relabelled(
            subject, tries=TRIES, seed=seed, baseline=looking.near.select(slice(len(subject)))
        ),
    }
    known = {name: value for name, value in found.items() if value is not None}
    return {"puzzles": len(subject), **known} if known else None


def show(runs: list[Seen]) -> Section:
    parts: list[Any] = []
    for part, name, title, about, says in (
        (
            "one_blank",
            "blank",
            "One token blank",
            "Solved with one token blank",
            "Share of solutions with a single blank token that the model completes, after each step.",
        ),
        (
            "from_solution",
            "solution",
            "Start from the solution",
            "Still solved",
            "Share of puzzles that are still right after each step when the question is already the "
            "solution.",
        ),
    ):
        found = [(run, run.numbers[NAME][part]) for run in runs if part in run.numbers[NAME]]
        if found:
            series = [Line(run.label, one["exact"], run=run.index) for run, one in found]
            step, exact = "supervision step", "exact accuracy"
            drawing = lines(f"{NAME}-{name}", about, series, step, exact, share=True)
            parts.append(Figure(title, drawing, says, SOURCE))
    rows = []
    for run in runs:  # If anything was found, so were these.
        found = run.numbers[NAME]["relabelled"]
        failed = len(found["rows"])
        rows.append(
            [
                run.label,
                f"{failed} of {run.numbers[NAME]['puzzles']}",
                percent(found["mean"]),
                percent(found["any"]),
            ]
        )
    parts.append(
        Table(
            "Failures under symmetries",
            ["run", "failures", "solved in one try", f"in any of {TRIES} tries"],
            rows,
            "Share of the failed puzzles that the model solves after a random symmetry of the puzzle, "
            "such as renaming the digits; empty if it fails on none.",
            SOURCE,
        )
    )
    return Section(
        NAME,
        "Stability",
        "Do solutions hold if the question is made easier, or replaced by a symmetric one?",
        parts,
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]["relabelled"]
    if not len(found["rows"]) or not np.isfinite(found["any"]):
        return []
    solved, failed = int(found["solved"].any(axis=0).sum()), len(found["rows"])
    puzzles = counted(run.numbers[NAME]["puzzles"], "puzzle")
    return [
        f"It fails on {failed} of {puzzles}; in at least one of {TRIES} symmetric variants it solves "
        f"{solved} of {failed}."
    ]


TOPIC = Topic(NAME, look, show, say)
