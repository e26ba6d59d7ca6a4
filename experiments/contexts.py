"""Contexts: how many rules does each memory hold apart? Against their number, the gap and the cost.

    python -m experiments.contexts --scale cpu

The comparison that was planned before the runs: contexts held of 32, learned cells less one memory of equal
parameters that costs more, seed by seed. All other variants are compared with the learned cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from experiments.grid.page import Page, Table, line_style, log2_axis
from experiments.grid.results import Variants, curves, values
from experiments.grid.run import Run, Variant, grid, pick
from experiments.grid.stats import Estimate, Pairs, contrasts, differences, over_seeds, p_text
from experiments.grid.study import Study, main
from experiments.grid.tasks import CONTEXT_KINDS, CONTEXTS, FEWER_SEEDS, OPEN_CUES, SEEDS
from memhrm.data.episodes.capacity import hashed, perfect
from memhrm.data.episodes.visits import GAPS, REVISED
from memhrm.report.figures import LIGHT

CELLS, BICROSS = "cells, learned address", "one memory, M=10"
LEARNED = Variant(CELLS, BICROSS, ("+memory=multicell", "memory.cells=32", "k=1"))
_of = LEARNED.change
PRIMARY = [LEARNED, Variant(BICROSS, None, ("+memory=bicross", "memory.tokens=10"))]
"""The cells cost 3.1 MFLOP a supervision step and the one memory 3.7; both have 220,000 parameters."""
PLANNED = {CELLS: ([CELLS], BICROSS)}
"""The contrast that was planned, as `contrasts` takes it."""
STRICT = replace(LEARNED, overrides=(*LEARNED.overrides, "memory.fresh=[0.125,0.25,0.5,0.85]"))
"""For open cues: those that share a symbol are more alike than others."""

CONTROLS = [
    Variant("no memory"),
    Variant("carry-add, width 112", None, ("+memory=carry_add", "model.hidden_size=112")),
    Variant("memory tokens, M=16", None, ("+memory=tokens", "memory.tokens=16")),
    Variant("one memory, M=40", None, ("+memory=bicross", "memory.tokens=40")),
    Variant("one memory, M=160", None, ("+memory=bicross", "memory.tokens=160")),
    Variant("aggregate", CELLS, ("+memory=aggregate", "memory.cells=32", "k=1")),
    _of("cells, oracle address", "memory.selector=oracle"),
    _of("cells, hash of the cue", "memory.selector=hash"),
    _of("cells, random", "memory.selector=random", "memory.hold=example"),
    _of("cells, address not learned", "memory.straight_through=none"),
    # With two active cells the formulas' remedy is one that is shared, here and without it.
    _of("cells, address by the formulas", "memory.addressing=formula", "k=2"),
    _of("cells, the formulas, none shared", "memory.addressing=formula", "k=2", "memory.shared_cell=false"),
    _of("all cells", "memory.selector=all", "k=32"),
]
"""The bounds, and what must be beaten before a learned address gets the credit."""

CAPACITY = [
    *(_of(f"cells, N={cells}", f"memory.cells={cells}") for cells in (8, 128)),
    _of("two cells are read", "k=2"),
]
"""More room, and more that is read."""
AGAIN = [
    *pick(CONTROLS, "cells, oracle address", "cells, hash of the cue"),
    *pick(CAPACITY, "cells, N=8", "cells, N=128"),
]
"""Beside the cells of each task, the variants that a sentence compares: they have further seeds. Others, far
from these, have one."""
OPTIONS = [
    _of("mean of the positions asks", "memory.pooling=mean"),
    _of("mean of the queries stays", "memory.center=0"),
    _of("scores without norm", "memory.score_norm=none"),
    _of("scorer starts at random", "memory.scorer_start=random"),
    _of("CLS evolves", "memory.cls=evolving"),
    _of("CLS frozen", "memory.cls=frozen"),
    _of("feedback chooses anew", "memory.hold=none"),
    _of("unused cells score like others", "memory.fresh=[]"),
    _of("unused cells differ", "memory.contents_start=own"),
    _of("bias by load instead", "memory.fresh=[]", "memory.load_bias=0.01"),
    _of("no gradient through the write", "memory.straight_through=read"),
    _of("gate=all", "memory.gate=all"),
    _of("a second cell is shared", "k=2", "memory.shared_cell=true"),
    _of("all are read", "memory.reads=all"),
    _of("all are written", "memory.writes=all"),
]
"""One thing at a time taken out of the learned address, or put in another's place."""

