"""Addresses: which cells the puzzles of contexts take, and whether a context finds its own cell again.

n episodes, p puzzles of each, c contexts, N cells that compete (`memhrm.probes.taken`). A *later visit* is a
puzzle whose context has been visited before. What a visit *leaves* are the cells that its feedback wrote, at
any of its H-steps.
"""

from typing import Any

import numpy as np

from memhrm.config.settings import require
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.episodes.visits import gaps
from memhrm.evaluation.intervals import wilson
from memhrm.probes.information import within_episodes
from memhrm.probes.subject import Subject
from memhrm.probes.taken import FEEDBACK, QUESTION, Taken, cells_taken, remembers_by_cell


def contexts_of(subject: Subject) -> np.ndarray | None:
    """Return the contexts of the subject's puzzles, (n, p); None without, or without cells for them."""
    episodes = subject.episodes
    if episodes is None or episodes.address is None or not remembers_by_cell(subject):
        return None
    return episodes.address[:, :, 0]


def agreement(found: Taken, context: np.ndarray) -> dict[str, float]:
    """Return how often a later visit's question first reads a cell that the context's last visit left.

    Args:
        found: which cells are taken.
        context: the number of each puzzle's context, (n, p).

    Returns:
        `value`, the share of later visits; and `chance`, the share for a cell drawn at random. nan where
        there is no later visit.
    """
    before = last_visits(context)
    rows, at = np.nonzero(before >= 0)
    left = found.written[FEEDBACK][rows, before[rows, at]]
    return {
        "value": _mean(left[np.arange(len(rows)), found.first[rows, at]]),
        "chance": _mean(left.mean(axis=1)),
    }


def overwritten(found: Taken, context: np.ndarray) -> dict[str, float]:
    """Return what share of the cells that visits leave is written for other contexts before the next visit.

    Args:
        found: which cells are taken.
        context: the number of each puzzle's context, (n, p).

    Returns:
        `value`, the share over all later visits, where both questions and feedback of others count; and
        `hash`, what it would be if each context had one random cell for good. nan where there is nothing.
    """
    before = last_visits(context)
    rows, at = np.nonzero(before >= 0)
    writes = np.cumsum(found.written[QUESTION] | found.written[FEEDBACK], axis=1)  # No context's own between.
    since = writes[rows, np.maximum(at - 1, 0)] > writes[rows, before[rows, at]]
    left = found.written[FEEDBACK][rows, before[rows, at]]
    value = float((left & since).sum() / left.sum()) if left.any() else float("nan")
    return {"value": value, "hash": _mean(1 - kept_by_hash(context, found.cells)[rows, at])}


