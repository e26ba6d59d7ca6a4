"""Numbers about cells: usage, switching, information, likeness, attention, and the light probe."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from memhrm.memory.aggregate import AggregateSettings
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.none import NO_MEMORY
from memhrm.probes import attention, cells, information
from memhrm.probes.monitor import monitor_numbers
from memhrm.probes.rollout import rollout
from planted import UNTOUCHED, planted, right, small

UNEVEN = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
EVEN = [0, 1, 2, 3] * 4


def traces_of(sets: list[tuple[int, ...]], n: int) -> dict[str, np.ndarray]:
    """Traces of puzzles that select these cells, all in one H-step."""
    return {"indices": np.array(sets)[None, None], "scores": np.zeros((1, 1, len(sets), n))}


# Usage, switching, pairs.


def test_a_selection_by_token_has_the_usage_of_the_tokens():
    seen = rollout(planted(UNEVEN, right(UNEVEN), cells=5, H_cycles=2), 3).traces
    p = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
    np.testing.assert_allclose(cells.usage(seen), np.broadcast_to(p, (3, 2, 5)), atol=1e-12)
    entropy = cells.usage_entropy(cells.usage(seen))
    expected = -sum(x * np.log(x) for x in p if x)
    np.testing.assert_allclose(entropy["nats"], np.full((3, 2), expected))
    np.testing.assert_allclose(entropy["share"], np.full((3, 2), expected / np.log(5)))
    assert cells.dead_cells(seen).tolist() == [4]
    np.testing.assert_array_equal(cells.selection_counts(seen), 6 * np.eye(5, dtype=int)[UNEVEN])
    assert not any(values.any() for values in cells.switching(seen).values())


def test_entropy_is_of_the_usage_divided_by_k():
    found = cells.usage_entropy(np.array([[1.0, 1.0, 0, 0], [0.5] * 4]))
    np.testing.assert_allclose(found["nats"], [np.log(2), np.log(4)])
    np.testing.assert_allclose(found["share"], [0.5, 1.0])
    assert cells.usage_entropy(np.ones(1))["share"] == 1


def test_a_clock_switches_as_it_is_wound():
    """Two of four cells, {c, c + 1} at H-step c: one is new at each; two H-steps later both are."""
    seen = rollout(planted([0, 1], right([0, 1]), rule="clock", k=2, H_cycles=2), 2).traces
    expected = np.array([[[1, 1, 0, 0], [0, 1, 1, 0]], [[0, 0, 1, 1], [1, 0, 0, 1]]])
    np.testing.assert_array_equal(cells.usage(seen), expected)
    switching = cells.switching(seen)
    np.testing.assert_array_equal(switching["H_steps"], [[0.5], [0.5]])
    np.testing.assert_array_equal(switching["supervision"], [1.0])

    pairs = cells.co_selection(seen)
    neighbours = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    np.testing.assert_allclose(pairs["together"], neighbours / 4 + np.eye(4) / 2)
    apart = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(pairs["independent"][apart], 1 / 6)  # C(2, 2) of C(4, 2) pairs.
    np.testing.assert_allclose(pairs["ratio"][apart], 1.5 * neighbours[apart])

    every = cells.switching(rollout(planted([0], right([0]), rule="clock", H_cycles=4), 2).traces)
    np.testing.assert_array_equal(every["H_steps"], np.ones((2, 3)))
    np.testing.assert_array_equal(every["supervision"], [0.0])  # The same cell at the same H-step.


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_independent_pairs_are_those_of_weighted_subsets(k):
    """Each subset of four cells as often as the product of its weights, beside an always active cell and a
    dead one: co-selection is then what independence gives, for every pair."""
    weights = [1, 2, 3, 5]
    sets = []
    for chosen in itertools.combinations(range(4), k):
        sets += [(4, *chosen)] * int(np.prod([weights[i] for i in chosen]))
    found = cells.co_selection(traces_of(sets, 6))
    np.testing.assert_allclose(found["together"], found["independent"], atol=1e-5)
    alive = found["independent"] > 1e-6
    np.testing.assert_allclose(found["ratio"][alive], 1, atol=1e-4)
    assert np.isnan(found["ratio"][5]).all()
    assert alive[:4, :4].all() == (k > 1)


# Information.


def slow_information(counts: np.ndarray, groups: np.ndarray) -> float:
    total, found = counts.sum(), 0.0
    for group in set(groups.tolist()):
        for cell in range(counts.shape[1]):
            both = counts[groups == group, cell].sum() / total
            alone = counts[groups == group].sum() / total * counts[:, cell].sum() / total
            found += both * np.log(both / alone) if both else 0.0
    return found


def test_information_equals_the_sum_over_all_pairs():
    rng = np.random.default_rng(0)
    counts, groups = rng.integers(0, 4, (30, 5)), rng.choice(["a", "b", "c"], 30)
    found = information.with_null(counts, groups)
    value = found["value"]
    assert value == pytest.approx(slow_information(counts, groups), abs=1e-12)
    assert found["null_corrected"] == pytest.approx(value - found["null_mean"])
    assert (found["low"], found["high"]) == (value - found["null_high"], value - found["null_low"])


def test_the_null_is_that_of_all_orders_of_the_labels():
    counts = np.array([[3, 0, 1], [0, 2, 2], [1, 3, 0], [4, 0, 0], [0, 0, 4]])
    groups = np.array([0, 0, 1, 1, 2])
    every = [slow_information(counts, np.array(order)) for order in itertools.permutations(groups)]
    found = information.with_null(counts, groups, shuffles=1500)
    assert found["null_mean"] == pytest.approx(np.mean(every), abs=0.01)
    assert found["null_low"] == pytest.approx(np.quantile(every, 0.025), abs=0.03)
    assert found["null_high"] == pytest.approx(np.quantile(every, 0.975), abs=0.03)


def test_weights_of_cells():
    """Of the cell asked for and the one behind it, the first has more; three of four puzzles ask for cell 0.
    A share of all: weights that do not sum to 1 count as they are."""
    indices = np.array([[[[0, 1], [0, 1], [0, 1], [1, 2]]]])
    traces = {
        "indices": indices,
        "alpha": np.full((1, 1, 4, 2), (0.6, 0.2)),
        "scores": np.zeros((1, 1, 4, 4)),
    }
    np.testing.assert_allclose(cells.weight_shares(traces), np.array([1.8, 0.6 + 0.6, 0.2, 0]) / 3.2)


def test_one_step_tells_nothing_of_the_puzzle():
    """Of a single H-step any way to deal the selections anew tells as much."""
    subject = planted(EVEN, right(EVEN))
    groups = {"rule": np.array(EVEN)}
    assert set(information.cell_information(rollout(subject, 1).traces, groups)) == {"rule"}
    assert set(information.cell_information(rollout(subject, 2).traces, groups)) == {"puzzle", "rule"}


def test_a_selection_by_token_tells_all_about_the_token_and_nothing_about_the_rest():
    groups = {
        "rule": np.array(EVEN),
        "half": np.array(EVEN) // 2,
        "coin": np.repeat([0, 1], 8),  # Balanced within each rule.
        "rating": np.arange(16),
    }
    seen = rollout(planted(EVEN, right(EVEN), H_cycles=2, groups=groups), 2).traces
    found = information.cell_information(seen, groups)
    assert found["rule"]["value"] == pytest.approx(np.log(4))
    assert found["half"]["value"] == pytest.approx(np.log(2))
    assert found["coin"]["value"] == pytest.approx(0, abs=1e-12)
    assert found["rating"]["value"] == pytest.approx(0, abs=1e-12)  # A quarter of four has each rule.
    assert found["puzzle"]["value"] == pytest.approx(np.log(4))
    for name in ("rule", "half", "puzzle"):
        assert found[name]["low"] > 0, name
    for name in ("coin", "rating"):
        assert found[name]["low"] <= 0, name


def test_the_null_covers_zero_where_nothing_depends():
    rng = np.random.default_rng(1)
    indices = rng.integers(0, 8, (4, 2, 200, 1))
    counts = np.stack([np.bincount(row, minlength=8) for row in indices[..., 0].reshape(8, 200).T])
    puzzle = information.puzzle_information(indices, 8)
    label = information.with_null(counts, rng.integers(0, 5, 200))
    for found in (puzzle, label):
        assert found["value"] > 0.001  # By chance alone.
        assert found["low"] < 0 < found["high"]
        assert found["null_low"] < found["null_mean"] < found["null_high"]
    assert puzzle["value"] == pytest.approx(slow_information(counts, np.arange(200)))
    assert information.puzzle_information(indices, 8) == puzzle
    assert information.puzzle_information(indices, 8, seed=1) != puzzle


def test_dealing_selections_anew_keeps_the_usage_of_each_step():
    """Everyone switches with a clock: the puzzles do not differ, and no shuffle makes them differ."""
    indices = np.broadcast_to(np.arange(4)[:, None, None, None], (4, 1, 50, 1))
    found = information.puzzle_information(indices, 4)
    assert found["value"] == pytest.approx(0, abs=1e-12)
    assert found["null_high"] == pytest.approx(0, abs=1e-12)


def test_ratings_of_many_values_fall_into_quarters():
    assert information.quartiles(np.array([5, 5, 7, 9])).tolist() == [5, 5, 7, 9]
    assert information.quartiles(np.arange(12) * 3).tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    many = np.array([0] * 20 + list(range(1, 21)))
    assert len(set(information.quartiles(many)[:20].tolist())) == 1
    assert sorted(set(information.quartiles(many).tolist())) == [0, 2, 3]  # Half of them are one value.


# Likeness of cells.


def test_cosines_equal_loops():
    rng = np.random.default_rng(2)
    memory = rng.normal(size=(3, 4, 3, 5, 6))  # Three steps, four puzzles, three cells of five tokens.
    found = cells.cosines(memory)
    for step, i, j in itertools.product(range(3), range(3), range(3)):
        for name, vectors in (
            ("cls", memory[step, :, :, 0]),
            ("contents", memory[step, :, :, 1:].mean(axis=2)),
        ):
            each = [v[i] @ v[j] / np.sqrt((v[i] @ v[i]) * (v[j] @ v[j])) for v in vectors]
            assert found[name][step, i, j] == pytest.approx(np.mean(each))
    matrix = np.array([[1.0, -0.5, 0.1], [-0.5, 1.0, 0.3], [0.1, 0.3, 1.0]])
    assert cells.mean_cosine(matrix) == pytest.approx(0.3)
    assert np.isnan(cells.mean_cosine(np.ones((1, 1))))


def test_trajectories_keep_the_distances_of_what_lies_in_a_plane():
    rng = np.random.default_rng(3)
    plane, _ = np.linalg.qr(rng.normal(size=(7, 2)))
    flat = rng.normal(size=(4, 5, 3, 2)) * [3.0, 1.0]
    memory = np.zeros((4, 5, 3, 2, 7))
    memory[..., 0, :] = flat @ plane.T + 10
    found = cells.cls_trajectories(memory)
    points, wanted = found["points"].reshape(-1, 2), flat.reshape(-1, 2)

    def distances(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    np.testing.assert_allclose(distances(points), distances(wanted), atol=1e-9)
    assert found["explained"].sum() == pytest.approx(1)
    variance = points.var(axis=0)
    np.testing.assert_allclose(found["explained"], variance / variance.sum())
    assert variance[0] > variance[1]


# Attention maps.

MULTICELL = CellSettings.of(
    name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=2, positions="both"
)
BICROSS = ExchangeSettings.of(name="", module="memhrm.memory.bicross.BiCross", tokens=3)
ADD = AggregateSettings.of(name="", module="memhrm.memory.aggregate.Aggregate", tokens=2, cells=4, k=2)


def test_maps_are_those_of_the_H_step_and_leave_the_module_as_it_was():
    subject = small(MULTICELL, n=3, H_cycles=2)
    random, seen = torch.random.get_rng_state(), rollout(subject, 2)
    for h in range(2):
        met = attention.attention_maps(subject, 1, h)
        np.testing.assert_array_equal(met.cells, seen.traces["indices"][1, h])
        assert met.read.shape == met.write.shape == (3, 2, 17)
        np.testing.assert_allclose(met.write.sum(axis=-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(met.traces["scores"], seen.traces["scores"][1, h])
    assert torch.equal(torch.random.get_rng_state(), random)
    assert not any("map" in name for name in rollout(subject, 1).traces)
    grid = attention.on_grid(subject.task, met.write)
    assert grid.shape == (3, 2, 4, 4)
    assert grid[2, 1, 3, 0] == met.write[2, 1, 1 + 12]


@pytest.mark.parametrize("memory", [BICROSS, ADD])
def test_one_memory_has_one_map(memory):
    met = attention.attention_maps(small(memory, n=3), 1)
    assert met.cells is None and met.read.shape == met.write.shape == (3, 1, 17)


def test_memories_without_maps_say_so():
    with pytest.raises(ValueError, match=r"memory\.module is 'Planted'; allowed: a memory that has maps"):
        attention.attention_maps(planted([0], [2]), 0)
    with pytest.raises(ValueError, match=r"step is -1; allowed: 0 or above"):
        attention.attention_maps(small(BICROSS), -1)


# The light probe.


def numbers(subject, **more) -> dict:
    return monitor_numbers(replace(subject, **more))


def test_light_numbers_of_a_planted_memory():
    found = numbers(planted(EVEN, right(EVEN), H_cycles=2, cells=5))
    value, low, high = (found.pop(f"null_corrected_information{end}") for end in ("", "_low", "_high"))
    for name in ("cls", "contents"):
        assert found.pop(f"cosine_{name}_matrix") == np.eye(5).tolist()
    assert found == pytest.approx({
        "exact_accuracy": 1, "accuracy": 1, "exact_accuracy_unwritten": 1,
        "usage_entropy": np.log(4), "usage_entropy_share": np.log(4) / np.log(5),
        "switching_H_steps": 0, "switching_supervision": 0, "dead_cells": 1,
        "cosine_cls": 0, "cosine_contents": 0,
    })  # fmt: skip
    assert 0 < low <= value <= high < np.log(4)  # Less its null: the mutual information itself is log 4.

    notes = planted([0, 0, 0], [2, 3, 4], notes=[2, 3, 4])
    assert numbers(notes)["exact_accuracy"] == 1
    assert numbers(notes)["exact_accuracy_unwritten"] == 0
    assert numbers(notes, write=False)["exact_accuracy"] == 0
    assert numbers(notes)["accuracy"] == 1
    assert numbers(notes, write=False)["accuracy"] == pytest.approx(UNTOUCHED)


def test_light_numbers_of_what_has_no_cells_or_no_memory():
    assert set(numbers(small(None))) == {"exact_accuracy", "accuracy"}
    assert set(numbers(small(NO_MEMORY))) == {"exact_accuracy", "accuracy"}
    assert set(numbers(small(BICROSS))) == {
        "exact_accuracy",
        "accuracy",
        "exact_accuracy_unwritten",
    }


def test_light_leaves_the_model_and_the_random_numbers_as_they_are():
    subject = small(replace(MULTICELL, selector="random"))
    subject.model.train()
    before, weights = torch.random.get_rng_state(), subject.model.state_dict()
    weights = {name: w.clone() for name, w in weights.items()}
    found = numbers(subject)
    assert subject.model.training
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(w, weights[name]) for name, w in subject.model.state_dict().items())
    assert numbers(subject) == found
    assert all(isinstance(found[name], list if name.endswith("_matrix") else float) for name in found)
