"""Texts: does recursion help to classify them, and does a memory of labelled examples?

    python -m experiments.text --scale cpu      # docs/text.md says which files it needs, and where

Beside every table what needs no network: linear classifiers on TF-IDF, also of the texts that an episode
tells, the nearest of these, n-grams of characters. Each is computed on the very texts, episodes and masks of
a run, and every difference is taken seed by seed.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.grid.comparison import COLUMNS, score_numbers
from experiments.grid.page import Page, Table
from experiments.grid.results import Variants, values
from experiments.grid.run import Run, Variant, baselines, grid
from experiments.grid.stats import Estimate, differences, estimate, over_seeds, p_text
from experiments.grid.study import Study, main
from experiments.grid.tasks import (
    BANKING,
    CLINC,
    FEW_SHOT,
    FEW_SHOT_BANK,
    FEWER_SEEDS,
    FIVE,
    LEFT_OUT,
    PROSE,
    TEN,
    TEXTS,
)

_FLAT = ("model.H_net=own", "model.L_layers=0", "model.L_cycles=0", "model.H_cycles=1")
_HORIZON = ("halting.halt_max_steps=2", "+memory=none", "memory.horizon=2")
"""Both steps of a text in one optimiser step, so that as many texts are trained."""
ONE = Variant("TRM, one H-cycle")
_of = ONE.change
CYCLES = [ONE, *(_of(f"TRM, {cycles} H-cycles", f"model.H_cycles={cycles}") for cycles in (2, 4, 8))]
FLAT = [
    _of("feed-forward, 4 blocks", *_FLAT, "model.H_layers=4"),
    _of("recurrent transformer, 2 blocks, 2 steps", *_FLAT, "model.H_layers=2", *_HORIZON),
]
"""Controls with as many FLOPs as two H-cycles in an answer, and as four in training."""
BANK = _of("retrieval", "+memory=retrieval")
_FIXED = ("memory.fixed=512", "memory.query=text", "memory.sharpness=30")
FIXED_BANK = _of("retrieval, half of the key fixed", *BANK.overrides, *_FIXED)
"""For categories that are not trained: a key keeps what the training has no use for (experiments/LOG.md)."""
TOLD_BANK = Variant(f"{FIXED_BANK.name}, trained on other categories", None, FIXED_BANK.overrides)
LATER = {f"{bank.name}, categories added later": bank for bank in (BANK, FIXED_BANK)}
"""What learns some categories after training, and what it is compared with."""
_TOLD = "memory.write_when=told"
_CELLS = ("memory.cells=32", "k=5", "memory.addressing=learned", "memory.hold=none")
MEMORIES = [
    Variant("one memory", None, ("+memory=bicross", _TOLD)),
    Variant("cells", "one memory", ("+memory=multicell", _TOLD, *_CELLS)),
]
WRITERS = [
    Variant("TRM, 2 H-cycles"),
    Variant("feed-forward, 8 blocks", None, (*_FLAT, "model.H_layers=8")),
]
"""As many FLOPs in an answer for each."""
SHARES = ("0.15", "0.5", "0.85", "1")
SVM, NEAREST = "TF-IDF, linear SVM", "nearest told text, TF-IDF"
_COST = ["MFLOP", "parameters", "seconds"]

ANSWER = "MFLOP: of one answer."
SEARCH = (
    "Those of retrieval leave out its exact search, 2 n w for each H-step with n texts in the bank and keys "
    "of w numbers: 3.8 MFLOP with the 15,000 of CLINC150 and w = 128."
)
SEARCH_FIXED = "With half of the key fixed w is 640, and the search takes 19.2 MFLOP."
GRADIENT = (
    "The gradient goes through the last H-cycle of TRM, and through all blocks of the feed-forward net and "
    "of each step of the recurrent transformer: these two take as many FLOPs as two H-cycles in an answer, "
    "and as four in training."
)
TOLD = (
    f"A number is one of as many as the largest test has categories. {ANSWER} Each text that is told before "
    "it takes as many; for a bank it takes its key alone."
)
MASKED = (
    f"Nats for a masked character. {ANSWER} The gradient goes through the last H-cycle of TRM, and through "
    "all blocks of the feed-forward net, whose training so takes half as many FLOPs again."
)
"""What stands above the tables."""


def runs(scale: str) -> list[Run]:
    """Return the runs on categories, then the few-shot episodes and prose; controls are measured on one."""
    tasks, seeds = TEXTS[scale], FEWER_SEEDS[scale]

    def of(name: str, variants: Sequence[Variant], *measures: str) -> list[Run]:
        return grid({tasks[name]: variants}, seeds, measures) if name in tasks else []

    every: list[Run] = []
    for name in (BANKING, CLINC, TEN, FIVE):
        every += of(name, [ONE], "linear")
    for name in (TEN, FIVE):
        every += of(name, [BANK])
    out = (f"data.left_out={LEFT_OUT[scale]}", "data.seed=${seed}")
    later = [Variant(name, None, (*bank.overrides, *out)) for name, bank in LATER.items()]
    every += of(CLINC, [*CYCLES[1:], *FLAT]) + of(CLINC, [BANK, FIXED_BANK, *later], "added")
    every += of(FEW_SHOT, MEMORIES[:1], "told", "reset") + of(FEW_SHOT, MEMORIES[1:], "reset")
    every += grid({task: [TOLD_BANK] for task in FEW_SHOT_BANK[scale]}, seeds, ["shots"])
    return every + of(PROSE, WRITERS[:1], "grams", "samples") + of(PROSE, WRITERS[1:], "samples")


def render(found: dict[str, Variants]) -> Page:
    """Return the tables of each task, and the numbers."""
    page = Page()
    scored = {task: of_task for task, of_task in found.items() if task != PROSE}
    pairs = differences(scored, baselines([*CYCLES, *FLAT, BANK, FIXED_BANK, *MEMORIES]))
    for task, of_task in found.items():
        if task == PROSE:
            page.tables |= {task: prose(of_task), f"{task}, samples": samples(of_task)}
            numbers = prose_numbers(of_task)
        elif task == FEW_SHOT:
            page.tables[task] = episodes(of_task)
            numbers = episode_numbers(of_task)
        else:
            page.tables[task] = classified(of_task, pairs[task])
            numbers = category_numbers(of_task, pairs[task])
        if _later(of_task):
            page.tables["categories added later"] = added(of_task)
        page.add_numbers(f"text/{task}", {name: text for name, text in numbers.items() if text})
    return page


def classified(found: Variants, pairs: Mapping[str, Estimate]) -> Table:
    """Return a line for each linear classifier and variant: exact answers, differences, other scores, cost.

    Args:
        found: The rows of each variant.
        pairs: The difference of each variant from its baseline.
    """
    first = found.get(ONE.name, pd.DataFrame())
    bag = _text(_less(first, "linear.bag", first, "linear.svm"))
    auroc, seeds, none = _share(first, "linear.svm_oos_auroc"), f"{len(first)}", ["", "", ""]
    lines = [
        [SVM, seeds, _score(first, "linear.svm"), "", "", "", "", auroc, *none],
        ["TF-IDF, logistic regression", seeds, _score(first, "linear.bag"), bag, "", "", "", "", *none],
    ]
    for name, rows in found.items():
        if name in LATER:  # Its test has fewer categories.
            continue
        pair = pairs.get(name)
        lines.append(
            [
                *(name, f"{len(rows)}", _score(rows, "exact_accuracy")),
                _text(_less(rows, "exact_accuracy", first, "linear.svm")),
                *(_text(pair), p_text(pair.p) if pair else ""),
                *(_share(rows, "macro_f1"), _share(rows, "oos_auroc"), *_cost(rows)),
            ]
        )
    head = ["exact, %", "seeds", "all texts", "less the SVM", "less one H-cycle", "p", "macro F1"]
    head += ["AUROC out of scope", *_COST]
    filled = [place for place in range(len(head)) if any(line[place] for line in lines)]
    said = {BANK.name: SEARCH, FIXED_BANK.name: SEARCH_FIXED, FLAT[0].name: GRADIENT}
    beside = [text for name, text in said.items() if name in found]
    return Table(head, lines, " ".join([ANSWER, *beside])).select(filled)


def added(found: Variants) -> Table:
    """Return what a bank answers that learned some categories later, and one of a model trained with them."""
    columns, lines, count = ("added.added", "added.all"), [], 0.0
    for name, (later, whole) in _later(found).items():
        bank = LATER[name]
        for how, rows in (("trained with them", whole), ("added to the bank after training", later)):
            lines.append([f"{bank.name}: {how}", f"{len(rows)}", *(_score(rows, one) for one in columns)])
        both = [_less(later, column, whole, column) for column in columns]
        lines.append(["difference", f"{both[0].n if both[0] else 0}", *map(_text, both)])
        count = values(later, "added.tests").mean()
    head = ["exact, %", "seeds", f"the {count:.0f} texts of these categories", "all texts"]
    return Table(head, lines)


def _later(found: Variants) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Return the rows of each variant of `LATER`, and of what was trained with all categories."""
    return {
        name: (found[name], found.get(bank.name, pd.DataFrame()))
        for name, bank in LATER.items()
        if name in found
    }


