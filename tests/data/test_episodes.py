"""Episodes: their rules and optimum, how they are drawn, how the loop trains on them, how they are scored."""

from dataclasses import replace
from math import factorial

import numpy as np
import pytest
import torch

from memhrm.config.command import compose
from memhrm.config.settings import SettingWarning
from memhrm.data import load
from memhrm.data.episodes.episodes import Course, Episodes, Facet, usual_course
from memhrm.data.episodes.relabelled import Relabelled
from memhrm.data.episodes.rules import Rules
from memhrm.data.examples import examples_of
from memhrm.data.sampler import IGNORE
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.evaluate import evaluate
from memhrm.models.reasoner import Guide
from memhrm.runs import build as parts
from memhrm.runs.batches import Batches
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.carry import Carry
from memhrm.training.step import train_step

ALONE = Ranks(0, 1, torch.device("cpu"))
SMALL = """
    data=recall data.lengths=[2,3] data.test_length=4 data.test_episodes=6
    validation_size=2 steps=4 batch_size=4 model=trm model.hidden_size=32 model.num_heads=2 model.L_layers=1
""".split()  # noqa: SIM905 (written as on a command line)


def configured(*overrides: str):
    run = parse(compose("train", [*SMALL, *overrides]))
    return run, parts.make_dataset(run)


def drawn(*overrides: str, count: int = 40, length: int = 6, test: bool = True):
    data = load(**compose("train", ["data=recall", *overrides])["data"])
    relabelled = Relabelled(data.task, data.episodes.plan)
    rng = np.random.default_rng(3)
    return data, relabelled, relabelled.draw(data.test, count, length, rng, test=test)


def guesses(relabelled: Relabelled, episodes: Episodes) -> np.ndarray:
    """Whether an ideal player answers exactly, (n, p): it sets out from all rules, keeps those that agree
    with the feedback, and gives the answer that most of their probability agrees with."""
    first, rules = relabelled.first, relabelled.test_rules
    right = np.zeros(episodes.inputs.shape[:2])
    for e in range(len(episodes)):
        left = rules.probability.copy()
        for j in range(episodes.length):
            if relabelled.plan.revises and j == episodes.length // 2:
                left = rules.probability.copy()
            plain = episodes.inputs[e, j].astype(int) - first
            answers = [tuple(permutation[plain]) for permutation in rules.permutations]
            mass: dict = {}
            for answer, weight in zip(answers, left):
                mass[answer] = mass.get(answer, 0.0) + weight
            best = max(mass, key=lambda answer: mass[answer])
            right[e, j] = best == tuple(episodes.labels[e, j].astype(int) - first)
            if j == episodes.length - 1:
                break
            shown = episodes.feedback[e, j].astype(int) - relabelled.task.vocab_size
            for digit, code in zip(plain, shown):
                if code >= 0:
                    left = left * (rules.permutations[:, digit] == code % relabelled.plan.digits)
    return right


def test_rules_that_are_held_out_are_in_the_test_alone():
    words = ("data.held_out_rules=0.25", "data.favour=0.5", "data.revises=true")
    _, relabelled, test = drawn(*words, count=500)
    training = drawn(*words, count=500, test=False)[2]
    assert len({*test.rules.flat}) == 6 and len({*training.rules.flat}) == 18
    assert not {*test.rules.flat} & {*training.rules.flat}
    first = relabelled.own_rules[0][0]
    assert 0.5 < (training.rules[:, 0] == first).mean() < 0.6  # What is favoured is in training, too.
    for one in (test, training):
        plain = one.inputs[:, 0].astype(int) - relabelled.first
        images = relabelled.rules.permutations[one.rules[:, 0]]
        assert (np.take_along_axis(images, plain, axis=1) == one.labels[:, 0] - relabelled.first).all()


@pytest.mark.parametrize(
    ("words", "share"),
    [(["data.held_out_rules=0.05"], "0.05"), (["data.held_out_rules=0.5", "data.rules=[swap]"], "0.5")],
)
def test_a_share_of_the_rules_that_leaves_none_is_refused(words, share):
    with pytest.raises(
        ValueError, match=rf"data.held_out_rules is {share}; allowed: 0, or with data.rules=any"
    ):
        drawn(*words)


