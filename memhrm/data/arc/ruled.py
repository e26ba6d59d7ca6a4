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


class ArcRules(Arc):
    """Tell which rule made the outputs of the demonstrations, and apply it.

    An example of a set is a rule, shown on one grid.

    Args:
        rules: all rules there are.
        side: S.
        colours: colours beside the background.
    """

    classes = "rules"
    together = False

    def __init__(self, rules: Sequence[Rule], *, side: int, colours: int) -> None:
        super().__init__(canvas=side, translate=False, identified=False)
        self.name = f"arc_rules{side}"
        self.rules, self.colours = tuple(rules), colours
        self._grid = grids(1, side, colours, np.random.default_rng(0))
        outputs = np.concatenate([rule.apply(self._grid) for rule in self.rules])
        self._outputs = outputs.reshape(len(self.rules), -1).astype(np.uint8) + FIRST
        self._numbers = {output.tobytes(): number for number, output in enumerate(self._outputs)}

    def shown(self, numbers: np.ndarray) -> Examples:
        """Return rules of these numbers as examples, ``(n,)``."""
        inputs = np.repeat(self._grid.reshape(1, -1) + FIRST, len(numbers), axis=0)
        sources = [self.rules[number].kind for number in numbers]
        return examples_of(inputs, self._outputs[numbers], sources=sources)

    def numbers(self, examples: Examples) -> np.ndarray:
        """Return the numbers of the rules that are examples, ``(n,)``."""
        rows = examples.labels.astype(np.uint8)
        return np.array([self._numbers[row.tobytes()] for row in rows], np.int64)

    def exhibit(self, parts: Sequence[Examples], source: str | None = None) -> tuple[str, str | None]:
        """Return one rule, the first or the first of a kind, shown on the one grid."""
        return Task.exhibit(self, parts, source)

    def describe(self, examples: Examples) -> str:
        """Return how many rules there are of each kind."""
        counts = Counter(map(str, examples.sources))
        return "rules: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items()))

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of what each rule makes of the one grid; rules that make the same of it are one."""
        return row_keys(np.asarray(labels), self.vocab_size)


class Ruled(Drawn):
    """Episodes of one rule each, with new grids in every episode.

    Args:
        task: the task, which has all rules.
        demonstrations: D.
        questions: Q.
        seen: numbers of the rules that are trained.
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
        test_episodes: int,
        seed: int,
    ) -> None:
        self.arc, self.demonstrations, self.questions, self.trained = task, demonstrations, questions, seen
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
        rules = arc.numbers(examples)[rng.choice(len(examples), size=count, p=_chances(examples))]
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
            pool, _chances(examples), inputs[:, :shown], outputs[:, :shown], inputs[:, shown:]
        )
        return replace(episodes, best=best, blind=blind)

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return tests of the rules that are trained, and of the others, alone and composed."""
        composed = np.array(["+" in str(kind) for kind in examples.sources], bool)
        parts: Mapping[str, Examples] = {
            "rules=seen": self.arc.shown(self.trained),
            "rules=new": examples.without(composed),
            "rules=new_compositions": examples.select(composed),
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


def _chances(examples: Examples) -> np.ndarray:
    """Return how likely each rule is, ``(n,)``: all kinds are equally likely, and all rules of a kind."""
    _, kind, counts = np.unique(examples.sources.astype(str), return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[kind])
