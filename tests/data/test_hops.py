"""Hops: what is told and asked, what follows from it, and what can be known before all is told."""

from itertools import permutations

import numpy as np
import pytest
import torch

from memhrm.config.command import compose, given
from memhrm.config.settings import SettingWarning
from memhrm.data import load
from memhrm.data.checks import PuzzleError
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.episodes.guesses import with_pieces, without_memory
from memhrm.data.episodes.hops import FIRST, Hops, functions
from memhrm.data.examples import quantiles
from memhrm.data.sampler import IGNORE
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.runs import build as parts
from memhrm.runs.batches import Batches
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.step import train_step

ALONE = Ranks(0, 1, torch.device("cpu"))
SMALL = ("data=hops", "data.symbols=5", "data.test_size=40", "data.test_episodes=60")
TINY = (
    "model=trm model.hidden_size=16 model.num_heads=2 model.L_layers=1 +memory=bicross batch_size=4 steps=4"
)
VARIANTS = (
    (),
    ("data.early=true",),
    ("data.changes=true",),
    ("data.early=true", "data.changes=true", "data.questions=5"),
    ("data.tells=once",),
    ("data.tells=once", "data.changes=true"),
)


def dataset(*overrides: str):
    return load(**compose("train", [*SMALL, *overrides])["data"])


def guess(images: dict[int, int], symbols: int, symbol: int, hops: int) -> float:
    """The probability of the best guess by enumeration of all permutations that agree with what is known."""
    counts: dict[int, int] = {}
    for function in permutations(range(symbols)):
        if all(function[x] == y for x, y in images.items()):
            answer = symbol
            for _ in range(hops):
                answer = function[answer]
            counts[answer] = counts.get(answer, 0) + 1
    return max(counts.values()) / sum(counts.values())


@pytest.mark.parametrize("symbols", [2, 3, 4])
def test_the_best_guess_is_that_of_an_enumeration(symbols):
    for function in permutations(range(symbols)):
        for known in range(1 << symbols):
            images = {x: function[x] for x in range(symbols) if known >> x & 1}
            given = np.array([images.get(x, -1) for x in range(symbols)])
            for symbol in range(symbols):
                for hops in range(1, 6):
                    wanted = guess(images, symbols, symbol, hops)
                    assert with_pieces(given, symbol, hops) == pytest.approx(wanted, abs=1e-12)


def test_without_memory_nothing_is_known():
    for symbols in range(2, 8):
        for hops in range(1, 10):
            wanted = with_pieces(np.full(symbols, -1), 0, hops)
            assert without_memory(symbols, hops) == pytest.approx(wanted, abs=1e-12)


