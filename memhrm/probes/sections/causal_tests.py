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
SPOKEN = {
    "zero": "set to zero before each step",
    "freeze": "not written",
    "shuffle": "taken from other puzzles",
}
LEAST = 5.0
"""Points on either side of zero that a chart shows at least: a puzzle more or less is to look like one."""


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
    x = "change of exact accuracy, points"
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
                "Change of accuracy when the memory is disturbed",
                whole,
                labels,
                x,
                hues=hues,
                least=LEAST,
            ),
            "The change of exact accuracy at the training depth when the memory is disturbed before each "
            "step, with its 95 % interval over the puzzles." + _of_episodes(runs),
        )
    ]
    celled = [run for run in runs if any(e["cell"] is not None for e in _effects(run))]
    names, colours = [run.label for run in celled], [run.index for run in celled]
    cells = max((e["cell"] + 1 for run in celled for e in _effects(run) if e["cell"] is not None), default=0)
    for test, title in (("knock_out", "A cell knocked out"), ("force", "A cell forced")):
        rows = [Interval(f"cell {c + 1}", [_value(run, test, c) for run in celled]) for c in range(cells)]
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
                    intervals(
                        f"{NAME}-{test}",
                        f"Change of accuracy: {title}",
                        rows,
                        names,
                        x,
                        hues=colours,
                        least=LEAST,
                    ),
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


def _meant(run: Seen) -> list[str]:
    """The tests of the whole memory that can show something: with one supervision step there is no middle to
    swap at, and with one H-step, which reads before it writes, nobody reads what is not written."""
    steps, H_steps = run.looking.trained, run.looking.subject.model.settings.H_cycles
    pointless = {
        test for test, enough in (("swap", steps > 1), ("freeze", steps * H_steps > 1)) if not enough
    }
    return [test for test in WHOLE if test not in pointless]


def _of_episodes(runs: list[Seen]) -> str:
    if not any(run.looking.position for run in runs):
        return ""
    return (
        " Of an episode it is the memory that the puzzles before have made; what becomes of it when they "
        "write nothing is in the section on episodes."
    )


def effect(value: tuple[float, float, float]) -> str:
    """A change and its interval in words, which claim nothing where the interval covers zero."""
    change, low, high = value
    interval = f"{change:+.1f} points, {low:+.1f} to {high:+.1f}"
    if low <= 0 <= high:
        return f"shows no effect ({interval})"
    return f"{'loses' if change < 0 else 'gains'} {abs(change):.1f} points ({low:+.1f} to {high:+.1f})"


def say(run: Seen) -> list[str]:
    values = {test: value for test in _meant(run) if (value := _value(run, test)) is not None}
    if not values:
        return []
    said = [f"with its memory {SPOKEN[test]} {effect(values[test])}." for test in SPOKEN if test in values]
    return [*said, *_cells(run)]


def _cells(run: Seen) -> list[str]:
    """Which cells it misses, and that it misses no other."""
    out = [e for e in _effects(run) if e["test"] == "knock_out"]
    missed = [e for e in out if e["high"] < 0]
    if not out:
        return []
    if not missed:
        return [f"misses none of its {len(out)} cells alone, as far as so many puzzles show."]
    named = [f"cell {e['cell'] + 1} ({100 * e['change']:+.1f} points)" for e in missed[:4]]
    more = f" and {len(missed) - 4} more" if len(missed) > 4 else ""
    rest = "" if len(missed) == len(out) else "; for the others no effect shows"
    return [f"misses {', '.join(named)}{more} when knocked out alone{rest}."]


TOPIC = Topic(NAME, look, show, say)
