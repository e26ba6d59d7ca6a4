"""The table of costs: how many runs each study has, and the core-hours of their training, from the rows."""

from collections.abc import Iterable

from experiments.grid.page import Table
from experiments.grid.results import read
from experiments.grid.study import Study


def table(studies: Iterable[Study], scale: str) -> Table:
    """Return a line for each study that has trained, and their sum.

    A run takes one core. One that an earlier study has too is counted there alone.
    """
    seen: set[str] = set()
    lines, runs, hours = [], 0, 0.0
    for study in studies:
        if not study.results(scale).exists():
            continue
        rows = read(study.results(scale))
        if "seconds" not in rows:
            continue
        own = rows[~rows["config"].isin(list(seen))]
        seen |= {*rows["config"]}
        spent = own["seconds"].astype(float).sum() / 3600
        lines.append([f"`{study.name}`", f"{len(rows)}", f"{len(own)}", f"{spent:.1f}"])
        runs, hours = runs + len(own), hours + spent
    lines.append(["all", "", f"{runs}", f"{hours:.1f}"])
    return Table(["study", "rows", "of these its own", "core-hours"], lines)


def files(studies: Iterable[Study], scale: str) -> dict[str, bytes]:
    """Return the table by its path in paper/."""
    return {f"tables/hours-{scale}.md": table(studies, scale).markdown().encode()}
