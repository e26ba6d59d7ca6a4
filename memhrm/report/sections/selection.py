"""Which memory cells are active, how similar they are, and what they tell about the puzzle."""

from typing import Any

import numpy as np

from memhrm.probes import cells
from memhrm.probes.information import information
from memhrm.report.curves import Line, lines
from memhrm.report.maps import matrix
from memhrm.report.page import Figure, Section, Table
from memhrm.report.sections import likeness, telling
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, percent
from memhrm.report.sections.learning import logged

NAME = "cells"
LOGGED = {
    "usage_entropy_share": ("Usage entropy", "share of the maximum"),
    "null_corrected_information": ("Null-corrected information about the puzzle", "nats"),
    "switching_supervision": ("Switching between supervision steps", "new among the active cells"),
    "dead_cells": ("Cells never selected", "cells"),
    "cosine_cls": ("Similarity of the CLS", "mean |cosine| of two cells"),
    "cosine_contents": ("Similarity of the contents", "mean |cosine| of two cells"),
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
    """Return what a run logged about its cells during training: the steps and the values, by name."""
    found = {name: logged(metrics, f"probe/{name}") for name in LOGGED}
    return {name: one for name, one in found.items() if one is not None and len(one["step"]) > 1}


def show(runs: list[Seen]) -> Section:
    parts: list[Any] = [part for run in runs for part in _usage(run)]
    step = "supervision step"
    entropies = [
        Line(r.label, r.numbers[NAME]["entropy"], run=r.index)
        for r in runs
        if len(r.numbers[NAME]["entropy"]) > 1  # For a single step the table has it.
    ]
    switches = [line for r in runs for line in _switching(r)]
    if entropies:
        drawing = lines(
            f"{NAME}-entropy",
            "Usage entropy at each step",
            entropies,
            step,
            "share of the maximum",
            share=True,
        )
        says = "Entropy of the usage over all puzzles at each step; 100 % if every cell is used equally."
        parts.append(Figure("Usage entropy", drawing, says))
    if switches:
        drawing = lines(
            f"{NAME}-switching",
            "Share of active cells that are new",
            switches,
            step,
            "new among the active cells",
            share=True,
        )
        says = (
            "Share of a puzzle's active cells that were not active at the same H-step of the previous "
            "supervision step (solid), or at the previous H-step (dashed)."
        )
        parts.append(Figure("Switching", drawing, says))
    parts += [part for run in runs for part in likeness.show(run)]
    parts += telling.show(runs)
    parts += _training(runs)
    parts.append(_table(runs))
    lead = (
        "Which memory cells are used, for which puzzles, and whether they differ. Cells are numbered from 0."
    )
    return Section(NAME, "Memory cells", lead, parts)


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
                "supervision step.H-step",
                "cell",
                limit=1.0,
                share=True,
                columns=shown,
            ),
            f"Share of the puzzles for which each of the {counted(N, 'cell')} is active at each H-step; "
            f"{found['active']} of them {'is' if found['active'] == 1 else 'are'} active at a time.",
        )
    ]
    ratio = np.array(found["co_selection"]["ratio"], float)
    np.fill_diagonal(ratio, np.nan)
    with np.errstate(divide="ignore"):
        bits = np.clip(np.log2(ratio), -3, 3)
    if (np.abs(bits[np.isfinite(bits)]) > 1e-3).any():  # Of a shared cell, say, there is nothing to tell.
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
                "How often two cells are active together, relative to cells that are selected independently "
                "at the same rates: blue is more often, orange less. 1 on the log2 scale means twice as "
                "often.",
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
    for name, (title, y) in LOGGED.items():
        found = [(run, run.numbers[NAME]["training"].get(name)) for run in runs]
        series = [Line(run.label, one["value"], one["step"], run=run.index) for run, one in found if one]
        if series:
            drawing = lines(f"{NAME}-training-{name}", f"{title} over training", series, "optimiser step", y)
            says = "As logged during training with probe=light."
            figures.append(Figure(f"{title}, over training", drawing, says))
    return figures


def _table(runs: list[Seen]) -> Table:
    rows = []
    for run in runs:
        found = run.numbers[NAME]
        N, dead = np.shape(found["usage"])[-1], np.asarray(found["dead"]).tolist()
        names = ", ".join(f"cell {cell}" for cell in dead) if 0 < len(dead) < 9 else str(len(dead) or "none")
        nats = f"{found['entropy_all']['nats']:.3f} of {np.log(N):.3f}"
        heavy = "" if found["weights"] is None else _named(found["weights"])
        used = _named(_share(found))
        rows.append([run.label, str(N), str(found["active"]), nats, names, used, heavy])
    return Table(
        "Summary",
        ["run", "cells", "active", "usage entropy, nats", "never selected", "most used", "most weight"],
        rows,
        "Usage entropy over all H-steps; the cells that no puzzle selects; the cell that is active in the "
        "largest share of the H-steps; and the cell with the largest share of the weight: a cell can be "
        "selected often and still carry little weight.",
    )


def say(run: Seen) -> list[str]:
    found = run.numbers[NAME]
    N, dead = np.shape(found["usage"])[-1], len(found["dead"])
    share, used = percent(found["entropy_all"]["share"], 0), _share(found)
    count = f"all {N} cells" if not dead else f"{N - dead} of {counted(N, 'cell')}"
    said = (
        f"It uses {count if N > 1 else 'its only cell'} (usage entropy {share} of the maximum). Cell "
        f"{used.argmax()} is used most, in {percent(float(used.max()))} of the H-steps"
    )
    if found["weights"] is not None and N > 1:
        said += f"; the most weight goes to {_named(found['weights'])}"
    return [f"{said}.", *(telling.tells(name, one) for name, one in found["information"].items())]


def _share(found: Numbers) -> np.ndarray:
    """Return the share of all H-steps in which each cell is active, (N,)."""
    return np.asarray(found["usage"]).mean(axis=(0, 1))


def _named(shares: np.ndarray) -> str:
    """Name the cell with the largest share, and the share; cells count from 0, as everywhere."""
    cell = int(np.argmax(shares))
    return f"cell {cell}, {percent(float(shares[cell]))}"


TOPIC = Topic(NAME, look, show, say)
