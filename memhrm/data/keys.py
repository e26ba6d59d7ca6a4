"""Keys of examples: byte strings that compare as rows of tokens do, and their hashes."""

from hashlib import blake2b

import numpy as np


def row_keys(tokens: np.ndarray, most: int | None = None) -> np.ndarray:
    """Return each row of tokens ``(n, s)`` as one comparable byte string: ``(n,)``.

    Tokens below 256 take a byte each, so that keys sort as the rows do; larger ones take four.

    Args:
        tokens: whole numbers from 0.
        most: the largest that can be; None: that there is. Keys are comparable where it is the same.
    """
    most = int(tokens.max(initial=0)) if most is None else most
    tokens = np.ascontiguousarray(tokens, dtype=np.uint8 if most < 256 else ">u4")
    return tokens.view(f"S{tokens.shape[1] * tokens.itemsize}").ravel()


def hashes(keys: np.ndarray) -> np.ndarray:
    """Return a hash of each key ``(n,)``, a byte string or a whole number: ``(n,)`` uint64."""
    texts = (key if isinstance(key, bytes) else b"%d" % key for key in keys.tolist())
    digests = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
