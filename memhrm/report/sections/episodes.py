"""Accuracy by position in the episode, with the memory intact and disturbed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memhrm.probes.intervals import wilson
from memhrm.probes.positions import KEPT, best, by_position
from memhrm.report.curves import Line, lines
from memhrm.report.figures import Drawing
from memhrm.report.page import Figure, Section, Table
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, percent

NAME = "episodes"
WORDS = {
    "kept": "intact",
    "reset": "reset before each puzzle",
    "frozen": "never written",
    "shuffled": "swapped between episodes",
}


def look(looking: Looking) -> Numbers | None:
    if looking.position is None or looking.subject.episodes is None:
        return None
    kept = KEPT if looking.remembers else KEPT[:1]
    found = {one: by_position(looking.subject, one) for one in kept}
    return {"episodes": len(looking.subject.episodes), "optimum": best(looking.subject), **found}


def show(runs: list[Seen]) -> Section:
    parts: list[Figure | Table] = [
        Figure(
            "Accuracy by position",
            chart(runs, NAME, [(run.label, "kept", run) for run in runs]),
            "Share of episodes whose puzzle at this position is solved, with 95 % intervals. The weights are "
            "fixed, so any rise from left to right comes from the memory. The thin lines are the best "
            "possible accuracy with memory (dashed) and without (dotted).",
        )
    ]
    parts.extend(
        Figure(
            f"Memory disturbed: {run.label}",
            chart([run], f"{NAME}-{run.index}-kept", [(WORDS[kept], kept, run) for kept in KEPT], one=True),
            "Accuracy by position when the memory is reset before each puzzle, never written, or swapped "
            "between episodes after each feedback.",
        )
        for run in runs
        if run.looking.remembers
    )
    rows = [
        [
            f"{run.label}, {WORDS[kept]}" if run.looking.remembers else run.label,
            *(percent(run.numbers[NAME][kept]["exact"][at]) for at in (0, 1, 2, -1)),
        ]
        for run in runs
        for kept in KEPT
        if kept in run.numbers[NAME]
    ]
    optimum = runs[0].numbers[NAME]["optimum"]["with_memory"]
    rows.append(["best possible", *(percent(optimum[at]) for at in (0, 1, 2, -1) if len(optimum) > 2)])
    head = ["run, memory", "first puzzle", "second", "third", "last"]
    if len(optimum) > 2:
        parts.append(Table("By position", head, rows, "Exact accuracy at four positions in the episode."))
    count = runs[0].numbers[NAME]["episodes"]
    return Section(
        NAME,
        "Episodes",
        f"Exact accuracy on {counted(count, 'episode')} of {counted(len(optimum), 'puzzle')}. In each, the "
        "digits of the answers are relabelled by a secret rule that only the feedback after each puzzle "
        "shows.",
        parts,
    )


def chart(runs: list[Seen], name: str, series: list[tuple[str, str, Seen]], one: bool = False) -> Drawing:
    """Draw a curve for each (label, what became of the memory, run), beside the two best possible ones."""
    curves = []
    for number, (label, kept, run) in enumerate(series):
        found = run.numbers[NAME][kept]
        hue = number if one else run.index
        curves.append(Line(label, found["exact"], low=found["low"], high=found["high"], run=hue))
    return _beside_the_best(name, curves, runs[0].numbers[NAME]["optimum"]["with_memory"])


def of_summaries(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Draw the curves of summaries, by label, of runs on episodes of one kind."""
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
        Line("best without memory", [best[0]] * len(best), reference=True),
    ]
    return lines(name, "Exact accuracy by position in the episode", curves, "puzzle of the episode",
                 "exact accuracy", share=True)  # fmt: skip


def say(run: Seen) -> list[str]:
    found, kept = run.numbers[NAME], run.numbers[NAME]["kept"]
    exact, optimum = kept["exact"], found["optimum"]
    said = (
        f"It solves {percent(exact[0])} of the first puzzles of {counted(found['episodes'], 'episode')} and "
        f"{percent(exact[-1])} of the last ones (best possible: {percent(optimum['with_memory'][-1])} with "
        f"memory, {percent(optimum['without_memory'])} without)."
    )
    if kept["low"][-1] <= kept["high"][0]:
        return [f"{said} There is no evidence that it learns from one puzzle to the next."]
    if "shuffled" not in found:
        return [said]
    other = [f"{percent(found[one]['exact'][-1])} with the memory {WORDS[one]}" for one in KEPT[1:]]
    needed = max(found[one]["high"][-1] for one in KEPT[1:]) < kept["low"][-1]
    verb = "needs its memory for this" if needed else "may not need its memory for this"
    return [said, f"It {verb}: of the last puzzles it solves {', '.join(other[:-1])}, and {other[-1]}."]


TOPIC = Topic(NAME, look, show, say)
