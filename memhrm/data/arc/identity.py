"""How pairs are known again: turned, in other colours, on another canvas, in another task.

An identity is a hash of a pair. The last bits of that of a demonstration that was trained on say of which
task it is: with identifiers tasks are told by their demonstrations, and a test that is an image of one of
its own task's is still a test.
n pairs.
"""

import numpy as np

from memhrm.data.arc.canvas import turned

OWNER = np.uint64(0xFFFF)
"""The bits of an identity that say of which task it is a demonstration; 0: of none."""


def pair_key(given: np.ndarray, output: np.ndarray) -> bytes:
    """Return a key of a pair of grids that its images under symmetries and in other colours share.

    It is the least of the eight images, in each of which the colours but 0 are numbered as they come.
    """
    return min(_numbered(turned(given, symmetry), turned(output, symmetry)) for symmetry in range(8))


def _numbered(given: np.ndarray, output: np.ndarray) -> bytes:
    cells = given.tobytes() + output.tobytes()
    colours = bytes(colour for colour in dict.fromkeys(cells) if colour)
    numbered = cells.translate(bytes.maketrans(colours, bytes(range(1, len(colours) + 1))))
    return bytes((*given.shape, *output.shape)) + numbered


def owners(keys: np.ndarray) -> np.ndarray:
    """Return the bits that stand for tasks with these keys, ``(n,)`` uint64, never 0."""
    return keys.astype(np.uint64) % OWNER + np.uint64(1)


def elsewhere(identities: np.ndarray, keys: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return which pairs were used otherwise than as demonstrations of their own tasks, ``(n,)`` bool.

    Args:
        identities: of the pairs, without an owner, ``(n,)``.
        keys: of their tasks, ``(n,)``.
        used: the identities of what was used, with owners.
    """
    pairs = np.unique(used) & ~OWNER  # In order; a pair stands there once for each of its owners.
    found = np.searchsorted(pairs, identities, "right") - np.searchsorted(pairs, identities, "left")
    return found > np.isin(identities | owners(keys), used)
