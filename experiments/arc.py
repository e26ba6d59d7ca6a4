"""ARC: generated rules through the memory, and real tasks by identifiers and strictly.

    python -m memhrm.data build arc path=FOLDER out=runs/data/arc   # docs/arc.md says where the tasks are
    python -m experiments.arc --scale cpu

Generated rules: tests of rules that were trained; of others of the same kinds, compositions and single ones,
most of which are part of a trained composition; and of compositions of kinds of which none was trained. Real
tasks: those that fit a canvas of 12, scored on the test grids of ARC-AGI-1's evaluation; beside them what a
copy of the input solves, and a grid of one colour.
"""

import pandas as pd

from experiments.grid.comparison import COLUMNS
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, values
from experiments.grid.run import Run, Variant, grid
from experiments.grid.stats import over_seeds
from experiments.grid.study import Study, main
from experiments.grid.tasks import ARC_RULES, ARC_TASKS, FEWER_SEEDS, STRICT

_TOLD = "memory.write_when=told"
NONE = Variant("no memory")
ONE = Variant("one memory", NONE.name, ("+memory=bicross",))
ONE_TOLD = Variant(ONE.name, NONE.name, (*ONE.overrides, _TOLD))
CELLS = Variant("cells", NONE.name, ("+memory=multicell", _TOLD, "k=2"))
TESTS = {"seen": "trained rules", "new": "other rules", "new_compositions": "new compositions"}
"""The tests of generated rules, and how the tables call them."""
PASSES = (1, 2, 5)


def runs(scale: str) -> list[Run]:
    """Return the runs on generated rules, then those on real tasks by identifiers, then the strict ones."""
    seeds, real = FEWER_SEEDS[scale], ARC_TASKS[scale]
    rules = {ARC_RULES[scale]: [NONE, ONE_TOLD, CELLS]}
    by_protocol = {task: [NONE, ONE_TOLD if task.name == STRICT else ONE] for task in real}
    return [*grid(rules, seeds), *grid(by_protocol, seeds, ["votes"])]


def render(found: dict[str, Variants]) -> Page:
    """Return the table of generated rules, that of real tasks, and the numbers."""
    page = Page()
    rules = {task: of_task for task, of_task in found.items() if task == ARC_RULES["cpu"].name}
    real = {task: of_task for task, of_task in found.items() if task not in rules}
    for task, of_task in rules.items():
        page.tables[task] = generated(of_task)
        page.add_numbers(f"arc/{task}", numbers(of_task))
    if real:
        page.tables["real tasks"] = voted(real)
    return page


def exact(test: str) -> str:
    """Return the column of the exact accuracy in a test of generated rules."""
    return f"series.rules={test}.exact_accuracy"


def generated(found: Variants) -> Table:
    """Return a line for each variant: exact answers in each test, and the cost; above, what is possible."""
    first = next(iter(found.values()))
    lines = [
        [name, "", *(f"{100 * _optimum(first, test, column):.1f}" for test in TESTS), "", "", ""]
        for name, column in (("best possible", "optimum"), ("best without memory", "optimum_without_memory"))
    ]
    for name, rows in found.items():
        scores = (over_seeds(rows, exact(test)).text() for test in TESTS)
        lines.append([name, f"{len(rows)}", *scores, *_cost(rows)])
    return Table(["exact, %", "seeds", *TESTS.values(), "MFLOP", "parameters", "seconds"], lines)


def _optimum(rows: pd.DataFrame, test: str, column: str) -> float:
    return float(values(rows, f"series.rules={test}.{column}").mean())


def _cost(rows: pd.DataFrame) -> list[str]:
    return [COLUMNS[name](rows) for name in ("MFLOP", "parameters", "seconds")]


def voted(found: dict[str, Variants]) -> Table:
    """Return a line for each protocol and variant: pass rates, those of the controls, and the cost."""
    lines = [
        [
            task,
            name,
            f"{len(rows)}",
            *(over_seeds(rows, f"votes.pass@{most}").text() for most in PASSES),
            *(f"{100 * values(rows, f'votes.{control}').mean():.1f}" for control in ("copy", "one_colour")),
            f"{int(values(rows, 'votes.tasks').mean())}",
            *_cost(rows),
        ]
        for task, of_task in found.items()
        for name, rows in of_task.items()
    ]
    passes = [f"pass@{most}, %" for most in PASSES]
    head = ["protocol", "", "seeds", *passes, "copy of the input", "one colour", "tasks"]
    return Table([*head, "MFLOP", "parameters", "seconds"], lines)


def numbers(found: Variants) -> dict[str, str]:
    """Return the numbers for the text: VARIANT/TEST is the exact accuracy, in %."""
    return {
        f"{name}/{test}": f"{100 * values(rows, exact(test)).mean():.1f}"
        for name, rows in found.items()
        for test in TESTS
    }


STUDY = Study("arc", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