# With these selectors null stands for the formula; what is tried here is how an address is learned.
_POLICY = ("memory.selector=policy", "memory.addressing=learned", "memory.straight_through=none")
_WINNER = ("memory.selector=lowest_loss", "memory.addressing=learned", "memory.straight_through=none")
LOSSES = {
    _of("diverse=1", "loss.diverse=1"): "K falls towards what k cells hold",
    _of("balance=0.1", "loss.balance=0.1"): "K rises where N is near C",
    _of("information=0.1", "loss.information=0.1"): "K rises where N is near C",
    _of("self_sup=0.1, two cells are read", "loss.self_sup=0.1", "k=2"): "two cells become one",
    _of("policy, reward of the step", *_POLICY, "loss.returns=step"): "fails: a write is not rewarded",
    _of("policy, return-to-go", *_POLICY, "loss.returns=episode"): "learns, later than by straight-through",
    _of("lowest loss", *_WINNER): "fails: the cell is only known after the answer",
}
"""The losses and selectors of the proposal, and what was predicted of each before the runs."""

CARRY = pick(CONTROLS, "carry-add, width 112")
RATES = [
    one.change(f"{one.name}, rate {rate}", f"optim.lr={rate}")
    for one in (*PRIMARY, *CARRY)
    for rate in ("5e-4", "2e-3")
]
"""Half and twice the learning rate, with equal effort for each."""

SHOWN = [
    *PRIMARY,
    *pick(CONTROLS, "no memory", "carry-add, width 112", "memory tokens, M=16", "one memory, M=40"),
    *pick(CONTROLS, "cells, oracle address", "cells, hash of the cue"),
    *pick(CAPACITY, "cells, N=128"),
]
"""The variants whose curves are drawn."""
LEARNING = [
    CELLS,
    *("cells, oracle address", "cells, hash of the cue", "cells, address by the formulas"),
    *("cells, address not learned", "unused cells score like others", "policy, return-to-go"),
]
"""The variants of which the way to an address is drawn."""
MAIN, FRESH = "contexts", "fresh seeds"
"""The task of the controls, the options and the losses; and the same with seeds by which nothing was chosen.
"""
FRESH_SEEDS = {"smoke": (2,), "cpu": (5, 6, 7, 8, 9), "gpu": (5, 6, 7, 8, 9)}


def runs(scale: str) -> list[Run]:
    """Return the primary runs first, then the others with one seed, options and rates, and further seeds.

    Losses, options and rates have one seed: what they change is far larger than what a seed does.
    """
    task, few = CONTEXTS[scale], FEWER_SEEDS[scale]
    kinds = {kind: pick(PRIMARY, BICROSS) for kind in CONTEXT_KINDS[scale]}
    for kind, variants in kinds.items():
        variants.insert(0, STRICT if kind.name == OPEN_CUES else LEARNED)
    every = [
        *grid({task: PRIMARY}, SEEDS[scale]),
        *grid({replace(task, name=FRESH): PRIMARY}, FRESH_SEEDS[scale]),
        *grid({task: [*CONTROLS, *CAPACITY], **kinds}, few[:1]),
        *grid({task: [*LOSSES, *OPTIONS, *RATES]}, few[:1]),
        *grid({task: AGAIN, **{kind: variants[:1] for kind, variants in kinds.items()}}, few[1:]),
    ]
    return [
        replace(run, measures=("addresses",)) if "+memory=multicell" in run.settings else run for run in every
    ]


def render(found: dict[str, Variants]) -> Page:
    """Return the tables, the figure and the numbers."""
    page = Page()
    at = tested(found)
    less_cells = {contexts: _less_cells(found, contexts) for contexts in at}
    planned = {contexts: contrasts(found, PLANNED, held(contexts)) for contexts in at}
    page.tables["planned"] = planned_table(planned[most(at)])
    by_hash = {f"{contexts}": f"{contexts * hashed(32, contexts):.1f}" for contexts in at}
    page.add_numbers("contexts/hash", by_hash)  # What 32 cells would hold.
    for task, of_task in found.items():
        page.tables[task] = table(of_task, [*PRIMARY, *CONTROLS, *CAPACITY], less_cells[most(at)][task], at)
        page.tables[f"{task} addresses"] = addresses(of_task)
        page.add_numbers(f"contexts/{task}", numbers(of_task, at))
        for kind in (less_cells, planned):
            for contexts, pairs in kind.items():
                texts = {name: pair.text("+", scale=1) for name, pair in pairs[task].items()}
                more = {f"{name}/{contexts}/difference": text for name, text in texts.items()}
                page.add_numbers(f"contexts/{task}", more)
    if main_task := found.get(MAIN):
        pairs = less_cells[most(at)][MAIN]
        page.tables["options"] = table(main_task, [LEARNED, *OPTIONS], pairs, at)
        page.tables["losses"] = predicted(table(main_task, [LEARNED, *LOSSES], pairs, at))
        page.tables["rates"] = table(main_task, [*PRIMARY, *CARRY, *RATES], pairs, at)
        page.add_figure("", draw, main_task, at, size=(6.8, 3.0))
        page.add_figure("learning", learning, main_task, size=(5.0, 2.6))
    return page


