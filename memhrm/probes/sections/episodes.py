"""Accuracy against the position of a puzzle in its episode, with the memory and with it taken away."""

from memhrm.probes.curves import Line, lines
from memhrm.probes.figures import Drawing
from memhrm.probes.page import Figure, Section, Table
from memhrm.probes.positions import KEPT, best, by_position
from memhrm.probes.sections.base import Looking, Numbers, Seen, Topic, percent

NAME = "episodes"
WORDS = {
    "kept": "as it is",
    "reset": "started anew with each puzzle",
    "frozen": "never written",
    "shuffled": "given to another episode after each feedback",
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
            "The broken lines are the best that anybody could do with memory and without.",
        )
    ]
    parts.extend(
        Figure(
            f"{run.label}: its memory taken away",
            chart([run], f"{NAME}-{run.index}-kept", [(WORDS[kept], kept, run) for kept in KEPT], one=True),
            "The same when the memory starts anew with each puzzle, is never written, or goes to another "
            "episode's row after each feedback.",
        )
        for run in runs
        if run.looking.remembers
    )
    rows = [
        [run.label, WORDS[kept], *(percent(run.numbers[NAME][kept]["exact"][at]) for at in (0, 1, 2, -1))]
        for run in runs
        for kept in KEPT
        if kept in run.numbers[NAME]
    ]
    optimum = runs[0].numbers[NAME]["optimum"]["with_memory"]
    rows.append(
        ["the best possible", "", *(percent(optimum[at]) for at in (0, 1, 2, -1) if len(optimum) > 2)]
    )
    head = ["run", "memory", "first puzzle", "second", "third", "last"]
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
        low, high = found["exact"] - found["error"], found["exact"] + found["error"]
        hue = number if one else run.index
        curves.append(Line(label, found["exact"], low=low.clip(0, 1), high=high.clip(0, 1), run=hue))
    optimum = runs[0].numbers[NAME]["optimum"]
    without = [optimum["without_memory"]] * len(optimum["with_memory"])
    curves.append(Line("best with memory", optimum["with_memory"], run=4, dashed=True))
    curves.append(Line("best without", without, run=5, dashed=True))
    return lines(name, "Exact accuracy at each puzzle of an episode", curves, "puzzle of the episode",
                 "exact accuracy", share=True)  # fmt: skip


def say(run: Seen) -> list[str]:
    exact = run.numbers[NAME]["kept"]["exact"]
    best_last = run.numbers[NAME]["optimum"]["with_memory"][-1]
    said = [
        f"answers {percent(exact[0])} of the first puzzles of its episodes and {percent(exact[-1])} of the "
        f"last ({percent(best_last)} is the best possible)."
    ]
    if "shuffled" in run.numbers[NAME]:
        other = run.numbers[NAME]["shuffled"]["exact"]
        said.append(f"answers {percent(other[-1])} of the last puzzles with another episode's memory.")
    return said


TOPIC = Topic(NAME, look, show, say)
