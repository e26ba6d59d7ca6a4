"""What texts are measured against: linear classifiers, nearest neighbours, and n-grams of characters.

And what only some runs are measured by: categories that a bank learns later, and prose that is written.

n texts or windows, s tokens of a window.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from memhrm.data import Dataset
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.examples import Examples
from memhrm.data.text.few_shot import FewShot
from memhrm.data.text.prose import FIRST, MASK, Masked, Prose
from memhrm.data.text.scores import auroc
from memhrm.weights.writing import Manner, write

LEFT, RIGHT = 4, 3
"""Tokens on either side that an n-gram looks at, at most; fewer where there are many different ones."""
Answer = Callable[[Any, np.ndarray, Any], np.ndarray]
"""Answers to texts that are asked, from others that are told, with their numbers."""
BEGUN, WRITTEN = 64, 200
"""Characters of the test text behind which a sample is written, at most, and tokens of the sample."""


def _vectors() -> TfidfVectorizer:
    """Return TF-IDF of the 2- to 5-grams of characters within words."""
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)


def linear(dataset: Dataset) -> dict[str, float]:
    """Return the exact accuracy of linear classifiers on TF-IDF: `svm`, and `bag`, a logistic regression.

    With texts out of scope, `svm_oos_auroc` says how well the margin tells them from the others. A bag of
    n-grams under a softmax is what fastText is without its hidden layer (arXiv 1607.01759).
    """
    train, test = dataset.train, dataset.test
    vectors = _vectors()
    seen: Any = vectors.fit_transform(train.sources)
    asked: Any = vectors.transform(test.sources)
    svm: Any = LinearSVC(random_state=0).fit(seen, train.labels[:, 0])
    bag = LogisticRegression(C=20.0, max_iter=300).fit(seen, train.labels[:, 0])
    inside = test.labels[:, 0] > 0
    right = test.labels[inside, 0]
    found = {
        "svm": float((svm.predict(asked[inside]) == right).mean()),
        "bag": float((bag.predict(asked[inside]) == right).mean()),
    }
    if not inside.all():
        margin = svm.decision_function(asked).max(axis=1)
        found["svm_oos_auroc"] = auroc(margin[inside], margin[~inside])
    return found


def told(dataset: Dataset) -> dict[str, float]:
    """Return the accuracy of what knows the told texts alone, by the categories of the test episodes.

    `nearest_ways=W` answers as the nearest told text by TF-IDF says, `svm_ways=W` as a linear SVM that is
    fitted on the told texts of the episode. The inverse document frequencies are those of the training texts.
    """
    vectors = _vectors().fit(dataset.train.sources)

    def by(answer: Answer) -> Answer:
        return lambda shown, numbers, asked: answer(
            vectors.transform(shown), numbers, vectors.transform(asked)
        )

    answers = {"nearest": by(_nearest), "svm": by(_fitted)}
    return {
        f"{name}_{test}": _right(episodes, answer)
        for test, episodes in tests(dataset).items()
        for name, answer in answers.items()
    }


def in_place_of_the_bank(solver: Any, dataset: Dataset) -> dict[str, float]:
    """Return the accuracy, `ways=W`, of a solver for whose bank the told texts of an episode stand in."""

    def answer(shown: list[str], numbers: np.ndarray, asked: list[str]) -> np.ndarray:
        examples = list(zip(shown, map(str, numbers)))
        return np.array([int(found[0][0]) for found in solver.classify(asked, examples=examples)])

    return {test: _right(episodes, answer) for test, episodes in tests(dataset).items()}


def tests(dataset: Dataset) -> dict[str, Episodes]:
    """Return the few-shot test episodes by their number of categories, as `ways=W`."""
    maker = dataset.episodes
    assert isinstance(maker, FewShot)
    return {f"ways={maker.test_ways[0]}": dataset.held_out(), **maker.series(dataset.test)}


def _right(episodes: Episodes, answer: Answer) -> float:
    """Return how many questions are right, by what answers to (told, their numbers, asked)."""
    count, found = int(np.sum(episodes.course.told)), []
    for row in range(len(episodes)):
        texts, numbers = episodes.sources[row].tolist(), _numbers(episodes, row)
        answers = answer(texts[:count], numbers[:count], texts[count:])
        found.append(answers == numbers[count:])
    return float(np.mean(found))


def _nearest(shown: Any, numbers: np.ndarray, asked: Any) -> np.ndarray:
    return numbers[np.asarray((asked @ shown.T).toarray()).argmax(axis=1)]


def _fitted(shown: Any, numbers: np.ndarray, asked: Any) -> np.ndarray:
    return np.asarray(LinearSVC(random_state=0).fit(shown, numbers).predict(asked))


def _numbers(episodes: Episodes, row: int) -> np.ndarray:
    """Return the number that each text of an episode has in it: told in its first token, or its label."""
    shown = episodes.feedback[row, :, 0]
    labels = episodes.labels[row, :, 0]
    least = episodes.inputs[row, 0, 0]  # The mark of a question, behind which the numbers stand.
    return np.where(labels > 0, labels, np.pad(shown, (0, len(labels) - len(shown))) - least)


def grams(dataset: Dataset) -> dict[str, float]:
    """Return the mean negative log-likelihood of a masked token by n-grams, in nats, by the share masked.

    An n-gram looks at the tokens next to a gap on both sides, as far as they are there: first at the
    nearest, then, interpolated as Witten and Bell (1991) do, one further on the shorter side.
    """
    task, maker = dataset.task, dataset.episodes
    assert isinstance(task, Prose) and isinstance(maker, Masked)
    counts = _Counts(task.text, task.vocab_size)
    tests = {f"masked={maker.shares[0]:g}": dataset.held_out(), **maker.series(dataset.test)}
    return {f"grams_{name}": counts.loss(one.inputs[:, 0], one.labels[:, 0]) for name, one in tests.items()}


class _Counts:
    """Counts of tokens by those next to them on both sides.

    Args:
        text: the training text, tokens (t,).
        size: tokens there are.
    """

    def __init__(self, text: np.ndarray, size: int) -> None:
        self.size, self._text = size, text.astype(np.int64)
        most = int(62 / np.log2(size)) - 1  # More tokens do not fit into a number.
        self.most = (min(LEFT, -(-most // 2)), min(RIGHT, most // 2))
        self._tables: dict[tuple[int, int], tuple[np.ndarray, ...]] = {}

    def _table(self, left: int, right: int) -> tuple[np.ndarray, ...]:
        """Return contexts, where the tokens of each begin, these tokens, and how often they occur."""
        if (left, right) not in self._tables:
            self._tables[left, right] = self._counted(self._text, left, right)
        return self._tables[left, right]

    def _counted(self, text: np.ndarray, left: int, right: int) -> tuple[np.ndarray, ...]:
        places = np.arange(left, len(text) - right)
        key = self._key([text[places + by] for by in _offsets(left, right)], len(places))
        both, count = np.unique(key * self.size + text[places], return_counts=True)
        contexts, start = np.unique(both // self.size, return_index=True)
        return contexts, np.append(start, len(both)), both % self.size, count

    def _key(self, tokens: Sequence[np.ndarray], n: int) -> np.ndarray:
        key = np.zeros(n, np.int64)
        for one in tokens:
            key = key * self.size + one
        return key

    def probabilities(self, window: np.ndarray, place: int) -> np.ndarray:
        """Return the probability of each token at a place of a window, (v,)."""
        there = window != MASK
        left = _run(there[:place][::-1], self.most[0])
        right = _run(there[place + 1 :], self.most[1])
        found = np.zeros(self.size)
        found[FIRST:] = 1 / (self.size - FIRST)
        for sides in _orders(left, right):
            contexts, start, tokens, count = self._table(*sides)
            key = self._key([window[place + by : place + by + 1] for by in _offsets(*sides)], 1)
            at = int(np.searchsorted(contexts, key[0]))
            if at == len(contexts) or contexts[at] != key[0]:
                break  # A longer context is not there either.
            those = slice(start[at], start[at + 1])
            kinds, total = start[at + 1] - start[at], count[those].sum()
            found *= kinds / (kinds + total)
            found[tokens[those]] += count[those] / (kinds + total)
        return found

    def loss(self, inputs: np.ndarray, labels: np.ndarray) -> float:
        """Return the mean negative log-likelihood of the labels, (n, s), 0 where there is none."""
        rows, places = np.nonzero(labels)
        pairs = zip(rows.tolist(), places.tolist())
        chances = [self.probabilities(inputs[row], at)[labels[row, at]] for row, at in pairs]
        return float(-np.log(chances).mean())


def _run(there: np.ndarray, most: int) -> int:
    """Return how many of the first are there without a gap, at most so many."""
    gaps = np.flatnonzero(~there[:most])
    return int(gaps[0]) if len(gaps) else min(most, len(there))


def _orders(left: int, right: int) -> list[tuple[int, int]]:
    """Return contexts, in characters on each side, from none to these: each is one longer."""
    pairs = [(0, 0)]
    while pairs[-1] != (left, right):
        a, b = pairs[-1]
        pairs.append((a + 1, b) if a < left and (a <= b or b == right) else (a, b + 1))
    return pairs


def _offsets(left: int, right: int) -> list[int]:
    return [*range(-left, 0), *range(1, right + 1)]


def left_out(categories: int) -> int:
    """Return how many of the categories a bank learns after training: a tenth, one at least."""
    return max(1, categories // 10)


def added(solver: Any, whole: Dataset, kept: Collection[str]) -> dict[str, Any]:
    """Put the training texts of the categories that a bank lacks into it, and return what is then right.

    Args:
        solver: a solver with a bank; of a model that was trained with all categories nothing is added.
        whole: the texts of all categories.
        kept: the categories that are not left out.

    Returns:
        `added`, the accuracy on the test texts of the others, and `all`, that on all test texts; `texts`, how
        many were added, and `tests`, how many texts `added` is of.
    """
    task, known = whole.task, set(solver.task.categories)

    def named(examples: Examples) -> list[tuple[str, str]]:
        names = map(task.decode_answer, examples.labels)
        return [(text, name) for text, name in zip(examples.sources, names) if name]

    new = [(text, name) for text, name in named(whole.train) if name not in known]
    for text, name in new:
        solver.remember(text, name)
    asked = named(whole.test)
    answers = solver.classify([text for text, _ in asked])
    right = np.array([found[0][0] == name for found, (_, name) in zip(answers, asked)])
    others = np.array([name not in kept for _, name in asked])
    return {
        "added": float(right[others].mean()),
        "all": float(right.mean()),
        "texts": len(new),
        "tests": int(others.sum()),
    }


def samples(solver: Any, dataset: Dataset) -> dict[str, str]:
    """Return what a model writes, `text`, behind the first words of the test, `prompt`."""
    prompt = dataset.task.decode(dataset.test.inputs[0])[:BEGUN].rpartition(" ")[0]
    *_, last = write(solver, prompt, WRITTEN, Manner())
    return {"prompt": prompt, "text": last.text.removeprefix(prompt)}
