"""A puzzle's film for each run."""

import numpy as np

from memhrm.probes.film import Shot, film, given
from memhrm.probes.page import Section
from memhrm.probes.rollout import rollout
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic

NAME = "film"
LABELS = {"solved": "solved", "failed": "not solved"}


def look(looking: Looking) -> Numbers:
    """By kind, the puzzle's row and what there is to see of it."""
    steps = max(looking.trained, min(4 * looking.trained, 16))
    found: Numbers = {}
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
        if looking.cells:
            found[kind] |= {
                name: seen.traces[name][:, :, 0] for name in ("indices", "alpha") if name in seen.traces
            }
    return found


def show(runs: list[Seen]) -> Section:
    parts = []
    for run in runs:
        what = "no." if run.looking.position is None else f"puzzle {run.looking.position} of episode"
        shots = [
            Shot(
                label=f"{LABELS[kind]} ({what} {one['row'] + 1})",
                inputs=one["inputs"],
                labels=one["labels"],
                tokens=one["tokens"],
                q=one["q"],
                indices=one.get("indices"),
                alpha=one.get("alpha"),
            )
            for kind, one in run.numbers[NAME].items()
        ]
        cells = run.looking.cells
        task, trained = run.looking.subject.task, run.looking.trained
        parts.append(film(f"film-{run.index}", run.label, task, shots, cells, trained))
    active = (
        " Beside it, the cells that each H-step has active; a larger dot has more weight."
        if any(run.looking.cells for run in runs)
        else ""
    )
    marked = any(
        given(run.looking.subject.task, one["inputs"], one["labels"]).any()
        for run in runs
        for one in run.numbers[NAME].values()
    )
    lead = (
        f"One puzzle step by step. {'Bold on shaded ground is given; a' if marked else 'A'} wrong cell is "
        f"framed and struck out.{active}"
    )
    return Section(NAME, "A puzzle's film", lead, parts)


TOPIC = Topic(NAME, look, show)
