"""Which cells are preferred, and what disturbing a memory does to the answers."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
import torch

from memhrm.evaluation.intervals import paired
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.selection import choose, merits
from memhrm.models.reasoner import NO_GUIDE, Guide
from memhrm.probes.causal import effects, meaningful
from memhrm.probes.cells import active_cells
from memhrm.probes.rollout import rollout
from planted import UNTOUCHED, planted, right, small

ASKED = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
SHARE = np.array([0.4, 0.3, 0.2, 0.1])
MULTICELL = CellSettings.of(name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=2)
BICROSS = ExchangeSettings.of(name="", module="memhrm.memory.bicross.BiCross", tokens=3)


def of(found: list[dict], test: str) -> list[dict]:
    return [effect for effect in found if effect["test"] == test]


# Preference.


def test_what_is_preferred_is_chosen_whatever_the_score():
    scores = torch.tensor([[5.0, 1.0, 3.0, -2.0]] * 3)
    prefer = torch.zeros(3, 4)
    prefer[1, 0], prefer[2, 3] = -torch.inf, torch.inf
    for selector in ("topk", "policy"):
        assert choose(merits(selector, scores), 2, prefer).tolist() == [[0, 2], [2, 1], [3, 0]]
    noise = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 3)
    assert choose(merits("random", scores, noise), 2, prefer).tolist() == [[3, 2], [3, 2], [3, 2]]
    losses = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 3)
    assert choose(merits("lowest_loss", scores, judged=losses), 2, prefer).tolist() == [
        [0, 1],
        [1, 2],
        [3, 0],
    ]


@pytest.mark.parametrize(
    "changes", [{}, {"gate": "all"}, {"shared_cell": True, "gate": "all"}, {"selector": "random"}]
)
def test_cells_are_knocked_out_and_forced_in_the_real_memory(changes):
    subject = small(replace(MULTICELL, **changes), H_cycles=2)
    for cell in range(1, 4):
        for value, expected in ((-torch.inf, 0.0), (torch.inf, 1.0)):
            prefer = torch.zeros(4)
            prefer[cell] = value
            seen = rollout(subject, 2, prefer=prefer).traces
            assert (active_cells(seen)[..., cell] == expected).all()
            scores, taken = seen["scores"], np.take_along_axis(seen["scores"], seen["indices"], axis=-1)
            assert np.isfinite(scores).all()  # The weights come from the scores as they are.
            apart = int(changes.get("shared_cell", False))
            rivals = scores[..., apart:] if changes.get("gate") == "all" else taken[..., apart:]
            share = np.exp(taken[..., apart:]) / np.exp(rivals).sum(axis=-1, keepdims=True)
            np.testing.assert_allclose(seen["alpha"][..., apart:], share * (1 - apart / 2), rtol=1e-5)
            np.testing.assert_allclose(seen["alpha"][..., :apart], 1 / 2)  # k=2.


# Planted causes.


def test_knocking_out_a_cell_loses_the_puzzles_that_need_it_and_no_other():
    """Two puzzles of twelve, which ask for cell 0, have no right answer; cell 4 is never asked for."""
    asked = [*ASKED, 0, 0]
    subject = planted(asked, [*right(ASKED), 1, 1], cells=5, H_cycles=2)
    found = effects(subject, 3)
    lost = -np.array([4, 3, 2, 1, 0]) / 12
    out, force = of(found, "knock_out"), of(found, "force")
    assert [e["cell"] for e in out] == [e["cell"] for e in force] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([e["change"] for e in out], lost)
    np.testing.assert_allclose([e["exact"] for e in out], 10 / 12 + lost)
    np.testing.assert_allclose([e["accuracy_change"] for e in out], lost * (1 - UNTOUCHED))
    np.testing.assert_allclose([e["change"] for e in force], -lost - 10 / 12)
    np.testing.assert_allclose([e["exact"] for e in force], -lost)

    assert of(found, "zero")[0]["exact"] == 0
    assert of(found, "zero")[0]["accuracy"] == pytest.approx(UNTOUCHED)
    for name in ("reset", "freeze", "shuffle", "swap"):  # The memory is the same in every puzzle.
        (effect,) = of(found, name)
        assert (effect["change"], effect["accuracy_change"], effect["cell"]) == (0, 0, None)
        assert effect["low"] < 0 < effect["high"]
    for effect in found:
        assert effect["low"] <= effect["change"] <= effect["high"]
        assert effect["accuracy_low"] <= effect["accuracy_change"] <= effect["accuracy_high"]
    assert len(found) == 5 + 5 + 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_was_written_is_needed_and_no_single_cell_is(seed):
    """Each puzzle finds its own answer in what it wrote a step before."""
    notes = [1, 2, 3, 4, 5]
    found = effects(planted([0] * 5, notes, notes=notes), 2, seed=seed)
    for name in ("zero", "reset", "freeze", "shuffle", "swap"):
        (effect,) = of(found, name)
        assert (effect["exact"], effect["change"]) == (0, -1), name
        assert effect["accuracy_change"] == pytest.approx(UNTOUCHED - 1)
    for effect in of(found, "knock_out") + of(found, "force"):  # Another cell takes the note.
        assert (effect["exact"], effect["change"]) == (1, 0)


def test_swapping_comes_once_and_in_the_middle():
    """A note is written once; swapped in the middle of four steps, it is not written again."""
    notes = [1, 2, 3, 4, 5]
    subject = planted([0] * 5, notes, notes=notes, steps=4)
    assert of(effects(subject), "swap")[0]["change"] == -1


def test_what_cannot_show_anything_is_left_out():
    """A single step has no middle; what a single H-step writes nothing reads; and there may be no write."""
    assert meaningful(2, 1, True) == ["zero", "reset", "freeze", "shuffle", "swap"]
    assert meaningful(1, 2, True) == ["zero", "reset", "freeze", "shuffle"]
    assert meaningful(1, 1, True) == ["zero", "reset", "shuffle"]
    assert meaningful(2, 2, False) == ["zero", "reset", "shuffle", "swap"]
    for subject in (small(BICROSS), small(replace(BICROSS, write_when="told", state_norm="none"))):
        tests = [effect["test"] for effect in effects(subject)]
        assert tests == meaningful(2, 1, subject.writes_at_questions)
    assert not of(effects(replace(small(BICROSS), write=False)), "freeze")


def test_a_cell_that_must_be_selected_is_put_back_instead():
    notes = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    found = effects(planted(ASKED, notes, notes=notes, k=4), 3)
    out = of(found, "knock_out")
    np.testing.assert_allclose([e["change"] for e in out], -SHARE)
    assert {e["description"] for e in out} == {"put back to its start before each step"}
    assert not of(found, "force")


def test_what_an_episode_remembers_is_reset_to_the_start_of_the_memory():
    """The memory came with the puzzle: the start is what the module starts with."""
    notes = [1, 2, 3, 4, 5]
    subject = planted([0] * 5, notes, notes=notes, steps=1)
    start = subject.initial_state().memory
    cells = start["cells"].clone()
    cells[:, 0, 1] = torch.eye(8)[notes]
    found = effects(replace(subject, memory={"cells": cells, "clock": start["clock"]}))
    assert all(of(found, name)[0]["change"] == -1 for name in ("zero", "reset", "shuffle"))
    assert [e["change"] for e in of(found, "knock_out")] == [-1, 0, 0, 0]
    assert [e["change"] for e in of(found, "force")] == [0, -1, -1, -1]


# The real memories.


def by_hand(
    subject, guide: Guide = NO_GUIDE, disturb=lambda memory: memory, at: Collection[int] = range(9), steps=2
):
    """The share of right cells of each puzzle after `steps` steps, all puzzles in one batch."""
    model, state, out = subject.model, subject.initial_state(), None
    rows = model.puzzle_rows(subject.identifiers)
    with torch.no_grad():
        for step in range(steps):
            if step in at:
                state = state._replace(memory=disturb(state.memory))
            state, out = model(state, subject.inputs, rows, guide)
    assert out is not None
    return (out.logits.argmax(dim=-1) == subject.labels).float().mean(dim=1).numpy()


@pytest.mark.parametrize(
    "changes", [{"k": 1, "gate": "all"}, {"shared_cell": True, "gate": "all"}, {"selector": "all", "k": 4}]
)
def test_effects_of_the_real_cells_are_those_of_a_plain_loop(changes):
    subject = small(replace(MULTICELL, **changes), n=12, H_cycles=2)
    assert by_hand(subject).mean() == 1
    found, start = effects(subject), subject.initial_state().memory

    def zero(memory):
        return {**memory, "cells": memory["cells"] * 0}

    expected: dict[tuple[str, int | None], np.ndarray] = {
        ("zero", None): by_hand(subject, disturb=zero),
        ("reset", None): by_hand(subject, disturb=lambda _: start),
        ("freeze", None): by_hand(subject, Guide(write=False)),
    }
    shared, free = int("shared_cell" in changes), changes.get("selector") != "all"
    for cell in range(4):

        def back(memory, cell=cell):
            at = torch.arange(4)[None, :, None, None] == cell
            return {**memory, "cells": torch.where(at, start["cells"], memory["cells"])}

        prefer = torch.zeros(12, 4)
        if free and cell >= shared:
            prefer[:, cell] = -torch.inf
            expected["knock_out", cell] = by_hand(subject, Guide(prefer=prefer))
            expected["force", cell] = by_hand(subject, Guide(prefer=-prefer))
        else:
            expected["knock_out", cell] = by_hand(subject, disturb=back)
    seen = {(e["test"], e["cell"]): e for e in found}
    assert {name for name in seen if name[0] not in ("shuffle", "swap")} == set(expected)
    for name, right_cells in expected.items():
        assert seen[name]["accuracy"] == pytest.approx(right_cells.mean()), name
        assert seen[name]["exact"] == pytest.approx((right_cells == 1).mean()), name
    assert sum(e["accuracy_change"] < 0 for e in found) >= 3  # They do something.


def test_two_puzzles_are_shuffled_at_each_step_and_swapped_once_in_the_middle():
    """Of two puzzles there is one other."""
    own = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    subject = replace(small(replace(BICROSS, placement="replace"), n=2), memory={"m": own})

    def other(memory):
        return {name: m.flip(0) for name, m in memory.items()}

    scores = [by_hand(subject, disturb=other, at=at, steps=4).mean() for at in (range(4), [1], [2], [3])]
    assert len(set(scores)) == 4
    found = effects(subject, 4)
    assert of(found, "shuffle")[0]["accuracy"] == pytest.approx(scores[0])
    assert of(found, "swap")[0]["accuracy"] == pytest.approx(scores[2])


def test_a_longer_baseline_at_hand_changes_nothing():
    subject = small(replace(MULTICELL, k=1, gate="all"), n=7)
    assert effects(subject, baseline=rollout(subject, 5), batch_size=3) == effects(subject, batch_size=3)
    with pytest.raises(ValueError, match=r"the steps of the baseline is 1; allowed: 2 or above"):
        effects(subject, baseline=rollout(subject, 1))


def test_a_memory_without_cells_has_no_single_cells_and_no_memory_has_no_effect():
    subject = small(BICROSS)
    found = effects(subject)
    assert [e["test"] for e in found] == ["zero", "reset", "freeze", "shuffle", "swap"]
    zero = by_hand(subject, disturb=lambda memory: {"m": memory["m"] * 0})
    assert found[0]["accuracy"] == pytest.approx(zero.mean())
    assert effects(subject) == found
    assert effects(small(None)) == []


# Intervals.


def test_the_interval_is_that_of_the_difference_of_each_puzzle():
    after, before = np.array([1, 0, 0, 0, 1, 0]), np.array([1, 1, 1, 1, 0, 0])
    mean, low, high = paired(after, before, pseudo=True)
    assert mean == pytest.approx(-2 / 6)
    lost, won, n = 3.5, 1.5, 8  # Half a puzzle more of each of the four outcomes.
    middle = (won - lost) / n
    half = 1.959964 * np.sqrt(((won + lost) - (won - lost) ** 2 / n) / n**2)
    assert (low, high) == pytest.approx((middle - half, middle + half))

    a, b = np.array([0.5, 0.25, 1.0, 0.75]), np.array([0.75, 0.25, 1.0, 0.25])
    mean, low, high = paired(a, b)
    half = 1.959964 * np.std(a - b) / 2
    assert (mean, low, high) == pytest.approx((0.0625, 0.0625 - half, 0.0625 + half))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        before = rng.random(60) < 0.8
        after = before & (rng.random(60) < 0.85)
        _, low, high = paired(after, before, pseudo=True)
        inside += low <= -0.12 <= high
    assert 0.93 < inside / 2000 < 0.98
