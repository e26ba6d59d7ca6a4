"""Texts as words, and words as hashed n-grams of their letters: a vocabulary without a file.

Source of the idea: Bojanowski et al. 2017, arXiv 1607.04606. n texts, w words, g tokens of a word.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np

WORDS = re.compile(r"\w+|[^\w\s]")
"""What counts as a word: letters and digits that stand together, or one other character."""

MOST_LETTERS = 64
"""Letters of a word that are looked at."""


def words_of(text: str, most: int) -> tuple[list[str], bool]:
    """Return the first words of a text in lower case, and whether there are more.

    Args:
        text: the text.
        most: how many words at most.
    """
    found: list[str] = []
    for match in WORDS.finditer(text.lower()):
        if len(found) == most:
            return found, True
        found.append(match.group()[:MOST_LETTERS])
    return found, False


class Grams:
    """Tokens of texts: of each word itself and of the n-grams of its letters, each hashed into a bucket.

    The letters are taken with a mark before and behind them. Token 0 is padding.

    Args:
        words: words of a text, w.
        tokens: tokens of a word, g; what is beyond is left out, the longest n-grams first.
        least, most: letters of an n-gram.
        buckets: how many there are.
    """

    def __init__(self, *, words: int, tokens: int, least: int, most: int, buckets: int) -> None:
        self.words, self.tokens, self.least, self.most, self.buckets = words, tokens, least, most, buckets
        self.of_word = lru_cache(maxsize=1 << 17)(self._of_word)

    def _of_word(self, word: str) -> tuple[int, ...]:
        marked = f"<{word}>"
        grams = [f"={word}"] + [
            marked[at : at + length]
            for length in range(self.least, self.most + 1)
            for at in range(len(marked) - length + 1)
        ]
        return tuple(crc32(gram.encode()) % self.buckets + 1 for gram in grams[: self.tokens])

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of texts, ``(n, w g)`` int32, and which of them are longer than w words, ``(n,)``."""
        tokens = np.zeros((len(texts), self.words, self.tokens), np.int32)
        longer = np.zeros(len(texts), bool)
        for row, text in enumerate(texts):
            words, longer[row] = words_of(text, self.words)
            for place, word in enumerate(words):
                found = self.of_word(word)
                tokens[row, place, : len(found)] = found
        return tokens.reshape(len(texts), -1), longer
