"""Which cells are active, and how alike and how informative they are."""

from typing import Any

import numpy as np

from memhrm.probes import cells
from memhrm.probes.curves import Line, lines
from memhrm.probes.information import information
from memhrm.probes.maps import matrix
from memhrm.probes.page import Figure, Section, Table
from memhrm.probes.sections import likeness, telling
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic, percent

NAME = "cells"
LOGGED = {
    "usage_entropy_share": "Entropy of the usage, share of the most possible",
    "null_corrected_information": "Null-corrected information about the puzzle, nats",
    "switching_supervision": "Active cells that change from step to step",
    "dead_cells": "Dead cells",
    "cosine_cls": "Mean |cosine| of two CLS",
    "cosine_contents": "Mean |cosine| of two contents",
}


def look(looking: Looking) -> Numbers | None:
    if not looking.cells:
        return None
    how, traces = looking.how, looking.near.traces
    usage = cells.usage(traces)
    over = usage.mean(axis=1)  # (S, N)
    found: Numbers = {
        "usage": usage,
        "entropy": cells.entropy(over)["share"],
        "entropy_all": {name: float(value) for name, value in cells.entropy(over.mean(axis=0)).items()},
        "switching": cells.switching(traces),
        "dead": cells.dead(traces),
        "co_selection": cells.co_selection(traces),
        "weights": cells.weights(traces) if "alpha" in traces else None,
        "active": int(traces["indices"].shape[-1]),
        "information": information(traces, looking.subject.groups, how.shuffles, how.seed),
    }
    found |= likeness.look(looking)
    found["training"] = _logged(looking.metrics)
    return found


