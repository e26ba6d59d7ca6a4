"""What changes when the memory is disturbed."""

from typing import Any

from memhrm.probes.causal import effects
from memhrm.probes.maps import Interval, intervals
from memhrm.probes.page import Figure, Section
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic

NAME = "causal"
WHOLE = {
    "zero": "set to zero",
    "reset": "put back to its start",
    "freeze": "not written",
    "shuffle": "another puzzle's, each step",
    "swap": "another puzzle's, once",
}


def look(looking: Looking) -> Numbers | None:
    subject = looking.few(looking.how.causal_puzzles)
    if not looking.remembers or len(subject) < 2:  # One puzzle has no other to exchange its memory with.
        return None
    return {"puzzles": len(subject), "effects": effects(subject, seed=looking.how.seed)}


def show(runs: list[Seen]) -> Section:
    labels = [run.label for run in runs]
    hues = [run.index for run in runs]
    x = "change of exact accuracy, points"
    whole = [Interval(text, [_value(run, test) for run in runs]) for test, text in WHOLE.items()]
    parts: list[Any] = [
        Figure(
            "The whole memory",
            intervals(
                f"{NAME}-whole",
                "Change of accuracy when the memory is disturbed",
                whole,
                labels,
                x,
                hues=hues,
            ),
            "The change of exact accuracy at the training depth when the memory is disturbed before each "
            "step, with its 95 % interval over the puzzles.",
        )
    ]
    cells = max((e["cell"] + 1 for run in runs for e in _effects(run) if e["cell"] is not None), default=0)
    for test, title in (("knock_out", "A cell knocked out"), ("force", "A cell forced")):
        rows = [Interval(f"cell {c + 1}", [_value(run, test, c) for run in runs]) for c in range(cells)]
        rows = [row for row in rows if any(value is not None for value in row.values)]
        if rows:
            how = (
                "never selected (or, if all are, put back to its start)"
                if test == "knock_out"
                else "always selected"
            )
            parts.append(
                Figure(
                    title,
                    intervals(f"{NAME}-{test}", f"Change of accuracy: {title}", rows, labels, x, hues=hues),
                    f"The change of exact accuracy when one cell is {how}, with its 95 % interval.",
                )
            )
    counts = " and ".join(sorted({str(run.numbers[NAME]["puzzles"]) for run in runs}))
    return Section(
        NAME,
        "Causal tests",
        f"What the answers of {counts} puzzles lose when the memory is disturbed. An interval that covers "
        f"zero: no effect that so many puzzles show.",
        parts,
    )


def _effects(run: Seen) -> list[dict[str, Any]]:
    return run.numbers[NAME]["effects"]


def _value(run: Seen, test: str, cell: int | None = None) -> tuple[float, float, float] | None:
    for one in _effects(run):
        if one["test"] == test and one["cell"] == cell:
            return 100 * one["change"], 100 * one["low"], 100 * one["high"]
    return None


def say(run: Seen) -> list[str]:
    zero, shuffle = _value(run, "zero"), _value(run, "shuffle")
    if zero is None or shuffle is None:
        return []
    (a, a_low, a_high), (b, b_low, b_high) = zero, shuffle
    return [
        f"changes by {a:+.1f} points ({a_low:+.1f} to {a_high:+.1f}) with its memory set to zero, and by "
        f"{b:+.1f} ({b_low:+.1f} to {b_high:+.1f}) with the memory of other puzzles."
    ]


TOPIC = Topic(NAME, look, show, say)
