"""The settings of prose."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.settings import require
from memhrm.data.cache import expand
from memhrm.data.examples import Examples
from memhrm.data.settings import DataSettings, Part
from memhrm.data.task import Task
from memhrm.data.text.prose import Letters, Masked, Parts, Prose, Script, learn_parts, read_prose


@dataclass(frozen=True, kw_only=True)
class ProseSettings(DataSettings):
    """A text file, the first part of which is trained.

    Attributes:
        tokens: characters, or learned parts of words.
        length: tokens of a window.
        trained: share of the text that is trained; the rest is the test.
        vocabulary_size: parts of words that are learned, with tokens=learned.
        vocabulary: the characters, or the learned parts as JSON; null: those of what is trained.
        masked: share of the tokens that is masked in the test; several: in further tests.
    """

    FILE: ClassVar[str] = "data/text"

    in_order: ClassVar[bool] = True

    own_file: ClassVar[str | None] = "text.txt"

    tokens: Literal["characters", "learned"]
    length: int
    trained: float
    vocabulary_size: int
    vocabulary: str | None
    masked: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(4 <= self.length <= 4096, "data.length", self.length, "4 to 4096")
        require(0 < self.trained < 1, "data.trained", self.trained, "between 0 and 1")
        size = self.vocabulary_size
        require(300 <= size <= 1 << 20, "data.vocabulary_size", size, f"300 to {1 << 20:,}")
        fits = len(self.masked) > 0 and all(0 < share <= 1 for share in self.masked)
        require(fits, "data.masked", list(self.masked), "numbers above 0, up to 1")
        require(self.augment, "data.augment", self.augment, "true: a window without masks asks nothing")
        require(self.holdout == 0, "data.holdout", self.holdout, "0; data.trained says what is tested")
        if self.path is not None and self.vocabulary is None:
            text = self._part(read_prose(expand("data.path", str(self.path))), "train")
            made = "".join(sorted(set(text))) if self.tokens == "characters" else learn_parts(text, size)
            object.__setattr__(self, "vocabulary", made)

    def _part(self, text: str, part: Part) -> str:
        cut = int(self.trained * len(text))
        return text[:cut] if part == "train" else text[cut:]

    def task(self) -> Prose:
        """Return the task of the set."""
        require(self.vocabulary is not None, "data.path", self.path, "a text file, as data.path=FILE")
        assert self.vocabulary is not None
        script: Script = Letters(self.vocabulary) if self.tokens == "characters" else Parts(self.vocabulary)
        return Prose(script, length=self.length)

    def maker(self, task: Task) -> Masked:
        """Return what masks the windows of the test."""
        assert isinstance(task, Prose)
        return Masked(task, shares=self.masked, seed=self.seed)

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return the windows of one part of a file.

        Raises:
            ValueError: the file cannot be read, or the part is shorter than a window.
        """
        assert isinstance(task, Prose)
        text = self._part(read_prose(place), part)
        found = task.trained(text) if part == "train" else task.windows(text)
        if not len(found):
            raise ValueError(
                f"{place}: the part for {part} has {len(text):,} characters; allowed: a window of "
                f"data.length={self.length} tokens or more"
            )
        return task.require(found)

    def generated_by(self) -> dict[str, Any]:
        """Return nothing: texts are not generated."""
        return {}
