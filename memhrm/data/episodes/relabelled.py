"""Episodes whose answers share a secret relabelling, which no single question reveals.

The answer to an example is its plain solution with every digit x replaced by rule(x). After each example
there is feedback: the question again, with the answer at the positions that the plan shows. A position of a
feedback is one token for the pair of what the question and the answer have there.
n episodes, p examples of each, s tokens, a digits.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from memhrm.data.checks import number
from memhrm.data.episodes.choices import parted
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Episodes, milestones, usual_course
from memhrm.data.episodes.rules import Rules, optimum, relabel
from memhrm.data.examples import Examples
from memhrm.data.task import Task


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an episode is made of.

    Attributes:
        digits: a, the digits that are relabelled.
        families: families of rules, as in `Rules`.
        shows: what a feedback shows: every answer; only that to the first example (retention); or the answer
            where the question's digit is one of `reveal` random ones (accumulation).
        reveal: digits that a feedback shows with ``shows="part"``.
        revises: whether another rule replaces the first one within the episode: in test episodes before
            example p // 2 + 1, in training before a random one after the first.
        favour: share of training episodes, beyond chance, under the first of their rules (of all
            permutations, the identity). Where all rules are equally likely, so are all answers to the first
            example, and guesses made position by position seldom fit one rule; a favoured rule is a guess on
            which all positions agree.
        held_out_rules: share of the rules that are for the test alone, which then has no others.
        hints: largest share of empty cells that training questions have filled; each draws its share
            uniformly. One that then has no more clues than some example stays as it was: it might be another
            example, of the test perhaps.
    """

    digits: int
    families: tuple[str, ...] = ()
    shows: Literal["all", "first", "part"] = "all"
    reveal: int = 1
    revises: bool = False
    favour: float = 0.0
    held_out_rules: float = 0.0
    hints: float = 0.0

    def rules(self) -> Rules:
        """Return the rules of which each episode has one."""
        return Rules(self.digits, self.families)


