"""The answer in five rows: puzzles that need no memory beside episodes that need one."""

from experiments.episodes import EXPERIMENT as EPISODES
from experiments.episodes import at
from experiments.main_table import EXPERIMENT as PUZZLES
from experiments.render import Table
from experiments.results import Row, read
from experiments.scores import by_variant, curves, over_seeds, tasks

LINES = {
    "no memory": ("TRM, g=2", "baseline"),
    "carry-add (control)": ("TRM + carry-add", "carry-add"),
    "one memory (bicross)": ("TRM + bicross, augment", "bicross"),
    "eight cells, k=2 (multicell)": ("TRM + multicell, augment", "multicell, k=2"),
}
"""Each line's variant of `main_table` and of `episodes`."""

WHERE = [2, 32]
"""The puzzles of an episode that are shown."""


def files(scale: str) -> dict[str, bytes]:
    """Return the table by its path in paper/; nothing where one of the two experiments has no results."""
    paths = [experiment.results(scale) for experiment in (PUZZLES, EPISODES)]
    if not all(path.exists() for path in paths):
        return {}
    return {f"tables/answer-{scale}.md": table(*map(read, paths)).markdown().encode()}


def table(puzzles: list[Row], episodes: list[Row]) -> Table:
    """Return exact accuracy on every task of `main_table`, and at two puzzles of an episode of recall."""
    found = {task: by_variant(puzzles, task) for task in tasks(puzzles)}
    recall = by_variant(episodes, "recall")
    best = 100 * curves(recall["baseline"], "positions.best")[0]
    lines = [["best possible", *["100.0"] * len(found), *at(best, WHERE)]]
    for title, (variant, episodic) in LINES.items():
        scores = [over_seeds(one[variant], "exact_accuracy").text() for one in found.values()]
        exact = 100 * curves(recall[episodic], "positions.kept").mean(axis=0)
        lines.append([title, *scores, *at(exact, WHERE)])
    return Table(["exact, %", *found, *(f"recall, puzzle {place}" for place in WHERE)], lines)
