"""Episodes: accuracy against position, and a subject with the memory that its episode has made."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from memhrm.config.command import compose
from memhrm.data import Dataset
from memhrm.data.episodes.episodes import telling
from memhrm.evaluation.answers import EvaluationSettings, Moment, walk
from memhrm.evaluation.intervals import wilson
from memhrm.evaluation.rollout import Step
from memhrm.probes.causal import effects
from memhrm.probes.episodes import KEPT, accuracy_by_position, best_accuracy
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject, probed_place, subject_of
from memhrm.probes.taken import cells_taken
from memhrm.runs.build import make_dataset, make_model
from memhrm.runs.settings import parse
from planted import EPISODES, LENGTH, RECALL, contexts, planted, recall


def rules(subject: Subject) -> np.ndarray:
    """The rule in force, (n, p)."""
    assert subject.episodes is not None
    return subject.episodes.rules


def identity(subject: Subject) -> int:
    """The number of the rule that changes nothing."""
    assert isinstance(subject.dataset, Dataset) and subject.dataset.episodes is not None
    permutations = subject.dataset.episodes.plan.rules().permutations
    (number,) = np.flatnonzero((permutations == np.arange(3)).all(axis=1))
    return int(number)


def test_a_planted_rule_is_kept_forgotten_and_taken_from_the_neighbour():
    subject = recall()
    of = rules(subject)
    without = (of == identity(subject)).mean(axis=0)  # Who knows nothing repeats the question.
    assert 0 < without[0] < 0.5
    neighbour = (of == np.roll(of, 1, axis=0)).mean(axis=0)
    assert 0 < neighbour[1] < 0.5
    expected = {
        "kept": [without[0], 1, 1, 1, 1],
        "reset": without,
        "frozen": without,
        "shuffled": [without[0], *neighbour[1:]],
    }
    for kept in KEPT:
        found = accuracy_by_position(subject, kept)
        np.testing.assert_allclose(found["exact"], expected[kept], err_msg=kept)
        assert (found["low"] <= found["exact"]).all() and (found["exact"] <= found["high"]).all()
        assert (found["low"] < found["high"]).all()


@pytest.mark.parametrize("kept", KEPT)
def test_parts_of_the_episodes_give_what_the_whole_gives(kept):
    """The memories are swapped among all episodes nevertheless."""
    subject = recall()
    episodes = subject.episodes
    assert episodes is not None

    def walked(size: int) -> tuple[list[Moment], dict[tuple[int, bool], list[int]]]:
        seen = defaultdict(list)

        def look(at: int, told: bool, step: Step) -> None:
            assert len(step.rows) == len(step.state.z_H) <= size
            seen[at, told] += step.rows.tolist()

        how = EvaluationSettings(steps=1, noise=0.1, batch_size=size)
        return list(walk(subject.model, episodes, how, kept=kept, first=3, look=look)), seen

    (parts, rows), (whole, every) = walked(7), walked(EPISODES)
    assert rows == every and set(map(len, rows.values())) == {EPISODES}
    for one, other in zip(parts, whole, strict=True):
        assert torch.equal(one.answers.tokens, other.answers.tokens)
        torch.testing.assert_close((one.answers, one.memory), (other.answers, other.memory))


def test_cells_right_by_counting():
    """Without memory a cell is right where the rule leaves its digit alone."""
    subject = recall()
    assert subject.episodes is not None
    same = subject.episodes.inputs == subject.episodes.labels
    found = accuracy_by_position(subject, "reset")
    np.testing.assert_allclose(found["accuracy"], same.mean(axis=(0, 2)), rtol=1e-6)


def test_a_change_of_the_rule_costs_one_puzzle():
    subject = recall("data.revises=true")
    of = rules(subject)
    unchanged = (of[:, 2] == of[:, 1]).mean()  # Of five puzzles the third has another rule.
    assert unchanged < 0.5
    found = accuracy_by_position(subject)["exact"]
    np.testing.assert_allclose(found, [found[0], 1, unchanged, 1, 1])


def test_the_best_possible_by_hand():
    """Every string has all three digits. One feedback shows the whole rule. Where it shows one digit, drawn
    at random, the others are a coin's toss until two different ones are known."""
    found = best_accuracy(recall())
    np.testing.assert_allclose(found["with_memory"], [1 / 6, 1, 1, 1, 1])
    assert found["without_memory"] == pytest.approx(1 / 6)

    part = best_accuracy(recall("data.shows=part", "data.reveal=1"))["with_memory"]
    one_digit = np.array([1, 1 / 3, 1 / 9, 1 / 27])  # That all feedbacks so far showed the same.
    np.testing.assert_allclose(part, [1 / 6, *(1 - one_digit / 2)])
    assert best_accuracy(recall("data.shows=first"))["with_memory"][-1] == pytest.approx(1)


