"""The order in which the contexts of an episode are visited, again and again.

n episodes, p puzzles of each, c contexts.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from memhrm.data.episodes.episodes import Facet

Order = Literal["two_phase", "interleaved"]

GAPS = {"0": 0, "1-2": 1, "3-8": 3, "9-32": 9, "33+": 33}
"""The least gap of each value of the facet."""

REVISED = ("before", "revised", "other")


@dataclass(frozen=True)
class Visits:
    """Which context each puzzle of ``n`` episodes visits.

    Attributes:
        context: ``(n, p)`` its number, in the order of first visits.
        visit: ``(n, p)`` which visit it is under the rule that the context has then, from 1: before the
            first, nothing of that rule has been shown.
        revised: ``(n, p)`` whether the context has its second rule.
        gap: ``(n, p)`` puzzles since the last visit to the context, all of them to others; -1 where there was
            none.
    """

    context: np.ndarray
    visit: np.ndarray
    revised: np.ndarray
    gap: np.ndarray

    def facets(self, revises: bool) -> dict[str, Facet]:
        """Return visit and gap, and with a revision which contexts it concerns.

        Only puzzles whose rule has been shown have a gap. ``revised`` divides them into those before the
        revision, visits to the context that was revised, and visits to others, which it must not harm.
        """
        known = self.visit > 1
        bins = np.searchsorted(list(GAPS.values()), self.gap, side="right") - 1
        values = tuple(map(str, range(1, int(self.visit.max()) + 1)))
        found = {
            "visit": Facet(values, self.visit - 1),
            "gap": Facet(tuple(GAPS), np.where(known, bins, -1)),
        }
        if revises:
            after = np.maximum.accumulate(self.revised, axis=1)
            which = np.where(self.revised, 1, np.where(after, 2, 0))
            found["revised"] = Facet(REVISED, np.where(known, which, -1))
        return found

    def known(self, asked: np.ndarray) -> np.ndarray:
        """Return what has been shown of each puzzle's rule before it.

        Args:
            asked: ``(n, p)`` the digits of each puzzle, as the bits of a number; its feedback shows their
                images.

        Returns:
            ``(n, p)``, the same of the digits whose images are known.
        """
        rows, found = np.arange(len(asked)), np.zeros_like(asked)
        known = np.zeros((len(asked), self.context.max() + 1), asked.dtype)
        for at, context in enumerate(self.context.T):
            found[:, at] = np.where(self.visit[:, at] > 1, known[rows, context], 0)
            known[rows, context] = found[:, at] | asked[:, at]
        return found


def visits(
    count: int, contexts: int, times: int, order: Order, revises: bool, rng: np.random.Generator
) -> Visits:
    """Draw the order in which contexts are visited.

    Args:
        count: episodes, n.
        contexts: contexts of each, c.
        times: visits to each context.
        order: two_phase: all contexts in random order, and again in a new one, ``times`` times.
            interleaved: all visits in random order.
        revises: whether the rule of one context of each episode changes before its last visit but one. That
            visit is one more; it comes before the last phase, so that in this all other contexts are visited
            after the change.
        rng: what draws.
    """
    every = np.tile(np.arange(contexts), (count, 1))
    which = rng.integers(contexts, size=(count, 1 if revises else 0))
    if order == "interleaved":
        context = rng.permuted(np.concatenate([every] * times + [which], axis=1), axis=1)
    else:
        *earlier, last = (rng.permuted(every, axis=1) for _ in range(times))
        context = np.concatenate([*earlier, which, last], axis=1)
    first = (context[:, :, None] == np.arange(contexts)).argmax(axis=1)
    number = first.argsort(axis=1).argsort(axis=1)  # Of each context, (n, c).
    context, which = (np.take_along_axis(number, each, axis=1) for each in (context, which))
    seen = (context[:, :, None] == np.arange(contexts)).cumsum(axis=1)
    visit = np.take_along_axis(seen, context[:, :, None], axis=2)[:, :, 0]
    revised = (context == which) & (visit >= times) if revises else np.zeros(context.shape, bool)
    return Visits(context, np.where(revised, visit - times + 1, visit), revised, gaps(context))


def gaps(context: np.ndarray) -> np.ndarray:
    """Return the gaps of visits, ``(n, p)``, as in `Visits`, given their contexts ``(n, p)``."""
    rows, found = np.arange(len(context)), np.full(context.shape, -1)
    last = np.full((len(context), context.max() + 1), -1)  # When each context was visited.
    for at, visited in enumerate(context.T):
        before = last[rows, visited]
        found[:, at] = np.where(before < 0, -1, at - before - 1)
        last[rows, visited] = at
    return found