def episodes(found: Variants) -> Table:
    """Return a line for each control and memory: exact answers by the number of categories, and the cost."""
    first = next(iter(found.values()))
    ways, lines = _ways(first), []
    for name, of in ((NEAREST, "nearest"), (f"{SVM} of the told texts", "svm")):
        scores = [_score(first, f"told.{of}_ways={one}") for one in ways]
        lines.append([name, f"{len(first)}", *(cell for one in scores for cell in (one, "", "")), *[""] * 3])
    for name, rows in found.items():
        cells: list[str] = []
        for one, usual in ways.items():
            column = _told_bank(name, one, usual)
            near = _text(_less(rows, column, first, f"told.nearest_ways={one}"))
            cells += [_score(rows, column), near, _share(rows, f"reset.reset_ways={one}")]
        lines.append([name, f"{len(rows)}", *cells, *_cost(rows)])
    head = ["exact, %", "seeds"]
    for one in ways:
        head += [f"{one} categories", "less the nearest", "memory reset"]
    return Table([*head, *_COST], lines, TOLD)


def _ways(rows: pd.DataFrame) -> dict[str, str]:
    """Return the column of exact answers by the number of categories of a test, the first test first."""
    start = "told.nearest_ways="
    ways = [name.removeprefix(start) for name in rows if name.startswith(start)]
    return {
        one: f"series.ways={one}.exact_accuracy" if number else "exact_accuracy"
        for number, one in enumerate(ways)
    }


