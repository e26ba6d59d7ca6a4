"""Texts: does recursion help to classify them, and does a memory of labelled examples?

    python -m experiments.text --scale cpu      # docs/text.md says which files it needs, and where

Beside every table what needs no network: linear classifiers on TF-IDF, the nearest told text, n-grams; each
is computed on the very texts, episodes and masks of a run.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.grid.comparison import COLUMNS
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, values
from experiments.grid.run import Run, Variant, grid
from experiments.grid.stats import over_seeds
from experiments.grid.study import Study, main
from experiments.grid.tasks import BANKING, CLINC, FEW_SHOT, FEWER_SEEDS, FIVE, PROSE, TEN, TEXTS

_FLAT = ("model.H_net=own", "model.L_layers=0", "model.L_cycles=0", "model.H_cycles=1")
ONE = Variant("TRM, one H-cycle")
_of = ONE.change
CYCLES = [ONE, *(_of(f"TRM, {cycles} H-cycles", f"model.H_cycles={cycles}") for cycles in (2, 4, 8))]
LONG = CYCLES[-1:]
"""What takes long; it has one seed."""
FLAT = [
    _of("feed-forward, 8 blocks", *_FLAT, "model.H_layers=8"),
    _of("recurrent transformer, 2 blocks, 4 steps", *_FLAT, "model.H_layers=2", "halting.halt_max_steps=4"),
]
"""Controls with as many FLOPs as four H-cycles."""
BANK = _of("retrieval", "+memory=retrieval")
LATER = _of("retrieval, 7 categories added later", "+memory=retrieval", "data.left_out=7")
_TOLD = "memory.write_when=told"
MEMORIES = [
    Variant("no memory"),
    Variant("one memory", "no memory", ("+memory=bicross", _TOLD)),
    Variant(
        "cells",
        "no memory",
        (
            *("+memory=multicell", _TOLD, "memory.cells=32", "k=5"),
            *("memory.addressing=learned", "memory.hold=none"),
        ),
    ),
]
WRITERS = [
    Variant("TRM, 2 H-cycles"),
    Variant("feed-forward, 8 blocks", None, (*_FLAT, "model.H_layers=8")),
]
"""As many FLOPs for each."""
SHARES = ("0.15", "0.5", "0.85", "1")
WAYS = ("5", "20")


def runs(scale: str) -> list[Run]:
    """Return the runs on categories, then the few-shot episodes and prose; controls are measured on one."""
    tasks, seeds = TEXTS[scale], FEWER_SEEDS[scale]

    def of(name: str, variants: Sequence[Variant], measures: Sequence[str] = (), few: int = 3) -> list[Run]:
        return grid({tasks[name]: variants}, seeds[:few], measures) if name in tasks else []

    every: list[Run] = []
    for name in (BANKING, CLINC, TEN, FIVE):
        every += [*of(name, [ONE], ["linear"]), *of(name, [BANK])]
    every += of(BANKING, [*CYCLES[1:-1], *FLAT]) + of(BANKING, LONG, few=1)
    every += of(BANKING, [LATER], ["added"]) if scale != "smoke" else []
    every += of(FEW_SHOT, MEMORIES[:1], ["nearest"], few=1) + of(FEW_SHOT, MEMORIES[1:], ["nearest", "reset"])
    return every + of(PROSE, WRITERS, ["grams"], few=1)


def render(found: dict[str, Variants]) -> Page:
    """Return a table for each task, and the numbers."""
    page = Page()
    for task, of_task in found.items():
        make = {FEW_SHOT: episodes, PROSE: prose}.get(task, classified)
        page.tables[task] = make(of_task)
        page.add_numbers(f"text/{task}", numbers(of_task))
    return page


def classified(found: Variants) -> Table:
    """Return a line for each variant and each linear classifier: exact answers, other scores, the cost."""
    rows = found[ONE.name]
    lines = [
        [name, f"{len(rows)}", over_seeds(rows, f"linear.{of}").text(), "", _share(rows, auroc), "", "", ""]
        for name, of, auroc in (
            ("TF-IDF, linear SVM", "svm", "linear.svm_oos_auroc"),
            ("TF-IDF, logistic regression", "bag", ""),
        )
    ]
    for name, rows in found.items():
        lines.append(
            [
                name,
                f"{len(rows)}",
                over_seeds(rows, "exact_accuracy").text(),
                _share(rows, "macro_f1"),
                _share(rows, "oos_auroc"),
                *_cost(rows),
            ]
        )
        if "added.added" in rows:
            count = int(values(rows, "added.added_tests").mean())
            score = over_seeds(rows, "added.added").text()
            lines.append([f"of these {count} texts of the added", f"{len(rows)}", score, *[""] * 5])
    head = [
        "exact, %",
        "seeds",
        "all texts",
        "macro F1",
        "AUROC out of scope",
        "MFLOP",
        "parameters",
        "seconds",
    ]
    filled = [place for place in range(len(head)) if any(line[place] for line in lines)]
    return Table(head, lines).select(filled)


def episodes(found: Variants) -> Table:
    """Return a line for each memory and the nearest told text: exact answers by the number of categories."""
    first = next(iter(found.values()))
    near = [_share(first, f"nearest.nearest_ways={ways}") for ways in WAYS]
    lines = [["nearest told text, TF-IDF", f"{len(first)}", *near, "", "", "", ""]]
    for name, rows in found.items():
        scores = (over_seeds(rows, column).text() for column in _by_ways(rows))
        lines.append([name, f"{len(rows)}", *scores, _share(rows, "reset.reset"), *_cost(rows)])
    head = ["exact, %", "seeds", *(f"{ways} categories" for ways in WAYS), "memory reset"]
    return Table([*head, "MFLOP", "parameters", "seconds"], lines)


def _by_ways(rows: pd.DataFrame) -> list[str]:
    return ["exact_accuracy", *(f"series.ways={ways}.exact_accuracy" for ways in WAYS[1:])]


def prose(found: Variants) -> Table:
    """Return a line for each model and n-grams: nats for a masked token by the share that is masked."""
    first = next(iter(found.values()))
    lines = [
        ["n-grams", "", *(_number(first, f"grams.grams_masked={share}") for share in SHARES), "", "", ""]
    ]
    for name, rows in found.items():
        lines.append([name, f"{len(rows)}", *(_number(rows, _loss(share)) for share in SHARES), *_cost(rows)])
    head = ["nats a masked character", "seeds", *(f"{100 * float(share):.0f} %" for share in SHARES)]
    return Table([*head, "MFLOP", "parameters", "seconds"], lines)


def _loss(share: str) -> str:
    return "lm_loss" if share == "0.5" else f"series.masked={share}.lm_loss"


def _share(rows: pd.DataFrame, name: str) -> str:
    return f"{100 * values(rows, name).mean():.1f}" if name in rows else ""


def _number(rows: pd.DataFrame, name: str) -> str:
    return f"{values(rows, name).mean():.2f}" if name in rows else ""


def _cost(rows: pd.DataFrame) -> list[str]:
    return [COLUMNS[name](rows) for name in ("MFLOP", "parameters", "seconds")]


def numbers(found: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the numbers for the text: the exact accuracy of each variant, in %."""
    return {name: f"{100 * values(rows, 'exact_accuracy').mean():.1f}" for name, rows in found.items()}


STUDY = Study("text", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