def replayed(task: Hops, episodes: Episodes, row: int):
    """Yield each question of an episode, with what follows from all that was told, and before a change.

    With it goes what has been told again, where the question is one that follows it.
    """
    known: dict[int, int] = {}
    old: dict[int, int] = {}
    again: list[int] = []
    for at, (asked, told) in enumerate(zip(*episodes.course)):
        assert asked != told
        tokens = episodes.inputs[row, at].astype(int)
        assert episodes.mask is not None and (episodes.mask[row, at] == (tokens > 0)).all()
        if told:
            assert not episodes.labels[row, at].any()
            codes = episodes.feedback[row, at].astype(int) - task.vocab_size
            facts = {
                int(code // task.answers) - FIRST: int(code % task.answers) for code in codes if code >= 0
            }
            assert [x + FIRST for x in facts] == tokens[tokens > 0].tolist()
            old = old or (dict(known) if facts.keys() & known.keys() else {})
            again += facts if old else []
            for symbol, image in facts.items():  # What had this image takes the other one.
                known |= {x: known[symbol] for x, y in known.items() if y == image and symbol in known}
                known[symbol] = image
            continue
        text = task.decode(tokens)
        answer = task.decode_answer(episodes.labels[row, at])
        assert not episodes.labels[row, at, 1:].any()
        soon = again if old and episodes.course.told[at - 1] else []
        yield at, known, old, soon, int(text[-1]) - 1, text.count("f"), int(answer) - 1


def follow(function: dict[int, int], symbol: int, hops: int) -> int:
    for _ in range(hops):
        symbol = function[symbol]
    return symbol


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_answers_follow_from_what_was_told(overrides):
    data = dataset(*overrides)
    episodes, task = data.held_out(), data.task
    assert isinstance(task, Hops)
    names, seen = {name: facet.values for name, facet in episodes.facets.items()}, set()
    for row in range(len(episodes)):
        for at, known, old, again, symbol, hops, answer in replayed(task, episodes, row):
            facets = {
                name: values[episodes.facets[name].index[row, at]]
                for name, values in names.items()
                if episodes.facets[name].index[row, at] >= 0
            }
            assert episodes.best[row, at] == pytest.approx(guess(known, 5, symbol, hops), abs=1e-12)
            if len(known) < 5:
                assert symbol in known and facets == {"pieces": str(len(known))}
                continue
            assert follow(known, symbol, hops) == answer and len(set(known.values())) == 5
            if again and "data.early=true" in overrides:
                assert symbol in again and facets == {"again": str(len(again))}
                seen |= set(facets.items())
                continue
            wanted = {"hops": str(hops)}
            if "data.changes=true" in overrides:
                affected = bool(old) and follow(old, symbol, hops) != answer
                wanted["changed"] = "affected" if affected else "unaffected" if old else "before"
                wanted[f"{wanted['changed']}_hops"] = str(hops)
                if old:
                    assert sum(old[x] != known[x] for x in range(5)) == 2
            assert facets == wanted
            seen |= set(wanted.items())
    assert {("hops", str(one)) for one in range(1, 9)} <= seen
    for name in ("changed", "again"):
        assert all((name, value) in seen for value in names.get(name, ()))


@pytest.mark.parametrize("overrides", VARIANTS[2:4], ids=" ".join)
def test_no_function_of_the_test_is_trained_on(overrides):
    data = dataset(*overrides)
    trained = {row.tobytes() for row in data.train.labels}
    rng = np.random.default_rng(0)
    numbers = [data.episodes.stage(data.train, 300, part, rng).rules for part in range(4)]
    held_out = data.held_out().rules
    assert not set(np.unique(numbers)) & set(np.unique(held_out))
    assert not trained & {row.tobytes() for row in data.test.labels} and len(trained) == 120 - 40
    assert len(np.unique(numbers)) > 60 and len(np.unique(held_out)) > 30


def test_facts_change_from_a_part_of_the_training_on():
    data = dataset("data.hops=[1,2,2]", "data.changes=true", "data.changes_from=1", "data.early=true")
    rng = np.random.default_rng(0)
    for part in range(3):
        episodes = data.episodes.stage(data.train, 50, part, rng)
        told = np.flatnonzero(episodes.course.told)
        assert (episodes.rules[:, 0] != episodes.rules[:, -1]).all() == (part > 0)
        again = episodes.inputs[:, told[-2:], 0]
        assert (again[:, 0] != again[:, 1]).all() and len(np.unique(again)) == 5
    assert "changed" in data.held_out().facets


def test_the_hops_of_a_training_question_grow():
    data, rng = dataset("data.hops=[1,3]", "data.early=true"), np.random.default_rng(0)
    for part, most in enumerate((1, 3)):
        episodes = data.episodes.stage(data.train, 50, part, rng)
        assert set(np.unique(episodes.ratings)) == {0, *range(1, most + 1)}
    assert set(np.unique(data.held_out().ratings)) == set(range(9))
    few = dataset("data.early=true", "data.early_hops=1").held_out()
    early = few.facets["pieces"].index >= 0
    assert (few.ratings[early] == 1).all() and (few.best[early] == 1).all() and few.ratings.max() == 8


def test_texts_are_read_and_written():
    task = Hops(symbols=5, hops=3)
    examples = task.encode(["f3", "fff1"], ["5", "2"])
    assert [task.decode(row) for row in examples.inputs] == ["f3", "fff1"]
    assert [task.decode_answer(row) for row in examples.labels] == ["5", "2"]
    for question, answer in (("3", "1"), ("ffff1", "1"), ("f6", "1"), ("1f", "1"), ("f1", "12"), ("f1", "f")):
        with pytest.raises(PuzzleError):
            task.encode([question], [answer])
    for questions, answers in ((["f1", "f2"], ["1"]), (["f1"], ["1", "2"]), ([31], ["1"]), (["f1"], [1])):
        with pytest.raises(ValueError):
            task.encode(questions, answers)


def test_a_function_is_the_same_one_whatever_the_longest_question():
    few, many = (Hops(symbols=5, hops=hops) for hops in (3, 9))
    ours, others = (functions(task, None, np.random.default_rng(0)) for task in (few, many))
    known = few.identities(ours.inputs, ours.labels)
    assert len(set(known)) == 120 and (many.identities(others.inputs, others.labels) == known).all()


def test_fixed_points_are_counted():
    task = Hops(symbols=5, hops=3)
    every = functions(task, None, np.random.default_rng(0))
    fixed = [sum(a == b for a, b in enumerate(one)) for one in permutations(range(5))]
    assert task.describe(every) == quantiles("fixed points", np.array(fixed))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.symbols=4"], "data.symbols is 4; allowed: 5 to 9"),
        (["data.hops=[]"], r"data.hops is \[\]; allowed: a list of numbers from 1 to 64"),
        (["data.hops=[0,1]"], r"data.hops is \[0, 1\]"),
        (["data.test_hops=0"], "data.test_hops is 0; allowed: 1 to 64"),
        (["data.questions=1", "data.changes=true"], "data.questions is 1; allowed: numbers from 2 with"),
        (
            ["data.train_size=99"],
            "data.train_size, test_size and holdout ask for 139 functions; there are 120",
        ),
        (["data.test_episodes=0"], "data.test_episodes is 0"),
        (["data.early=true", "data.early_hops=0"], "data.early_hops is 0; allowed: null, or 1 to 64"),
    ],
)
def test_bad_settings_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        dataset(*overrides)


