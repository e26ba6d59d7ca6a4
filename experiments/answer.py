"""The answer in five rows: where memory helps, how much, and at what cost.

Puzzles need no memory. Recall needs one, contexts many that are kept apart, hops one that is read again.
"""

import pandas as pd

from experiments import contexts, episodes, hops, main_table
from experiments.grid.page import Table
from experiments.grid.results import Variants, arrange, curves, read, values
from experiments.grid.stats import estimate, over_seeds
from experiments.grid.study import Study
from experiments.grid.tasks import RECALL

LINES = {
    "no memory": ("TRM, g=2", "baseline", "no memory", hops.DEEP.name),
    "carry-add (control)": ("TRM + carry-add", "carry-add", "carry-add, width 112", hops.CARRY.name),
    "one memory (bicross)": ("TRM + bicross, augment", "bicross", contexts.BICROSS, hops.BOTH.name),
    "selected cells (multicell)": (
        "TRM + multicell, augment",
        "multicell, k=2",
        contexts.CELLS,
        hops.CELLS.name,
    ),
}
"""Each line's variant of `main_table`, `episodes`, `contexts` and `hops`."""

WHERE = [2, 32]
"""The puzzles of an episode that are shown."""
CONTEXTS_OF, HOPS_OF = 32, 4


def files(scale: str) -> dict[str, bytes]:
    """Return the table by its path in paper/, with the columns of the studies that have results.

    Nothing where there are none on puzzles or on recall.
    """
    puzzles = _found(main_table.STUDY, scale)
    recall = _found(episodes.STUDY, scale).get(RECALL, {})
    if not puzzles or not recall:
        return {}
    found = _found(contexts.STUDY, scale)
    on_contexts = {**found.get(contexts.MAIN, {}), **found.get(contexts.FRESH, {})}
    on_hops = _found(hops.STUDY, scale).get(hops.MAIN, {})
    made = table(puzzles, recall, on_contexts, on_hops)
    return {f"tables/answer-{scale}.md": made.markdown().encode()}


def _found(study: Study, scale: str) -> dict[str, Variants]:
    """Return the rows of a study by task, none where it has no results."""
    path = study.results(scale)
    return arrange(read(path)) if path.exists() else {}


def table(puzzles: dict[str, Variants], recall: Variants, on_contexts: Variants, on_hops: Variants) -> Table:
    """Return exact accuracy on puzzles, recall and hops, and contexts held with what a step of them costs."""
    head = ["exact, %", *puzzles, *(f"recall, puzzle {place}" for place in WHERE)]
    best = ["best possible", *["100.0"] * len(puzzles), *episodes.at(episodes.best(recall), WHERE)]
    if on_hops:
        head.append(f"{HOPS_OF} hops")
        best.append("100.0")
    if on_contexts:
        head += [f"contexts held, of {CONTEXTS_OF}", "at MFLOP a step"]
        best += [f"{CONTEXTS_OF}", ""]
    lines = [best]
    for title, (variant, episodic, among, hopping) in LINES.items():
        scores = [over_seeds(of_task[variant], "exact_accuracy").text() for of_task in puzzles.values()]
        exact = curves(recall[episodic], "positions.kept")
        line = [title, *scores, *(estimate(exact[:, place - 1]).text() for place in WHERE)]
        if on_hops:
            line += _hops(on_hops.get(hopping))
        if on_contexts:
            line += _held(on_contexts.get(among))
        lines.append(line)
    return Table(head, lines)


def _hops(rows: pd.DataFrame | None) -> list[str]:
    return [""] if rows is None else [estimate(hops.diagonal(rows, HOPS_OF)).text()]


def _held(rows: pd.DataFrame | None) -> list[str]:
    if rows is None:
        return ["", ""]
    held = over_seeds(rows, contexts.held(CONTEXTS_OF)).text(scale=1)
    return [held, f"{values(rows, 'flops').mean() / 1e6:.1f}"]
