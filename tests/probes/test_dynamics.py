"""Accuracy over steps, residuals, AUROC and trajectories: planted cases and slow ways to the same numbers."""

import math

import numpy as np
import pytest
import torch

from conftest import SHAPE, model_settings
from memhrm.data.sudoku.task import Sudoku
from memhrm.models.reasoner import Reasoner
from memhrm.probes.accuracy import over_steps
from memhrm.probes.dynamics import auroc, chance, norms, pca, residual_auroc, residuals, trajectories
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject

NAN = math.nan


def seen_as(exact, residual=None, accuracy=None) -> Rollout:
    """A rollout of which only this is known; the norms are the residuals times ten."""
    exact = np.array(exact, dtype=bool)
    blank = np.zeros(exact.shape, np.float32)
    values = {name: np.array(z, np.float32) for name, z in (residual or {}).items()}
    return Rollout(
        tokens=np.zeros((*exact.shape, 1), np.int32),
        exact=exact,
        accuracy=blank if accuracy is None else np.array(accuracy, np.float32),
        q_halt=blank,
        q_continue=blank,
        residual=values,
        norm={name: 10 * z for name, z in values.items()},
        traces={},
        states={},
    )


def test_accuracy_over_steps():
    #        never, at once, late, un-solved again, un-solved and solved once more
    exact = [[0, 1, 0, 0, 1], [0, 1, 0, 1, 0], [0, 1, 1, 0, 1]]
    cells = [[0.5, 1, 0, 0.5, 1], [0.5, 1, 0.5, 1, 0.5], [0, 1, 1, 0, 1]]
    found = over_steps(seen_as(exact, accuracy=cells))
    np.testing.assert_allclose(found["exact"], [2 / 5, 2 / 5, 3 / 5])
    np.testing.assert_allclose(found["token_accuracy"], [3 / 5, 3.5 / 5, 3 / 5])
    assert found["first_solved"].tolist() == [0, 1, 3, 2, 1]
    assert found["unsolved_again"] == 1 / 5


def pairs(score, correct):
    """The definition: over all pairs of a correct and an incorrect answer."""
    wins = [
        1.0 if right > wrong else 0.5 if right == wrong else 0.0
        for right in score[correct]
        for wrong in score[~correct]
    ]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("values", [2, 5, 10**6])  # Many ties, some, none.
def test_auroc_counts_pairs(values):
    rng = np.random.default_rng(values)
    for _ in range(20):
        n = int(rng.integers(2, 40))
        score, correct = rng.integers(values, size=n).astype(float), rng.random(n) < 0.4
        correct[:2] = True, False
        score[rng.random(n) < 0.1] = math.inf
        assert auroc(score, correct) == pytest.approx(pairs(score, correct), abs=1e-12)


def test_auroc_at_its_ends():
    score = np.array([1.0, 2, 3, 4])
    assert auroc(score, score > 2) == 1
    assert auroc(score, score < 2) == 0
    assert auroc(np.ones(4), score > 2) == 0.5
    assert math.isnan(auroc(score, score > 9)) and math.isnan(auroc(score, score > 0))
    # What has no score has no say.
    assert auroc(np.array([NAN, 2, 3, NAN]), np.array([False, True, False, True])) == 0
    assert math.isnan(auroc(np.array([NAN, 2]), np.array([False, True])))


def test_residuals_of_correct_and_incorrect_answers():
    exact = [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0]]  # Apart by the last answer.
    z = [[9, 1, 2, 3, 4], [5, 1, 2, 7, 1.5]]
    found = residuals(seen_as(exact, {"z_H": z}))["z_H"]
    np.testing.assert_allclose(found["correct"]["mean"], [1.5, 1.5])
    np.testing.assert_allclose(found["correct"]["low"], [1.25, 1.25])
    np.testing.assert_allclose(found["correct"]["high"], [1.75, 1.75])
    np.testing.assert_allclose(found["incorrect"]["mean"], [16 / 3, 13.5 / 3])
    np.testing.assert_allclose(found["incorrect"]["median"], [4, 5])
    np.testing.assert_allclose(found["all"]["median"], [3, 2])
    np.testing.assert_allclose(found["all"]["low"], [2, 1.5])
    assert found["auroc"] == pytest.approx(5 / 6)  # Lower than an incorrect one in 5 of 6 pairs.
    assert residual_auroc(seen_as(exact, {"z_H": z, "z_L": -np.array(z)}))["z_L"] == pytest.approx(1 / 6)


