"""Films of puzzles, for each run."""

import numpy as np

from memhrm.data.grid import GridTask
from memhrm.probes.rollout import rollout
from memhrm.report.film import Shot, film, given, shown_answers
from memhrm.report.page import Section
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic

NAME = "film"
LABELS = {"solved": "solved", "failed": "not solved"}


def look(looking: Looking) -> Numbers:
    """Return, by kind of example, the row of the puzzle and what its film shows."""
    steps = max(looking.trained, min(4 * looking.trained, 16))
    found: Numbers = {}
    if not isinstance(looking.subject.task, GridTask):  # A film shows a character for each token.
        return found
    for kind, row in looking.examples.items():
        one = looking.subject.select([row])
        seen = rollout(one, steps)
        found[kind] = {
            "row": row,
            "inputs": one.inputs[0].cpu().numpy(),
            "labels": one.labels[0].cpu().numpy(),
            "tokens": seen.tokens[:, 0],
            "q": 0.5 * (1 + np.tanh(seen.q_halt[:, 0].astype(float) / 2)),
        }
        if (episodes := one.episodes) is not None and episodes.length > 1:
            before = slice(int(one.numbered()[0]) % episodes.length)
            shown = shown_answers(one.task, episodes.feedback[0, before])
            found[kind] |= {"shown_questions": episodes.inputs[0, before], "shown_answers": shown}
        if looking.cells:
            found[kind] |= {
                name: seen.traces[name][:, :, 0] for name in ("indices", "alpha") if name in seen.traces
            }
    return found


def show(runs: list[Seen]) -> Section:
    parts = []
    for run in runs:
        if not run.numbers[NAME]:
            continue
        what = "puzzle" if run.looking.position is None else f"puzzle {run.looking.position} of episode"
        shots = [
            Shot(
                label=f"{LABELS[kind]} ({what} {one['row'] + 1})",
                inputs=one["inputs"],
                labels=one["labels"],
                tokens=one["tokens"],
                q=one["q"],
                indices=one.get("indices"),
                alpha=one.get("alpha"),
                shown=(one["shown_questions"], one["shown_answers"]) if "shown_answers" in one else None,
            )
            for kind, one in run.numbers[NAME].items()
        ]
        cells = run.looking.cells
        task, trained = run.looking.subject.task, run.looking.trained
        parts.append(film(f"film-{run.index}", run.label, task, shots, cells, trained))
    active = before = ""
    if any(run.looking.cells for run in runs):
        active = (
            " The dots show the memory cells that are active at each H-step; larger dots have more weight."
        )
    if any(run.looking.position for run in runs):
        before = " Above them is the feedback that the episode showed before; a dot is an answer not shown."
    marked = any(
        given(run.looking.subject.task, one["inputs"], one["labels"]).any()
        for run in runs
        for one in run.numbers[NAME].values()
    )
    clues = " Tokens in bold on a shaded ground are given." if marked else ""
    lead = (
        "The model's answer to one puzzle after each supervision step, beside the correct answer. Wrong "
        f"tokens are framed and struck out.{clues}{before}{active}"
    )
    return Section(NAME, "Films", lead, parts)


TOPIC = Topic(NAME, look, show)