@pytest.mark.parametrize("digits", [3, 4])
def test_the_best_guess_of_a_uniform_rule_is_counted_in_factorials(digits):
    rules = Rules(digits)
    for known in range(1 << digits):
        for asked in range(1 << digits):
            have, together = known.bit_count(), (known | asked).bit_count()
            wanted = factorial(digits - together) / factorial(digits - have)
            assert rules.chance(known, asked) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["data.shows=first"],
        ["data.shows=part"],
        ["data.shows=part", "data.reveal=2"],
        ["data.revises=true"],
        ["data.rules=[shift,mirror,swap]"],
        ["data.rules=[swap]", "data.revises=true"],
        ["data.held_out_rules=0.5"],
        ["data.held_out_rules=0.3", "data.shows=part", "data.revises=true"],
    ],
    ids=lambda words: ",".join(words) or "plain",
)
def test_the_optimum_is_what_an_ideal_player_reaches(overrides):
    data, relabelled, episodes = drawn(*overrides, "data.length=3", "data.test_size=40", count=600, length=4)
    best = relabelled.optimum(data.test, 4)
    reached = guesses(relabelled, episodes)
    error = np.sqrt(best * (1 - best) / len(episodes))
    assert np.all(np.abs(reached.mean(axis=0) - best) < 3.5 * error + 1e-9), (reached.mean(axis=0), best)


def test_the_first_puzzle_without_knowledge_by_hand():
    """Of all 16 strings of length two over four digits, 4 have one digit (1/4) and 12 have two (1/12)."""
    data = load(
        **compose("train", ["data=recall", "data.length=2", "data.train_size=1", "data.test_size=15"])["data"]
    )
    tokens = np.array([[i, j] for i in range(1, 5) for j in range(1, 5)], np.uint8)
    every = examples_of(tokens, tokens, np.zeros(16, int), [""] * 16)
    (without,) = Relabelled(data.task, data.episodes.plan).optimum(every, 1)
    assert without == pytest.approx((4 / 4 + 12 / 12) / 16)