def _logged(metrics: list[dict[str, Any]]) -> Numbers:
    """What a run logged of its cells during training: by name the steps and the values."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in LOGGED:
        points = [(line["step"], line[f"probe/{name}"]) for line in metrics if f"probe/{name}" in line]
        if len(points) > 1:
            steps, values = zip(*points)
            found[name] = {"step": np.array(steps), "value": np.array(values, float)}
    return found


def show(runs: list[Seen]) -> Section:
    parts: list[Any] = [part for run in runs for part in _usage(run)]
    step = "supervision step"
    entropies = [
        Line(r.label, r.numbers[NAME]["entropy"], run=r.index)
        for r in runs
        if len(r.numbers[NAME]["entropy"]) > 1  # Of a single step the table says it.
    ]
    switches = [line for r in runs for line in _switching(r)]
    if entropies:
        drawing = lines(
            f"{NAME}-entropy",
            "Entropy of the usage after each step",
            entropies,
            step,
            "share of the most possible",
            share=True,
        )
        says = "How evenly the puzzles together use the cells at each step: 100 % if all equally."
        parts.append(Figure("Entropy of the usage", drawing, says))
    if switches:
        drawing = lines(
            f"{NAME}-switching",
            "Active cells that were not active before",
            switches,
            step,
            "new among the active cells",
            share=True,
        )
        says = (
            "The share of a puzzle's active cells that were not active at the same H-step one supervision "
            "step before (full line), or at the H-step before (broken line)."
        )
        parts.append(Figure("Switching", drawing, says))
    parts += [part for run in runs for part in likeness.show(run)]
    parts += telling.show(runs)
    parts += _training(runs)
    parts.append(_table(runs))
    return Section(NAME, "Cells", "Which cells are used, by whom, and whether they differ.", parts)


def _usage(run: Seen) -> list[Figure]:
    found = run.numbers[NAME]
    usage = np.asarray(found["usage"])
    S, H, N = usage.shape
    columns = [f"{s + 1}.{h + 1}" for s in range(S) for h in range(H)]
    every = max(1, len(columns) // 12)
    shown = [name if i % every == 0 else "" for i, name in enumerate(columns)]
    figures = [
        Figure(
            f"Usage: {run.label}",
            matrix(
                f"{NAME}-usage-{run.index}",
                "Usage of each cell at each H-step",
                usage.reshape(S * H, N).T,
                "supervision step . H-step",
                "cell",
                limit=1.0,
                share=True,
                columns=shown,
            ),
            f"The share of the puzzles in which each of the {N} cells is active, at every H-step; "
            f"{found['active']} are active at a time.",
        )
    ]
    ratio = np.array(found["co_selection"]["ratio"], float)
    np.fill_diagonal(ratio, np.nan)
    with np.errstate(divide="ignore"):
        bits = np.clip(np.log2(ratio), -3, 3)
    if (np.abs(bits[np.isfinite(bits)]) > 1e-3).any():  # A shared cell, say, is with each as often as it is.
        figures.append(
            Figure(
                f"Together: {run.label}",
                matrix(
                    f"{NAME}-together-{run.index}",
                    "How often two cells are active together",
                    bits,
                    "cell",
                    "cell",
                    limit=3.0,
                    square=True,
                    note="log2",
                ),
                "How much more (blue) or less (orange) often two cells are active together than cells "
                "that are as often active and have nothing to do with each other; 1 on the scale is twice "
                "as often.",
            )
        )
    return figures


def _switching(run: Seen) -> list[Line]:
    found = run.numbers[NAME]["switching"]
    S = len(found["supervision"]) + 1
    series = (
        [Line(f"{run.label}, supervision step", found["supervision"], range(2, S + 1), run=run.index)]
        if S > 1
        else []
    )
    if np.size(found["H_steps"]):
        within = np.asarray(found["H_steps"]).mean(axis=1)
        series.append(Line(f"{run.label}, H-step", within, run=run.index, dashed=True))
    return series


def _training(runs: list[Seen]) -> list[Figure]:
    figures = []
    for name, what in LOGGED.items():
        found = [(run, run.numbers[NAME]["training"].get(name)) for run in runs]
        series = [Line(run.label, one["value"], one["step"], run=run.index) for run, one in found if one]
        if series:
            drawing = lines(
                f"{NAME}-training-{name}", f"{what} over training", series, "optimiser step", what
            )
            figures.append(
                Figure(f"{what}, over training", drawing, "As the run logged it with probe=light.")
            )
    return figures


def _table(runs: list[Seen]) -> Table:
    rows = []
    for run in runs:
        found = run.numbers[NAME]
        N, dead = np.shape(found["usage"])[-1], list(np.asarray(found["dead"]) + 1)
        few = len(dead) < 9
        names = ", ".join(f"cell {cell}" for cell in dead) if dead and few else str(len(dead) or "none")
        entropy = found["entropy_all"]
        heavy = "" if found["weights"] is None else _heaviest(found["weights"])
        nats = f"{entropy['nats']:.3f} of {np.log(N):.3f}"
        rows.append([run.label, str(N), str(found["active"]), nats, names, heavy])
    return Table(
        "At a glance",
        ["run", "cells", "active", "entropy, nats", "dead cells", "most weight"],
        rows,
        "Entropy of the usage over all H-steps, the cells that no puzzle ever selects, and the cell with "
        "most of the weight that the selected ones are given: a cell can be selected and count for nothing.",
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]
    N, dead = np.shape(found["usage"])[-1], len(found["dead"])
    share = percent(found["entropy_all"]["share"], 0)
    said = f"selects {N - dead} of its {N} cells, with {share} of the entropy possible"
    if found["weights"] is not None and N > 1:
        said += f"; most of their weight has {_heaviest(found['weights'])}"
    return [
        f"{said}.",
        *(f"{telling.tells(name, one)}." for name, one in found["information"].items()),
    ]


def _heaviest(weights: np.ndarray) -> str:
    """The cell that has most of the weight, and its share."""
    cell = int(np.argmax(weights))
    return f"cell {cell + 1}, {percent(float(weights[cell]))}"


TOPIC = Topic(NAME, look, show, say)
