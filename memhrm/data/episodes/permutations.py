"""Permutations of a symbols as arrays (..., a) of the image of each symbol.

n episodes, p examples of each, a symbols.
"""

import numpy as np


def applied(functions: np.ndarray, x: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """Return what functions (n, p, a), applied so many times (n, p), make of symbols (n, p)."""
    for done in range(int(hops.max(initial=0))):
        images = np.take_along_axis(functions, x[..., None], axis=2)[..., 0]
        x = np.where(done < hops, images, x)
    return x


def exchanged(functions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return functions (n, a) of which two random symbols have exchanged their images."""
    places = rng.permuted(np.tile(np.arange(functions.shape[1]), (len(functions), 1)), axis=1)[:, :2]
    made = functions.copy()
    np.put_along_axis(made, places, np.take_along_axis(functions, places[:, ::-1], axis=1), axis=1)
    return made


def numbers(functions: np.ndarray) -> np.ndarray:
    """Return a number for each function (..., a): its images, read as digits to the base a."""
    return functions @ functions.shape[-1] ** np.arange(functions.shape[-1])


def functions_of(numbers: np.ndarray, symbols: int) -> np.ndarray:
    """Return the functions (n, a) of which `numbers` makes these, (n,)."""
    return numbers[:, None] // symbols ** np.arange(symbols) % symbols