def test_answers_follow_the_rule_and_feedback_shows_both():
    _, relabelled, episodes = drawn()
    permutations = relabelled.rules.permutations[episodes.rules]  # (n, p, a)
    digits = episodes.inputs.astype(int) - relabelled.first
    assert np.array_equal(
        np.take_along_axis(permutations, digits, axis=2) + relabelled.first, episodes.labels
    )
    code = episodes.feedback.astype(int) - relabelled.task.vocab_size
    assert np.array_equal(code // 4, episodes.inputs[:, :-1])
    assert np.array_equal(code % 4 + relabelled.first, episodes.labels[:, :-1])
    assert len(np.unique(episodes.rules)) > 10  # They differ between episodes,
    assert (episodes.rules == episodes.rules[:, :1]).all()  # not within one.


def test_sudokus_are_relabelled_whole():
    data = load(**compose("train", ["data=episodes"])["data"])
    episodes = data.held_out()
    assert isinstance(data.episodes, Relabelled)
    clues = episodes.inputs > 1
    assert data.task.complete_units(episodes.labels.reshape(-1, 16)).all()  # pyright: ignore
    relabelled = Relabelled(data.task, data.episodes.plan)
    inverse = relabelled.rules.permutations[episodes.rules].argsort(axis=2)
    plain = (
        np.take_along_axis(inverse, episodes.labels.astype(int) - relabelled.first, axis=2) + relabelled.first
    )
    assert np.array_equal(plain[clues], episodes.inputs[clues])
    data.task.check(episodes.inputs.reshape(-1, 16), plain.reshape(-1, 16).astype(np.uint8))


def test_retention_shows_the_first_answer_only():
    _, relabelled, episodes = drawn("data.shows=first")
    shown = episodes.feedback >= relabelled.task.vocab_size
    assert shown[:, 0].all() and not shown[:, 1:].any()
    assert np.array_equal(episodes.feedback[:, 1:], episodes.inputs[:, 1:-1])


def test_accumulation_shows_all_cells_of_a_few_digits():
    _, relabelled, episodes = drawn("data.shows=part", "data.reveal=2", count=200)
    shown = episodes.feedback >= relabelled.task.vocab_size
    for question, seen in zip(episodes.inputs[:, :-1].reshape(-1, 6), shown.reshape(-1, 6)):
        assert set(question[seen]).isdisjoint(question[~seen]) and len(set(question[seen])) <= 2
    assert 0.4 < shown.mean() < 0.6


@pytest.mark.parametrize("test", [True, False])
def test_revision_changes_the_rule_once(test):
    _, _, episodes = drawn("data.revises=true", count=300, test=test)
    changes = episodes.rules[:, 1:] != episodes.rules[:, :-1]
    assert changes.sum(axis=1).max() == 1
    where = {int(place) for place in np.nonzero(changes)[1] + 1}
    assert where == ({3} if test else {1, 2, 3, 4, 5})


def test_families_share_their_rules():
    _, relabelled, episodes = drawn("data.rules=[shift,swap]", count=400)
    counts = np.bincount(episodes.families)
    assert counts.min() > 150
    for rule, family in zip(episodes.rules[:, 0], episodes.families):
        moved = (relabelled.rules.permutations[rule] != np.arange(4)).sum()
        assert moved in ((0, 4) if family == 0 else (2,))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.lengths=[]"], "data.lengths"),
        (["data.lengths=[0,2]"], "data.lengths"),
        (["data.rules=[turn]"], "['turn']; allowed: any, or a list of some of shift, mirror, swap"),
        (["data.rules=[]"], "data.rules is []; allowed: any, or a list"),
        (["data.rules=[swap,swap]"], "data.rules is ['swap', 'swap']"),
        (["data.favour=2"], "data.favour is 2.0; allowed: 0 to 1"),
        (["data.alphabet=6", "data.length=12"], "data.train_size is null; allowed: a number"),
        (["data.reveal=5"], "data.reveal is 5; allowed: numbers from 1 to 4"),
        (["data.alphabet=9"], "data.alphabet is 9; allowed: 2 to 6"),
        (["data.revises=true", "data.lengths=[1,2]"], "data.revises is True"),
        (["data.train_size=5000"], "there are 4096"),
        (["data=episodes", "data.side=9"], "data.side is 9; allowed: 4, 6"),
        (
            ["data=episodes", "data.side=6", "data.train_size=9"],
            "data.max_clues is 8; allowed: null, or 9 and",
        ),
    ],
)
def test_bad_settings_are_named(overrides, message):
    with pytest.raises(ValueError, match="data") as error:
        load(**compose("train", ["data=recall", *overrides])["data"])
    assert message in str(error.value)


def test_null_stands_for_what_the_data_ask():
    run, _ = configured("+memory=bicross")
    assert (run.memory.lifetime, run.memory.horizon) == ("episode", "episode")
    run = parse(compose("train", ["+memory=bicross"]))
    assert (run.memory.lifetime, run.memory.horizon) == ("example", 1)
    with pytest.raises(ValueError, match=r"memory\.horizon is 'episode'"):
        parse(compose("train", ["+memory=bicross", "memory.horizon=episode"]))


def test_an_episode_is_gone_through_in_order():
    assert list(usual_course(2).moments(3)) == [(0, False)] * 3 + [(0, True)] + [(1, False)] * 3
    facts = Course(asked=(False, False, True), told=(True, True, False))
    assert list(facts.moments(2)) == [(0, True), (1, True), (2, False), (2, False)]
    run, data = configured("halting.halt_max_steps=2", "+memory=bicross")
    batches, least, *_ = Batches(run, data, ALONE, 0).take(3)  # The second half has episodes of three.
    assert [bool(batch["feedback"][0]) for batch in batches] == [False, False, True] * 2 + [False] * 2
    assert [bool(batch["episode_start"][0]) for batch in batches] == [True] * 3 + [False] * 5
    assert all((steps == 2).all() for steps in least)
    for batch in batches:
        assert (batch["labels"] == IGNORE).all() == bool(batch["feedback"][0])
    assert len(Batches(run, data, ALONE, 0).take(0)[0]) == 5


