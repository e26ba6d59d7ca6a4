"""Episodes: puzzles in a row whose answers share a secret relabelling, which no single question reveals.

The answer of a puzzle is its plain solution with every digit x replaced by rule(x). After each puzzle there
is feedback: the question again, with the answer at the cells that the plan shows. A cell of a feedback is one
token for the pair of what the question and the answer have there.
n episodes, p puzzles, t tokens, a digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memhrm.data.checks import narrow, number
from memhrm.data.episodes.rules import Rules, optimum
from memhrm.data.examples import Examples
from memhrm.data.task import Task


@dataclass(frozen=True)
class Episodes:
    """``n`` episodes of ``p`` puzzles."""

    inputs: np.ndarray  # (n, p, t) whole numbers, stored as those of a `Examples`
    labels: np.ndarray  # (n, p, t), 0 where a position has no label
    feedback: np.ndarray  # (n, p, t), what is shown after each puzzle
    rules: np.ndarray  # (n, p) int32, the number of the rule in force (`Rules.permutations`)
    families: np.ndarray  # (n,) int32, the number of the first rule's family
    ratings: np.ndarray  # (n, p) int32
    best: tuple[np.ndarray, float] | None = None  # of test episodes, as `Relabelled.optimum`

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def length(self) -> int:
        """Puzzles of an episode, p."""
        return self.inputs.shape[1]

    def select(self, rows: np.ndarray | slice) -> "Episodes":
        """The episodes at ``rows`` (indices, a boolean mask or a slice), in that order."""
        arrays = (value[rows] for value in vars(self).values() if isinstance(value, np.ndarray))
        return Episodes(*arrays, best=self.best)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an episode is made of.

    digits: a. families: as in `Rules`. shows: what a feedback shows: every answer; the first puzzle's only
        (retention); or the answer where the question's digit is one of `reveal` random ones (accumulation).
    revises: whether another rule, drawn anew, takes the first one's place in mid-episode: in test episodes
        before puzzle p // 2 + 1, in training before a random one after the first.
    favour: the share of training episodes, beyond chance, under the first rule (of all permutations, the one
        that changes nothing). Where all rules are equally likely so are all answers at the first puzzle, and
        guesses made cell by cell seldom fit one rule; a favourite is a guess on which all cells agree.
    hints: training puzzles have a share of their empty cells filled that is uniform up to this one.
    """

    digits: int
    families: tuple[str, ...] = ()
    shows: Literal["all", "first", "part"] = "all"
    reveal: int = 1
    revises: bool = False
    favour: float = 0.0
    hints: float = 0.0

    def rules(self) -> Rules:
        return Rules(self.digits, self.families)