def _told_bank(name: str, ways: str, usual: str) -> str:
    """Return the column of a variant's exact answers, which for a bank is not that of the run's own test."""
    return f"shots.ways={ways}" if name == TOLD_BANK.name else usual


def prose(found: Variants) -> Table:
    """Return a line for n-grams and each model, and the difference of these, by the share that is masked."""
    first, other = (found.get(one.name, pd.DataFrame()) for one in WRITERS)
    grams = [_nats(first, f"grams.grams_masked={share}") for share in SHARES]
    lines = [["n-grams", f"{len(first)}", *grams, "", "", ""]]
    for name, rows in found.items():
        lines.append([name, f"{len(rows)}", *(_nats(rows, _loss(share)) for share in SHARES), *_cost(rows)])
    pairs = [_less(first, _loss(share), other, _loss(share)) for share in SHARES]
    count = pairs[0].n if pairs[0] else 0
    lines.append(["difference", f"{count}", *(_text(one, 1, 2) for one in pairs), "", "", ""])
    head = ["masked", "seeds", *(f"{100 * float(share):.0f} %" for share in SHARES)]
    return Table([*head, *_COST], lines, MASKED)


def samples(found: Variants) -> Table:
    """Return what each model writes behind the same words, those of the first seed; / ends a line."""
    first = next(iter(found.values()))
    begun = _lines(first["samples.prompt"].iloc[0])
    lines = [[name, _lines(rows["samples.text"].iloc[0])] for name, rows in found.items()]
    return Table(["model", f"what it writes behind “{begun}”"], lines)


