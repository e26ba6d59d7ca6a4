"""Texts as tokens, in three ways, none of which needs a download.

n texts, t positions, g tokens of a position.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any
from zlib import crc32

import numpy as np

from memhrm.config import extras

WORDS = re.compile(r"\w+|[^\w\s]")
"""What counts as a word: letters and digits that stand together, or one other character."""

MOST_LETTERS = 64
"""Letters of a word that are looked at."""

ASCII, OTHERS = 128, 128
"""Characters of ASCII have a token each; all others share so many by a hash."""

UNKNOWN = "[UNK]"


class Tokens(ABC):
    """How texts are written as tokens; 0 is padding.

    Attributes:
        length: positions of a text, t; what is beyond is not read.
        bag: tokens of a position, g.
        vocab_size: different tokens, padding included.
    """

    def __init__(self, *, length: int, bag: int, vocab_size: int) -> None:
        self.length, self.bag, self.vocab_size = length, bag, vocab_size

    @abstractmethod
    def of(self, text: str) -> tuple[list[tuple[int, ...]], bool]:
        """Return the tokens of each position of a text, and whether it has more positions than are read."""

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of texts, ``(n, t g)`` int32, and which are longer than t positions, ``(n,)``."""
        tokens = np.zeros((len(texts), self.length, self.bag), np.int32)
        longer = np.zeros(len(texts), bool)
        for row, text in enumerate(texts):
            positions, longer[row] = self.of(text)
            for place, found in enumerate(positions):
                tokens[row, place, : len(found)] = found
        return tokens.reshape(len(texts), -1), longer


def words_of(text: str, most: int) -> tuple[list[str], bool]:
    """Return the first words of a text in lower case, at most so many, and whether there are more."""
    found: list[str] = []
    for match in WORDS.finditer(text.lower()):
        if len(found) == most:
            return found, True
        found.append(match.group()[:MOST_LETTERS])
    return found, False


class Grams(Tokens):
    """A position is a word; its tokens are the word and the n-grams of its letters, each by a hash.

    The letters are taken with a mark before and behind them (Bojanowski et al. 2017, arXiv 1607.04606).

    Args:
        length: words of a text, t.
        bag: tokens of a word, g; what is beyond is left out, the longest n-grams first.
        least: letters of the shortest n-gram.
        most: letters of the longest.
        buckets: how many there are.
    """

    def __init__(self, *, length: int, bag: int, least: int, most: int, buckets: int) -> None:
        super().__init__(length=length, bag=bag, vocab_size=buckets + 1)
        self.least, self.most, self.buckets = least, most, buckets
        self.of_word = lru_cache(maxsize=1 << 17)(self._of_word)

    def _of_word(self, word: str) -> tuple[int, ...]:
        marked = f"<{word}>"
        grams = [f"={word}"] + [
            marked[at : at + length]
            for length in range(self.least, self.most + 1)
            for at in range(len(marked) - length + 1)
        ]
        return tuple(crc32(gram.encode()) % self.buckets + 1 for gram in grams[: self.bag])

    def of(self, text: str) -> tuple[list[tuple[int, ...]], bool]:
        """Return the tokens of each word."""
        words, longer = words_of(text, self.length)
        return [self.of_word(word) for word in words], longer


class Characters(Tokens):
    """A position is a character.

    Args:
        length: characters of a text, t.
    """

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length, bag=1, vocab_size=1 + ASCII + OTHERS)

    def of(self, text: str) -> tuple[list[tuple[int, ...]], bool]:
        """Return the token of each character."""
        found = [
            (
                1 + ord(one)
                if ord(one) < ASCII
                else 1 + ASCII + crc32(one.encode("utf-8", "replace")) % OTHERS,
            )
            for one in text[: self.length]
        ]
        return found, len(text) > self.length


class Subwords(Tokens):
    """A position is a part of a word, out of a vocabulary that was learned from texts.

    Args:
        length: parts of a text, t.
        vocabulary: the parts, as `learn` returns them.
    """

    def __init__(self, *, length: int, vocabulary: Sequence[str]) -> None:
        super().__init__(length=length, bag=1, vocab_size=1 + len(vocabulary))
        self.vocabulary = tuple(vocabulary)

    @cached_property
    def _split(self) -> Any:
        return _tokenizer({part: number for number, part in enumerate(self.vocabulary)})

    def of(self, text: str) -> tuple[list[tuple[int, ...]], bool]:
        """Return the token of each part."""
        ids = self._split.encode(text).ids
        return [(1 + number,) for number in ids[: self.length]], len(ids) > self.length


def learn(texts: Sequence[str], size: int) -> tuple[str, ...]:
    """Return a vocabulary of at most so many parts of words, learned from texts (WordPiece).

    Raises:
        ValueError: the library is not installed.
    """
    made = _tokenizer(None)
    plain = map(made.normalizer.normalize_str, texts)
    words = {word for text in plain for word, _ in made.pre_tokenizer.pre_tokenize_str(text)}
    # Unless they are given, the library numbers letters within words by chance, and their order decides ties.
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = library().trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[UNKNOWN, *inner], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return tuple(sorted(made.get_vocab(), key=made.get_vocab().get))


def library() -> Any:
    """Return the library that learns tokens.

    Raises:
        ValueError: it is not installed.
    """
    return extras.library("tokenizers", "text", "data.tokens=learned needs an extra")


def _tokenizer(vocabulary: dict[str, int] | None) -> Any:
    tokenizers = library()
    model = tokenizers.models.WordPiece(vocabulary or {UNKNOWN: 0}, unk_token=UNKNOWN)
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return made