def test_a_horizon_in_steps_cuts_the_same_stream():
    whole, data = configured("+memory=bicross", "halting.halt_max_steps=1", "data.lengths=[3]", "steps=10")
    cut, _ = configured(
        "+memory=bicross", "halting.halt_max_steps=1", "data.lengths=[3]", "steps=10", "memory.horizon=2"
    )
    one, other = Batches(whole, data, ALONE, 0), Batches(cut, data, ALONE, 0)
    stream = [batch for step in range(2) for batch in one.take(step)[0]]
    pieces = [batch for step in range(5) for batch in other.take(step)[0]]
    for batch, piece in zip(stream, pieces, strict=True):
        assert all(torch.equal(batch[name], piece[name]) for name in batch)


def test_longer_episodes_begin_where_shorter_ones_were_cut_off():
    """With a fixed horizon the first stage may end within a puzzle: all rows leave it."""
    words = "halting.halt_max_steps=3 memory.horizon=2 data.lengths=[2,3] steps=20 +memory=bicross"
    run, data = configured(*words.split(), "model.gradient_window=last_cycle")
    learner = parts.make_learner(run, parts.make_model(run, data), ALONE)
    batches = Batches(run, data, ALONE, 0)
    for step in range(run.steps):
        offered, least, *_ = batches.take(step)
        for seen, batch in zip(train_step(learner, offered, least).observed, offered):
            assert torch.equal(seen.carry.data["inputs"], batch["inputs"])
            if batch["begins"].all() and batch["episode_start"].all():
                assert torch.equal(seen.carry.state.memory["m"], learner.initial.memory["m"])


def test_large_sets_of_strings_are_drawn_without_listing_all():
    some = load(
        **compose("train", ["data=recall", "data.alphabet=6", "data.length=12", "data.train_size=50"])["data"]
    )
    strings = np.concatenate((some.train.inputs, some.test.inputs))
    assert len(np.unique(strings, axis=0)) == 50 + 512 and set(np.unique(strings)) == set(range(1, 7))


def test_settings_without_effect_warn():
    for words, about in ((["data.reveal=2"], "data.reveal=2"), (["data.augment=true"], "data.augment")):
        with pytest.warns(SettingWarning, match=f"{about} changes nothing"):
            load(**compose("train", ["data=recall", *words])["data"])


def test_training_puzzles_come_in_episodes_too():
    data = load(**compose("train", ["data=recall", "data.test_length=4"])["data"])
    seen = data.seen(10)
    assert seen.inputs.shape[:2] == (3, 4)
    train, test = ({row.tobytes() for row in part.inputs} for part in (data.train, data.test))
    rows = {row.tobytes() for row in seen.inputs.reshape(12, -1)}
    assert rows <= train and not rows & test


def test_feedback_leaves_the_memory_and_the_loss_alone():
    run, data = configured("+memory=bicross", "halting.halt_max_steps=2", "data.lengths=[3]")
    learner = parts.make_learner(run, parts.make_model(run, data), ALONE)
    batches, least, *_ = Batches(run, data, ALONE, 0).take(0)
    stepped = train_step(learner, batches, least)
    for seen, batch in zip(stepped.observed, batches):
        losses = seen.supervised.losses
        if batch["feedback"][0]:
            assert losses["lm"] == 0 and losses["q_halt"] == 0
            assert seen.carry.steps.tolist() == [2] * 4
            assert torch.equal(seen.carry.data["inputs"], batch["inputs"])
            assert torch.equal(seen.carry.state.z_H, learner.initial.z_H)
            assert not torch.equal(seen.carry.state.memory["m"], learner.initial.memory["m"])
        else:
            assert losses["lm"] > 0 and losses["q_halt"] > 0
            assert (seen.carry.steps < 2).all()
    starts = [seen.carry for seen in stepped.observed if (seen.carry.steps == 0).all()]
    assert len(starts) == 3
    for number, carry in enumerate(starts):
        assert torch.equal(carry.state.z_H, learner.initial.z_H)
        assert torch.equal(carry.state.memory["m"], learner.initial.memory["m"]) == (number == 0)


