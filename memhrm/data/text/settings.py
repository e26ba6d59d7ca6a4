"""The settings of labelled texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import require
from memhrm.data.cache import expand, is_file
from memhrm.data.examples import Examples, concatenate
from memhrm.data.settings import DataSettings, Part
from memhrm.data.task import Task
from memhrm.data.text.files import read_labelled
from memhrm.data.text.intent import Intent
from memhrm.data.text.tokens import UNKNOWN, Characters, Grams, Subwords, Tokens, learn


@dataclass(frozen=True, kw_only=True)
class IntentSettings(DataSettings):
    """Texts with categories, from CSV files.

    Attributes:
        tokens: ngrams: a position is a word, with hashes of it and of the n-grams of its letters; characters:
            a position is a character; learned: a position is a part of a word.
        length: positions of a text that are read.
        bag: tokens of a word, with tokens=ngrams.
        grams: letters of the shortest and of the longest n-gram.
        buckets: of the hashes.
        vocabulary_size: parts of words that are learned, with tokens=learned.
        vocabulary: the parts; null: learned from the training file.
        categories: names of the categories, in the order of the labels; null: those of the training file.
        dropout: share of positions and tokens that variants leave out.
        oos: file of texts that belong to no category, which the test has besides; null: none.
        shots: training texts of each category that are drawn, at most; null: all.
    """

    FILE: ClassVar[str] = "data/intent"

    tokens: Literal["ngrams", "characters", "learned"]
    length: int
    bag: int
    grams: tuple[int, int]
    buckets: int
    vocabulary_size: int
    vocabulary: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    dropout: float
    oos: str | None
    shots: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.length <= 4096, "data.length", self.length, "1 to 4096")
        require(1 <= self.bag <= 256, "data.bag", self.bag, "1 to 256")
        least, most = self.grams
        allowed = "two numbers from 1 to 16, in order"
        require(1 <= least <= most <= 16, "data.grams", list(self.grams), allowed)
        require(16 <= self.buckets <= 1 << 24, "data.buckets", self.buckets, f"16 to {1 << 24:,}")
        size = self.vocabulary_size
        require(100 <= size <= 1 << 20, "data.vocabulary_size", size, f"100 to {1 << 20:,}")
        require(0 <= self.dropout < 1, "data.dropout", self.dropout, "0 to below 1")
        require(self.shots is None or self.shots >= 1, "data.shots", self.shots, "null, or numbers from 1")
        if self.vocabulary is not None:
            fits = UNKNOWN in self.vocabulary and len(set(self.vocabulary)) == len(self.vocabulary)
            allowed = f"null, or different parts of words, {UNKNOWN} among them"
            require(fits, "data.vocabulary", list(self.vocabulary), allowed)
        if self.path is not None:
            self._read_what_is_null()
        if self.categories is not None:
            fits = len(self.categories) >= 2 and len(set(self.categories)) == len(self.categories)
            require(fits, "data.categories", list(self.categories), "at least two different names")

    def _read_what_is_null(self) -> None:
        """Put the categories and the vocabulary of the training file in the place of null."""
        learned = self.tokens == "learned" and self.vocabulary is None
        if self.categories is not None and not learned:
            return
        place = expand("data.path", str(self.path))
        found = read_labelled(place if is_file(place) else place / expand("data.train_file", self.train_file))
        if self.categories is None:
            object.__setattr__(self, "categories", tuple(sorted({one.category for one in found})))
        if learned:
            words = learn([one.text for one in found], self.vocabulary_size)
            object.__setattr__(self, "vocabulary", words)

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return the texts of a file; those of the test with the texts that belong to no category."""
        assert isinstance(task, Intent)
        found = super().read(task, place, part)
        if part == "train" and self.shots is not None:
            return found.select(_few(found.labels[:, 0], self.shots, self.seed))
        if part == "train" or self.oos is None:
            return found
        outside = read_labelled(self._beside(place, self.oos), required=False)
        return concatenate([found, task.encode([one.text for one in outside])])

    def _beside(self, place: Path, file: str) -> Path:
        """Return where a file is that is named beside another."""
        return place.parent / expand("data.oos", file)

    def task(self) -> Intent:
        """Return the task of the set."""
        allowed = "a folder with the files, as data.path=DIR"
        require(self.categories is not None, "data.path", self.path, allowed)
        assert self.categories is not None
        return Intent(self._tokens(), self.categories, dropout=self.dropout)

    def _tokens(self) -> Tokens:
        if self.tokens == "characters":
            return Characters(length=self.length)
        if self.tokens == "learned":
            return Subwords(length=self.length, vocabulary=self.vocabulary or ())
        least, most = self.grams
        return Grams(length=self.length, bag=self.bag, least=least, most=most, buckets=self.buckets)

    def generated_by(self) -> dict[str, Any]:
        """Return nothing: texts are not generated."""
        return {}


def _few(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Return the rows of so many examples of each label, drawn at random, in their order."""
    order = np.random.default_rng((seed, 0x5407)).permutation(len(labels))
    drawn = [order[labels[order] == label][:shots] for label in np.unique(labels)]
    return np.sort(np.concatenate(drawn))
