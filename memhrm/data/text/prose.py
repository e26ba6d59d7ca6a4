"""Prose with masked tokens, which are to be filled in.

n windows, s tokens of a window.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config.settings import advise
from memhrm.data.checks import PuzzleError
from memhrm.data.episodes.episodes import Episodes, alone
from memhrm.data.episodes.maker import Alone
from memhrm.data.examples import Examples, examples_of
from memhrm.data.formats import opened
from memhrm.data.keys import row_keys
from memhrm.data.task import Task
from memhrm.data.text.tokens import library

MASK, UNKNOWN, FIRST = 1, 2, 3
"""The token of what is to be filled in, that of what no training text has, and the first of all others."""

GAP = "_"
"""How a masked token is shown."""


class Script(ABC):
    """How prose is written as tokens, and read back.

    Attributes:
        size: different tokens, without the mask and the like.
    """

    size: int

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text, from `FIRST`; `UNKNOWN` where there is none."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens from `FIRST`."""


class Letters(Script):
    """A token is a character.

    Args:
        alphabet: the characters there are, in the order of their tokens.
    """

    def __init__(self, alphabet: str) -> None:
        self.alphabet, self.size = alphabet, len(alphabet)
        self._tokens = {one: FIRST + number for number, one in enumerate(alphabet)}

    def encode(self, text: str) -> np.ndarray:
        """As `Script`."""
        return np.array([self._tokens.get(one, UNKNOWN) for one in text], np.int32)

    def decode(self, tokens: Sequence[int]) -> str:
        """As `Script`."""
        return "".join(self.alphabet[token - FIRST] for token in tokens)


class Parts(Script):
    """A token is a part of a word, learned from texts (byte-pair encoding); any text can be written.

    Args:
        learned: what `learn_parts` returns.
    """

    def __init__(self, learned: str) -> None:
        tokenizers = library()
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(learned)
        except Exception:  # The library has no error of its own.
            raise ValueError(
                f"data.vocabulary is {learned[:20]!r}...; allowed with data.tokens=learned: null, or what a "
                "run has learned"
            ) from None
        self.size = self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """As `Script`."""
        return np.array(self._tokenizer.encode(text).ids, np.int32) + FIRST

    def decode(self, tokens: Sequence[int]) -> str:
        """As `Script`."""
        return self._tokenizer.decode([int(token) - FIRST for token in tokens])


def learn_parts(text: str, size: int) -> str:
    """Return so many parts of words, learned from a text, as JSON.

    Raises:
        ValueError: the library is not installed.
    """
    tokenizers: Any = library()
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(text.splitlines(keepends=True), trainer)
    return json.dumps(json.loads(made.to_str()), separators=(",", ":"))


