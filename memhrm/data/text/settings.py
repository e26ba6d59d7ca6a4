"""The settings of labelled texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.settings import require
from memhrm.data.cache import expand
from memhrm.data.settings import DataSettings
from memhrm.data.text.files import read_labelled
from memhrm.data.text.grams import Grams
from memhrm.data.text.intent import Intent


@dataclass(frozen=True, kw_only=True)
class IntentSettings(DataSettings):
    """Texts with categories, from CSV files.

    Attributes:
        categories: their names, in the order of the labels; null: those of the training file, sorted.
        words: words of a text that are read.
        bag: tokens of a word.
        grams: the fewest and the most letters of an n-gram.
        buckets: of the hashes.
        dropout: share of words and tokens that variants leave out.
    """

    FILE: ClassVar[str] = "data/intent"

    categories: tuple[str, ...] | None
    words: int
    bag: int
    grams: tuple[int, int]
    buckets: int
    dropout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.words <= 1024, "data.words", self.words, "1 to 1024")
        require(1 <= self.bag <= 256, "data.bag", self.bag, "1 to 256")
        least, most = self.grams
        require(
            1 <= least <= most <= 16, "data.grams", list(self.grams), "two numbers from 1 to 16, in order"
        )
        require(16 <= self.buckets <= 1 << 24, "data.buckets", self.buckets, f"16 to {1 << 24:,}")
        require(0 <= self.dropout < 1, "data.dropout", self.dropout, "0 to below 1")
        if self.categories is None and self.path is not None:
            object.__setattr__(self, "categories", self._categories())
        if self.categories is not None:
            fits = len(self.categories) >= 2 and len(set(self.categories)) == len(self.categories)
            require(fits, "data.categories", list(self.categories), "at least two different names")

    def _categories(self) -> tuple[str, ...]:
        place = expand("data.path", str(self.path)) / expand("data.train_file", self.train_file)
        return tuple(sorted({one.category for one in read_labelled(Path(place))}))

    def task(self) -> Intent:
        """Return the task of the set."""
        require(
            self.categories is not None, "data.path", self.path, "a folder with the files, as data.path=DIR"
        )
        assert self.categories is not None
        least, most = self.grams
        grams = Grams(words=self.words, tokens=self.bag, least=least, most=most, buckets=self.buckets)
        return Intent(grams, self.categories, dropout=self.dropout)

    def generated_by(self) -> dict[str, Any]:
        """Return nothing: texts are not generated."""
        return {}
