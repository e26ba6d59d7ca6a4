"""Variants of a task: one of eight symmetries, and a permutation of the colours 1 to 9.

A variant is a number: 9! times the symmetry plus the rank of the permutation among all in lexicographic
order. 0 is the task itself. An identifier is the task's key and the variant in one number, so that whoever
has the task has its identifiers, in whatever order and whichever company tasks are read.
n variants.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from memhrm.data.arc.canvas import INVERSE, turned
from memhrm.data.arc.tasks import COLOURS, ArcTask, Pair

PERMUTED = COLOURS - 1  # Colour 0 stays: it is the background.
PERMUTATIONS = math.factorial(PERMUTED)
VARIANTS = 8 * PERMUTATIONS
VARIANT_BITS = 22
RETRIES = 5
"""Draws for each variant that is wanted, before a task counts as having no more."""

_WEIGHTS = np.array([math.factorial(PERMUTED - 1 - place) for place in range(PERMUTED)])


class Variants(NamedTuple):
    """What n variants do.

    Attributes:
        symmetries: ``(n,)``, 0 to 7 (`memhrm.data.arc.canvas`).
        colours: what becomes of each colour, ``(n, 10)``.
    """

    symmetries: np.ndarray
    colours: np.ndarray


def variants_of(codes: np.ndarray) -> Variants:
    """Return what variants with these numbers do, ``(n,)``."""
    symmetries, ranks = np.divmod(codes, PERMUTATIONS)
    places = ranks[:, None] // _WEIGHTS % np.arange(PERMUTED, 0, -1)  # Among the colours that are left.
    colours = np.zeros((len(codes), COLOURS), np.int64)
    for place in range(PERMUTED - 1, -1, -1):  # Those behind make room for the one that comes before them.
        later = colours[:, place + 2 :]
        later += later >= places[:, place, None] + 1
        colours[:, place + 1] = places[:, place] + 1
    return Variants(symmetries, colours)


def codes_of(variants: Variants) -> np.ndarray:
    """Return the numbers of variants, ``(n,)``."""
    colours = variants.colours[:, 1:]
    smaller = np.stack(
        [
            (colours[:, place + 1 :] < colours[:, place, None]).sum(axis=1) * weight
            for place, weight in enumerate(_WEIGHTS)
        ]
    )
    return np.asarray(variants.symmetries) * PERMUTATIONS + smaller.sum(axis=0)


def inverse_colours(colours: np.ndarray) -> np.ndarray:
    """Return what undoes permutations of the colours ``(n, 10)``."""
    return colours.argsort(axis=1)


def undone(grid: np.ndarray, code: int) -> np.ndarray:
    """Return what a grid is in the task itself, if this is what it is in a variant."""
    symmetries, colours = variants_of(np.array([code]))
    return inverse_colours(colours)[0].astype(np.uint8)[turned(grid, int(INVERSE[symmetries[0]]))]


def identifiers_of(keys: np.ndarray | int, codes: np.ndarray | int) -> np.ndarray:
    """Return the identifiers of tasks with these keys under these variants: int64."""
    return (np.asarray(keys, np.int64) << VARIANT_BITS) | np.asarray(codes, np.int64)


def parted(identifiers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of the tasks and the numbers of the variants that identifiers stand for."""
    return identifiers >> VARIANT_BITS, identifiers & ((1 << VARIANT_BITS) - 1)


def draw(task: ArcTask, count: int, seed: int) -> np.ndarray:
    """Return the numbers of random variants of a task, no two of which show it in the same colours and turn.

    They are a function of the task and the seed alone.

    Args:
        task: the task.
        count: the most variants; there may be fewer, in a task of few colours.
        seed: seed of the draw.
    """
    rng = np.random.default_rng((seed, task.key))
    draws = RETRIES * count if count < RETRIES * PERMUTED else count + count // 2
    shown = _colours(task)
    found = np.zeros(1, np.int64)  # The task itself is no further variant.
    for _ in range(RETRIES):
        new = _reduced(rng.integers(VARIANTS, size=draws), shown)
        _, first = np.unique(np.concatenate((found, new)), return_index=True)
        found = np.concatenate((found, new))[np.sort(first)]
        if len(found) > count:
            break
    return found[1 : count + 1]


def _colours(task: ArcTask) -> np.ndarray:
    """Return which of the colours 1 to 9 occur in a task, ``(9,)`` bool."""
    grids = (
        grid for pair in (*task.demonstrations, *task.tests) for grid in (pair.input, pair.output)
        if grid is not None
    )  # fmt: skip
    return np.isin(np.arange(1, COLOURS), np.unique(np.concatenate([grid.ravel() for grid in grids])))


def _reduced(codes: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return, for each variant, the least that makes the same of the colours that are shown."""
    symmetries, colours = variants_of(codes)
    colours = colours.copy()
    hidden = np.flatnonzero(~shown) + 1
    colours[:, hidden] = np.sort(colours[:, hidden], axis=1)
    return codes_of(Variants(symmetries, colours))


def published(sets: Iterable[Sequence[ArcTask]], count: int, seed: int = 42) -> dict[int, np.ndarray]:
    """Return the variants that the published builders draw, by the key of each task.

    HRM (arXiv 2506.21734) and TRM (arXiv 2510.04871) draw from one stream for all tasks: the order of the
    tasks of each set is shuffled, and each task in turn draws until it has so many variants that no two show
    the same pairs, or five times as many draws are made.

    Args:
        sets: the tasks of each set, both in the order of the files.
        count: the most variants of a task.
        seed: seed of the stream.
    """
    stream = np.random.RandomState(seed)
    found: dict[int, np.ndarray] = {}
    for tasks in sets:
        order = list(range(len(tasks)))
        stream.shuffle(order)
        for number in order:
            found[tasks[number].key] = _published(tasks[number], count, stream)
    return found


def _published(task: ArcTask, count: int, stream: np.random.RandomState) -> np.ndarray:
    pairs = [(pair.input, _output(pair)) for pair in (*task.demonstrations, *task.tests)]
    views = [[(turned(a, symmetry), turned(b, symmetry)) for a, b in pairs] for symmetry in range(8)]
    seen, symmetries, permutations = {_content(pairs, np.arange(COLOURS))}, [], []
    for _ in range(RETRIES * count):
        if len(symmetries) == count:
            break
        symmetry = stream.randint(8)
        colours = np.concatenate(([0], stream.permutation(np.arange(1, COLOURS, dtype=np.uint8))))
        content = _content(views[symmetry], colours)
        if content not in seen:
            seen.add(content)
            symmetries.append(symmetry)
            permutations.append(colours)
    colours = np.array(permutations, np.int64).reshape(-1, COLOURS)
    return codes_of(Variants(np.array(symmetries, np.int64), colours))


def _output(pair: Pair) -> np.ndarray:
    """Return the output of a pair; where it is not known, one black cell, as published."""
    return np.zeros((1, 1), np.uint8) if pair.output is None else pair.output


def _content(pairs: Sequence[tuple[np.ndarray, np.ndarray]], colours: np.ndarray) -> tuple[bytes, ...]:
    """Return what pairs show in other colours, in no order."""
    table = colours.astype(np.uint8).tobytes() + bytes(256 - COLOURS)
    return tuple(sorted(b"%d,%d;" % (a.shape[1], b.shape[1]) + a.tobytes().translate(table) + b";" +
                        b.tobytes().translate(table) for a, b in pairs))  # fmt: skip