def test_the_subject_begins_with_what_its_episode_has_made():
    subject = recall()
    position = 2  # The longest training episodes have three puzzles.
    assert subject.numbered().tolist() == [LENGTH * e + position for e in range(EPISODES)]
    assert subject.dataset is not None and subject.dataset.episodes is not None
    permutations = torch.from_numpy(subject.dataset.episodes.plan.rules().permutations.astype(int))
    rule = torch.from_numpy(rules(subject)[:, position])
    books = torch.nn.functional.one_hot(permutations[rule.long()], 3).float()
    assert subject.memory is not None
    assert torch.equal(subject.memory["rule"], books)
    assert torch.equal(subject.initial_state().memory["rule"], books)
    assert subject.groups["rule"].tolist() == rule.tolist()
    assert np.array_equal(subject.inputs, subject.episodes.inputs[:, position])  # pyright: ignore
    assert rollout(subject, 1).exact.all()

    few = subject.select([7, 3])
    assert few.episodes is not None and few.memory is not None
    assert torch.equal(few.memory["rule"], books[[7, 3]])
    assert few.numbered().tolist() == [LENGTH * 7 + position, LENGTH * 3 + position]
    assert np.array_equal(few.episodes.rules, rules(subject)[[7, 3]])
    assert rollout(few, 1).exact.all()


def test_a_short_test_episode_ends_at_its_last_puzzle():
    assert recall("data.test_length=2").numbered()[:3].tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    "told, longest, place",
    [([1, 0, 0, 0, 0], 3, 2), ([1, 1, 1, 0, 0], 2, 3), ([0, 0, 1, 1, 1], 5, 1), ([1, 1, 1, 1, 0], 9, 4)],
)
def test_what_is_probed_is_asked(told, longest, place):
    """The last of the longest training episodes, the next that is asked, or else the last that is."""
    episodes = recall().episodes
    assert episodes is not None
    dataset: Any = SimpleNamespace(episodes=SimpleNamespace(lengths=(1, longest)))
    assert probed_place(dataset, replace(episodes, course=telling([bool(one) for one in told]))) == place


def test_in_contexts_too_what_is_probed_is_asked():
    """Where the rule has been shown: of 8 puzzles, the first 4 are first visits."""
    cued = contexts(4)
    assert cued.dataset is not None and cued.episodes is not None
    assert probed_place(cued.dataset, cued.episodes) == 4
    fifth = telling([at == 4 for at in range(8)])
    assert probed_place(cued.dataset, replace(cued.episodes, course=fifth)) == 5
    late = telling([at >= 4 for at in range(8)])
    assert probed_place(cued.dataset, replace(cued.episodes, course=late)) == 3


def test_a_few_episodes_are_spread_and_drawn_for_as_in_the_evaluation():
    """With cells that are chosen at random, what an episode leaves depends on its place among all."""
    words = "+memory=multicell", "k=3", "memory.selector=random"
    run = parse(compose("train", [*(word for word in RECALL if "+memory" not in word), *words]))
    dataset = make_dataset(run)
    model, episodes = make_model(run, dataset).eval(), dataset.held_out()
    every, few = (subject_of(model, run, dataset, episodes, name="", puzzles=most) for most in (None, 7))
    rows = np.arange(7) * EPISODES // 7
    assert (
        len(every) == EPISODES
        and len(few) == 7
        and few.numbered().tolist() == every.numbered()[rows].tolist()
    )
    assert np.array_equal(few.inputs, every.inputs[rows]) and few.memory is not None
    for name, m in few.memory.items():
        assert every.memory is not None
        torch.testing.assert_close(m, every.memory[name][torch.from_numpy(rows)])
    np.testing.assert_array_equal(cells_taken(few).first, cells_taken(every).first[rows])
    assert every.spread(3).tolist() == [0, 13, 26] and few.spread(99).tolist() == list(range(7))


def test_disturbing_what_the_episode_has_made():
    """Put back it repeats the question; of another episode it is right where that has the same rule."""
    subject = recall()
    rule = rules(subject)[:, 2]
    found = {effect["test"]: effect["exact"] for effect in effects(subject)}
    assert found["reset"] == pytest.approx((rule == identity(subject)).mean())
    assert found["zero"] == 0
    circle = np.random.default_rng(0).permutation(EPISODES)
    owner = np.empty_like(circle)
    owner[circle] = np.roll(circle, 1)
    assert found["shuffle"] == pytest.approx((rule == rule[owner]).mean())
    assert set(found) == {"zero", "reset", "shuffle"}  # It has one H-step.


def test_intervals_of_shares():
    """Solutions of |p - share| = z sqrt(p (1 - p) / n), found by search."""
    shares, n = np.array([0.0, 0.1, 0.5, 1.0]), 20
    grid = np.linspace(0, 1, 200001)
    low, high = wilson(shares, n)
    for share, a, b in zip(shares, low, high):
        inside = grid[np.abs(grid - share) <= 1.959964 * np.sqrt(grid * (1 - grid) / n) + 1e-12]
        assert (a, b) == pytest.approx((inside.min(), inside.max()), abs=1e-4)


def test_puzzles_without_episodes_have_no_positions():
    with pytest.raises(ValueError, match="planted was not trained on episodes"):
        accuracy_by_position(planted([0], [2]))
