"""Episodes that tell a function and ask about it.

n episodes, p examples of each, s tokens, a symbols, r functions, m facts, q questions.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from memhrm.data.checks import narrow
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Course, Episodes, Facet, pair
from memhrm.data.episodes.hops import APPLY, FIRST, Hops
from memhrm.data.examples import Examples

MOST_TRIES = 10_000
CHANGED = ("before", "unaffected", "affected")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an episode is made of.

    Attributes:
        tells: whether the facts are told one by one, in random order, or all at once.
        questions: questions of an episode; they come after the facts.
        hops: the most hops of a question in each part of the training.
        test_hops: the most hops of a question in the test.
        changes: whether after half of the questions two random symbols exchange their images; both are told
            again.
    """

    tells: Literal["pieces", "once"]
    questions: int
    hops: tuple[int, ...]
    test_hops: int
    changes: bool = False

    def parts(self) -> tuple[int, ...]:
        """Return how many questions follow the facts, and how many the change."""
        half = self.questions // 2
        return (half, self.questions - half) if self.changes else (self.questions,)

    def course(self, symbols: int) -> Course:
        """Return which examples of an episode are asked, and which told."""
        told: list[bool] = []
        for facts, questions in zip((symbols, 2), self.parts()):
            told += [True] * (facts if self.tells == "pieces" else 1) + [False] * questions
        return Course(asked=tuple(not one for one in told), told=tuple(told))


