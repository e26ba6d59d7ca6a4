"""Tasks of grids of one-character cells, of a fixed size: sudokus, mazes, strings.

A grid is read row by row. Token ``k`` is the ``k``-th character of the task's alphabet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.data import files
from memhrm.data.checks import PuzzleError, integers, narrow, shown
from memhrm.data.examples import Examples, examples_of
from memhrm.data.task import Task, Verdict


class GridTask(Task):
    """A task of grids whose cells are characters; it reads and writes text files (`memhrm.data.files`).

    Attributes:
        side: cells of a row.
        rows: rows of the grid; ``seq_len`` is their product.
        alphabet: the characters of tokens 1, 2, ...; ``vocab_size`` counts the padding token too.
    """

    classes = "puzzles"

    def __init__(
        self,
        *,
        name: str,
        side: int,
        alphabet: str,
        rows: int | None = None,
        aliases: dict[str, str] | None = None,
    ) -> None:
        aliases = aliases or {}
        if not isinstance(alphabet, str) or not alphabet or len(set(alphabet)) < len(alphabet):
            raise ValueError(f"alphabet is {shown(alphabet)}; allowed: a text of different characters")
        self.side = side
        self.rows = side if rows is None else rows
        self.alphabet = alphabet
        super().__init__(
            name=name, seq_len=self.rows * side, vocab_size=len(alphabet) + 1, layout=(self.rows, side)
        )
        # A table over code points; the last entry, 0, is for all that are beyond it.
        table = np.zeros(max(map(ord, (*alphabet, *aliases))) + 2, np.int32)
        for token, character in enumerate(alphabet, start=1):
            table[ord(character)] = token
        for alias, character in aliases.items():
            table[ord(alias)] = table[ord(character)]
        self._token_of = narrow("alphabet", table)

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of texts of `seq_len` characters; answers must solve their questions."""
        inputs = self.tokens("question", questions)
        if answers is None:
            self.check_questions(inputs)
            return examples_of(inputs, np.zeros_like(inputs))
        labels = self.tokens("answer", answers)
        self.check(inputs, labels)
        return examples_of(inputs, labels)

    def pairs(self, questions: Sequence[str], answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of questions and answers, ``(n, s)`` each.

        The answers are under an episode's rule: they need not solve the questions.
        """
        return self.encode(questions).inputs, self.tokens("answer", answers)

    def tokens(self, field: str, texts: Sequence[str]) -> np.ndarray:
        """Return the tokens of texts, ``(n, s)``.

        Args:
            field: what the texts are called in messages.
            texts: ``n`` texts of ``s`` characters.

        Raises:
            ValueError: no texts, wrong length, or a character that is not in the alphabet.
        """
        if not isinstance(texts, Sequence | np.ndarray) or isinstance(texts, str | bytes):
            raise ValueError(f"{field} is {shown(texts)}; allowed: a list of texts")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise PuzzleError(row, f"{field} is {shown(text)}; allowed: a text")
            if len(text) != self.seq_len:
                raise PuzzleError(row, f"{field} has {len(text)} characters; {self.name} has {self.seq_len}")
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        tokens = self._token_of[np.minimum(characters, len(self._token_of) - 1)]
        if not tokens.all():
            row, cell = divmod(int((tokens == 0).argmax()), self.seq_len)
            raise PuzzleError(
                row,
                f"{field} has {texts[row][cell]!r} at character {cell + 1}; allowed are {self.alphabet!r}",
            )
        return tokens.reshape(len(texts), self.seq_len)

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of tokens of any shape; what is no token of the alphabet becomes '?'.

        Raises:
            ValueError: it is no array of whole numbers.
        """
        values = np.ravel(tokens)
        if values.size and values.dtype.kind not in "iu":
            raise ValueError(f"tokens are {shown(tokens)}; allowed: whole numbers")
        return "".join(self.alphabet[k - 1] if 1 <= k < self.vocab_size else "?" for k in values.tolist())

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        """Read the puzzles of a text file; see `memhrm.data.files.read_grids`."""
        return files.read_grids(path, self, solve=solve)

    def write(self, path: Path, examples: Examples) -> None:
        """Write a CSV file; see `memhrm.data.files.write_csv`."""
        files.write_csv(path, self, examples)

    def render(self, tokens: np.ndarray) -> str:
        """Return the grid of a token array ``(s,)`` for people, one line per row."""
        text = self.decode(tokens)
        return "\n".join(text[start : start + self.side] for start in range(0, self.seq_len, self.side))

    def checked(self, name: str, values: Any, low: int = 1) -> np.ndarray:
        """Return inputs or labels ``(n, s)`` of this task, by default without padding."""
        return super().checked(name, values, low)

    def checked_pair(self, inputs: Any, labels: Any, low: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return questions and as many answers, by default without padding."""
        return super().checked_pair(inputs, labels, low)

    def place(self, cell: int) -> str:
        """Return where a cell is, for messages; rows and columns count from 1."""
        if self.rows == 1:
            return f"character {cell + 1}"
        return f"row {cell // self.side + 1}, column {cell % self.side + 1}"

    def verdict(self, inputs: np.ndarray, answers: np.ndarray) -> Verdict | None:
        """Return what can be said of answers ``(n, s)``, of any tokens, without knowing the right ones.

        Where the answers are relabelled by an episode's rule (`answers` above 0), the givens are kept if one
        relabelling explains them all. None unless the task defines `keeps_givens` and `keeps_rules`.
        """
        inputs, answers = self.checked("inputs", inputs), integers("answers", answers, 2)
        if inputs.shape != answers.shape:
            raise ValueError(f"answers have shape {answers.shape}; the inputs have {inputs.shape}")
        keeps, rules = self.keeps_givens(inputs, answers), self.keeps_rules(inputs, answers)
        if keeps is None or rules is None:
            return None
        if self.answers:
            keeps = np.array([self._relabels(*row) for row in zip(inputs, answers)], bool)
        return Verdict(keeps, rules)

    def _relabels(self, question: np.ndarray, answer: np.ndarray) -> bool:
        first = self.vocab_size - self.answers
        pairs = {(int(x), int(y)) for x, y in zip(question, answer) if x >= first}
        return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})

    def keeps_givens(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray | None:
        """Return whether answers ``(n, s)``, of any tokens, keep what the questions give: ``(n,)`` bool."""
        return None

    def keeps_rules(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray | None:
        """Return whether answers ``(n, s)``, of any tokens, keep the rules of the task: ``(n,)`` bool."""
        return None
