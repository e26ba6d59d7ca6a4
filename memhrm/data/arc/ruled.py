"""Episodes of generated rules: some demonstrations are told, then questions are asked.

n episodes, D demonstrations, Q questions, S the side of the grids, s = S x S tokens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from memhrm.data.arc.canvas import FIRST
from memhrm.data.arc.rules import Rule, best_guesses, grids
from memhrm.data.arc.task import Arc
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Course, Episodes, Facet, telling
from memhrm.data.examples import Examples, examples_of
from memhrm.data.keys import row_keys
from memhrm.data.task import Task

TELLING = 16
"""Grids by which rules are told apart. On one of them different rules may agree; that more grids tell more
apart has not been seen."""


def made_of(rules: Sequence[Rule], side: int, colours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the grids by which rules are told apart, and what each rule makes of them.

    Args:
        rules: n rules.
        side: S.
        colours: colours beside the background.

    Returns:
        Tokens, ``(TELLING, s)`` and ``(n, TELLING, s)`` uint8; two rules that make the same are the same.
    """
    rng = np.random.default_rng(0)
    inputs = np.concatenate([grids(1, side, colours, rng) for _ in range(TELLING)])
    outputs = np.stack([rule.apply(inputs) for rule in rules])
    inputs, outputs = (made.reshape(*made.shape[:-2], -1) + FIRST for made in (inputs, outputs))
    return inputs.astype(np.uint8), outputs.astype(np.uint8)