def counts(cells: np.ndarray, labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return how often each cell goes with each label, `shape` = (N, labels): cells and labels are (n, p)."""
    found = np.zeros(shape, np.int64)
    np.add.at(found, (cells.ravel(), labels.ravel()), 1)
    return found


def address_information(
    cells: np.ndarray, context: np.ndarray, number: int, shuffles: int = 200, seed: int = 0
) -> dict[str, float]:
    """Return I(cell; cue) within an episode, in nats, mean over episodes, beside its null.

    Within an episode a context is a cue. Few visits to a context say much of its cell by chance, as the null
    shows: a cell for each context has the information log min(N, c), the `bound`.

    Args:
        cells: the cell of each puzzle, (n, p).
        context: the number of its context, (n, p).
        number: the number of cells, N.
        shuffles: the number of shuffles within each episode.
        seed: of the shuffles.

    Returns:
        As `with_null`, and the `bound`.
    """
    found = within_episodes(np.eye(number, dtype=np.int64)[cells], context, shuffles, seed)
    return found | {"bound": float(np.log(min(number, context.max() + 1)))}


def retention(exact: np.ndarray, episodes: Episodes, cells: int) -> dict[str, dict[str, float]]:
    """Return the exact accuracy of later visits against the puzzles since the last visit.

    Args:
        exact: whether each answer is exact, (n, p) bool.
        episodes: the episodes, whose facets say the gap of each visit to a known rule.
        cells: the number of cells, N.

    Returns:
        By gap: `exact`, and `low` and `high`, its 95 % interval over the visits (`wilson`), of which there
        are `visits`. `perfect` is the best possible, as of cells of which each context keeps one, and `hash`
        the accuracy if each context has one random cell and knows its rule where no other visited context
        has the same, which is so for the share `kept_by_hash`.
    """
    gap, first = episodes.facets["gap"], episodes.facets["visit"].index == 0
    assert episodes.address is not None
    kept, best = kept_by_hash(episodes.address[:, :, 0], cells), episodes.best
    unknown, found = best[first].mean(), {}
    for number, name in enumerate(gap.values):
        here = gap.index == number
        if here.any():
            share = exact[here].mean()
            low, high = wilson(np.array([share]), int(here.sum()))
            found[name] = {
                "exact": float(share),
                "low": float(low[0]),
                "high": float(high[0]),
                "visits": int(here.sum()),
                "perfect": float(best[here].mean()),
                "hash": float((unknown + kept[here] * (best[here] - unknown)).mean()),
                "kept_by_hash": float(kept[here].mean()),
            }
    return found


def last_visits(context: np.ndarray) -> np.ndarray:
    """Return where the context of each puzzle was last visited, (n, p), or -1, given the contexts (n, p)."""
    gap = gaps(context)
    return np.where(gap < 0, -1, np.arange(context.shape[1]) - gap - 1)


def kept_by_hash(context: np.ndarray, cells: int) -> np.ndarray:
    """Return the chance that a context's random cell is untouched since its last visit, (n, p).

    It is (1 - 1/N)^g after visits to g other contexts, of which each has one random cell for good; nan at a
    first visit.
    """
    before = last_visits(context)
    visits = np.cumsum(context[:, :, None] == np.arange(context.max() + 1), axis=1)
    since = visits - np.take_along_axis(visits, np.maximum(before, 0)[:, :, None], axis=1)
    others = (since > 0).sum(axis=2) - 1  # Without the visit itself.
    return np.where(before >= 0, (1 - 1 / cells) ** others, np.nan)


def address_numbers(subject: Subject, shuffles: int = 200, seed: int = 0) -> dict[str, Any]:
    """Return everything about the addresses of a subject's contexts.

    Args:
        subject: a run on contexts whose memory has cells.
        shuffles: shuffles of the null of the information.
        seed: of the shuffles.

    Returns:
        `agreement`, `overwritten`, `information` and `retention`, as of the functions of these names
        (`address_information`); `cell_by_cue`, (all cells, cues), and `cell_by_context`, (all cells, c), how
        often each cell of the memory is the first choice of a question with this cue, or of this context;
        `one`, the latter of the first episode; and `cells`, N, `always_active` and `contexts`, c.

    Raises:
        ValueError: the puzzles have no contexts, or the memory no cells that go on.
    """
    allowed = "a run with data=contexts whose memory has cells that go on, and write_in_evaluation=true"
    context, episodes = contexts_of(subject), subject.episodes
    require(context is not None, "subject", subject.name, allowed)
    assert context is not None and episodes is not None and episodes.address is not None
    found, cue = cells_taken(subject), episodes.address[:, :, 1]
    N, c = found.cells, int(context.max()) + 1
    first, every = found.first + found.apart, N + found.apart
    cues = getattr(subject.task, "cues", int(cue.max()) + 1)
    return {
        "cells": N,
        "always_active": found.apart,
        "contexts": c,
        "agreement": agreement(found, context),
        "overwritten": overwritten(found, context),
        "information": address_information(found.first, context, N, shuffles, seed),
        "retention": retention(found.exact, episodes, N),
        "cell_by_cue": counts(first, cue, (every, cues)),
        "cell_by_context": counts(first, context, (every, c)),
        "one": counts(first[:1], context[:1], (every, c)),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