class Relabelled(Drawn):
    """Episodes under a secret relabelling of the digits, with which ``task.alphabet`` ends.

    Attributes:
        plan: what an episode is made of.
        rules: the relabellings.
        own_rules: numbers of the rules of training episodes and of test episodes.
    """

    def __init__(
        self,
        task: Task,
        plan: Plan,
        *,
        lengths: tuple[int, ...] = (1,),
        test_length: int = 1,
        test_episodes: int = 1,
        augment: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            task,
            lengths=lengths,
            test_length=test_length,
            test_episodes=test_episodes,
            augment=augment,
            seed=seed,
        )
        self.plan, self.rules = plan, plan.rules()
        rules = len(self.rules.permutations)
        self.own_rules = parted(rules, plan.held_out_rules, np.random.default_rng((seed, 0x12)))
        self._parts = [self.rules.part(own) for own in self.own_rules]
        self.test_rules = self._parts[1]
        self.first = task.vocab_size - plan.digits  # The token of digit 0.
        assert task.answers == plan.digits

    def describe(self, test: Examples) -> list[str]:
        """Return how long the episodes are, and how well anybody can do in them."""
        best = self.optimum(test, self.test_length)
        places = ", ".join(f"{best[at - 1]:.1%} at puzzle {at}" for at in milestones(self.test_length))
        lengths = ", ".join(map(str, self.lengths))
        training, other = map(len, self.own_rules)
        held_out = [f"{training:,} rules in training, {other:,} others in the test"]
        return [
            *(held_out if self.plan.held_out_rules else ()),
            f"in episodes of {self.test_length} puzzles, in training {lengths}",
            f"exact at best {best[0]:.1%} without memory; with it {places}",
        ]

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes of examples that are drawn with replacement.

        Args:
            examples: what is drawn from; random symmetry images of it with `augment`.
            count: the number of episodes, n.
            length: the number of examples of each, p.
            rng: what draws.
            test: whether to leave out favoured rules and hints, to change the rule where `Plan.revises` says,
                and to tell the best possible accuracy.

        Raises:
            ValueError: there are no examples to draw from, or a number is below 1.
        """
        count, length = number("the number of episodes", count, 1), number("their length", length, 1)
        if not len(examples):
            raise ValueError("cannot draw episodes from an empty set of examples")
        rows = rng.integers(len(examples), size=count * length)
        drawn = examples.select(rows)
        if self.augment:
            drawn = self.task.augment(drawn, rng)
        inputs, labels = drawn.inputs, drawn.labels
        if self.plan.hints > 0 and not test:
            filled = rng.random(inputs.shape) < self.plan.hints * rng.random((len(inputs), 1))
            hinted = np.where(filled & (inputs < self.first), labels, inputs)
            more = self._clues(hinted) > self._clues(examples.inputs).max()
            inputs = np.where(more[:, None], hinted, inputs)
        own, part = self.own_rules[test], self._parts[test]
        before, after = own[part.draw(count, rng)], own[part.draw(count, rng)]
        if self.plan.favour > 0 and not test:
            before = np.where(rng.random(count) < self.plan.favour, own[0], before)
        numbers = np.repeat(before[:, None], length, axis=1)
        if self.plan.revises:
            change = np.full(count, length // 2) if test else rng.integers(1, max(length, 2), size=count)
            numbers = np.where(np.arange(length) < change[:, None], numbers, after[:, None])
        shape = (count, length, self.task.seq_len)
        inputs, plain = inputs.reshape(shape), labels.reshape(shape)
        answers = relabel(plain, self.rules.permutations[numbers], self.first)
        feedback = np.where(self._shown(plain, rng), self.task.pair(inputs, answers), inputs)
        best = self.optimum(examples, length) if test else np.ones(length)
        return Episodes(
            inputs=inputs,
            labels=answers,
            feedback=feedback[:, :-1],
            mask=None if drawn.mask is None else drawn.mask.reshape(shape),
            identifiers=drawn.identifiers.reshape(count, length),
            groups=drawn.groups.reshape(count, length),
            rules=numbers.astype(np.int32),
            families=self.rules.family_of[before].astype(np.int32),
            ratings=drawn.ratings.reshape(count, length),
            sources=drawn.sources.reshape(count, length),
            best=np.broadcast_to(best, (count, length)),
            course=usual_course(length),
        )

    def _clues(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs >= self.first).sum(axis=1)

    def _shown(self, plain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return at which positions the feedback has the answer, (n, p, s) bool."""
        shown = plain >= self.first
        if self.plan.shows == "first":
            shown = shown & (np.arange(plain.shape[1]) == 0)[:, None]
        if self.plan.shows == "part":
            order = rng.permuted(np.tile(np.arange(self.plan.digits), (*plain.shape[:2], 1)), axis=2)
            chosen = order < self.plan.reveal  # (n, p, a)
            index = (plain.astype(np.int64) - self.first).clip(min=0)
            shown = shown & np.take_along_axis(chosen, index, axis=2)
        return shown

    def optimum(self, examples: Examples, length: int) -> np.ndarray:
        """Return the best possible exact accuracy at each example of an episode drawn from these, (p,).

        It is that of somebody who solves every question, knows of which rules those of the test are, and is
        told when the rule changes. The first value is the best possible without memory too, at every example.
        """
        a = self.plan.digits
        tokens = examples.labels.astype(np.int64) - self.first
        sets = np.bitwise_or.reduce(np.where(tokens >= 0, 1 << tokens.clip(min=0), 0), axis=1)
        asked = np.bincount(sets, minlength=1 << a) / len(sets)
        shown = [self._revealed(asked, j) for j in range(length)]
        change = length // 2 if self.plan.revises else length
        best = optimum(self.test_rules, asked, shown[: change - 1])
        if change < length:
            best = np.concatenate((best, optimum(self.test_rules, asked, shown[change : length - 1])))
        return best

    def _revealed(self, asked: np.ndarray, at: int) -> np.ndarray:
        """Return the probability of each set of digits that a feedback reveals, (2^a,)."""
        nothing = np.eye(1, len(asked))[0]
        if self.plan.shows == "first" and at > 0:
            return nothing
        if self.plan.shows != "part":
            return asked
        every = np.arange(len(asked))
        chosen = every[np.bitwise_count(every) == self.plan.reveal]
        both = every[:, None] & chosen  # What is asked and what is chosen are independent.
        return np.bincount(both.ravel(), np.repeat(asked / len(chosen), len(chosen)), minlength=len(asked))
