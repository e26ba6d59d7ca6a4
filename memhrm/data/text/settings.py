"""The settings of labelled texts."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import require
from memhrm.data.cache import expand, is_file
from memhrm.data.examples import Examples, concatenate
from memhrm.data.loading import load
from memhrm.data.settings import DataSettings, DrawnSettings, Part
from memhrm.data.task import Task
from memhrm.data.text.few_shot import FewShot, FewShotIntent
from memhrm.data.text.files import read_labelled, require_known
from memhrm.data.text.intent import Intent, Texts
from memhrm.data.text.tokens import UNKNOWN, Characters, Grams, Subwords, Tokens, learn


@dataclass(frozen=True, kw_only=True)
class TextSettings(DataSettings):
    """How texts with categories, from CSV files, are written as tokens.

    Attributes:
        tokens: ngrams: a position is a word, with hashes of it and of the n-grams of its letters; characters:
            a position is a character; learned: a position is a part of a word.
        length: positions of a text that are read.
        bag: tokens of a word, with tokens=ngrams.
        grams: letters of the shortest and of the longest n-gram.
        buckets: of the hashes.
        vocabulary_size: parts of words that are learned, with tokens=learned.
        vocabulary: the parts; null: learned from the training texts.
        categories: names of the categories, in the order of the labels; null: those of the training file.
        dropout: share of positions and tokens that variants leave out.
    """

    FILE: ClassVar[str] = "data/_texts"

    tokens: Literal["ngrams", "characters", "learned"]
    length: int
    bag: int
    grams: tuple[int, int]
    buckets: int
    vocabulary_size: int
    vocabulary: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    dropout: float

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
        """Put the categories and the vocabulary of the training texts in the place of null."""
        if self.categories is None:
            found = sorted({one.category for one in read_labelled(self._training_file())})
            object.__setattr__(self, "categories", self.of_file(found))
        if self.tokens == "learned" and self.vocabulary is None:
            words = learn(self._trained_texts(), self.vocabulary_size)
            object.__setattr__(self, "vocabulary", words)

    def _trained_texts(self) -> list[str]:
        """Return the texts that are trained: the training file may hold those that are tested, too."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It says how many characters are read, which are not the tokens.
            found = load(**asdict(replace(self, tokens="characters")))
        return found.train.sources.tolist()

    def _training_file(self) -> Path:
        place = expand("data.path", str(self.path))
        return place if is_file(place) else place / expand("data.train_file", self.train_file)

    def of_file(self, categories: Sequence[str]) -> tuple[str, ...]:
        """Return the categories that null stands for, of those that the training file has."""
        return tuple(categories)

    def known(self) -> tuple[str, ...]:
        """Return the categories.

        Raises:
            ValueError: there are no files that have them.
        """
        allowed = "a folder with the files, as data.path=DIR"
        require(self.categories is not None, "data.path", self.path, allowed)
        return self.categories or ()

    def written(self) -> Tokens:
        """Return what makes tokens of texts."""
        if self.tokens == "characters":
            return Characters(length=self.length)
        if self.tokens == "learned":
            return Subwords(length=self.length, vocabulary=self.vocabulary or ())
        least, most = self.grams
        return Grams(length=self.length, bag=self.bag, least=least, most=most, buckets=self.buckets)

    def generated_by(self) -> dict[str, Any]:
        """Return nothing: texts are not generated."""
        return {}