def test_what_cannot_be_measured_is_nan():
    found = residuals(seen_as([[0, 0], [1, 1]], {"m": [[NAN, NAN], [NAN, 3]]}))["m"]
    np.testing.assert_array_equal(found["all"]["mean"], [NAN, 3])
    np.testing.assert_array_equal(found["incorrect"]["high"], [NAN, NAN])
    assert math.isnan(found["auroc"])


def test_norms_are_summed_up_likewise():
    found = norms(seen_as([[1, 0, 1]], {"z_H": [[1, 2, 3]], "cells": [[4, 5, 6]]}))
    np.testing.assert_allclose(found["z_H"]["correct"]["mean"], [20])
    np.testing.assert_allclose(found["z_H"]["incorrect"]["mean"], [20])
    np.testing.assert_allclose(found["cells"]["all"]["high"], [55])


def svd(states):
    """Principal components the usual way: (points, D) to coordinates and shares."""
    x = states.reshape(-1, states[0, 0].size)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return u[:, :2] * s[:2], (s**2 / (s**2).sum())[:2]


def test_planted_trajectories_are_found_again():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 9)
    planted = np.stack([[8 * (1 - t) * c, np.sin(5 * t + c)] for c in (1, 2, -1)]).swapaxes(1, 2)
    planted -= planted.mean(axis=(0, 1))
    _, _, axes = np.linalg.svd(planted.reshape(-1, 2), full_matrices=False)
    planted = planted @ axes.T  # Along its own components.
    basis, _ = np.linalg.qr(rng.normal(size=(300, 2)))
    states = (planted @ basis.T + rng.normal(size=300)).reshape(3, 9, 20, 15)
    points, shares = pca(states)
    assert points.shape == (3, 9, 2)
    flat = planted.reshape(-1, 2)
    sign = np.sign(flat[np.abs(flat).argmax(axis=0), range(2)])
    np.testing.assert_allclose(points, planted * sign, atol=1e-8)
    spread = flat.var(axis=0)
    np.testing.assert_allclose(shares, spread / spread.sum(), atol=1e-10)
    assert shares.sum() == pytest.approx(1)


def test_pca_is_that_of_numpy():
    states = np.random.default_rng(1).normal(size=(4, 6, 50)) * np.geomspace(9, 1, 50)
    points, shares = pca(states.astype(np.float32))
    expected, of_all = svd(states.astype(np.float32).astype(np.float64))
    found = points.reshape(-1, 2)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(shares, of_all, atol=1e-10)
    assert (found.max(axis=0) == np.abs(found).max(axis=0)).all()  # The sign.


def test_pca_of_what_hardly_moves():
    points, shares = pca(np.ones((2, 3, 7)))
    assert not points.any() and not shares.any()
    line = np.arange(6.0).reshape(1, 6, 1) * np.ones(5)
    points, shares = pca(line)
    np.testing.assert_allclose(np.abs(points[0, :, 0]), np.abs(np.arange(6) - 2.5) * 5**0.5)
    np.testing.assert_allclose(shares, [1, 0], atol=1e-12)
    for seed in range(30):  # Two points: rounding makes the second variance negative now and then.
        _, shares = pca(np.random.default_rng(seed).normal(size=(1, 2, 50)))
        np.testing.assert_allclose(shares, [1, 0], atol=1e-12)
    points, shares = pca(np.ones((1, 1, 4)), components=3)  # Fewer points than components.
    assert points.shape == (1, 1, 3) and shares.tolist() == [0, 0, 0]