def _less_cells(found: Mapping[str, Variants], contexts: int) -> Pairs:
    """Return what each variant holds more than the learned cells, of so many contexts."""
    others = {name: CELLS for of_task in found.values() for name in of_task if name != CELLS}
    return differences(found, others, held(contexts))


def most(at: Sequence[int]) -> int:
    """Return the number of contexts at which variants are compared: the last but one, that of the cells."""
    return at[-2] if len(at) > 1 else at[-1]


def planned_table(pairs: Pairs) -> Table:
    """Return the planned contrast of each task."""
    lines = [[task, pair.text("+", scale=1), p_text(pair.p), f"{pair.n}"]
             for task, of_task in pairs.items() for pair in of_task.values()]  # fmt: skip
    return Table(["contexts held", f"{CELLS}, less {BICROSS}", "p", "seeds"], lines)


def held(contexts: int) -> str:
    """Return the column of the contexts held of so many."""
    return f"series.contexts={contexts}.contexts_held"


def tested(found: Mapping[str, Variants]) -> list[int]:
    """Return the numbers of contexts that all variants were tested on."""
    every = [set(rows) for of_task in found.values() for rows in of_task.values()]
    names = {name for name in set.intersection(*every) if name.endswith(".contexts_held")}
    return sorted(int(name.split("=")[1].split(".")[0]) for name in names if name.startswith("series."))


def table(
    found: Variants, variants: Sequence[Variant], pairs: Mapping[str, Estimate], at: Sequence[int]
) -> Table:
    """Return a line for each variant: contexts held, their difference, retention and cost."""
    shown = [contexts for contexts in at if contexts != 2]  # Of one: whether it learned anything at all.

    def line(name: str) -> list[str]:
        rows, pair = found[name], pairs.get(name)
        short, long = (_mean(rows, f"exact_accuracy_by_gap.{gap}") for gap in ("1-2", "33+"))
        return [
            name,
            f"{len(rows)}",
            *(over_seeds(rows, held(contexts)).text(scale=1) for contexts in shown),
            pair.text("+", scale=1) if pair else "",
            p_text(pair.p) if pair else "",
            short,
            long,
            f"{values(rows, 'flops').mean() / 1e6:.1f}",
            f"{int(values(rows, 'parameters').mean()):,}",
            f"{values(rows, 'seconds').mean():.0f}",
        ]

    lines = [line(one.name) for one in variants if one.name in found]
    head = ["contexts held", "seeds", *(f"of {c}" for c in shown), f"less the cells, of {most(at)}", "p",
            "exact, gap 1-2", "gap 33+", "MFLOP", "parameters", "seconds"]  # fmt: skip
    return Table(head, lines)


def addresses(found: Variants) -> Table:
    """Return a line for each variant with cells: is a context's cell found again, and not overwritten?"""
    shares = ("agreement", "agreement_chance", "overwritten", "overwritten_hash")
    lines = [
        [
            name,
            *(_mean(rows, f"addresses.{one}") for one in shares),
            *(f"{values(rows, f'addresses.{one}').mean():.2f}" for one in ("information", "bound")),
        ]
        for name, rows in found.items()
        if "addresses.agreement" in rows
    ]
    head = ["addresses, %", "found again", "by chance", "overwritten", "by a hash", "information, nats"]
    return Table([*head, "bound"], lines)


def predicted(made: Table) -> Table:
    """Return a table of losses and selectors with what was predicted of each."""
    said = {variant.name: text for variant, text in LOSSES.items()}
    return Table([*made.head, "predicted"], [[*row, said.get(row[0], "")] for row in made.rows])