class ArcRules(Arc):
    """Tell which rule made the outputs of the demonstrations, and apply it.

    An example of a set is a rule, shown on a grid on which no other that is shown on it makes the same.

    Args:
        rules: all rules there are, no two of which are the same.
        side: S.
        colours: colours beside the background.
    """

    classes = "rules"
    together = False

    def __init__(self, rules: Sequence[Rule], *, side: int, colours: int) -> None:
        super().__init__(canvas=side, translate=False, identified=False)
        self.name = f"arc_rules{side}"
        self.rules, self.colours = tuple(rules), colours
        inputs, outputs = made_of(self.rules, side, colours)
        self._keys = row_keys(outputs.reshape(len(self.rules), -1), self.vocab_size)
        self._numbers: dict[bytes, int] = {}  # Of a rule by its example, input and output.
        for number, own in enumerate(outputs):
            pairs = (pair.tobytes() for pair in np.concatenate((inputs, own), axis=1))
            self._numbers[next(pair for pair in pairs if pair not in self._numbers)] = number
        self._pairs = np.stack([np.frombuffer(pair, np.uint8) for pair in self._numbers])  # (rules, 2 s)

    def shown(self, numbers: np.ndarray) -> Examples:
        """Return rules of these numbers as examples, ``(n,)``."""
        inputs, labels = np.split(self._pairs[numbers], 2, axis=1)
        return examples_of(inputs, labels, sources=[self.rules[number].kind for number in numbers])

    def numbers(self, examples: Examples) -> np.ndarray:
        """Return the numbers of the rules that are examples, ``(n,)``."""
        return self._numbers_of(examples.inputs, examples.labels)

    def _numbers_of(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        pairs = np.concatenate((inputs, labels), axis=1).astype(np.uint8)
        return np.array([self._numbers[pair.tobytes()] for pair in pairs], np.int64)

    def exhibit(self, parts: Sequence[Examples], source: str | None = None) -> tuple[str, str | None]:
        """Return one rule, the first or the first of a kind, shown on its grid."""
        return Task.exhibit(self, parts, source)

    def describe(self, examples: Examples) -> str:
        """Return how many rules there are of each kind."""
        counts = Counter(map(str, examples.sources))
        return "rules: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items()))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of what each rule makes of all grids by which rules are told apart."""
        return self._keys[self._numbers_of(inputs, labels)]


class Ruled(Drawn):
    """Episodes of one rule each, with new grids in every episode.

    Args:
        task: the task, which has all rules.
        demonstrations: D.
        questions: Q.
        seen: numbers of the rules that are trained.
        shares: how often each kind is drawn in training, against the others; None: all alike.
        test_episodes: episodes of each test.
        seed: seed of the test episodes.
    """

    def __init__(
        self,
        task: ArcRules,
        *,
        demonstrations: int,
        questions: int,
        seen: np.ndarray,
        shares: Mapping[str, float] | None,
        test_episodes: int,
        seed: int,
    ) -> None:
        self.arc, self.demonstrations, self.questions, self.trained = task, demonstrations, questions, seen
        self.shares = shares
        length = demonstrations + questions
        super().__init__(task, lengths=(length,), test_length=length, test_episodes=test_episodes, seed=seed)

    def course(self, length: int) -> Course:
        """Return the course that tells the demonstrations and asks the questions."""
        return telling([at < self.demonstrations for at in range(length)])

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes of rules that are drawn with replacement: first the kind, then the rule.

        Args:
            examples: the rules that are drawn from.
            count: the number of episodes.
            length: the number of examples of each, which is always the same.
            rng: what draws.
            test: whether the best possible accuracy is told, that of somebody who knows which rules there
                are.
        """
        arc, shown, shape = self.arc, self.demonstrations, (count, length)
        chances = _chances(examples, None if test else self.shares)
        rules = arc.numbers(examples)[rng.choice(len(examples), size=count, p=chances)]
        inputs = grids(count * length, arc.canvas, arc.colours, rng).reshape(*shape, arc.canvas, arc.canvas)
        outputs = np.zeros_like(inputs)
        for number in np.unique(rules):
            of_rule = rules == number
            flat = inputs[of_rule].reshape(-1, arc.canvas, arc.canvas)
            outputs[of_rule] = arc.rules[number].apply(flat).reshape(-1, *inputs.shape[1:])
        questions = (inputs + FIRST).reshape(*shape, arc.seq_len)
        answers = (outputs + FIRST).reshape(*shape, arc.seq_len)
        feedback = arc.pair(questions.reshape(-1, arc.seq_len), answers.reshape(-1, arc.seq_len))
        course = self.course(length)
        labels = np.where(np.array(course.told)[None, :, None], 0, answers)
        kinds = sorted({rule.kind for rule in arc.rules})
        kind = np.array([kinds.index(arc.rules[number].kind) for number in rules])
        episodes = Episodes(
            inputs=questions,
            labels=labels,
            feedback=feedback.reshape(questions.shape)[:, :-1],
            mask=None,
            identifiers=np.zeros(shape, np.int64),
            groups=np.zeros(shape, np.int32),
            rules=np.repeat(rules[:, None], length, axis=1).astype(np.int32),
            families=kind.astype(np.int32),
            ratings=np.full(shape, -1, np.int32),
            sources=np.full(shape, "generated", object),
            best=np.ones(shape),
            course=course,
            facets={"kind": Facet(tuple(kinds), np.repeat(kind[:, None], length, axis=1))},
        )
        if not test:
            return episodes
        pool = [arc.rules[number] for number in arc.numbers(examples)]
        best, blind = np.ones(shape), np.ones(shape)
        best[:, shown:], blind[:, shown:] = best_guesses(
            pool, chances, inputs[:, :shown], outputs[:, :shown], inputs[:, shown:]
        )
        return replace(episodes, best=best, blind=blind)

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return tests of the rules that are trained, of others of their kinds, and of other kinds."""
        kinds = {self.arc.rules[number].kind for number in self.trained}
        known = np.array([kind in kinds for kind in examples.sources], bool)
        composed = np.array(["+" in kind for kind in examples.sources], bool)
        parts: Mapping[str, Examples] = {
            "rules=seen": self.arc.shown(self.trained),
            "rules=new": examples.select(known),
            "rules=new_compositions": examples.select(~known & composed),
            "rules=new_kinds": examples.select(~known & ~composed),
        }
        return {
            name: self._test(part, self.test_episodes, 0x5E + number)
            for number, (name, part) in enumerate(parts.items())
            if len(part)
        }

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes hold, and how well anybody can do in them."""
        episodes = self.make(test, self.test_episodes)
        return [
            f"in episodes that tell {self.demonstrations} demonstrations of one of {len(self.arc.rules):,} "
            f"rules, then ask {self.questions} questions; {len(self.trained):,} rules are trained",
            f"exact at best {episodes.optimum_without_memory:.1%} without memory, "
            f"{episodes.optimum.mean():.1%} with it",
        ]


def _chances(examples: Examples, shares: Mapping[str, float] | None) -> np.ndarray:
    """Return how likely each rule is, ``(n,)``: a kind as its share says, all rules of a kind alike."""
    names, kind, counts = np.unique(examples.sources.astype(str), return_inverse=True, return_counts=True)
    if shares is None:
        return 1 / (len(counts) * counts[kind])
    parts = np.array([shares[name] for name in names])
    return (parts / parts.sum() / counts)[kind]