def test_functions_too_few_to_change_are_refused():
    with pytest.raises(
        ValueError, match=r"data\.changes is True; allowed: false, as hardly two of 1 functions"
    ):
        dataset("data.changes=true", "data.test_size=1").held_out()


def test_settings_without_effect_warn_or_are_refused():
    with pytest.warns(SettingWarning, match=r"data\.augment changes nothing"):
        dataset("data.augment=true")
    for words, about in (
        (["data.tells=once", "data.early=true"], "early is true, which changes nothing with data.tells=once"),
        (["data.early_hops=1"], "early_hops is 1, which changes nothing without early questions"),
    ):
        with pytest.raises(ValueError, match=rf"data\.{about}"):
            parse(compose("train", [*SMALL, *words]), given(words))


def configured(*overrides: str):
    run = parse(compose("train", [*SMALL, *TINY.split(), *overrides]))
    return run, parts.make_dataset(run)


def test_a_fact_takes_one_step_and_is_no_feedback_to_a_question():
    run, data = configured("halting.halt_max_steps=2", "data.questions=1", "data.early=true")
    offered, least, *_ = Batches(run, data, ALONE, 0).take(0)
    told = [bool((batch["labels"] == IGNORE).all()) for batch in offered]
    assert told == [True, False, False] * 5
    assert not any(bool(batch["feedback"].any()) for batch in offered)
    learner = parts.make_learner(run, parts.make_model(run, data), ALONE)
    for number, seen in enumerate(train_step(learner, offered, least).observed):
        carry = seen.carry
        assert carry.steps.tolist() == [number % 3 == 2] * 4
        assert torch.equal(carry.data["inputs"], offered[number]["inputs"])
        assert torch.equal(carry.state.z_H, learner.initial.z_H) == (number % 3 < 2)
        assert torch.equal(carry.state.memory["m"], learner.initial.memory["m"]) == (number == 0)
        assert (seen.supervised.losses["lm"] == 0) == (number % 3 == 0)


def test_a_walk_tells_facts_and_answers_questions():
    run, data = configured("data.questions=2")
    model, episodes = parts.make_model(run, data), data.held_out()
    moments = list(walk(model, episodes, EvaluationSettings(steps=1)))
    assert [moment.at for moment in moments] == [5, 6]
    memory = model.initial_state(len(episodes)).memory
    for at in range(5):
        batch = {name: torch.from_numpy(array) for name, array in episodes.batch(at, feedback=True).items()}
        state = model.initial_state(len(episodes))._replace(memory=memory)
        with torch.no_grad():
            state, _ = model.eval()(
                state, batch["inputs"], model.puzzle_rows(batch["identifiers"]), mask=batch["mask"]
            )
        memory = state.memory
    assert torch.equal(memory["m"], moments[0].memory["m"])
