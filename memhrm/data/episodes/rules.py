"""Secret rules of episodes, and the best accuracy possible when part of a rule is known.

A rule is a permutation of the digits 0..a-1. The set of digits whose images are known is written as the bits
of an integer below 2^a. r rules, a digits, n episodes, p examples of each, s tokens.
"""

from functools import cache, cached_property
from itertools import permutations

import numpy as np

from memhrm.data.checks import narrow

FAMILIES = ("shift", "mirror", "swap")
MOST_DIGITS = 6  # all permutations, and all pairs of sets of digits, are enumerated


class Rules:
    """The rules that an episode may have, with their probabilities and families.

    Args:
        digits: the number of digits, a.
        families: the families that a rule is drawn from: first the family, then the rule, each uniformly.
            shift: digit x becomes x + c; mirror: c - x (both modulo a); swap: two digits change places.
            Empty: all permutations are equally likely and form one family.

    Attributes:
        permutations: (r, a) uint8, the rules; a rule that belongs to two families is listed twice.
        family_of: (r,) the index of each rule's family.
        probability: (r,) the probability of each rule.
    """

    def __init__(self, digits: int, families: tuple[str, ...] = ()):
        assert 2 <= digits <= MOST_DIGITS
        self.digits = digits
        lists = [_family(name, digits) for name in families] if families else [_all(digits)]
        self.permutations = np.concatenate(lists)
        self.family_of = np.repeat(np.arange(len(lists)), [len(rules) for rules in lists])
        self.probability = np.concatenate(
            [np.full(len(rules), 1 / len(rules) / len(lists)) for rules in lists]
        )

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return the indices of `count` random rules, (count,)."""
        return rng.choice(len(self.permutations), size=count, p=self.probability)

    def part(self, rows: np.ndarray) -> "Rules":
        """Return the rules at ``rows`` alone, as likely beside one another as they are here."""
        part = Rules(self.digits)
        part.permutations, part.family_of = self.permutations[rows], self.family_of[rows]
        part.probability = self.probability[rows] / self.probability[rows].sum()
        return part

    @cached_property
    def _images(self) -> np.ndarray:
        """A number for each set of digits and each rule, (2^a, r), equal for rules that agree on the set."""
        found = np.zeros((1 << self.digits, len(self.permutations)), np.int64)
        for known in range(1 << self.digits):
            shown = np.where(known >> np.arange(self.digits) & 1, self.permutations, -1)
            found[known] = np.unique(shown, axis=0, return_inverse=True)[1].ravel()
        return found

    @cache  # noqa: B019 (there are few of these objects, and they live long)
    def chance(self, known: int, asked: int) -> float:
        """Return the probability that the best guess at the images of a set of digits is right.

        The best guess is the most probable one given the images that are known. With all permutations equally
        likely its probability is (a - |known or asked|)! / (a - |known|)!.

        Args:
            known: the set of digits whose images are known.
            asked: the set of digits whose images are asked for; all must be right.
        """
        return float(self._best(known, asked).sum())

    def chances(self, known: int, asked: int) -> np.ndarray:
        """Return the probability, with each rule in force, that the best guess is right: (r,).

        It is that for somebody who has seen the rule's images of the known digits, whatever the rule is
        otherwise; where not all permutations are equally likely, these matter. `chance` is its mean.

        Args:
            known: as in `chance`.
            asked: likewise.
        """
        seen = self._images[known]
        return self._best(known, asked)[seen] / np.bincount(seen, weights=self.probability)[seen]

    def _best(self, known: int, asked: int) -> np.ndarray:
        """Return the largest probability of any images of both sets, by the number of those of the known."""
        both = self._images[known | asked]
        mass = np.bincount(both, weights=self.probability)  # summed over rules that agree on both sets
        best = np.zeros(int(self._images[known].max()) + 1)
        np.maximum.at(best, self._images[known], mass[both])
        return best


def relabel(tokens: np.ndarray, permutations: np.ndarray, first: int) -> np.ndarray:
    """Return tokens with every digit replaced by its image; others stay as they are.

    Args:
        tokens: (n, p, s).
        permutations: (n, p, a), the rule of each example.
        first: the token of digit 0; the tokens before it are no digits.
    """
    digits = tokens.astype(np.int64) - first
    images = np.take_along_axis(permutations.astype(np.int64), digits.clip(min=0), axis=2) + first
    return narrow("labels", np.where(digits >= 0, images, tokens))


def optimum(
    rules: Rules, asked: np.ndarray, shown: list[np.ndarray], start: np.ndarray | None = None
) -> np.ndarray:
    """Return the exact accuracy of the best possible answers at each puzzle of an episode.

    Args:
        rules: the rules that the episode may have.
        asked: (2^a,) the probability of each set of digits whose images an answer needs.
        shown: for each puzzle but the last, (2^a,) the probability of each set of digits whose images the
            feedback after it reveals.
        start: (2^a,) the probability of each set of digits known at the start; None: nothing is known.

    Returns:
        (len(shown) + 1,) float64.
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
