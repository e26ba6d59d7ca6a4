"""Episodes that tell a function and ask about it.

n episodes, p examples of each, s tokens, a symbols, q questions.
"""

from dataclasses import replace

import numpy as np

from memhrm.data.checks import narrow
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Course, Episodes, Facet
from memhrm.data.episodes.facts import Facts
from memhrm.data.episodes.guesses import with_pieces, without_memory
from memhrm.data.episodes.hops import APPLY, FIRST, Hops
from memhrm.data.episodes.permutations import applied, exchanged, functions_of, numbers
from memhrm.data.examples import Examples

MOST_TRIES = 10_000
CHANGED = ("before", "unaffected", "affected")


class Told(Drawn):
    """Episodes that tell a function of the examples, and ask what it makes of symbols.

    An example is a function, so that held out are functions. Before a change and after it, an episode's
    function is one of the examples that are drawn from: no test function comes in a training episode, and
    none that chooses a checkpoint in the result.

    Once everything is told, the best possible answer is right with certainty, after a change as well. What is
    possible earlier, and without memory, is in `memhrm.data.episodes.guesses`.

    Attributes:
        facts: what an episode is made of.
    """

    def __init__(self, task: Hops, facts: Facts, *, test_episodes: int, seed: int = 0) -> None:
        self.facts, self.symbols, self.everything = facts, task.symbols, facts.course(task.symbols)
        self._told = np.array(self.everything.told)
        first = self.symbols if facts.tells == "pieces" else 1  # Facts before a change.
        shown = np.cumsum(self._told) - self._told  # Facts before each example.
        self._changed = shown + self._told > first
        # Before an example as many facts are shown; one that follows a fact may ask about it.
        asks = ~self._told & np.roll(self._told, 1) & facts.asks_early
        self._early, self._again = asks & (shown < first), asks & (shown > first)
        self._first = first
        self._pieces, self.depths = shown, facts.test_depths
        super().__init__(
            task,
            lengths=(len(self._told),) * len(facts.hops),
            test_length=len(self._told),
            test_episodes=test_episodes,
            seed=seed,
        )

    def course(self, length: int) -> Course:
        """Return which examples of an episode are asked, and which told; all episodes are alike."""
        return self.everything

    def cycles(self, number: int) -> int | None:
        """Return the H-cycles of a question in a part of the training; None: as many as the model has."""
        return None if self.facts.cycles is None else self.facts.cycles[number]

    def stage(self, examples: Examples, count: int, number: int, rng: np.random.Generator) -> Episodes:
        """Return random training episodes with questions of up to ``hops[number]`` hops."""
        changes = self.facts.changes and number >= self.facts.changes_from
        return self._drawn(examples, count, self.facts.hops[number], changes, rng)

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes about functions that are drawn with replacement.

        Args:
            examples: the functions that are drawn from.
            count: the number of episodes.
            length: the number of examples of each, which is always the same.
            rng: what draws.
            test: whether questions have up to `Facts.test_hops` hops, in place of the most in training, and
                the best possible accuracy is told.

        Raises:
            ValueError: the facts change, and no two of the functions differ in two images.
        """
        most = self.facts.test_hops if test else max(self.facts.hops)
        episodes = self._drawn(examples, count, most, self.facts.changes, rng)
        return replace(episodes, best=self._best(episodes)) if test else episodes

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes hold, and how well anybody can do in them."""
        facts, a = self.facts, self.symbols
        told = f"in {a} pieces" if facts.tells == "pieces" else "at once"
        early = ", with a question after each but the last," if self._early.any() else ","
        change = ", half of them after a change of two images" if facts.changes else ""
        stages = ", ".join(map(str, facts.hops))
        blind = np.mean([without_memory(a, h + 1) for h in range(facts.test_hops)])
        return [
            f"in episodes that tell a function of {a} symbols {told}{early} then ask {facts.questions} "
            f"questions of 1 to {facts.test_hops} hops{change}; in training up to {stages}",
            f"exact at best {blind:.1%} without memory; with it 100.0% once everything is told",
        ]

    def _drawn(
        self, examples: Examples, count: int, most: int, changes: bool, rng: np.random.Generator
    ) -> Episodes:
        a, task, told = self.symbols, self.task, self._told
        shape = (count, len(told))
        functions = self._functions(examples, count, changes, rng)  # (n, 2, a)
        ours = functions[:, self._changed.astype(int)]  # (n, p, a), that in force at each example.
        inputs, labels, feedback = (np.zeros((*shape, task.seq_len), np.int64) for _ in range(3))

        facts = self._facts(functions, rng)  # (n, told, 1 or a)
        images = np.take_along_axis(ours[:, told], facts.clip(min=0), axis=2)
        width = slice(facts.shape[2])
        inputs[:, told, width] = np.where(facts < 0, 0, facts + FIRST)
        feedback[:, told, width] = np.where(facts < 0, 0, task.pair(facts + FIRST, images + FIRST))

        x = rng.integers(a, size=shape)
        soon = self._early | self._again
        at = np.flatnonzero(soon)  # About a symbol whose image is told, or told again.
        least = np.where(self._again, self._first, 0)[at]
        which = rng.integers(least, self._pieces[at], size=(count, len(at)))
        x[:, at] = np.take_along_axis(facts[:, :, 0], which, 1)
        few = min(self.facts.early_hops or most, most)
        h = np.where(told, 0, rng.integers(1, np.where(soon, few, most) + 1, size=shape))
        answers = applied(ours, x, h)
        ends = np.arange(task.seq_len) - h[..., None]  # 0 where the symbol of a question is.
        asked = np.where(ends < 0, APPLY, np.where(ends == 0, x[..., None] + FIRST, 0))
        inputs[:, ~told] = asked[:, ~told]
        labels[:, ~told, 0] = answers[:, ~told] + FIRST
        return Episodes(
            inputs=narrow("inputs", inputs),
            labels=narrow("labels", labels),
            feedback=narrow("feedback", feedback)[:, :-1],
            mask=inputs > 0,
            identifiers=np.zeros(shape, np.int32),
            groups=np.zeros(shape, np.int32),
            rules=numbers(ours).astype(np.int32),
            families=np.zeros(count, np.int32),
            ratings=h.astype(np.int32),
            sources=np.full(shape, "generated", object),
            best=np.ones(shape),
            course=self.everything,
            blind=np.array([without_memory(a, hops) if hops else 1.0 for hops in range(most + 1)])[h],
            facets=self._facets(h, answers != applied(functions[:, np.zeros(len(told), int)], x, h)),
        )

    def _facets(self, h: np.ndarray, affected: np.ndarray) -> dict[str, Facet]:
        """Return the facets of questions with so many hops, 0 at a fact, and affected by a change: (n, p)."""
        late = ~self._told & ~self._early & ~self._again
        hops = Facet(tuple(str(one + 1) for one in range(self.facts.test_hops)), np.where(late, h - 1, -1))
        found = {"hops": hops}
        if self.facts.changes:
            changed = np.where(late, np.where(affected, 2, self._changed * 1), -1)
            found["changed"] = Facet(CHANGED, changed)
            for number, name in enumerate(CHANGED):  # Questions of many hops are affected more often.
                found[f"{name}_hops"] = replace(hops, index=np.where(changed == number, hops.index, -1))
        if self._early.any():
            pieces = tuple(str(one) for one in range(1, self.symbols))
            early = np.where(self._early, self._pieces - 1, -1)
            found["pieces"] = Facet(pieces, np.broadcast_to(early, h.shape))
        if self._again.any():
            again = np.where(self._again, self._pieces - self._first - 1, -1)
            found["again"] = Facet(("1", "2"), np.broadcast_to(again, h.shape))
        return found

    def _best(self, episodes: Episodes) -> np.ndarray:
        """Return the best possible probability of an exact answer to each question: (n, p); 1 at a fact."""
        best = np.ones(episodes.rules.shape)
        order = (
            episodes.inputs[:, self._told, 0].astype(int) - FIRST
        )  # (n, told), where they come one by one.
        functions = functions_of(episodes.rules[:, 0], self.symbols)
        for row, function in enumerate(functions):
            images = np.full(self.symbols, -1)
            for at in np.flatnonzero(self._early):
                known = order[row, : self._pieces[at]]
                images[known] = function[known]
                hops = int(episodes.ratings[row, at])
                symbol = int(episodes.inputs[row, at, hops]) - FIRST
                best[row, at] = with_pieces(images, symbol, hops)
        return best

    def _facts(self, functions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the symbols whose images each fact tells, (n, told, 1 or a); -1 behind them."""
        count, _, a = functions.shape
        every = rng.permuted(np.tile(np.arange(a), (count, 1)), axis=1)
        stays = functions[:, 0] == functions[:, 1]
        if self.facts.changes:
            moved = np.argsort(stays + rng.random(stays.shape), axis=1)[:, :2]  # Any two where all stay.
        else:
            # Not told, but drawn: without it all that is drawn after it, and committed results, would differ.
            moved = rng.permuted(every[:, :2], axis=1)
        if self.facts.tells == "pieces":
            return (np.concatenate((every, moved), axis=1) if self.facts.changes else every)[:, :, None]
        if not self.facts.changes:
            return every[:, None]
        return np.stack((every, np.pad(moved, ((0, 0), (0, a - 2)), constant_values=-1)), axis=1)

    def _functions(
        self, examples: Examples, count: int, changes: bool, rng: np.random.Generator
    ) -> np.ndarray:
        """Return functions of the examples, and those after a change: (n, 2, a)."""
        every = examples.labels[:, : self.symbols].astype(np.int64) - FIRST
        before = every[rng.integers(len(every), size=count)]
        if not changes:
            return np.stack((before, before), axis=1)
        known, after = numbers(every), exchanged(before, rng)
        for _ in range(MOST_TRIES):  # All pairs of such functions are equally likely.
            (other,) = np.nonzero(~np.isin(numbers(after), known))
            if not len(other):
                return np.stack((before, after), axis=1)
            before[other] = every[rng.integers(len(every), size=len(other))]
            after[other] = exchanged(before[other], rng)
        raise ValueError(
            f"data.changes is True; allowed: false, as hardly two of {len(every)} functions differ so"
        )