class Relabelled:
    """How the tokens of a task's digits are relabelled and shown; ``task.alphabet`` ends with the digits."""

    def __init__(self, task: Task, plan: Plan):
        self.task, self.plan, self.rules = task, plan, plan.rules()
        self.first = task.vocab_size - plan.digits  # the token of digit 0
        assert task.answers == plan.digits

    def draw(
        self,
        puzzles: Examples,
        count: int,
        length: int,
        rng: np.random.Generator,
        *,
        augment: bool,
        test: bool,
    ) -> Episodes:
        """Random episodes. Their puzzles are drawn with replacement, and with `augment` are random symmetry
        images of those.

        test: without favour and hints, and where `Plan.revises` puts the change.

        Raises:
            ValueError: there are no puzzles to draw from, or a number below 1.
        """
        count, length = number("the number of episodes", count, 1), number("their length", length, 1)
        if not len(puzzles):
            raise ValueError("cannot draw episodes from an empty set of puzzles")
        rows = rng.integers(len(puzzles), size=count * length)
        drawn = puzzles.select(rows)
        if augment:
            drawn = self.task.augment(drawn, rng)
        inputs, labels = drawn.inputs, drawn.labels
        if self.plan.hints > 0 and not test:
            filled = rng.random(inputs.shape) < self.plan.hints * rng.random((len(inputs), 1))
            inputs = np.where(filled & (inputs < self.first), labels, inputs)
        before, after = self.rules.draw(count, rng), self.rules.draw(count, rng)
        if self.plan.favour > 0 and not test:
            before = np.where(rng.random(count) < self.plan.favour, 0, before)
        numbers = np.repeat(before[:, None], length, axis=1)
        if self.plan.revises:
            change = np.full(count, length // 2) if test else rng.integers(1, max(length, 2), size=count)
            numbers = np.where(np.arange(length) < change[:, None], numbers, after[:, None])
        shape = (count, length, self.task.seq_len)
        inputs, plain = inputs.reshape(shape), labels.reshape(shape)
        answers = self._relabel(plain, self.rules.permutations[numbers])
        return Episodes(
            inputs=inputs,
            labels=answers,
            feedback=np.where(self._shown(plain, rng), pair(self.task, inputs, answers), inputs),
            rules=numbers.astype(np.int32),
            families=self.rules.family_of[before].astype(np.int32),
            ratings=puzzles.ratings[rows].reshape(count, length),
        )

    def _relabel(self, tokens: np.ndarray, permutations: np.ndarray) -> np.ndarray:
        """tokens (n, p, t) with every digit x replaced by that of permutations (n, p, a)."""
        digits = tokens.astype(np.int64) - self.first
        images = np.take_along_axis(permutations.astype(np.int64), digits.clip(min=0), axis=2) + self.first
        return narrow("labels", np.where(digits >= 0, images, tokens))

    def _shown(self, plain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """At which cells the feedback has the answer, (n, p, t) bool."""
        shown = plain >= self.first
        if self.plan.shows == "first":
            shown = shown & (np.arange(plain.shape[1]) == 0)[:, None]
        if self.plan.shows == "part":
            order = rng.permuted(np.tile(np.arange(self.plan.digits), (*plain.shape[:2], 1)), axis=2)
            chosen = order < self.plan.reveal  # (n, p, a)
            index = (plain.astype(np.int64) - self.first).clip(min=0)
            shown = shown & np.take_along_axis(chosen, index, axis=2)
        return shown

    def optimum(self, puzzles: Examples, length: int) -> tuple[np.ndarray, float]:
        """The best possible exact accuracy at each puzzle of an episode drawn from these, with memory and,
        the same at each, without; for one who solves every puzzle and is told when the rule changes."""
        a = self.plan.digits
        tokens = puzzles.labels.astype(np.int64) - self.first
        sets = np.bitwise_or.reduce(np.where(tokens >= 0, 1 << tokens.clip(min=0), 0), axis=1)
        asked = np.bincount(sets, minlength=1 << a) / len(sets)
        shown = [self._revealed(asked, j) for j in range(length)]
        change = length // 2 if self.plan.revises else length
        best = optimum(self.rules, asked, shown[: change - 1])
        if change < length:
            best = np.concatenate((best, optimum(self.rules, asked, shown[change : length - 1])))
        return best, float(best[0])

    def _revealed(self, asked: np.ndarray, puzzle: int) -> np.ndarray:
        """The probability of each set of digits that a feedback reveals, (2^a,)."""
        nothing = np.eye(1, len(asked))[0]
        if self.plan.shows == "first" and puzzle > 0:
            return nothing
        if self.plan.shows != "part":
            return asked
        every = np.arange(len(asked))
        chosen = every[np.bitwise_count(every) == self.plan.reveal]
        both = every[:, None] & chosen  # What is asked and what is chosen are independent.
        return np.bincount(both.ravel(), np.repeat(asked / len(chosen), len(chosen)), minlength=len(asked))


def milestones(length: int) -> list[int]:
    """Positions in an episode, from 1, that a table shows: early ones, where most is learned, and then wider
    apart."""
    return [at for at in (1, 2, 3, 4, 8, 16, 32, 64) if at <= length]


def pair(task: Task, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the tokens of pairs of question and answer, of the shape of `inputs`.

    With v the vocabulary and a answers, a pair is v + a question + answer, the answer counted from 0. A
    question whose label is no digit stays as it is.
    """
    answers = labels.astype(np.int64) - (task.vocab_size - task.answers)
    codes = task.vocab_size + task.answers * inputs.astype(np.int64) + answers
    return narrow("pairs", np.where(answers >= 0, codes, inputs))


def moments(length: int, steps: int) -> Iterator[tuple[int, bool]]:
    """The supervision steps of an episode in order: (puzzle, whether it is its feedback).

    Each puzzle has `steps` of them and then one feedback; the last puzzle's would reach nobody.
    """
    for puzzle in range(length):
        for _ in range(steps):
            yield puzzle, False
        if puzzle < length - 1:
            yield puzzle, True
