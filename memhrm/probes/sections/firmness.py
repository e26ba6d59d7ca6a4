"""How firmly a solution stands."""

from typing import Any

import numpy as np

from memhrm.probes.curves import Line, lines
from memhrm.probes.page import Figure, Section, Table
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic, percent
from memhrm.probes.stability import from_solution, one_blank, relabelled

NAME = "stability"
TRIES = 8
SOURCE = "Ren and Liu, arXiv 2601.10679."


def look(looking: Looking) -> Numbers | None:
    """Nothing for episodes: an answer follows from the secret rule too, and another guise would break it."""
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
            "One blank only",
            "Solved with one blank",
            "The share of solutions with a single blank cell that the model completes, after each step.",
        ),
        (
            "from_solution",
            "solution",
            "Start from the solution",
            "Still solved",
            "The share of puzzles that are still right after each step when the question is the whole "
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
    for run in runs:  # Where there is anything, there are other guises.
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
            "Failures in another guise",
            ["run", "failures", "solved in one try", f"in any of {TRIES}"],
            rows,
            "The share of the puzzles it fails on that it solves after a random symmetry, such as other "
            "names for the digits; empty where it fails on none.",
            SOURCE,
        )
    )
    return Section(
        NAME,
        "Stability",
        "How firmly does a solution stand when the question is made easier or is turned?",
        parts,
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]["relabelled"]
    if not len(found["rows"]) or not np.isfinite(found["any"]):
        return []
    solved, failed = int(found["solved"].any(axis=0).sum()), len(found["rows"])
    puzzles = run.numbers[NAME]["puzzles"]
    return [
        f"fails on {failed} of {puzzles} puzzles; in at least one of {TRIES} other guises it solves "
        f"{solved} of these."
    ]


TOPIC = Topic(NAME, look, show, say)
