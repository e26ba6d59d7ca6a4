"""Accuracy against the position of a puzzle in its episode, with the memory and with it taken away."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memhrm.probes.curves import Line, lines
from memhrm.probes.figures import Drawing
from memhrm.probes.intervals import wilson
from memhrm.probes.page import Figure, Section, Table
from memhrm.probes.positions import KEPT, best, by_position
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic, percent

NAME = "episodes"
WORDS = {
    "kept": "as it is",
    "reset": "anew with each puzzle",
    "frozen": "never written",
    "shuffled": "another episode's",
}
SPOKEN = {
    "reset": "begun anew with each",
    "frozen": "never written",
    "shuffled": "taken from other episodes",
}


def look(looking: Looking) -> Numbers | None:
    if looking.subject.episodes is None:
        return None
    kept = KEPT if looking.remembers else KEPT[:1]
    found = {one: by_position(looking.subject, one) for one in kept}
    return {"episodes": len(looking.subject.episodes), "optimum": best(looking.subject), **found}


def show(runs: list[Seen]) -> Section:
    parts: list[Figure | Table] = [
        Figure(
            "Accuracy against position",
            chart(runs, NAME, [(run.label, "kept", run) for run in runs]),
            "The share of episodes whose puzzle at this position is right in every cell, with 95 % "
            "intervals; the weights stand still, so what rises from left to right came through the memory. "
            "The thin lines are the best that anybody could do with memory (broken) and without (dotted).",
        )
    ]
    parts.extend(
        Figure(
            f"{run.label}: its memory taken away",
            chart([run], f"{NAME}-{run.index}-kept", [(WORDS[kept], kept, run) for kept in KEPT], one=True),
            "The same when the memory starts anew with each puzzle, is never written, or goes to another "
            "episode after each feedback.",
        )
        for run in runs
        if run.looking.remembers
    )
    rows = [
        [
            f"{run.label}, {WORDS[kept]}",
            *(percent(run.numbers[NAME][kept]["exact"][at]) for at in (0, 1, 2, -1)),
        ]
        for run in runs
        for kept in KEPT
        if kept in run.numbers[NAME]
    ]
    optimum = runs[0].numbers[NAME]["optimum"]["with_memory"]
    rows.append(["the best possible", *(percent(optimum[at]) for at in (0, 1, 2, -1) if len(optimum) > 2)])
    head = ["run, memory", "first puzzle", "second", "third", "last"]
    if len(optimum) > 2:
        parts.append(Table("By position", head, rows, "Exact accuracy at four positions of the episode."))
    count = runs[0].numbers[NAME]["episodes"]
    return Section(
        NAME,
        "Episodes",
        f"{count} episodes of {len(optimum)} puzzles under a relabelling that no question reveals, with "
        "feedback after each.",
        parts,
    )


def chart(runs: list[Seen], name: str, series: list[tuple[str, str, Seen]], one: bool = False) -> Drawing:
    """A curve for each (label, what became of the memory, run), and the two best possible ones."""
    curves = []
    for number, (label, kept, run) in enumerate(series):
        found = run.numbers[NAME][kept]
        hue = number if one else run.index
        curves.append(Line(label, found["exact"], low=found["low"], high=found["high"], run=hue))
    return _beside_the_best(name, curves, runs[0].numbers[NAME]["optimum"]["with_memory"])


def of_summaries(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """The same of the summaries of runs on episodes of one kind, by label."""
    curves = []
    for number, (label, summary) in enumerate(summaries.items()):
        exact = np.array(summary["exact_accuracy_by_position"])
        low, high = wilson(exact, summary["episodes"])
        curves.append(Line(label, exact, low=low, high=high, run=number))
    return _beside_the_best(name, curves, next(iter(summaries.values()))["optimum_by_position"])


def _beside_the_best(name: str, curves: list[Line], best: Sequence[float] | np.ndarray) -> Drawing:
    """best: the best possible; at the first puzzle it is that without memory."""
    curves = [
        *curves,
        Line("best with memory", best, dashed=True, reference=True),
        Line("best without", [best[0]] * len(best), reference=True),
    ]
    return lines(name, "Exact accuracy at each puzzle of an episode", curves, "puzzle of the episode",
                 "exact accuracy", share=True)  # fmt: skip


def say(run: Seen) -> list[str]:
    found, kept = run.numbers[NAME], run.numbers[NAME]["kept"]
    exact, best_possible = kept["exact"], found["optimum"]
    said = (
        f"answers {percent(exact[0])} of the first puzzles of its {found['episodes']} episodes and "
        f"{percent(exact[-1])} of the last (the best possible: {percent(best_possible['with_memory'][-1])}, "
        f"without memory {percent(best_possible['without_memory'])})"
    )
    if kept["low"][-1] <= kept["high"][0]:
        return [f"{said}: nothing shows that it learns from one puzzle for the next."]
    if "shuffled" not in found:
        return [f"{said}."]
    other = [f"{percent(found[one]['exact'][-1])} with it {SPOKEN[one]}" for one in KEPT[1:]]
    needed = max(found[one]["high"][-1] for one in KEPT[1:]) < kept["low"][-1]
    return [
        f"{said}.",
        f"{'needs its memory for that' if needed else 'has its memory taken away'}: of the last puzzles it "
        f"answers {', '.join(other[:-1])}, and {other[-1]}.",
    ]


TOPIC = Topic(NAME, look, show, say)
