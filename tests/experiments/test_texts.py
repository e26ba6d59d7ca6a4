"""What texts are measured against: each control against a slow version of itself."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from experiments.grid import texts
from memhrm.data import load
from memhrm.data.text.files import read_labelled
from memhrm.data.text.prose import FIRST, MASK

SAMPLE = Path(__file__).parents[2] / "docs" / "texts.csv"
TEXT = "the cat sat on a mat and then it ran to the door where another cat was asleep "


@pytest.fixture(scope="module")
def prose(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("prose") / "text.txt"
    path.write_text(" ".join(rng.choice(TEXT.split(), 900)), encoding="utf-8")
    return load(kind="text", name="text", path=str(path), length=16, masked=(0.5, 0.15, 1.0))


def slow(text: list[int], size: int, window: list[int], place: int) -> np.ndarray:
    """Witten-Bell interpolation, one context after the other, counted anew."""
    left = right = 0
    while left < texts.LEFT and place - left - 1 >= 0 and window[place - left - 1] != MASK:
        left += 1
    while right < texts.RIGHT and place + right + 1 < len(window) and window[place + right + 1] != MASK:
        right += 1
    found = np.full(size, 1 / (size - FIRST))
    found[:FIRST] = 0
    a = b = 0
    while True:
        counts = Counter(
            text[at]
            for at in range(a, len(text) - b)
            if text[at - a : at] == window[place - a : place]
            and text[at + 1 : at + 1 + b] == window[place + 1 : place + 1 + b]
        )
        total, kinds = sum(counts.values()), len(counts)
        if not total:
            return found
        found = found * kinds / (total + kinds)
        for token, count in counts.items():
            found[token] += count / (total + kinds)
        if (a, b) == (left, right):
            return found
        if a < left and (a <= b or b == right):
            a += 1
        else:
            b += 1


def test_n_grams_are_counted_as_by_hand(prose):
    task, held_out = prose.task, prose.held_out()
    counts = texts._Counts(task.text, task.vocab_size)
    losses = []
    for row in range(3):
        window, labels = held_out.inputs[row, 0].tolist(), held_out.labels[row, 0]
        for place in np.flatnonzero(labels):
            found = counts.probabilities(np.array(window), place)
            assert found.sum() == pytest.approx(1) and found[:FIRST].sum() == 0
            np.testing.assert_allclose(found, slow(task.text.tolist(), task.vocab_size, window, place))
            losses.append(-np.log(found[labels[place]]))
    assert counts.loss(held_out.inputs[:3, 0], held_out.labels[:3, 0]) == pytest.approx(np.mean(losses))


def test_n_grams_know_more_the_less_is_masked(prose):
    found = texts.grams(prose)
    assert list(found) == ["grams_masked=0.5", "grams_masked=0.15", "grams_masked=1"]
    letters = np.bincount(prose.task.text) / len(prose.task.text)
    entropy = -sum(p * np.log(p) for p in letters if p)
    assert found["grams_masked=0.15"] < found["grams_masked=0.5"] < found["grams_masked=1"]
    assert found["grams_masked=1"] == pytest.approx(entropy, rel=0.03)


def test_n_grams_of_many_tokens_are_shorter(prose):
    many = texts._Counts(prose.task.text, 5000)
    assert many.most == (2, 2) and np.isfinite(many.loss(prose.test.inputs[:2], prose.test.labels[:2]))


def test_the_nearest_told_text_is_found_in_each_episode():
    dataset = load(
        kind="intent_episodes", name="few", path=str(SAMPLE.parent), train_file=SAMPLE.name,
        test_file=SAMPLE.name, ways=(2,), test_ways=(2,), shots=3, questions=4, test_episodes=9,
        held_out_categories=0.5,
    )  # fmt: skip
    found = texts.nearest(dataset)
    vectors = texts._vectors().fit(dataset.train.sources)
    episodes, right = dataset.held_out(), 0
    mark = dataset.task.mark
    for row in range(9):
        said = vectors.transform(episodes.sources[row].tolist()).toarray()
        number = [*(episodes.feedback[row, :6, 0] - mark), *episodes.labels[row, 6:, 0]]
        of_number = defaultdict(set)
        for text, one in zip(episodes.sources[row], number):
            of_number[one].add(text)
        assert sorted(of_number) == [1, 2]
        for asked in range(6, 10):
            closest = max(range(6), key=lambda told: said[told] @ said[asked])
            right += number[closest] == number[asked]
    assert found == {"nearest_ways=2": pytest.approx(right / 36)}


def test_linear_classifiers_see_training_texts_alone(tmp_path):
    lines = SAMPLE.read_text().splitlines()
    (tmp_path / "outside.csv").write_text("text,category\n" + "\n".join(f"zzz qqq {n},oos" for n in range(9)))
    (tmp_path / "train.csv").write_text(
        "\n".join(lines[:1] + [one for n, one in enumerate(lines[1:]) if n % 5])
    )
    (tmp_path / "test.csv").write_text("\n".join(lines[:1] + lines[1::5]))
    dataset = load(kind="intent", name="intent", path=str(tmp_path), oos="outside.csv")
    found = texts.linear(dataset)
    assert 0.3 < found["svm"] <= 1 and 0.3 < found["bag"] <= 1 and found["svm_oos_auroc"] > 0.7


class Fake:
    """A solver that answers with what it was last told to remember."""

    def __init__(self, task):
        self.task, self.bank = task, []

    def remember(self, text, category):
        self.bank.append((text, category))

    def classify(self, asked):
        return [[(self.bank[-1][1], 1.0)] for _ in asked]


def test_a_bank_learns_the_categories_that_were_left_out():
    whole = load(kind="intent", name="intent", path=str(SAMPLE), holdout=12)
    dataset = load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=1)
    (gone,) = set(whole.task.categories) - set(dataset.task.categories)
    assert len(dataset.train) + len(dataset.test) == 36 and (dataset.train.labels > 0).all()
    assert gone not in {dataset.task.decode_answer(one) for one in dataset.train.labels}
    every = read_labelled(SAMPLE)
    found = texts.added(Fake(dataset.task), every, every)
    assert found == {"added": 1.0, "added_texts": 12, "added_tests": 12}
    some = [
        load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=1, seed=seed)
        for seed in (0, 0, 1, 2, 3)
    ]
    known = [one.task.categories for one in some]
    assert known[0] == known[1] and len(set(known)) > 1
    with pytest.raises(
        ValueError, match=r"data\.categories is .*; allowed: null, or those that data.left_out"
    ):
        load(kind="intent", name="i", path=str(SAMPLE), holdout=12, left_out=1, categories=known[0][::-1])
    again = load(kind="intent", name="i", path=str(SAMPLE), holdout=12, left_out=1, categories=known[0])
    assert again.task.categories == known[0] and len(again.train) == len(dataset.train)
    with pytest.raises(ValueError, match=r"data\.left_out is 3; allowed: 0 to 2, as two must stay"):
        load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=3)
