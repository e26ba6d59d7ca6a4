"""Hops: a secret function, applied several times; a question takes memory, and a step for each hop.

A function f maps a symbols onto one another. The question "ff3" asks for f(f(3)); the fact "f3" = "5" is told
as one token for the pair (`memhrm.data.episodes.episodes.pair`).
n examples, s tokens.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from memhrm.data.checks import PuzzleError, number
from memhrm.data.examples import Examples, examples_of, quantiles
from memhrm.data.keys import row_keys
from memhrm.data.task import Task

SYMBOLS = "123456789"
APPLY, FIRST = 1, 2  # the token "f", and that of the first symbol


class Hops(Task):
    """Apply a function to a symbol as often as the question says.

    A question has one token for each hop, then the symbol, then padding; its one label stands at the first
    token. So a question of more hops than any in training is made of the same tokens. An example of a set is
    a whole function: its tokens are the symbols, its labels their images.

    Args:
        symbols: the number of symbols, 2 to 9.
        hops: the most hops of a question.

    Raises:
        ValueError: a number is out of bounds.
    """

    classes = "functions"
    asks = False

    def __init__(self, *, symbols: int, hops: int) -> None:
        self.symbols = number("symbols", symbols, 2, len(SYMBOLS))
        self.hops = number("hops", hops, 1, 1 << 10)
        super().__init__(
            name=f"hops{symbols}", seq_len=max(self.symbols, 1 + self.hops), vocab_size=FIRST + self.symbols
        )
        self.answers, self.labels_from = self.symbols, FIRST
        self.alphabet = "f" + SYMBOLS[: self.symbols]

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return questions, as "ff3", with their answers, as "5"."""
        if answers is not None and len(answers) != len(questions):
            raise ValueError(f"there are {len(answers)} answers to {len(questions)} questions")
        inputs, labels = (np.zeros((len(questions), self.seq_len), np.int32) for _ in range(2))
        for row, question in enumerate(questions):
            hops = len(question) - 1 if isinstance(question, str) else 0
            if not 1 <= hops <= self.hops or question[:-1] != "f" * hops:
                raise PuzzleError(row, f"question is {question!r}; allowed: 1 to {self.hops} f and a symbol")
            inputs[row, :hops], inputs[row, hops] = APPLY, self._symbol(row, "question", question[-1])
        for row, answer in enumerate(answers or ()):
            labels[row, 0] = self._symbol(row, "answer", answer)
        return examples_of(inputs, labels, mask=inputs > 0)

    def asked(self, inputs: np.ndarray) -> np.ndarray:
        """Return the first token of each question, where its answer stands: ``(n, s)`` bool."""
        return (inputs > 0) & (np.arange(self.seq_len) == 0)

    def pairs(self, questions: Sequence[str], answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of facts, as "3" = "5", or several at once, as "37" = "52": (n, s) each."""
        both = np.zeros((2, len(questions), self.seq_len), np.int32)
        for row, texts in enumerate(zip(questions, answers, strict=True)):
            if not 1 <= len(texts[0]) == len(texts[1]) <= self.symbols:
                allowed = f"1 to {self.symbols} symbols, and an image for each"
                raise PuzzleError(row, f"fact is {texts[0]!r} = {texts[1]!r}; allowed: {allowed}")
            for part, field, text in zip(both, ("fact", "image"), texts):
                part[row, : len(text)] = [self._symbol(row, field, one) for one in text]
        return both[0], both[1]

    def _symbol(self, row: int, field: str, text: str) -> int:
        if not isinstance(text, str) or len(text) != 1 or text not in self.alphabet[1:]:
            raise PuzzleError(row, f"{field} has {text!r}; allowed: one of {self.alphabet[1:]}")
        return self.alphabet.index(text) + 1

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of tokens without their padding; what is no token becomes '?'."""
        known = {0: ""} | dict(enumerate(self.alphabet, start=1))
        return "".join(known.get(int(token), "?") for token in np.ravel(tokens))

    def decode_answer(self, labels: np.ndarray) -> str:
        """Return the answer to a question, which stands at its first token."""
        return self.decode(labels[:1])

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each function, whatever the longest question."""
        return row_keys(labels[:, : self.symbols], self.vocab_size - 1)

    def describe(self, examples: Examples) -> str:
        """Return one line on the functions of a set: their fixed points."""
        fixed = (examples.inputs == examples.labels) & (examples.labels > 0)
        return quantiles("fixed points", fixed.sum(axis=1))


def functions(task: Hops, count: int | None, rng: np.random.Generator) -> Examples:
    """Return different functions in random order.

    Args:
        task: the task, which says how many there are.
        count: the number of functions; None: all.
        rng: the source of randomness.

    Raises:
        ValueError: there are fewer.
    """
    every = np.array(list(permutations(range(task.symbols))), np.uint8)
    if count is not None and count > len(every):
        raise ValueError(
            f"data.train_size, test_size and holdout ask for {count} functions; there are {len(every)}"
        )
    labels = np.zeros((len(every) if count is None else count, task.seq_len), np.uint8)
    labels[:, : task.symbols] = every[rng.permutation(len(every))[:count]] + FIRST
    inputs = np.zeros_like(labels)
    inputs[:, : task.symbols] = np.arange(task.symbols) + FIRST
    return examples_of(inputs, labels, sources=["generated"] * len(labels), mask=inputs > 0)
