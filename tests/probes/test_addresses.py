"""Addresses: which cell a context has, whether it is found again, and what is left in it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from memhrm.data.episodes.visits import visits
from memhrm.probes.addresses import (
    address_information,
    address_numbers,
    agreement,
    contexts_of,
    kept_by_hash,
    last_visits,
    overwritten,
)
from memhrm.probes.monitor import monitor_numbers
from memhrm.probes.subject import Subject
from memhrm.probes.taken import FEEDBACK, QUESTION, Taken, cells_taken
from planted import contexts, planted, recall


def address_of(subject: Subject) -> np.ndarray:
    """The contexts and the cues of a subject's puzzles, (n, p) each."""
    assert subject.episodes is not None and subject.episodes.address is not None
    return np.moveaxis(subject.episodes.address, 2, 0)


def marks(cells: list[list[int]], number: int = 3) -> np.ndarray:
    """Which of three cells are in each list, of the puzzles of one episode: (1, p, 3) bool."""
    return np.array([[[cell in some for cell in range(number)] for some in cells]])


def by_hand(first: list[int], question: list[list[int]], feedback: list[list[int]]) -> Taken:
    """What the puzzles of one episode take, given what they write."""
    none = np.zeros((1, len(first), 3), bool)
    return Taken(
        first=np.array([first]),
        read={QUESTION: none, FEEDBACK: none},
        written={QUESTION: marks(question), FEEDBACK: marks(feedback)},
        exact=np.zeros((1, len(first)), bool),
        apart=0,
    )


def test_by_hand():
    """Contexts 0 1 0 1 0. Cells left at the visits: 0 and 1; 1; 2; 1; -."""
    context = np.array([[0, 1, 0, 1, 0]])
    found = by_hand([0, 1, 1, 0, 0], [[0], [2], [1], [0], [0]], [[0, 1], [1], [2], [1], []])
    # Visit 3 finds cell 1 of {0, 1}; visit 4 reads 0 and not 1; visit 5 reads 0 and not 2.
    assert agreement(found, context) == {
        "value": pytest.approx(1 / 3),
        "chance": pytest.approx((2 / 3 + 1 / 3 + 1 / 3) / 3),
    }
    # Of {0, 1} visit 2 writes 1 (and 2); visit 3 writes 1 (its question) and 2; visit 4 leaves 2 alone.
    assert overwritten(found, context)["value"] == pytest.approx(2 / 4)
    assert overwritten(found, context)["hash"] == pytest.approx(1 / 3)  # One other between, of three cells.
    assert last_visits(context).tolist() == [[-1, -1, 0, 1, 2]]
    once = by_hand([0, 1], [[], []], [[0], [1]])
    assert np.isnan([*agreement(once, np.array([[0, 1]])).values()]).all()
    assert np.isnan([*overwritten(once, np.array([[0, 1]])).values()]).all()


