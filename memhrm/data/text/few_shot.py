"""Few-shot episodes of texts: some are told with the number of their category, then others are asked.

n episodes, W ways, S shots, Q questions, p = W S + Q examples of an episode; s tokens of an example, g of a
position, the first of which says the example's number.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memhrm.data.checks import PuzzleError
from memhrm.data.episodes.drawn import Drawn
from memhrm.data.episodes.episodes import Course, Episodes, telling
from memhrm.data.examples import Examples, examples_of
from memhrm.data.keys import row_keys
from memhrm.data.task import Task
from memhrm.data.text.files import read_labelled, require_known
from memhrm.data.text.intent import Intent
from memhrm.data.text.tokens import Tokens


class FewShotIntent(Task):
    """Tell which of an episode's categories a text has; each episode numbers its categories at random.

    The first position of a text holds its number where it is told, and a mark where it is asked. Examples
    have no label before they stand in an episode; their group is their category.

    Args:
        tokens: what makes tokens of texts.
        categories: the names of all categories.
        ways: the most categories of an episode: so many numbers there are.
        dropout: as in `Intent`.
    """

    classes = "texts"
    asks = False

    def __init__(self, tokens: Tokens, categories: Sequence[str], *, ways: int, dropout: float = 0.0) -> None:
        super().__init__(
            name="intent_episodes",
            seq_len=(1 + tokens.length) * tokens.bag,
            vocab_size=tokens.vocab_size + 1 + ways,
            num_labels=ways,
            bag=tokens.bag,
        )
        self.mark = tokens.vocab_size  # Behind it stand the numbers.
        self.categories = tuple(categories)
        self._texts = Intent(tokens, categories, dropout=dropout)

    @property
    def learns(self) -> bool:
        """Always."""
        return True

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of texts; answers are their numbers in an episode."""
        found = self._texts.encode(questions)
        assert found.mask is not None
        labels = np.zeros((len(found), 1), np.int32)
        for row, answer in enumerate(answers or ()):
            if not (answer.isdecimal() and 1 <= int(answer) <= self.num_labels):
                raise PuzzleError(row, f"number is {answer!r}; allowed: 1 to {self.num_labels}")
            labels[row] = int(answer)
        inputs = self.numbered(found.inputs, np.zeros(len(found), np.int64))
        mask = np.pad(found.mask, ((0, 0), (1, 0)), constant_values=True)
        return examples_of(inputs, labels, sources=found.sources, mask=mask)

    def numbered(self, texts: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return tokens of texts, ``(n, s - g)``, behind a position that says their numbers; 0 asks."""
        first = np.zeros((len(texts), self.bag), np.int32)
        first[:, 0] = self.mark + numbers
        return np.concatenate((first, texts.astype(np.int32)), axis=1)

    def pair(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return tokens of texts, ``(..., s)``, that say the numbers which are their labels, ``(..., 1)``."""
        told = inputs.astype(np.int32)
        told[..., 0] = self.mark + labels[..., 0].astype(np.int32)
        return told

    def decode(self, tokens: np.ndarray) -> str:
        """Return how many positions there are: hashes cannot be read back."""
        return self._texts.decode(np.asarray(tokens)[self.bag :])

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        """Read a CSV file with the columns text and category; the category is the group."""
        found = read_labelled(path)
        known = {name: number for number, name in enumerate(self.categories)}
        require_known(path, found, known)
        groups = np.array([known[one.category] for one in found], np.int32)
        return self.encode([one.text for one in found]).having(groups=groups)

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return each text without some of its words, and each of these without some of its tokens."""
        g, (inputs, mask) = self.bag, (examples.inputs, examples.mask)
        assert mask is not None
        varied = self._texts.augment(examples.having(inputs=inputs[:, g:], mask=mask[:, 1:]), rng)
        assert varied.mask is not None
        return examples.having(
            inputs=np.concatenate((inputs[:, :g], varied.inputs), axis=1),
            mask=np.concatenate((mask[:, :1], varied.mask), axis=1),
        )

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each text, by its tokens."""
        return row_keys(inputs, self.vocab_size)


class FewShot(Drawn):
    """Episodes of a few categories, with other texts of theirs as questions.

    Args:
        task: the task.
        ways: W of the parts of the training.
        test_ways: W of the test, and of further tests.
        shots: S.
        questions: Q.
        test_episodes: episodes of each test.
        augment: whether training episodes hold variants of the texts.
        seed: seed of the test episodes.
    """

    def __init__(
        self,
        task: FewShotIntent,
        *,
        ways: tuple[int, ...],
        test_ways: tuple[int, ...],
        shots: int,
        questions: int,
        test_episodes: int,
        augment: bool,
        seed: int,
    ) -> None:
        self.few, self.shots, self.questions, self.test_ways = task, shots, questions, test_ways
        lengths = tuple(one * shots + questions for one in ways)
        super().__init__(
            task,
            lengths=lengths,
            test_length=test_ways[0] * shots + questions,
            test_episodes=test_episodes,
            augment=augment,
            seed=seed,
        )

    def course(self, length: int) -> Course:
        """Return the course that tells all shots and asks the questions."""
        return telling([at < length - self.questions for at in range(length)])

    def draw(
        self, examples: Examples, count: int, length: int, rng: np.random.Generator, *, test: bool = False
    ) -> Episodes:
        """Return random episodes: categories, texts and numbers are drawn without replacement.

        Raises:
            ValueError: too few categories have enough texts.
        """
        told, task = length - self.questions, self.few
        ways, shape = told // self.shots, (count, length)
        of_category = {
            group: np.flatnonzero(examples.groups == group) for group in np.unique(examples.groups)
        }
        enough = [group for group, rows in of_category.items() if len(rows) > self.shots]
        if len(enough) < ways:
            raise ValueError(
                f"data.shots is {self.shots}; allowed: less, as {len(enough)} categories have more texts "
                f"than that, and an episode has {ways}"
            )
        rows, numbers = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for episode in range(count):
            pools = [rng.permutation(of_category[one]) for one in rng.choice(enough, ways, replace=False)]
            order, given = rng.permutation(told), self._numbers(ways, rng)
            numbers[episode, :told] = given[order % ways]
            rows[episode, :told] = [pools[place % ways][place // ways] for place in order]
            asked = rng.integers(ways, size=self.questions)
            numbers[episode, told:] = given[asked]
            rows[episode, told:] = [rng.choice(pools[one][self.shots :]) for one in asked]
        chosen = examples.select(rows.ravel())
        if self.augment and not test:
            chosen = task.augment(chosen, rng)
        asked_of = chosen.inputs.reshape(*shape, -1)
        shown = task.numbered(chosen.inputs[:, task.bag :], numbers.ravel()).reshape(*shape, -1)
        labels = np.where(np.arange(length) < told, 0, numbers)
        assert chosen.mask is not None
        return Episodes(
            inputs=asked_of,
            labels=labels[:, :, None].astype(np.int32),
            feedback=shown[:, :-1],
            mask=chosen.mask.reshape(*shape, -1),
            identifiers=np.zeros(shape, np.int64),
            groups=np.zeros(shape, np.int32),
            rules=np.zeros(shape, np.int32),
            families=np.zeros(count, np.int32),
            ratings=np.full(shape, -1, np.int32),
            sources=chosen.sources.reshape(shape),
            best=np.ones(shape),
            course=self.course(length),
            blind=np.full(shape, 1 / task.num_labels),
        )

    def _numbers(self, ways: int, rng: np.random.Generator) -> np.ndarray:
        """Return the numbers of an episode's categories, (W,), drawn out of all, so that each is trained."""
        every = np.arange(1, self.few.num_labels + 1)
        # All of them need no order: that of the categories is random.
        return every if ways == len(every) else rng.permutation(every)[:ways]

    def series(self, examples: Examples) -> dict[str, Episodes]:
        """Return tests with other numbers of categories."""
        return {
            f"ways={ways}": self.draw(
                examples,
                self.test_episodes,
                ways * self.shots + self.questions,
                np.random.default_rng((self.seed, 0x5E, ways)),
                test=True,
            )
            for ways in self.test_ways[1:]
        }

    def describe(self, test: Examples) -> list[str]:
        """Return what the episodes hold, and how well anybody can do without memory."""
        ways = self.test_ways[0]
        return [
            f"in episodes that tell {self.shots} texts of each of {ways} categories, then ask "
            f"{self.questions} others; of {len(np.unique(test.groups))} categories no text is trained",
            f"exact at best {1 / self.few.num_labels:.1%} without memory, as a number is one of "
            f"{self.few.num_labels}",
        ]