def read_prose(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ValueError: it cannot be read, or is empty; the message names the file.
    """
    with opened(path) as file:
        text = file.read()
    if not text.strip():
        raise ValueError(f"{path}: the text is empty")
    return text


class Prose(Task):
    """Fill in masked tokens of a window of text.

    An example of a set is a window without masks, whose labels are its tokens; a variant is a window of the
    same text that begins anywhere up to a window later, with a random share of its tokens masked. Only masked
    tokens have labels.

    Args:
        script: how text is written as tokens.
        length: s.

    Attributes:
        text: tokens of the training text.
    """

    classes = "windows"
    labels_from = FIRST

    def __init__(self, script: Script, *, length: int) -> None:
        super().__init__(name="text", seq_len=length, vocab_size=FIRST + script.size)
        self.script, self.text = script, np.zeros(0, np.int32)

    def windows(self, text: str) -> Examples:
        """Return the windows of a text that do not overlap; what is left over at its end is not used."""
        return self._windows(self.script.encode(text))

    def _windows(self, tokens: np.ndarray) -> Examples:
        count = len(tokens) // self.seq_len
        rows = tokens[: count * self.seq_len].reshape(count, self.seq_len)
        return examples_of(rows, _labels(rows), groups=np.arange(count))

    def trained(self, text: str) -> Examples:
        """Return the windows of the training text, which variants are taken from."""
        self.text = self.script.encode(text)
        return self._windows(self.text)

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of texts up to a window long, in which `GAP` stands for a masked token."""
        inputs = np.zeros((len(questions), self.seq_len), np.int32)
        labels = np.zeros_like(inputs)
        for row, text in enumerate(questions):
            tokens = self.with_gaps(text)
            if not 0 < len(tokens) <= self.seq_len:
                raise PuzzleError(row, f"text has {len(tokens)} tokens; allowed: 1 to {self.seq_len}")
            inputs[row, : len(tokens)] = tokens
            if answers is not None:
                right = self.script.encode(answers[row])
                if len(right) != len(tokens):
                    raise PuzzleError(row, f"answer has {len(right)} tokens; the text has {len(tokens)}")
                labels[row, : len(tokens)] = np.where(tokens == MASK, _labels(right), 0)
        return examples_of(inputs, labels, mask=inputs > 0)

    def asked(self, inputs: np.ndarray) -> np.ndarray:
        """Return which tokens are masked, ``(n, s)`` bool."""
        return inputs == MASK

    def with_gaps(self, text: str) -> np.ndarray:
        """Return the tokens of a text in which `GAP` stands for a masked token."""
        known = isinstance(self.script, Letters) and GAP in self.script.alphabet
        advise(known and GAP in text, f"each {GAP} is filled in: that of the training text cannot be given")
        parts = [self.script.encode(part) if part else np.zeros(0, np.int32) for part in text.split(GAP)]
        joined = [parts[0]]
        for part in parts[1:]:
            joined += [np.array([MASK], np.int32), part]
        return np.concatenate(joined)

    def unknown(self, text: str) -> list[str]:
        """Return the characters of a text that have no token, in their order."""
        parts = text.split(GAP)  # Where there is an unknown token, each token is a character.
        pairs = (pair for part in parts if part for pair in zip(part, self.script.encode(part)))
        return [character for character, token in pairs if token == UNKNOWN]

    def decode(self, tokens: np.ndarray, unknown: Sequence[str] = ()) -> str:
        """Return the text of tokens, with `GAP` for each that is masked or unknown.

        Args:
            tokens: the tokens.
            unknown: what the unknown tokens stand for, as `unknown` returns it; of those beyond nothing is
                known.
        """
        text, run, said = [], [], iter(unknown)
        for token in [*np.asarray(tokens).tolist(), 0]:
            if token >= FIRST:
                run.append(token)
                continue
            between = next(said, GAP) if token == UNKNOWN else GAP if token == MASK else ""
            text += [self.script.decode(run), between]
            run = []
        return "".join(text)

    def masked(self, examples: Examples, shares: np.ndarray, rng: np.random.Generator) -> Examples:
        """Return windows of which a share of the tokens, (n,), is masked, one token at least."""
        n, s = examples.inputs.shape
        counts = np.clip(np.round(shares * s).astype(int), 1, s)
        hidden = rng.random((n, s)).argsort(axis=1).argsort(axis=1) < counts[:, None]
        labels = np.where(hidden, _labels(examples.inputs), 0)
        return examples.having(inputs=np.where(hidden, MASK, examples.inputs), labels=labels)

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return windows that begin up to a window later, with a random share of their tokens masked."""
        starts = examples.groups.astype(np.int64) * self.seq_len + rng.integers(
            self.seq_len, size=len(examples)
        )
        starts = np.minimum(starts, len(self.text) - self.seq_len)
        rows = self.text[starts[:, None] + np.arange(self.seq_len)]
        moved = examples.having(inputs=rows, labels=_labels(rows))
        return self.masked(moved, rng.random(len(examples)), rng)

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each window, whatever is masked of it."""
        return row_keys(np.where(np.asarray(labels) > 0, labels, inputs), self.vocab_size)


def _labels(tokens: np.ndarray) -> np.ndarray:
    """Return the tokens that can be labels; 0 for the others."""
    return np.where(tokens >= FIRST, tokens, 0)


class Masked(Alone):
    """Each test window stands alone, a share of its tokens masked.

    Args:
        task: the task.
        shares: that of the test, and those of further tests.
        seed: seed of what is masked.
    """

    def __init__(self, task: Prose, *, shares: tuple[float, ...], seed: int) -> None:
        super().__init__(task, augment=True, seed=seed)
        self.prose, self.shares = task, shares

    def _hidden(self, examples: Examples, share: float) -> Examples:
        rng = np.random.default_rng((self.seed, round(1000 * share)))
        return self.prose.masked(examples, np.full(len(examples), share), rng)

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return ``count`` random windows as episodes, masked as in training."""
        return alone(self.prose.augment(examples.select(rng.integers(len(examples), size=count)), rng))

    def make(self, examples: Examples, count: int) -> Episodes:
        """Return each window as an episode, the first share of its tokens masked."""
        return alone(self._hidden(examples, self.shares[0]))

    def sample(self, examples: Examples, count: int) -> Episodes:
        """Return up to ``count`` windows, evenly spaced."""
        count = min(count, len(examples))
        return self.make(examples.select(np.arange(count) * len(examples) // count), count)

    def parts(self, test: Examples, size: int) -> tuple[Episodes, Episodes]:
        """Return the last ``size`` windows, and the others."""
        choosing, scored = self.pools(test, size)
        return self.make(test.select(choosing), len(choosing)), self.make(test.select(scored), len(scored))

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return tests with other shares."""
        return {f"masked={share:g}": alone(self._hidden(examples, share)) for share in self.shares[1:]}

    def describe(self, test: Examples) -> list[str]:
        """Return what is masked."""
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        return [f"windows of {self.prose.seq_len} tokens, of which the tests mask {shares}"]
