"""Episodes with several contexts, each with a cue and a secret relabelling of its own.

A puzzle is a cue and digits; its answer are the digits under the rule of the cue's context. After each puzzle
there is feedback: the cue again, and for each digit one token for the pair of question and answer. Rules are
drawn independently, so that the best possible accuracy at a visit depends neither on how many contexts there
are nor on how long ago the last visit was: what is lacking was not kept.
n episodes, p puzzles of each, c contexts, a digits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from memhrm.config.settings import require
from memhrm.data.checks import number
from memhrm.data.episodes.capacity import hashed, perfect
from memhrm.data.episodes.choices import distinct, parted
from memhrm.data.episodes.cued import Cued
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Episodes, usual_course
from memhrm.data.episodes.rules import Rules, optimum, relabel
from memhrm.data.episodes.visits import Order, Visits, visits
from memhrm.data.examples import Examples


@dataclass(frozen=True, kw_only=True)
class ContextPlan:
    """What an episode is made of.

    Attributes:
        visits: visits to each context.
        order: of the visits of a training episode, as in `visits`.
        test_order: of those of a test episode.
        revises: as in `visits`.
        asks: whether training episodes ask for the answer at every puzzle, or only where the context's rule
            has been shown; elsewhere it can only be guessed.
        held_out_rules: share of the rules that are for the test alone, which then has no others.
        held_out_cues: share of the cues, likewise.
    """

    visits: int = 2
    order: Order = "interleaved"
    test_order: Order = "two_phase"
    revises: bool = False
    asks: Literal["known", "all"] = "known"
    held_out_rules: float = 0.0
    held_out_cues: float = 0.0

    def length(self, contexts: int) -> int:
        """Return the puzzles of an episode with so many contexts, p."""
        return contexts * self.visits + self.revises

    def contexts(self, length: int) -> int:
        """Return the contexts of an episode with so many puzzles, c."""
        return (length - self.revises) // self.visits


class Contexts(Drawn):
    """Episodes in which the digits behind each cue are relabelled by a rule of its own.

    Attributes:
        plan: what an episode is made of.
        curve: contexts of the episodes of further test sets.
        revises_from: the first part of the training, from 0, in which the rule of a context changes.
        rules: all relabellings.
        own_rules: numbers of the rules of training episodes and of test episodes.
        own_cues: numbers of their cues.
    """

    task: Cued

    def __init__(
        self,
        task: Cued,
        plan: ContextPlan,
        *,
        contexts: tuple[int, ...] = (1,),
        test_contexts: int = 1,
        test_episodes: int = 1,
        curve: tuple[int, ...] = (),
        revises_from: int = 0,
        seed: int = 0,
    ) -> None:
        self.plan, self.revises_from = plan, revises_from
        super().__init__(
            task,
            lengths=tuple(self._of(number).length(one) for number, one in enumerate(contexts)),
            test_length=plan.length(test_contexts),
            test_episodes=test_episodes,
            seed=seed,
        )
        self.curve, self.rules = curve, Rules(task.digits)
        rules, cues = len(self.rules.permutations), task.cues
        self.own_rules = parted(rules, plan.held_out_rules, np.random.default_rng((seed, 0x12)))
        self.own_cues = parted(cues, plan.held_out_cues, np.random.default_rng((seed, 0xC0)))
        self.test_rules = self.rules.part(self.own_rules[1])
        known = all(len(np.unique(place)) == task.symbols for place in task.cue(self.own_cues[0]).T)
        allowed = "less: each symbol must be at each place of some cue in training"
        require(known, "data.held_out_cues", plan.held_out_cues, allowed)

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes of examples that are drawn with replacement, behind other cues.

        Args:
            examples: what is drawn from.
            count: the number of episodes, n.
            length: the number of puzzles of each, p, which `ContextPlan.length` gives.
            rng: what draws.
            test: whether rules and cues are those of the test, every puzzle asks for its answer, and the best
                possible accuracy is told.

        Raises:
            ValueError: there are no examples to draw from, or a number is below 1.
        """
        return self._drawn(self.plan, examples, count, length, rng, test)

    def stage(self, examples: Examples, count: int, number: int, rng: np.random.Generator) -> Episodes:
        """Return random training episodes of a part of the training, in which rules may stay as they are."""
        return self._drawn(self._of(number), examples, count, self.lengths[number], rng, False)

    def _of(self, part: int) -> ContextPlan:
        """Return what episodes of a part of the training are made of."""
        return self.plan if part >= self.revises_from else replace(self.plan, revises=False)

    def _drawn(
        self,
        plan: ContextPlan,
        examples: Examples,
        count: int,
        length: int,
        rng: np.random.Generator,
        test: bool,
    ) -> Episodes:
        count, length = number("the number of episodes", count, 1), number("their length", length, 1)
        if not len(examples):
            raise ValueError("cannot draw episodes from an empty set of examples")
        task, contexts = self.task, plan.contexts(length)
        rows = np.arange(count)[:, None]
        order = plan.test_order if test else plan.order
        way = visits(count, contexts, plan.visits, order, plan.revises, rng)
        cues = self.own_cues[test][distinct(len(self.own_cues[test]), count, contexts, rng)][
            rows, way.context
        ]
        drawn = rng.choice(self.own_rules[test], size=(count, 2 * contexts))  # A second rule for each.
        numbers = drawn[rows, way.context + contexts * way.revised]
        chosen = examples.select(rng.integers(len(examples), size=count * length))
        shape = (count, length, task.seq_len)
        inputs = chosen.inputs.reshape(shape).copy()
        inputs[:, :, : task.cue_length] = task.cue(cues)
        answers = relabel(chosen.labels.reshape(shape), self.rules.permutations[numbers], task.first)
        unasked = (way.visit == 1) & (plan.asks == "known") & (not test)
        return Episodes(
            inputs=inputs,
            labels=np.where(unasked[:, :, None], 0, answers).astype(answers.dtype),
            feedback=task.pair(inputs, answers)[:, :-1],
            mask=None,
            identifiers=chosen.identifiers.reshape(count, length),
            groups=chosen.groups.reshape(count, length),
            rules=numbers.astype(np.int32),
            families=np.zeros(count, np.int32),
            ratings=chosen.ratings.reshape(count, length),
            sources=chosen.sources.reshape(count, length),
            best=self._best(way, self._sets(inputs), numbers) if test else np.ones((count, length)),
            course=usual_course(length),
            address=np.stack([way.context, cues], axis=2).astype(np.int32),
            facets=way.facets(plan.revises),
        )

    def _sets(self, tokens: np.ndarray) -> np.ndarray:
        """Return the digits of questions (..., s) as the bits of numbers (...)."""
        digits = tokens[..., self.task.cue_length :].astype(np.int64) - self.task.first
        return np.bitwise_or.reduce(1 << digits, axis=-1)

    def _best(self, way: Visits, asked: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return the probability of the best guess at digits asked, with the rules in force: (n, p) each."""
        known, size = way.known(asked), 1 << self.task.digits
        pairs, which = np.unique(known * size + asked, return_inverse=True)
        chances = np.stack([self.test_rules.chances(*divmod(int(one), size)) for one in pairs])
        return chances[which.reshape(known.shape), np.searchsorted(self.own_rules[1], numbers)]

    def optimum(self, examples: Examples) -> np.ndarray:
        """Return the best possible exact accuracy at each visit to a context, (visits,).

        It is that of somebody who knows of which rules those of the test are, and is told when one changes.
        """
        sets = np.bincount(self._sets(examples.inputs), minlength=1 << self.task.digits) / len(examples)
        return optimum(self.test_rules, sets, [sets] * (self.plan.visits - 1))

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return a test set for each number of contexts in `curve`, of about as many puzzles as the test."""
        puzzles, found = self.test_episodes * self.test_length, {}
        for contexts in self.curve:
            length = self.plan.length(contexts)
            rng = np.random.default_rng((self.seed, 0xC5, contexts))
            found[f"contexts={contexts}"] = self.draw(examples, -(-puzzles // length), length, rng, test=True)
        return found

    def figures(self, scores: Mapping[str, Any], cells: int) -> dict[str, Any]:
        """Return the number of `contexts` of an episode, and how many are held.

        K = C (a_2 - b_1) / (b_2 - b_1), `contexts_held`, is the number of contexts whose rule is known for
        certain at the second visit, where a is the accuracy and b the optimum at a visit, if nothing is known
        of the others; `bits_held` is K times the entropy of a rule. Beside cells, `held_by_hash` and
        `held_by_perfect` are the K of cells that keep their last context each, without a fault
        (`memhrm.data.episodes.capacity`).
        """
        contexts = self.plan.contexts(scores["puzzles"] // scores["episodes"])
        found: dict[str, Any] = {"contexts": contexts}
        first, second = (scores["optimum_by_visit"][visit] for visit in ("1", "2"))
        if second > first:
            held = contexts * (scores["exact_accuracy_by_visit"]["2"] - first) / (second - first)
            bits = math.log2(len(self.rules.permutations))
            found |= {"contexts_held": held, "bits_held": bits * held}
            if cells:
                found["held_by_hash"] = contexts * hashed(cells, contexts, self.plan.test_order)
                found["held_by_perfect"] = contexts * perfect(cells, contexts)
        return found

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes are, and how well anybody can do in them."""
        contexts = self.plan.contexts(self.test_length)
        parts = enumerate(self.lengths)
        training = ", ".join(str(self._of(part).contexts(length)) for part, length in parts)
        best = self.optimum(test)
        by_visit = ", ".join(f"{value:.1%} at visit {at + 1}" for at, value in enumerate(best))
        own = [
            f"{len(own[0]):,} {name}{f' in training, {len(own[1]):,} others in the test' if share else ''}"
            for name, own, share in (
                ("rules", self.own_rules, self.plan.held_out_rules),
                ("cues", self.own_cues, self.plan.held_out_cues),
            )
        ]
        return [
            f"in episodes of {contexts} contexts, in training {training}",
            "; ".join(own),
            f"exact at best {best[0]:.1%} without memory; with it {by_visit}",
        ]