def _mean(rows: pd.DataFrame, name: str) -> str:
    """Return the mean of a share in %, or nothing where it was not measured."""
    return f"{100 * values(rows, name).mean():.1f}" if name in rows else ""


def numbers(found: Variants, at: Sequence[int]) -> dict[str, str]:
    """Return the numbers of a task for the text.

    VARIANT/C is the contexts held of C, VARIANT/C/least that of the worst seed; in %, VARIANT/gap GAP the
    accuracy after it, VARIANT/agreement how often a context's cell is found again, VARIANT/revised and /other
    those after a change; VARIANT/MFLOP a step.
    """
    shares = {
        **{f"gap {gap}": f"exact_accuracy_by_gap.{gap}" for gap in GAPS},
        **{name: f"exact_accuracy_by_revised.{name}" for name in REVISED},
        "agreement": "addresses.agreement",
    }
    result = {}
    for variant, rows in found.items():
        result |= {f"{variant}/{key}": _mean(rows, name) for key, name in shares.items() if name in rows}
        result[f"{variant}/MFLOP"] = f"{values(rows, 'flops').mean() / 1e6:.1f}"
    for contexts in at:
        name = held(contexts)
        result |= {
            f"{variant}/{contexts}": over_seeds(rows, name).text(scale=1) for variant, rows in found.items()
        }
        result |= {
            f"{variant}/{contexts}/least": f"{values(rows, name).min():.1f}"
            for variant, rows in found.items()
        }
    return result


def draw(figure: Any, found: Variants, at: Sequence[int]) -> None:
    """Draw what is held against the contexts there are, against the gap, and against the cost."""
    by_number, by_gap, by_cost = figure.subplots(1, 3)
    by_number.plot(
        at, [100 * perfect(32, c) for c in at], ":", color="black", label="32 cells, one context each"
    )
    by_number.plot(at, [100 * hashed(32, c) for c in at], "--", color="black", label="32 cells, by a hash")
    for number, variant in enumerate(one.name for one in SHOWN if one.name in found):
        rows, style = found[variant], line_style(number)
        if number >= len(LIGHT):  # The colours are used up.
            style |= {"markerfacecolor": "white", "linestyle": "--"}
        share = [100 * values(rows, held(c)).mean() / c for c in at]
        by_number.plot(at, share, markersize=2.5, linewidth=1.0, label=variant, **style)
        gaps = [gap for gap in GAPS if f"exact_accuracy_by_gap.{gap}" in rows]
        exact = [100 * values(rows, f"exact_accuracy_by_gap.{gap}").mean() for gap in gaps]
        by_gap.plot(range(len(gaps)), exact, markersize=2.5, linewidth=1.0, **style)
        by_gap.set_xticks(range(len(gaps)), gaps)
        by_cost.plot(*_cost(rows, at[-1]), **(style | {"linestyle": ""}), markersize=4)
    for variant in (name for name in found if name not in {one.name for one in SHOWN}):
        by_cost.plot(*_cost(found[variant], at[-1]), "o", color="0.7", markersize=2, zorder=0)
    log2_axis(by_number, at)
    log2_axis(by_cost, [2, 4, 8, 16])
    by_number.set(xlabel="contexts", ylabel="held, % of them")
    by_gap.set(xlabel="other puzzles between", ylabel="exact, second visit, %")
    by_cost.set(xlabel="MFLOP a supervision step", ylabel=f"contexts held of {at[-1]}")
    figure.legend(*by_number.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6.5)


def _cost(rows: pd.DataFrame, contexts: int) -> tuple[float, float]:
    """Return the MFLOP of a supervision step, and the contexts held of so many."""
    return float(values(rows, "flops").mean() / 1e6), float(values(rows, held(contexts)).mean())


def learning(figure: Any, found: Variants) -> None:
    """Draw how often a question finds the cell of its context again, over the training, and each seed."""
    axes = figure.subplots()
    for number, variant in enumerate(one for one in LEARNING if "agreement_curve" in found.get(one, ())):
        rows, style = found[variant], line_style(number) | {"marker": ""}
        steps, share = curves(rows, "agreement_steps")[0], 100 * curves(rows, "agreement_curve")
        axes.plot(steps, share.mean(axis=0), label=variant, **style)
        axes.plot(steps, share.T, linewidth=0.4, alpha=0.5, color=style["color"])
    axes.set(xlabel="optimiser steps", ylabel="cell found again, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=6.5)


STUDY = Study("contexts", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