def test_what_was_written_at_a_feedback_learns_from_the_next_answers():
    """A write has a gradient if the horizon is an episode, and none where the memory is reset."""
    for lifetime, learns in (("episode", True), ("example", False)):
        words = "+memory=bicross model.gradient_window=last_cycle halting.halt_max_steps=1 data.lengths=[2]"
        run, data = configured(*words.split(), f"memory.lifetime={lifetime}")
        model = parts.make_model(run, data)
        carry, loss = None, torch.zeros(())
        for batch in Batches(run, data, ALONE, 0).take(0)[0]:
            carry = carry or Carry.empty(model.initial_state(4), batch)
            carry = carry.refill(batch, model.initial_state(4), run.memory.lifetime)
            state, out = model(
                carry.state, carry.data["inputs"], model.puzzle_rows(carry.data["identifiers"])
            )
            loss = out.logits.float().square().sum()
            carry = carry.advance(state, torch.ones(4, dtype=torch.bool), keep_memory_graph=True)
        loss.backward()
        shown = model.embed.pairs
        assert shown is not None
        assert (shown.grad is not None and shown.grad.abs().sum() > 0) == learns


@pytest.mark.parametrize("lifetime", ["episode", "global"])
@pytest.mark.parametrize("kept", ["kept", "reset", "frozen", "shuffled"])
def test_evaluation_walks_an_episode_as_by_hand(kept, lifetime):
    words = "+memory=multicell", "k=3", "halting.halt_max_steps=2", f"memory.lifetime={lifetime}"
    run, data = configured(*words)
    torch.manual_seed(0)
    model = parts.make_model(run, data).eval()
    episodes = data.held_out()
    how = EvaluationSettings(steps=2, write=True)
    n = len(episodes)
    memory, rows = model.initial_state(n).memory, model.puzzle_rows(torch.zeros(n, dtype=torch.int32))
    guide = Guide(write=kept != "frozen")
    with torch.no_grad():
        for moment in walk(model, episodes, how, kept=kept):
            state = model.initial_state(n)
            state = state._replace(memory=state.memory if kept == "reset" else memory)
            question = torch.from_numpy(episodes.inputs[:, moment.at].astype(np.int32))
            for _ in range(2):
                state, out = model(state, question, rows, guide)
            assert torch.equal(out.logits.argmax(-1).int(), moment.answers.tokens)
            if moment.at == 3:
                break  # Nobody would use the feedback to the last puzzle.
            shown = torch.from_numpy(episodes.feedback[:, moment.at].astype(np.int32))
            fed = model.initial_state(n)._replace(memory=state.memory)
            memory = model(fed, shown, rows, guide)[0].memory
            if kept == "shuffled":
                memory = {name: tensor[[n - 1, *range(n - 1)]] for name, tensor in memory.items()}
    assert moment.at == 3


def test_scores_of_episodes_do_not_depend_on_the_batches():
    run, data = configured("+memory=multicell", "memory.selector=policy")
    model = parts.make_model(run, data)
    episodes = data.held_out()
    found = [
        evaluate(model, data.task, episodes, EvaluationSettings(steps=4, batch_size=size), ALONE)
        for size in (2, 6)
    ]
    assert found[0]["exact_accuracy_by_position"] == found[1]["exact_accuracy_by_position"]
    assert found[0]["accuracy"] == pytest.approx(found[1]["accuracy"])
    assert found[0]["lm_loss"] == pytest.approx(found[1]["lm_loss"])
    assert np.mean(found[0]["exact_accuracy_by_position"]) == pytest.approx(found[0]["exact_accuracy"])
    assert found[0]["puzzles"] == 24 and len(found[0]["optimum_by_position"]) == 4


