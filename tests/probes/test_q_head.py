"""The Q-head's calibration and the worth of restarts: by hand, planted, and as evaluation has it."""

import math
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import SHAPE, model_settings
from memhrm.data import Examples, Sudoku
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.evaluation.intervals import paired
from memhrm.evaluation.restarts import RULES
from memhrm.models.reasoner import Output, Reasoner
from memhrm.models.recursion import State
from memhrm.probes.q_head import calibration, restarts
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject, examples
from memhrm.system.ranks import Ranks

CPU = Ranks(0, 1, torch.device("cpu"))
N, STEPS = 40, 2


# Calibration.


def test_calibration_of_hand_made_values():
    """Five answers of 0.2, of which two are right, and two of 0.5, none right: (5 x 0.2 + 2 x 0.5) / 7."""
    q = np.array([math.log(0.2 / 0.8)] * 5 + [0.0] * 2)
    found = calibration(q, np.array([1, 1, 0, 0, 0, 0, 0], bool), bins=4)
    assert found["edges"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found["counts"].tolist() == [5, 2, 0, 0]  # 0.5 is a border and counts to the lower bin.
    np.testing.assert_allclose(found["predicted"], [0.2, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(found["right"], [0.4, 0, np.nan, np.nan])
    assert found["ece"] == pytest.approx((5 * 0.2 + 2 * 0.5) / 7)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_is_that_of_a_loop(bins):
    rng = np.random.default_rng(0)
    q = np.concatenate((rng.normal(0, 3, 300), [-800, 800])).reshape(2, -1).astype(np.float32)
    exact = rng.random(q.shape) < 0.4
    found = calibration(q, exact, bins)
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for value, right in zip(q.ravel().tolist(), exact.ravel().tolist()):
        p = 1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value))
        place = next(b for b in range(bins) if p <= (b + 1) / bins or b == bins - 1)
        members[place].append((p, right))
    error = 0.0
    for place, group in enumerate(members):
        assert found["counts"][place] == len(group)
        if group:
            p, right = (sum(values) / len(group) for values in zip(*group))
            assert found["predicted"][place] == pytest.approx(p)
            assert found["right"][place] == pytest.approx(right)
            error += len(group) / q.size * abs(p - right)
    assert found["ece"] == pytest.approx(error)


def test_calibrated_answers_have_no_error_and_overconfident_ones_their_excess():
    rng = np.random.default_rng(0)
    p = rng.random(100_000)
    right = rng.random(100_000) < p
    assert calibration(np.log(p / (1 - p)), right)["ece"] < 0.01
    assert calibration(np.full(100, 50.0), np.arange(100) < 30)["ece"] == pytest.approx(0.7)


def test_calibration_refuses_nothing_and_unequal_sizes():
    with pytest.raises(ValueError, match="answers is 0; allowed: as many as in exact"):
        calibration(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(ValueError, match="answers is 3; allowed: as many as in exact"):
        calibration(np.zeros(3), np.zeros(4, bool))
    with pytest.raises(ValueError, match="bins is 0"):
        calibration(np.zeros(3), np.zeros(3, bool), bins=0)


# Restarts.


class Coin(nn.Module):
    """Right where the first number of z_H, with its noise, is above 0, so that it is wrong without noise. It
    knows when it is right, and moves most when it is."""

    def __init__(self):
        super().__init__()
        self.H_module = SimpleNamespace(cells=0, noise_in_evaluation=False, noise_size=0)
        self.settings, self.decoder = SimpleNamespace(H_cycles=1), None
        self.H_init = torch.zeros(1)

    def initial_state(self, batch_size: int, dtype: torch.dtype = torch.float32) -> State:
        z = torch.full((batch_size, 1, 2), -0.1, dtype=dtype)
        return State(z, z, {})

    def puzzle_rows(self, identifiers: Tensor) -> None:
        return None

    def forward(
        self, state: State, inputs: Tensor, puzzle_rows: None, guide, mask=None
    ) -> tuple[State, Output]:
        right = state.z_H[:, 0, 0] > 0
        answer = torch.where(right[:, None], inputs, inputs % 5 + 1).long()
        z_H = torch.where(right, -0.2, -0.1)[:, None, None].expand_as(state.z_H)
        q = right.float() * 2 - 1
        return State(z_H, state.z_L, {}), Output(nn.functional.one_hot(answer, 6).float(), q, -q, [])


def subject_of(model, puzzles: Examples) -> Subject:
    return Subject(
        name="planted", path=None, model=model, task=Sudoku(side=4), halt_max_steps=STEPS, write=True,
        **examples(each_alone(puzzles)),
    )  # fmt: skip


def puzzles_of(count: int, labels: np.ndarray | None = None) -> Examples:
    inputs = np.random.default_rng(0).integers(1, 6, (count, 16)).astype(np.uint8)
    return examples_of(inputs, inputs if labels is None else labels, [0] * count, ["x"] * count)


def test_a_planted_model_gives_the_known_accuracy_by_each_rule_and_number():
    subject = subject_of(Coin(), puzzles_of(200))
    found = restarts(subject, 6, 1.0, steps=1, seed=3, batch_size=64)
    right = np.stack([rollout(subject, 1, noise=1.0, seed=3, restart=r).exact[0] for r in range(6)])
    right[0] = False  # The first restart has no noise.
    assert 0.35 < right[1:].mean() < 0.6
    assert found["restarts"].tolist() == [1, 2, 4, 6]
    np.testing.assert_allclose(found["single"], right.mean(axis=1))
    for place, count in enumerate(found["restarts"]):
        some, every = right[:count].any(axis=0).mean(), right[:count].all(axis=0).mean()
        most = (2 * right[:count].sum(axis=0) >= count).mean()  # Of a tie the surer, which is the right one.
        expected = {"q": some, "oracle": some, "residual": every, "majority": most}
        assert {rule: found[rule][place] for rule in RULES} == pytest.approx(expected)
    assert found["q"][-1] > found["majority"][-1] > found["residual"][-1]
    np.testing.assert_allclose(found["gain"], paired(right.any(axis=0), right[0], pseudo=True))
    assert found["gain"][1] > 0.3
    at_hand = restarts(subject, 6, 1.0, steps=1, seed=3, batch_size=64, first=rollout(subject, 1))
    assert all(np.array_equal(values, at_hand[name]) for name, values in found.items())
    with pytest.raises(ValueError, match=r"the steps of the first restart is 2; allowed: 1"):
        restarts(subject, 6, 1.0, steps=1, first=rollout(subject, 2))


@lru_cache
def model_and_puzzles() -> tuple[Reasoner, Examples]:
    """Labels are what one of five restarts answers; the last puzzle is answered by none."""
    torch.manual_seed(0)
    model = Reasoner(model_settings(), SHAPE).eval()
    torch.nn.init.normal_(model.q_head.weight)
    subject = subject_of(model, puzzles_of(N))
    runs = [rollout(subject, STEPS, noise=2.0 * (r > 0), restart=r).tokens[-1] for r in range(5)]
    labels = np.stack([runs[place % 5][place] for place in range(N)]).astype(np.uint8)
    labels[-1] = 1 + labels[-1] % 5
    return model, puzzles_of(N, labels)


@pytest.mark.parametrize("rule", RULES)
def test_restarts_are_those_of_the_command(rule):
    model, puzzles = model_and_puzzles()
    found = restarts(subject_of(model, puzzles), 5, 2.0, batch_size=4)
    assert found["restarts"].tolist() == [1, 2, 4, 5]
    for place, count in enumerate(found["restarts"].tolist()):
        several = {"restarts": count, "noise": 2.0, "select": rule} if count > 1 else {}
        scores = evaluate(
            model,
            Sudoku(side=4),
            each_alone(puzzles),
            EvaluationSettings(steps=STEPS, batch_size=16, **several),
            CPU,
        )
        assert found[rule][place] == pytest.approx(scores["exact_accuracy"])
        if count > 1:
            assert found["single"][:count].mean() == pytest.approx(scores["exact_accuracy_single"])
    assert found["oracle"][-1] > found["oracle"][0] > 0


def test_more_restarts_than_one_need_noise():
    model, puzzles = model_and_puzzles()
    with pytest.raises(ValueError, match=r"noise is 0\.0; allowed: above 0, with restarts=2"):
        restarts(subject_of(model, puzzles), 2, 0.0)
    with pytest.raises(ValueError, match="restarts is 0; allowed: 1 or above"):
        restarts(subject_of(model, puzzles), 0, 1.0)
    alone = restarts(subject_of(model, puzzles), 1, 0.0)
    assert alone["restarts"].tolist() == [1] and alone["q"].tolist() == alone["single"].tolist()
