"""The best guess at what a permutation, applied several times, makes of a symbol.

All permutations of a symbols are equally likely.
"""

from collections import Counter, defaultdict
from functools import cache

import numpy as np


def without_memory(symbols: int, hops: int) -> float:
    """Return the probability of the best guess when nothing is known of the permutation.

    It is the symbol itself: f^h(x) = x where the cycle of x has a length that divides h, and every length
    from 1 to a is equally likely.
    """
    return sum(hops % length == 0 for length in range(1, symbols + 1)) / symbols


def with_pieces(images: np.ndarray, symbol: int, hops: int) -> float:
    """Return the probability of the best guess when the images of some symbols are known.

    Args:
        images: (a,) the image of each symbol from 0; -1 where it is not known.
        symbol: what is asked about.
        hops: how often the permutation is applied.
    """
    for done in range(hops):
        if images[symbol] < 0:
            return _beyond(*_paths(images, symbol), hops - done)
        symbol = int(images[symbol])
    return 1.0


def _paths(images: np.ndarray, end: int) -> tuple[int, tuple[int, ...]]:
    """Return the length of the path that ends at a symbol without known image, and of the other paths.

    What is known joins the symbols to paths, and perhaps to cycles, from which no path leads.
    """
    lengths = {}
    for first in set(range(len(images))) - set(images.tolist()):
        last, length = first, 1
        while images[last] >= 0:
            last, length = int(images[last]), length + 1
        lengths[last] = length
    own = lengths.pop(end)
    return own, tuple(sorted(lengths.values()))


@cache
def _beyond(own: int, others: tuple[int, ...], hops: int) -> float:
    """Return the probability of the best guess at what lies so many hops behind the end of a path.

    From the end of a path the permutation goes to the beginning of any path, all equally likely, but of none
    that it has gone to before; from there along it. When it goes to the beginning of the first path, a cycle
    is closed. Paths of the same length are equally likely to hold the answer, at the same place.

    Args:
        own: the number of symbols of the path.
        others: those of the other paths.
        hops: from 1.
    """
    probability: defaultdict[tuple[int, int], float] = defaultdict(
        float
    )  # By the length of the path, and place.

    def follow(walked: tuple[int, ...], left: Counter[int], weight: float) -> None:
        weight /= left.total() + 1
        cycle = (*walked, own)
        at, place = 0, (hops - 1) % sum(cycle) + 1
        while place > cycle[at]:
            place, at = place - cycle[at], at + 1
        if at == len(walked):
            probability[0, place] += weight  # On the first path, of which there is one.
        else:
            probability[cycle[at], place] += weight / others.count(cycle[at])
        ahead = hops - sum(walked)
        for length, count in left.items():
            if ahead <= length:
                probability[length, ahead] += weight * count / others.count(length)
            elif count:
                follow((*walked, length), left - Counter([length]), weight * count)

    follow((), Counter(others), 1.0)
    return max(probability.values())