@pytest.fixture
def subject(batch):
    torch.manual_seed(0)
    data = batch(rows=4)
    data["labels"][:, 1:] = -100
    return Subject(
        name="tiny",
        path=None,
        model=Reasoner(model_settings(), SHAPE).eval(),
        task=Sudoku(side=4),
        groups={},
        halt_max_steps=3,
        write=True,
        **{name: data[name] for name in ("inputs", "labels", "identifiers")},
    )


def test_trajectories_are_rollouts_from_several_starts(subject):
    steps, starts = 3, 4
    found = trajectories(subject, steps, puzzles=[2, 0], starts=starts, seed=7)
    assert found["points"].shape == (2, starts, steps + 1, 2)
    own = rollout(subject, steps, keep=["z_H"])
    first = subject.initial_state()
    for i, puzzle in enumerate((2, 0)):
        state, states = first._replace(z_H=first.z_H[:1], z_L=first.z_L[:1]), []
        for start in range(starts):
            drawn = []
            for which, z in enumerate((state.z_H, state.z_L)):
                rng = np.random.default_rng((7, start, puzzle, which, 0x57A7))
                normal = torch.from_numpy(rng.standard_normal(tuple(z.shape[1:]), dtype=np.float32))
                drawn.append(z if start == 0 else normal[None] * z.square().mean().sqrt())
            begun = state._replace(z_H=drawn[0], z_L=drawn[1])
            seen = rollout(subject.select([puzzle]), steps, start=begun, keep=["z_H"])
            states.append(seen.states["z_H"][:, 0])
            np.testing.assert_array_equal(found["exact"][i, start], seen.exact[:, 0])
        states = np.stack(states).astype(np.float64)
        np.testing.assert_allclose(states[0], own.states["z_H"][:, puzzle], atol=1e-5)
        expected, shares = svd(states)
        np.testing.assert_allclose(
            np.abs(found["points"][i]), np.abs(expected).reshape(starts, steps + 1, 2), atol=1e-3
        )
        np.testing.assert_allclose(found["shares"][i], shares, atol=1e-5)
        distance = np.sqrt(((states - states[0]) ** 2).mean(axis=(2, 3)))
        np.testing.assert_allclose(found["distance"][i], distance, atol=1e-5)
    assert (found["distance"][:, 0] == 0).all() and (found["distance"][:, 1:, 0] > 0.5).all()
    alone = trajectories(subject, steps, puzzles=[0], starts=starts, seed=7)
    np.testing.assert_allclose(alone["distance"][0], found["distance"][1], atol=1e-5)
    other = trajectories(subject, steps, puzzles=[0], starts=starts, seed=8)
    assert np.abs(other["distance"] - alone["distance"])[0, 1:].min() > 0


def test_trajectories_refuse_nothing_to_follow(subject):
    with pytest.raises(ValueError, match=r"^starts is 0; allowed: 1 or above$"):
        trajectories(subject, 1, starts=0)
    with pytest.raises(ValueError, match=r"^puzzles is \[\]; allowed: one or more$"):
        trajectories(subject, 1, puzzles=[])


@pytest.mark.parametrize(("right", "wrong"), [(30, 50), (4, 60)])
def test_an_auroc_of_no_meaning_lies_within_chance_as_often_as_it_says(right, wrong):
    rng = np.random.default_rng(0)
    correct = np.arange(right + wrong) < right
    low, high = chance(correct)
    inside = [low <= auroc(rng.random(right + wrong), correct) <= high for _ in range(2000)]
    assert 0.93 < np.mean(inside) < 0.97


def test_one_puzzle_of_a_kind_shows_nothing():
    assert chance(np.arange(100) == 0) == (0.0, 1.0)
    assert np.isnan(chance(np.ones(5, bool))).all()
