"""Generated rules on square grids: what makes an output of an input, alone or one after the other.

n grids of S x S cells; colours are 0, the background, and 1 to K.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product

import numpy as np

from memhrm.data.arc.canvas import FLIPS, TURNED

Apply = Callable[[np.ndarray], np.ndarray]
"""Makes outputs of inputs, ``(n, S, S)`` each."""

AWAY = {"down": (1, 1), "up": (1, -1), "right": (2, 1), "left": (2, -1)}
"""Of each direction the axis, and whether it is that of growing numbers."""


@dataclass(frozen=True)
class Rule:
    """What makes outputs of inputs.

    Attributes:
        kind: its kind, or both kinds of a composition, as ``turns+gravity``.
        name: what it does, for people.
        apply: does it.
    """

    kind: str
    name: str
    apply: Apply


def _recoloured(colours: np.ndarray, grids: np.ndarray) -> np.ndarray:
    return colours[grids]


def _turned(symmetry: int, grids: np.ndarray) -> np.ndarray:
    rows, columns = FLIPS[symmetry]
    flipped = grids[:, :: -1 if rows else 1, :: -1 if columns else 1]
    return flipped.swapaxes(1, 2) if TURNED[symmetry] else flipped


def _shifted(by: tuple[int, int], grids: np.ndarray) -> np.ndarray:
    return np.roll(grids, by, axis=(1, 2))


def _kept(colour: int, grids: np.ndarray) -> np.ndarray:
    return np.where(grids == colour, grids, 0)


def _dropped(colour: int, grids: np.ndarray) -> np.ndarray:
    return np.where(grids == colour, 0, grids)


def _fallen(direction: str, grids: np.ndarray) -> np.ndarray:
    """Move the coloured cells of each line to one end, in their order."""
    axis, sign = AWAY[direction]
    coloured = (grids > 0) if sign > 0 else (grids == 0)
    order = np.argsort(coloured, axis=axis, kind="stable")
    return np.take_along_axis(grids, order, axis=axis)


def _mirrored(direction: str, grids: np.ndarray) -> np.ndarray:
    """Replace the half of the grid that lies in a direction by the mirror image of the other half."""
    axis, sign = AWAY[direction]
    side = grids.shape[axis]
    lines = np.arange(side)
    other = side - 1 - lines
    return grids.take(np.minimum(lines, other) if sign > 0 else np.maximum(lines, other), axis=axis)


KINDS = ("colours", "turns", "shifts", "masks", "gravity", "mirrors")
"""The kinds of rules that are no compositions."""


def rules_of(kind: str, colours: int, shift: int) -> list[Rule]:
    """Return all rules of a kind, or of a composition of two kinds, as ``turns+gravity``, done in this order.

    Args:
        kind: one of `KINDS`, or two with a plus between them.
        colours: K.
        shift: the farthest that a grid is shifted, along either axis.
    """
    if "+" in kind:
        first, second = (rules_of(one, colours, shift) for one in kind.split("+"))
        return [
            Rule(kind, f"{a.name}, then {b.name}", partial(_both, a.apply, b.apply))
            for a, b in product(first, second)
        ]
    makers = {
        "colours": partial(_colours, colours),
        "turns": _turns,
        "shifts": partial(_shifts, shift),
        "masks": partial(_masks, colours),
        "gravity": _gravity,
        "mirrors": _mirrors,
    }
    return [Rule(kind, name, apply) for name, apply in makers[kind]()]


def _both(first: Apply, second: Apply, grids: np.ndarray) -> np.ndarray:
    return second(first(grids))


def _colours(colours: int) -> list[tuple[str, Apply]]:
    every = list(permutations(range(1, colours + 1)))[1:]  # The first changes nothing.
    names = [f"colours {''.join(map(str, images))}" for images in every]
    return [(name, partial(_recoloured, np.array((0, *images)))) for name, images in zip(names, every)]


def _turns() -> list[tuple[str, Apply]]:
    names = ("turn left", "turn around", "turn right", "swap left and right", "swap top and bottom",
             "transpose", "transpose the other way")  # fmt: skip
    return [(name, partial(_turned, symmetry)) for symmetry, name in enumerate(names, start=1)]


def _shifts(shift: int) -> list[tuple[str, Apply]]:
    steps = range(-shift, shift + 1)
    return [
        (f"shift {by[0]:+d} {by[1]:+d}", partial(_shifted, by)) for by in product(steps, steps) if any(by)
    ]


def _masks(colours: int) -> list[tuple[str, Apply]]:
    every = range(1, colours + 1)
    kept: list[tuple[str, Apply]] = [(f"keep {one}", partial(_kept, one)) for one in every]
    return kept + [(f"drop {one}", partial(_dropped, one)) for one in every]


def _gravity() -> list[tuple[str, Apply]]:
    return [(f"fall {way}", partial(_fallen, way)) for way in AWAY]


def _mirrors() -> list[tuple[str, Apply]]:
    return [(f"mirror {way}", partial(_mirrored, way)) for way in AWAY]


def grids(count: int, side: int, colours: int, rng: np.random.Generator) -> np.ndarray:
    """Return random grids, ``(n, S, S)`` uint8: 30 to 70 % of the cells of each have a colour."""
    share = rng.uniform(0.3, 0.7, size=(count, 1, 1))
    cells = rng.integers(1, colours + 1, size=(count, side, side))
    return np.where(rng.random((count, side, side)) < share, cells, 0).astype(np.uint8)


def best_guesses(
    rules: Sequence[Rule],
    chances: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    questions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best possible probability of an exact answer to each question.

    Args:
        rules: all that there are.
        chances: how likely each is before anything is shown; they add up to 1.
        inputs: of the demonstrations of n episodes, ``(n, D, S, S)``.
        outputs: likewise.
        questions: ``(n, Q, S, S)``.

    Returns:
        With the demonstrations, and without them: ``(n, Q)`` each.
    """
    n, shown, side, _ = inputs.shape
    asked = questions.shape[1]
    flat = np.concatenate((inputs, questions), axis=1).reshape(-1, side, side)
    weights = np.random.default_rng(0).integers(1 << 62, size=(side, side))  # An answer by a hash.
    fits, answers = np.zeros((len(rules), n), bool), np.zeros((len(rules), n, asked), np.int64)
    for number, rule in enumerate(rules):
        made = np.asarray(rule.apply(flat)).reshape(n, shown + asked, side, side)
        fits[number] = (made[:, :shown] == outputs).all(axis=(1, 2, 3))
        answers[number] = (made[:, shown:] * weights).sum(axis=(2, 3))
    best, blind = np.zeros((n, asked)), np.zeros((n, asked))
    for episode, question in product(range(n), range(asked)):
        _, which = np.unique(answers[:, episode, question], return_inverse=True)
        known = chances * fits[:, episode]
        best[episode, question] = np.bincount(which, known).max() / known.sum()
        blind[episode, question] = np.bincount(which, chances).max()
    return best, blind