def brute(cell: np.ndarray, context: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of later visits whose cell was written for another context, and which are these, (n, p)."""
    later, lost = np.zeros(context.shape, bool), np.zeros(context.shape, bool)
    for row in range(len(context)):
        last: dict[int, int] = {}
        for at, one in enumerate(context[row]):
            if one in last:
                later[row, at] = True
                between = range(last[one] + 1, at)
                lost[row, at] = any(cell[row, other] == cell[row, last[one]] for other in between)
            last[one] = at
    return lost[later].mean(), lost


@pytest.mark.parametrize(("cells", "by"), [(4, "context"), (2, "context"), (4, "constant"), (4, "cue")])
def test_planted_addresses(cells, by):
    """Each example reads and writes one cell, in which only the last rule written is right for sure."""
    subject = contexts(cells, "data.test_order=interleaved", by=by)
    context, cue = address_of(subject)
    number = {"context": context, "cue": cue, "constant": np.ones_like(cue)}[by] % cells
    found, taken = address_numbers(subject, shuffles=3), cells_taken(subject)
    assert np.array_equal(taken.first, number)
    each = np.eye(cells, dtype=bool)[number]
    for masks in (taken.read, taken.written):
        assert np.array_equal(masks[QUESTION], each)
        assert np.array_equal(masks[FEEDBACK][:, :-1], each[:, :-1]) and not masks[FEEDBACK][:, -1].any()

    share, lost = brute(number, context)
    assert found["agreement"] == {"value": 1, "chance": 1 / cells}
    assert found["overwritten"]["value"] == pytest.approx(share)
    later = last_visits(context) >= 0
    assert taken.exact[later & ~lost].all() and (lost.any() == (cells < 4 or by != "context"))
    for name, labels in (("cell_by_cue", cue), ("cell_by_context", context)):
        expected = [[(labels[number == i] == j).sum() for j in range(labels.max() + 1)] for i in range(cells)]
        assert found[name].tolist() == expected, name
    one = [[int((context[0][number[0] == i] == j).sum()) for j in range(4)] for i in range(cells)]
    assert found["one"].tolist() == one

    assert subject.episodes is not None
    gap = subject.episodes.facets["gap"]
    for value, index in zip(gap.values, range(len(gap.values))):
        here = gap.index == index
        if not here.any():
            assert value not in found["retention"]
            continue
        got = found["retention"][value]
        assert got["exact"] == pytest.approx(taken.exact[here].mean()) and got["visits"] == here.sum()
        assert got["low"] <= got["exact"] <= got["high"] and got["perfect"] == 1
        kept = kept_by_hash(context, cells)[here].mean()
        assert got["kept_by_hash"] == pytest.approx(kept)
        assert got["hash"] == pytest.approx(1 / 6 + kept * 5 / 6)
    if by == "context" and cells == 4:
        assert {one["exact"] for one in found["retention"].values()} == {1.0}
        assert found["information"]["value"] == pytest.approx(np.log(4)) == found["information"]["bound"]
    if by == "constant":
        assert found["information"]["value"] == found["information"]["null_mean"] == 0


def test_feedback_that_goes_astray_is_never_found():
    found = address_numbers(contexts(4, stray=True), shuffles=3)
    assert found["agreement"]["value"] == 0
    assert found["retention"]["1-2"]["exact"] < 0.5
    assert found["information"]["value"] == pytest.approx(np.log(4))  # Of the questions, which are in order.


def test_what_a_hash_keeps_by_drawing_hashes():
    """The mean over 4,000 hashes of 5 contexts to 3 cells; standard error below 0.01."""
    rng = np.random.default_rng(0)
    context = visits(1, 5, 3, "interleaved", False, rng).context
    cell = rng.integers(3, size=(4000, 5))[:, context[0]]
    _, lost = brute(cell, np.repeat(context, 4000, axis=0))
    later = last_visits(context)[0] >= 0
    np.testing.assert_allclose(kept_by_hash(context, 3)[0, later], 1 - lost[:, later].mean(axis=0), atol=0.03)
    assert np.isnan(kept_by_hash(context, 3)[0, ~later]).all()


def test_information_within_episodes_is_none_where_cells_and_contexts_only_go_together_across_them():
    """Each episode has its own constant cell and its own contexts: nothing is told apart within it."""
    cells = np.repeat(np.arange(6)[:, None], 8, axis=1)
    context = np.tile([0, 1, 2, 3], (6, 2))
    assert address_information(cells, context, 6, shuffles=3)["value"] == 0
    rng = np.random.default_rng(2)
    drawn = address_information(rng.integers(6, size=(40, 8)), context[[0] * 40], 6, shuffles=60)
    assert drawn["low"] < 0 < drawn["high"] and drawn["value"] > 0.5  # Which is chance, as the null shows.
    assert drawn["bound"] == pytest.approx(np.log(4))
    assert address_information(cells, context, 2 + 4, shuffles=2)["bound"] == pytest.approx(np.log(4))


def test_always_active_cells_and_questions_that_write_nothing_are_left_out():
    subject = contexts(4, by="cue")
    module = subject.model.H_module
    plain = cells_taken(subject)

    def apart(z_H, z_L, memory, context, forward=module.forward):
        z_H, memory, trace = forward(z_H, z_L, memory, context)
        own = trace["indices"]
        both = torch.cat((torch.zeros_like(own), own + 1), dim=1)
        scores = torch.nn.functional.pad(trace["scores"], (1, 0))
        return (
            z_H,
            memory,
            trace | {"indices": both, "read_cells": both, "written_cells": both, "scores": scores},
        )

    module.forward, module.cells, module.always_active = apart, 5, 1
    found = cells_taken(subject)
    assert found.cells == 4 and found.apart == 1 and np.array_equal(found.first, plain.first)
    for told in (QUESTION, FEEDBACK):
        assert np.array_equal(found.read[told], plain.read[told])
        assert np.array_equal(found.written[told], plain.written[told])
    module.settings = replace(module.settings, write_when="told")
    found = cells_taken(subject)
    assert not found.written[QUESTION].any() and found.written[FEEDBACK].any()


def test_where_there_are_no_addresses_there_is_a_clear_error():
    for subject in (recall(), planted([0], [2]), replace(contexts(4), write=False)):
        assert contexts_of(subject) is None
        with pytest.raises(ValueError, match="is 'planted'; allowed: a run with data=contexts whose memory"):
            address_numbers(subject)
        with pytest.raises(ValueError, match="allowed: a run on episodes whose memory has cells"):
            cells_taken(subject)


def test_the_monitor_has_both_numbers_and_the_probed_puzzle_has_a_known_rule():
    subject = contexts(2)
    found, exact = monitor_numbers(subject), address_numbers(subject, shuffles=2)
    assert found["agreement"] == exact["agreement"]["value"] == 1
    assert found["overwritten"] == exact["overwritten"]["value"]
    place = subject.numbered() % 8
    assert subject.episodes is not None and set(place) == {4}  # Two contexts end at 4 puzzles; 4 come again.
    assert (subject.episodes.facets["gap"].index[:, 4] >= 0).all()
    interleaved = contexts(2, "data.test_order=interleaved")
    assert (interleaved.episodes.facets["visit"].index[np.arange(30), interleaved.numbered() % 8] == 1).all()  # pyright: ignore
