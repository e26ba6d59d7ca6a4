"""The answer in five rows: puzzles that need no memory beside episodes that need one."""

from experiments import episodes, main_table
from experiments.grid.page import Table
from experiments.grid.results import Variants, arrange, curves, read
from experiments.grid.stats import over_seeds
from experiments.grid.tasks import RECALL

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
    """Return the table by its path in paper/; nothing where one of the two studies has no results."""
    paths = [study.results(scale) for study in (main_table.STUDY, episodes.STUDY)]
    if not all(path.exists() for path in paths):
        return {}
    puzzles, on_episodes = (arrange(read(path)) for path in paths)
    return {f"tables/answer-{scale}.md": table(puzzles, on_episodes[RECALL]).markdown().encode()}


def table(puzzles: dict[str, Variants], recall: Variants) -> Table:
    """Return exact accuracy on every task of `main_table`, and at two puzzles of an episode of recall."""
    lines = [["best possible", *["100.0"] * len(puzzles), *episodes.at(episodes.best(recall), WHERE)]]
    for title, (variant, episodic) in LINES.items():
        scores = [over_seeds(of_task[variant], "exact_accuracy").text() for of_task in puzzles.values()]
        exact = 100 * curves(recall[episodic], "positions.kept").mean(axis=0)
        lines.append([title, *scores, *episodes.at(exact, WHERE)])
    return Table(["exact, %", *puzzles, *(f"recall, puzzle {place}" for place in WHERE)], lines)
