"""A model that is told the answers is right in both protocols; whose task it is told wrongly, never."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from arc.told import Told, answers
from made_arc import tasks
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.variants import VARIANTS as VARIATIONS
from memhrm.data.arc.variants import draw, identifiers_of
from memhrm.data.arc.votes import place_of
from memhrm.data.settings import parse
from memhrm.evaluation import votes
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.votes import Ballot
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, puzzle_shape
from memhrm.nn.tables import KeyedTable

SIDE, VARIANTS = 10, 7
SMALL = {"hidden_size": 8, "num_heads": 1, "L_layers": 1, "H_cycles": 1, "L_cycles": 1}


def ballot(protocol: str, batch_size: int = 6) -> tuple[Ballot, list]:
    """A ballot among tasks, of a model whose table is empty."""
    data = parse({"kind": "arc", "name": "arc", "path": "x", "canvas": SIDE, "variants": VARIANTS,
                  "protocol": protocol, "demonstrations": 2})  # fmt: skip
    assert isinstance(data, ArcSettings)
    arc, some = data.task(), tasks()
    arc.variants |= {task.key: draw(task, VARIANTS, 0) for task in some}
    model = Told(ModelSettings.of(**SMALL), puzzle_shape(arc)).eval()
    model.table = {}
    if protocol == "strict":  # What is told lasts for the episode.
        model.H_module.settings = replace(model.H_module.settings, lifetime="episode")
    return Ballot(model, arc, data.maker(arc), EvaluationSettings(steps=1, batch_size=batch_size)), some


def tell(made: Ballot, some: list, protocol: str, **told) -> None:
    codes = {task.key: made.codes(task) for task in some}
    made.model.table = answers(some, {**codes, **told}, SIDE, protocol == "strict")


def places(made: Ballot, some: list) -> list[int | None]:
    return [
        place_of(found, pair.output)
        for voted in made.votes(some)
        for pair, found in zip(voted.task.tests, voted.candidates)
    ]


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_a_model_that_is_told_the_answers_solves_all(protocol):
    made, some = ballot(protocol)
    tell(made, some, protocol)
    found = list(made.votes(some))
    assert [voted.task.id for voted in found] == [task.id for task in some]
    for voted in found:
        assert voted.variants == VARIANTS + 1
        for pair, (only,) in zip(voted.task.tests, voted.candidates):
            assert (only.grid == pair.output).all() and only.votes == VARIANTS + 1 and only.q == 0.5


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_a_model_that_is_told_of_other_tasks_solves_none(protocol):
    """Each has the demonstrations of the next: its identifiers, or what it is told."""
    made, some = ballot(protocol)
    tell(made, some, protocol)
    turned = [
        replace(task, demonstrations=other.demonstrations) for task, other in zip(some, [*some[1:], some[0]])
    ]
    assert places(made, turned) == [None] * 5


def test_votes_do_not_depend_on_the_batch():
    outcomes = []
    for batch_size in (1, 5, 100):
        made, some = ballot("transductive", batch_size)
        codes = {task.key: made.codes(task)[::2] for task in some}  # Half of the variants are right.
        made.model.table = answers(some, codes, SIDE, strict=False)
        outcomes.append(
            [[(c.votes, c.grid.tolist()) for c in found] for v in made.votes(some) for found in v.candidates]
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert {found[0][0] for found in outcomes[0]} == {(VARIANTS + 1) // 2}


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_no_vote_sees_the_output_of_a_test(protocol, monkeypatch):
    made, some = ballot(protocol)
    seen = []

    def watched(model, episodes, *more, **others):
        seen.append(episodes.labels)
        return walk(model, episodes, *more, **others)

    monkeypatch.setattr(votes, "walk", watched)
    assert len(list(made.votes(some))) == 4
    assert seen and not any(labels.any() for labels in seen)


def test_fewer_variants_vote_if_asked():
    made, some = ballot("transductive")
    few = replace(made, variants=2)
    assert [len(few.codes(task)) for task in some] == [3] * 4
    assert few.codes(some[0])[0] == 0 and len(replace(made, variants=0).codes(some[0])) == 1


def test_only_variants_that_were_trained_vote():
    made, some = ballot("transductive")
    trained = made.codes(some[0])[::2]
    table = KeyedTable(3)
    table.assign(torch.from_numpy(identifiers_of(some[0].key, trained)), torch.ones(len(trained), 3))
    table.assign(torch.tensor([5]), torch.ones(1, 3))
    made.model.puzzles, made.model.known = table, lambda *ends: Reasoner.known(made.model, *ends)
    codes = made.codes(some[0])
    assert codes[0] == 0 and sorted(codes.tolist()) == sorted(trained.tolist())
    assert codes.tolist() != sorted(trained.tolist())  # Or the first N would have few symmetries.
    made.model.puzzles = KeyedTable(3)
    (voted, *_) = made.votes(some)
    assert voted.variants == 0 and voted.candidates == [[]]


def test_places_differ_and_leave_room_for_those_in_an_episode():
    some = tasks()
    found = [
        place
        for task in some
        for test in range(3)
        for place in votes.places(task, test, np.array([0, 1, VARIATIONS - 1]))
    ]
    assert len(set(found)) == len(found) == 36 and min(found) >= 0 and max(found) * 11 < 1 << 63


def test_every_demonstration_is_told_in_turn():
    """With two of three demonstrations in an episode, each is the last that is told in some variants."""
    made, some = ballot("strict")
    arc, maker = made.arc, made.maker
    examples = arc.examples(some, demonstrations=True, tests=True)
    asked = maker.asked(examples)
    assert [int(row) for row in asked] == np.flatnonzero(~examples.told).tolist()
    rows = maker.rows(examples, [asked[0]] * 4, [0, 1, 2, 3])
    assert rows.tolist() == [[0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 1, 3]]