def _lines(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines())


def _loss(share: str) -> str:
    return "lm_loss" if share == "0.5" else f"series.masked={share}.lm_loss"


def _less(rows: pd.DataFrame, name: str, others: pd.DataFrame, other: str) -> Estimate | None:
    """Return a column of some rows less one of others, over the seeds that both have."""
    if name not in rows or other not in others:
        return None
    change = (values(rows, name) - values(others, other)).dropna()
    return estimate(change) if len(change) else None


def _text(found: Estimate | None, scale: float = 100, digits: int = 1) -> str:
    return "" if found is None else found.text("+", scale, digits)


def _score(rows: pd.DataFrame, name: str) -> str:
    return over_seeds(rows, name).text() if name in rows else ""


def _share(rows: pd.DataFrame, name: str) -> str:
    return f"{100 * values(rows, name).mean():.1f}" if name in rows else ""


def _nats(rows: pd.DataFrame, name: str) -> str:
    return over_seeds(rows, name).text(scale=1, digits=2) if name in rows else ""


def _cost(rows: pd.DataFrame) -> list[str]:
    return [COLUMNS[name](rows) for name in _COST]


def category_numbers(found: Variants, pairs: Mapping[str, Estimate]) -> dict[str, str]:
    """Return the numbers for the text: exact answers in %, what they are more than, and what came later."""
    first = found.get(ONE.name, pd.DataFrame())
    scored = {name: rows for name, rows in found.items() if name not in LATER}
    numbers = score_numbers(scored, "exact_accuracy", pairs) | {SVM: _score(first, "linear.svm")}
    for name, rows in scored.items():
        numbers[f"{name}/less the SVM"] = _text(_less(rows, "exact_accuracy", first, "linear.svm"))
        numbers[f"{name}/AUROC"] = _share(rows, "oos_auroc")
    for name, (later, whole) in _later(found).items():
        numbers[name] = _score(later, "added.added")
        numbers[f"{name}/difference"] = _text(_less(later, "added.added", whole, "added.added"))
    return numbers


def episode_numbers(found: Variants) -> dict[str, str]:
    """Return the numbers for the text: exact answers in % by categories, and what they are more than."""
    first, numbers = next(iter(found.values())), {}
    for one, column in _ways(first).items():
        nearest = f"told.nearest_ways={one}"
        numbers[f"{NEAREST}, {one}"] = _score(first, nearest)
        for name, rows in found.items():
            own = _told_bank(name, one, column)
            numbers[f"{name}, {one}"] = _score(rows, own)
            numbers[f"{name}, {one}/less the nearest"] = _text(_less(rows, own, first, nearest))
            numbers[f"{name}, {one}/reset"] = _share(rows, f"reset.reset_ways={one}")
    return numbers


def prose_numbers(found: Variants) -> dict[str, str]:
    """Return the numbers for the text: nats for a masked character by the share that is masked."""
    first, numbers = next(iter(found.values())), {}
    for share in SHARES:
        numbers[f"n-grams, {share}"] = _nats(first, f"grams.grams_masked={share}")
        for name, rows in found.items():
            numbers[f"{name}, {share}"] = _nats(rows, _loss(share))
    return numbers


STUDY = Study("text", __doc__, render, runs)

if __name__ == "__main__":
    main(STUDY)
