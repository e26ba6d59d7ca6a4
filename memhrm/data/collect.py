"""Collect random puzzles of which no two are symmetric to each other."""

from collections.abc import Callable

import numpy as np

from memhrm.data.examples import Examples, concatenate
from memhrm.data.task import Task
from memhrm.data.trials import ENOUGH, HOPELESS, Counting, Draw, Trials

Progress = Callable[[int, int], None]
"""Called with the numbers of puzzles found and wanted."""

ROUND = 1024
"""Puzzles tried at once."""

PATIENCE = 20
"""Rounds without a new puzzle before giving up."""


def collect(
    task: Task, count: int | None, draw: Draw, rng: np.random.Generator, progress: Progress
) -> Examples:
    """Draw puzzles until ``count`` are found whose class keys all differ.

    However such a set is split, no puzzle of one part is a symmetry image of a puzzle of another part.

    Args:
        task: the task, whose `class_keys` tell the puzzles apart.
        count: puzzles wanted.
        draw: the source of puzzles.
        rng: the source of randomness.
        progress: called after every round.

    Returns:
        The ``count`` puzzles, in the order in which they were drawn.

    Raises:
        ValueError: ``count`` is None; many rounds in a row found nothing new; or nothing has been found yet,
            and by the trials so far the chance of finding anything is negligible.
    """
    if count is None:
        raise ValueError("data.train_size is null; a generated set needs the number of puzzles, above 0")
    progress(0, count)
    seen: set = set()
    kept: list[Examples] = []
    tried, idle = 0, 0
    while len(seen) < count:
        rate = max(len(seen), 1) / tried if tried else 1.0
        size = min(ROUND, int(1.1 * (count - len(seen)) / rate) + 16)
        puzzles = draw(size, rng)
        tried += size
        new = []
        for row, key in enumerate(task.class_keys(puzzles.inputs, puzzles.labels).tolist()):
            if key not in seen and len(seen) < count:
                seen.add(key)
                new.append(row)
        kept.append(puzzles.select(np.array(new, np.intp)))
        idle = 0 if new else idle + 1
        hopeless = isinstance(draw, Trials) and not seen and tried >= ENOUGH and draw.chance() < HOPELESS
        if idle == PATIENCE or hopeless:
            reached = draw.found() if isinstance(draw, Trials) else ""
            raise ValueError(
                f"only {len(seen)} of {count} {task.name} puzzles found in {tried} tries{reached}; "
                "allow more by data.min_* and data.max_*, or ask for fewer"
            )
        if isinstance(progress, Counting):
            progress.tries = tried
        progress(len(seen), count)
    return concatenate(kept)
