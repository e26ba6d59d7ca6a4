"""What changes when the memory is disturbed."""

from typing import Any

from memhrm.probes.causal import effects
from memhrm.report.maps import Interval, intervals
from memhrm.report.page import Figure, Section
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted

NAME = "causal"
WHOLE = {
    "zero": "zeroed",
    "reset": "reset",
    "freeze": "not written",
    "shuffle": "shuffled at each step",
    "swap": "swapped once",
}
SPOKEN = {
    "zero": "Zeroing the memory before each step",
    "freeze": "Never writing the memory",
    "shuffle": "Shuffling the memory among the puzzles at each step",
}
LEAST = 5.0
"""The smallest range of a chart, in points on either side of zero, so that a single puzzle looks small."""


def look(looking: Looking) -> Numbers | None:
    subject = looking.few(looking.how.causal_puzzles)
    if not looking.remembers or len(subject) < 2:  # One puzzle has no other to exchange its memory with.
        return None
    baseline = looking.near.select(slice(len(subject)))
    found = effects(subject, seed=looking.how.seed, baseline=baseline)
    return {"puzzles": len(subject), "effects": found}


def show(runs: list[Seen]) -> Section:
    labels = [run.label for run in runs]
    hues = [run.index for run in runs]
    x = "change in exact accuracy, points"
    tests = {test for run in runs for test in _meant(run)}
    whole = [
        Interval(text, [_value(run, test) if test in _meant(run) else None for run in runs])
        for test, text in WHOLE.items()
        if test in tests
    ]
    parts: list[Any] = [
        Figure(
            "The whole memory",
            intervals(
                f"{NAME}-whole",
                "Change in accuracy when the memory is disturbed",
                whole,
                labels,
                x,
                hues=hues,
                least=LEAST,
            ),
            "Change in exact accuracy at the training depth, with its 95 % interval over the puzzles, "
            "when the memory is zeroed or reset to its initial value before each step, never written, or "
            "replaced by that of another puzzle, before each step or once." + _of_episodes(runs),
        )
    ]
    celled = [run for run in runs if any(e["cell"] is not None for e in _effects(run))]
    names, colours = [run.label for run in celled], [run.index for run in celled]
    cells = max((e["cell"] + 1 for run in celled for e in _effects(run) if e["cell"] is not None), default=0)
    for test, title in (("knock_out", "One cell knocked out"), ("force", "One cell forced")):
        rows = [Interval(f"cell {c}", [_value(run, test, c) for run in celled]) for c in range(cells)]
        rows = [row for row in rows if any(value is not None for value in row.values)]
        if rows:
            how = (
                "never selected (or, if all cells always are, reset before each step)"
                if test == "knock_out"
                else "always selected"
            )
            parts.append(
                Figure(
                    title,
                    intervals(
                        f"{NAME}-{test}",
                        f"Change in accuracy: {title}",
                        rows,
                        names,
                        x,
                        hues=colours,
                        least=LEAST,
                    ),
                    f"Change in exact accuracy, with its 95 % interval, when one cell is {how}.",
                )
            )
    counts = " and ".join(sorted({str(run.numbers[NAME]["puzzles"]) for run in runs}))
    return Section(
        NAME,
        "Causal tests",
        f"How the accuracy on {counts} puzzles changes when the memory is disturbed. An interval that covers "
        "zero shows no measurable effect.",
        parts,
    )


def _effects(run: Seen) -> list[dict[str, Any]]:
    return run.numbers[NAME]["effects"]


def _value(run: Seen, test: str, cell: int | None = None) -> tuple[float, float, float] | None:
    for one in _effects(run):
        if one["test"] == test and one["cell"] == cell:
            return 100 * one["change"], 100 * one["low"], 100 * one["high"]
    return None


def _meant(run: Seen) -> list[str]:
    """Return the tests of the whole memory that can show something.

    With one supervision step there is no middle to swap at. With one H-step, which reads before it writes,
    nothing reads what is written.
    """
    steps, H_steps = run.looking.trained, run.looking.subject.model.settings.H_cycles
    pointless = {
        test for test, enough in (("swap", steps > 1), ("freeze", steps * H_steps > 1)) if not enough
    }
    return [test for test in WHOLE if test not in pointless]


def _of_episodes(runs: list[Seen]) -> str:
    if not any(run.looking.position for run in runs):
        return ""
    return (
        " In episodes, the memory holds what the earlier puzzles wrote; the section on episodes shows what "
        "happens if they write nothing."
    )


def effect(value: tuple[float, float, float]) -> str:
    """Describe a change in points and its interval, without a claim if the interval covers zero."""
    change, low, high = value
    interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    if low <= 0 <= high:
        return f"has no measurable effect ({change:+.1f} points, {interval})"
    return f"{'costs' if change < 0 else 'gains'} {abs(change):.1f} points of exact accuracy ({interval})"


def say(run: Seen) -> list[str]:
    values = {test: value for test in _meant(run) if (value := _value(run, test)) is not None}
    if not values:
        return []
    said = [f"{text} {effect(values[test])}." for test, text in SPOKEN.items() if test in values]
    return [*said, *_cells(run)]


def _cells(run: Seen) -> list[str]:
    """Say which single cells the answers need."""
    out = [e for e in _effects(run) if e["test"] == "knock_out"]
    needed = [e for e in out if e["high"] < 0]
    if not out:
        return []
    if not needed:
        each = f"any one of the {len(out)} cells" if len(out) > 1 else "the one cell that can be"
        return [f"No single cell matters on its own: knocking out {each} has no measurable effect."]
    named = ", ".join(f"cell {e['cell']} ({100 * e['change']:+.1f} points)" for e in needed[:4])
    more = f" and {len(needed) - 4} more" if len(needed) > 4 else ""
    others = len(out) - len(needed)
    verb = "has" if others == 1 else "have"
    rest = f"; the other {counted(others, 'cell')} {verb} no measurable effect" if others else ""
    return [f"Knocking out a single cell lowers accuracy for {named}{more}{rest}."]


TOPIC = Topic(NAME, look, show, say)