class Told(Drawn):
    """Episodes that tell a function of the examples, and ask what it makes of symbols.

    An example is a function, so that held out are functions. Before a change and after it, an episode's
    function is one of the examples that are drawn from: no test function comes in a training episode, and
    none that chooses a checkpoint in the result.

    Once all facts are told, the best possible answer is right with certainty, after a change as well. Without
    memory it is the symbol itself: f^h(x) = x where the cycle of x has a length that divides h, and every
    length from 1 to a is equally likely.

    Attributes:
        facts: what an episode is made of.
    """

    def __init__(self, task: Hops, facts: Facts, *, test_episodes: int, seed: int = 0) -> None:
        self.facts, self.symbols, self.everything = facts, task.symbols, facts.course(task.symbols)
        length = len(self.everything.told)
        super().__init__(
            task,
            lengths=(length,) * len(facts.hops),
            test_length=length,
            test_episodes=test_episodes,
            seed=seed,
        )

    def course(self, length: int) -> Course:
        """Return which examples of an episode are asked, and which told; all episodes are alike."""
        return self.everything

    def stage(self, examples: Examples, count: int, number: int, rng: np.random.Generator) -> Episodes:
        """Return random training episodes with questions of up to ``hops[number]`` hops."""
        return self._drawn(examples, count, self.facts.hops[number], rng)

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes about functions that are drawn with replacement.

        Args:
            examples: the functions that are drawn from.
            count: the number of episodes.
            length: the number of examples of each, which is always the same.
            rng: what draws.
            test: whether questions have up to `Facts.test_hops` hops, in place of the most in training.

        Raises:
            ValueError: the facts change, and no two of the functions differ in two images.
        """
        return self._drawn(examples, count, self.facts.test_hops if test else max(self.facts.hops), rng)

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes hold, and how well anybody can do in them."""
        facts, a = self.facts, self.symbols
        told = f"in {a} pieces" if facts.tells == "pieces" else "at once"
        change = ", half of them after a change of two images" if facts.changes else ""
        stages = ", ".join(map(str, facts.hops))
        blind = np.mean([without_memory(a, h + 1) for h in range(facts.test_hops)])
        return [
            f"in episodes that tell a function of {a} symbols {told}, then ask {facts.questions} questions "
            f"of 1 to {facts.test_hops} hops{change}; in training up to {stages}",
            f"exact at best {blind:.1%} without memory; with it 100.0%",
        ]

    def _drawn(self, examples: Examples, count: int, most: int, rng: np.random.Generator) -> Episodes:
        a, shape = self.symbols, (count, self.test_length)
        before, after = self._functions(examples, count, rng)
        every = rng.permuted(np.tile(np.arange(a), (count, 1)), axis=1)
        moved = rng.permuted(np.argsort(before == after, axis=1, kind="stable")[:, :2], axis=1)
        inputs, labels, feedback = (np.zeros((*shape, self.task.seq_len), np.int64) for _ in range(3))
        rules, hops, changed = (np.full(shape, -1) for _ in range(3))
        place = np.arange(self.task.seq_len)
        at = 0
        for function, symbols, questions in zip((before, after), (every, moved), self.facts.parts()):
            told = symbols[:, :, None] if self.facts.tells == "pieces" else symbols[:, None]  # (n, m, 1 or a)
            begin, middle, at = at, at + told.shape[1], at + told.shape[1] + questions
            rules[:, begin:at] = _numbers(function)[:, None]

            width = told.shape[2]
            images = _applied(function, symbols, np.ones_like(symbols)).reshape(told.shape)
            inputs[:, begin:middle, :width] = told + FIRST
            feedback[:, begin:middle, :width] = pair(self.task, told + FIRST, images + FIRST)

            x, h = (
                rng.integers(a, size=(count, questions)),
                rng.integers(1, most + 1, size=(count, questions)),
            )
            answers = _applied(function, x, h)
            ends = place - h[..., None]  # 0 where the symbol is.
            inputs[:, middle:at] = np.where(ends < 0, APPLY, np.where(ends == 0, x[..., None] + FIRST, 0))
            labels[:, middle:at, 0] = answers + FIRST
            hops[:, middle:at] = h - 1
            affected = answers != _applied(before, x, h)
            changed[:, middle:at] = np.where(affected, 2, int(begin > 0))
        facets = {"hops": Facet(tuple(str(h + 1) for h in range(self.facts.test_hops)), hops)}
        if self.facts.changes:
            facets["changed"] = Facet(CHANGED, changed)
            facets["affected_hops"] = replace(facets["hops"], index=np.where(changed == 2, hops, -1))
        return Episodes(
            inputs=narrow("inputs", inputs),
            labels=narrow("labels", labels),
            feedback=narrow("feedback", feedback)[:, :-1],
            mask=inputs > 0,
            identifiers=np.zeros(shape, np.int32),
            groups=np.zeros(shape, np.int32),
            rules=rules.astype(np.int32),
            families=np.zeros(count, np.int32),
            ratings=(hops + 1).astype(np.int32),
            sources=np.full(shape, "generated", object),
            best=(hops >= 0).astype(np.float64),
            course=self.everything,
            blind=np.array([0.0, *(without_memory(a, h + 1) for h in range(most))])[hops + 1],
            facets=facets,
        )

    def _functions(
        self, examples: Examples, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return functions of the examples, and those after a change: (n, a) each."""
        every = examples.labels[:, : self.symbols].astype(np.int64) - FIRST
        before = every[rng.integers(len(every), size=count)]
        if not self.facts.changes:
            return before, before
        known, after = _numbers(every), _exchanged(before, rng)
        for _ in range(MOST_TRIES):  # All pairs of such functions are equally likely.
            (other,) = np.nonzero(~np.isin(_numbers(after), known))
            if not len(other):
                return before, after
            before[other] = every[rng.integers(len(every), size=len(other))]
            after[other] = _exchanged(before[other], rng)
        raise ValueError(
            f"data.changes is True; allowed: false, as hardly two of {len(every)} functions differ so"
        )


def without_memory(symbols: int, hops: int) -> float:
    """Return the best possible accuracy for questions of so many hops about a function that is not known."""
    return sum(hops % length == 0 for length in range(1, symbols + 1)) / symbols


def _applied(functions: np.ndarray, x: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """Return what functions (n, a), applied so many times (n, q), make of symbols (n, q)."""
    for done in range(int(hops.max(initial=0))):
        x = np.where(done < hops, np.take_along_axis(functions, x, axis=1), x)
    return x


def _exchanged(functions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return functions (n, a) of which two random symbols have exchanged their images."""
    places = rng.permuted(np.tile(np.arange(functions.shape[1]), (len(functions), 1)), axis=1)[:, :2]
    made = functions.copy()
    np.put_along_axis(made, places, np.take_along_axis(functions, places[:, ::-1], axis=1), axis=1)
    return made


def _numbers(functions: np.ndarray) -> np.ndarray:
    """Return a number for each function (n, a): its images, read as digits to the base a."""
    return functions @ functions.shape[1] ** np.arange(functions.shape[1])