def test_a_pair_is_embedded_as_its_token_and_a_vector_of_its_own():
    run, data = configured()
    embed = parts.make_model(run, data).embed
    assert embed.pairs is not None and embed.pairs.shape == (5 * 4, 32)
    inputs = torch.tensor([[1, 4, 5 + 4 * 1 + 0, 5 + 4 * 4 + 3, 0, 2]])  # Pairs (1, 0) and (4, 3).
    alone = embed(torch.tensor([[1, 4, 1, 4, 0, 2]]), None)
    pairs = torch.zeros(1, 6, 32)
    pairs[0, 2], pairs[0, 3] = embed.pairs[4], embed.pairs[19]
    torch.testing.assert_close(embed(inputs, None), alone + 32**0.5 * pairs)


def test_hints_fill_empty_cells_with_the_plain_solution():
    data = load(**compose("train", ["data=episodes"])["data"])
    plan = data.episodes.plan
    relabelled = Relabelled(data.task, plan)

    def questions(hints: float, test: bool = False) -> Episodes:
        rng, draw = np.random.default_rng(0), Relabelled(data.task, replace(plan, hints=hints)).draw
        return draw(data.test, 200, 3, rng, test=test)

    assert np.array_equal(questions(1.0, test=True).inputs, questions(0.0).inputs)
    some = questions(1.0)
    inverse = relabelled.rules.permutations[some.rules].argsort(axis=2)
    plain = np.take_along_axis(inverse, some.labels.astype(int) - relabelled.first, axis=2) + relabelled.first
    given = some.inputs > 1
    assert np.array_equal(plain[given], some.inputs[given])
    counts, few = given.sum(axis=2), (questions(0.0).inputs > 1).sum(axis=2)
    assert few.max() == 8 and counts.max() == 16
    assert abs(counts.mean() - (few.mean() + 16) / 2) < 0.5  # Half of the empty cells on average.
    # Puzzles of 8 clues and fewer are all in the set, those of the test among them.
    assert ((counts > 8) | (some.inputs == questions(0.0).inputs).all(axis=2)).all()
    little = (questions(0.2).inputs > 1).sum(axis=2)
    assert abs(little.mean() - few.mean() - 0.1 * (16 - few).mean()) < 0.3


def test_a_favourite_rule_is_drawn_more_often_in_training_alone():
    data = load(**compose("train", ["data=recall"])["data"])
    assert data.episodes.plan.favour == 0.05
    relabelled = Relabelled(data.task, replace(data.episodes.plan, favour=0.5))
    for test, expected in ((False, 0.5 + 0.5 / 24), (True, 1 / 24)):
        episodes = relabelled.draw(data.test, 4000, 2, np.random.default_rng(0), test=test)
        assert abs((episodes.rules[:, 0] == 0).mean() - expected) < 0.025  # Three standard deviations.
        same = (episodes.inputs == episodes.labels).all(axis=(1, 2))
        assert same[episodes.rules[:, 0] == 0].all() and not same.all()


def test_what_belongs_to_an_example_follows_it():
    _, _, episodes = drawn(count=5, length=3)
    number = np.arange(15).reshape(5, 3)
    address = np.stack([number, 100 + number], axis=2).astype(np.int32)
    facet = Facet(("low", "high"), np.where(number < 7, 0, number % 3 - 1))
    episodes = replace(episodes, best=number / 15, address=address, facets={"size": facet})
    rows = np.array([4, 1])
    part = episodes.select(rows)
    assert part.facets["size"].index.tolist() == facet.index[rows].tolist()
    assert part.optimum.tolist() == pytest.approx(((number[4] + number[1]) / 30).tolist())
    for at, feedback in ((2, False), (1, True)):
        given = part.batch(at, feedback)["address"]
        assert given.dtype == np.int32 and np.array_equal(given, address[rows, at])
    assert "address" not in replace(part, address=None).batch(0)


def test_the_mean_of_equal_optima_is_what_they_are():
    *_, episodes = drawn("data.length=3", "data.test_size=40", count=77, length=4)
    optimum = episodes.optimum
    assert np.array_equal(optimum, episodes.best[0]) and 0 < optimum[0] < optimum[1] < 1
