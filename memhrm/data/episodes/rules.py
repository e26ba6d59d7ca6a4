"""Secret rules of an episode, and how well anybody could do who has seen part of them.

A rule is a permutation of the digits 0..a-1. Which digits of it are known is a set, written as the bits of an
integer below 2^a. r rules, a digits.
"""

from functools import cache, cached_property
from itertools import permutations

import numpy as np

FAMILIES = ("shift", "mirror", "swap")
MOST_DIGITS = 6  # all permutations and all pairs of sets are listed


class Rules:
    """What rules there are, how likely each is, and of which family.

    families: of whose rules one is drawn, first the family, then the rule, each uniformly. shift: digit x
        becomes x + c, mirror: c - x (both modulo a), swap: two digits change places. Empty: every permutation
        is equally likely, and there is one family.
    """

    def __init__(self, digits: int, families: tuple[str, ...] = ()):
        assert 2 <= digits <= MOST_DIGITS
        self.digits = digits
        lists = [_family(name, digits) for name in families] if families else [_all(digits)]
        self.permutations = np.concatenate(lists)  # (r, a); a rule of two families stands here twice
        self.family_of = np.repeat(np.arange(len(lists)), [len(rules) for rules in lists])  # (r,)
        self.probability = np.concatenate(
            [np.full(len(rules), 1 / len(rules) / len(lists)) for rules in lists]
        )

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of random rules, (count,)."""
        return rng.choice(len(self.permutations), size=count, p=self.probability)

    @cached_property
    def _images(self) -> np.ndarray:
        """For each set of digits, what each rule makes of it: a number that rules have in common which agree
        on the set, (2^a, r)."""
        found = np.zeros((1 << self.digits, len(self.permutations)), np.int64)
        for known in range(1 << self.digits):
            shown = np.where(known >> np.arange(self.digits) & 1, self.permutations, -1)
            found[known] = np.unique(shown, axis=0, return_inverse=True)[1].ravel()
        return found

    @cache  # noqa: B019 (there are few of these objects, and they live long)
    def chance(self, known: int, asked: int) -> float:
        """The probability that the best guess at the images of all digits of the set `asked` is right, for
        one who knows those of the set `known`: the guess that most of the remaining rules agree with.

        With all permutations equally likely: (a - |known or asked|)! / (a - |known|)!.
        """
        both = self._images[known | asked]
        mass = np.bincount(both, weights=self.probability)  # of the rules with the same images on both sets
        best = np.zeros(int(self._images[known].max()) + 1)
        np.maximum.at(best, self._images[known], mass[both])
        return float(best.sum())


def optimum(
    rules: Rules, asked: np.ndarray, shown: list[np.ndarray], start: np.ndarray | None = None
) -> np.ndarray:
    """The exact accuracy of the best possible answers at each puzzle of an episode, (len(shown) + 1,).

    asked: the probability of each set of digits whose images an answer needs, (2^a,). shown: for each
        puzzle but the last, the probability of the set that the feedback after it reveals, (2^a,).
    start: the probability of what is known before, (2^a,); None: nothing.
    """
    size = 1 << rules.digits
    known = np.eye(1, size)[0] if start is None else start
    union = np.arange(size)[:, None] | np.arange(size)  # (2^a, 2^a)
    best = []
    for reveal in [*shown, None]:
        pairs = np.argwhere(np.outer(known, asked) > 0)
        best.append(sum(known[k] * asked[q] * rules.chance(int(k), int(q)) for k, q in pairs))
        if reveal is not None:
            known = np.bincount(union.ravel(), weights=np.outer(known, reveal).ravel(), minlength=size)
    return np.array(best)


def _all(digits: int) -> np.ndarray:
    return np.array(list(permutations(range(digits))), np.uint8)


def _family(name: str, digits: int) -> np.ndarray:
    x, c = np.arange(digits), np.arange(digits)[:, None]
    if name == "shift":
        return ((x + c) % digits).astype(np.uint8)
    if name == "mirror":
        return ((c - x) % digits).astype(np.uint8)
    assert name == "swap"
    pairs = [(i, j) for i in range(digits) for j in range(i)]
    swapped = np.tile(x, (len(pairs), 1))
    for row, (i, j) in zip(swapped, pairs):
        row[i], row[j] = j, i
    return swapped.astype(np.uint8)
