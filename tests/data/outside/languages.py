"""A text task of your own: name the language of a sentence; one label an example."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memhrm.data import DataSettings, Examples, Task, examples_of

LANGUAGES = ("english", "deutsch", "polski")
LETTERS = 384  # of Unicode: ASCII, Latin-1 and Latin Extended-A


class Languages(Task):
    """Tell the language of a text of up to `length` letters; token k + 1 is the letter of code point k."""

    def __init__(self, length: int) -> None:
        super().__init__(name="languages", seq_len=length, vocab_size=LETTERS + 1, num_labels=len(LANGUAGES))

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        inputs = np.zeros((len(questions), self.seq_len), np.int32)
        for row, text in zip(inputs, questions):
            letters = [min(ord(letter), LETTERS - 1) + 1 for letter in text[: self.seq_len]]
            row[: len(letters)] = letters
        known = dict(zip(LANGUAGES, range(1, len(LANGUAGES) + 1)))
        labels = [known.get(answer, 0) for answer in answers or [""] * len(questions)]
        return examples_of(inputs, np.array(labels).reshape(-1, 1), mask=inputs > 0)

    def decode(self, tokens: np.ndarray) -> str:
        return "".join(chr(token - 1) for token in tokens.tolist() if token > 0)

    def decode_answer(self, labels: np.ndarray) -> str:
        return "" if labels[0] == 0 else LANGUAGES[labels[0] - 1]

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        try:
            lines = [line.partition("\t") for line in Path(path).read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: cannot be read ({error})") from error
        return self.encode([text for text, _, _ in lines], [label for _, _, label in lines])


@dataclass(frozen=True, kw_only=True)
class LanguageSettings(DataSettings):
    """Sentences from files with a text, TAB and a language a line.

    Attributes:
        length: letters that are read of a text.
    """

    length: int

    def task(self) -> Languages:
        return Languages(self.length)