@dataclass(frozen=True, kw_only=True)
class IntentSettings(TextSettings):
    """Texts with categories, each for itself.

    Attributes:
        shots: training texts of each category that are drawn, at most; null: all.
        oos: file of texts that belong to no category, which the test has besides; null: none.
        left_out: categories, drawn by the seed, that neither training nor test has: a bank may learn them.
    """

    FILE: ClassVar[str] = "data/intent"

    shots: int | None
    oos: str | None
    left_out: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.shots is None or self.shots >= 1, "data.shots", self.shots, "null, or numbers from 1")
        if self.left_out and self.categories is not None and self.path is not None:
            self._require_left_out(self.categories)

    def _require_left_out(self, categories: Sequence[str]) -> None:
        """Check that categories are those that are not left out; a bank may have more behind them.

        Where the training file is not there, as beside an exported model, they are believed.
        """
        file = self._training_file()
        if file.is_file():
            kept = self.of_file(sorted({one.category for one in read_labelled(file)}))
            fits = tuple(categories[: len(kept)]) == kept
            allowed = "null, or those that data.left_out leaves"
            require(fits, "data.categories", list(categories), allowed)

    @property
    def draws(self) -> bool:
        """Whether the seed says which texts of the files are taken."""
        return self.shots is not None or self.left_out > 0

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return the texts of a file whose category is not left out.

        Raises:
            ValueError: a category is one that the training file does not have. Where that is not there, as
                beside an exported model, each that the task does not know is left out.
        """
        if self.left_out == 0:
            return super().read(task, place, part)
        records, file = read_labelled(place), self._training_file()
        if file.is_file():
            there = {*self.known(), *(one.category for one in read_labelled(file))}
            require_known(place, records, there)
        found = task.read(place, solve=False)
        return task.require(found.select(np.flatnonzero(found.labels[:, 0])))

    def completed(self, task: Task, found: Examples, folder: Path, part: Part) -> Examples:
        """Return a few texts of each category for training, and those of none besides for the test."""
        if part == "train":
            few = None if self.shots is None else _few(found.labels[:, 0], self.shots, self.seed)
            return found if few is None else found.select(few)
        if self.oos is None:
            return found
        outside = read_labelled(folder / expand("data.oos", self.oos), required=False)
        return concatenate([found, task.encode([one.text for one in outside])])

    def of_file(self, categories: Sequence[str]) -> tuple[str, ...]:
        """Return the categories of the training file that are not left out."""
        most = len(categories) - 2
        require(0 <= self.left_out <= most, "data.left_out", self.left_out, f"0 to {most}, as two must stay")
        kept = _kept(len(categories), self.left_out, self.seed)
        return tuple(name for name, stays in zip(categories, kept) if stays)

    def task(self) -> Intent:
        """Return the task of the set."""
        return Intent(self.written(), self.known(), dropout=self.dropout)

    def maker(self, task: Task) -> Texts:
        """Return what draws the texts that choose a checkpoint."""
        return Texts(task, augment=self.augment, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class FewShotSettings(TextSettings, DrawnSettings):
    """Texts with categories, in episodes that tell a few of each category and ask others.

    Attributes:
        ways: categories of a training episode; several: each for an equal part of the training.
        shots: texts of each category that are told.
        questions: that follow.
        test_ways: categories of a test episode; those of further tests, where there are several.
        held_out_categories: share of the categories that are not trained; the test has these alone.
    """

    FILE: ClassVar[str] = "data/intent_episodes"

    ways: tuple[int, ...]
    shots: int
    questions: int
    test_ways: tuple[int, ...]
    held_out_categories: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ways", "test_ways"):
            given = getattr(self, name)
            fits = len(given) > 0 and all(2 <= ways <= 64 for ways in given)
            require(fits, f"data.{name}", list(given), "numbers from 2 to 64")
        for name in ("shots", "questions"):
            require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "numbers from 1")
        share = self.held_out_categories
        require(0 < share < 1, "data.held_out_categories", share, "between 0 and 1")
        if self.categories is not None:
            for name, kept in (("ways", self.trained), ("test_ways", ~self.trained)):
                given, most = getattr(self, name), int(kept.sum())
                allowed = f"numbers up to {most}, the categories that data.held_out_categories leaves there"
                require(max(given) <= most, f"data.{name}", list(given), allowed)
        for name in ("train_size", "test_size"):
            require(getattr(self, name) is None, f"data.{name}", getattr(self, name), "null")
        allowed = "0; data.held_out_categories says what is tested"
        require(self.holdout == 0, "data.holdout", self.holdout, allowed)

    @property
    def stages(self) -> int:
        """Return the number of parts of the training, which have different episodes."""
        return len(self.ways)

    @property
    def trained(self) -> np.ndarray:
        """Which of the categories are trained, (C,) bool."""
        count = len(self.known())
        return _kept(count, round(self.held_out_categories * count), self.seed)

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return the texts of a file: of the categories that are trained, or of the others."""
        found, groups = super().read(task, place, part), self.trained
        return found.select(np.flatnonzero(groups[found.groups] == (part == "train")))

    def task(self) -> FewShotIntent:
        """Return the task of the set."""
        most = max(*self.ways, *self.test_ways)
        return FewShotIntent(self.written(), self.known(), ways=most, dropout=self.dropout)

    def maker(self, task: Task) -> FewShot:
        """Return what draws the episodes."""
        assert isinstance(task, FewShotIntent)
        return FewShot(
            task,
            ways=self.ways,
            test_ways=self.test_ways,
            shots=self.shots,
            questions=self.questions,
            test_episodes=self.test_episodes,
            augment=self.augment,
            seed=self.seed,
        )


def _kept(count: int, out: int, seed: int) -> np.ndarray:
    """Return which of so many categories stay when some are drawn to be left out, (count,) bool."""
    order = np.random.default_rng((seed, 0x1EF7)).permutation(count)
    return ~np.isin(np.arange(count), order[:out])


def _few(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Return the rows of so many examples of each label, drawn at random, in their order."""
    order = np.random.default_rng((seed, 0x5407)).permutation(len(labels))
    drawn = [order[labels[order] == label][:shots] for label in np.unique(labels)]
    return np.sort(np.concatenate(drawn))
