"""Contexts: what is asked, shown and held out, in which order, and what is best at each visit."""

from itertools import permutations, product

import numpy as np
import pytest

from memhrm.config.command import compose
from memhrm.config.settings import SettingWarning
from memhrm.data import Dataset, Episodes, load
from memhrm.data.episodes.capacity import hashed, perfect
from memhrm.data.episodes.choices import distinct
from memhrm.data.episodes.contexts import Contexts
from memhrm.data.episodes.cued import SYMBOLS, Cued
from memhrm.data.episodes.rules import Rules

SMALL = ("data.test_contexts=3", "data.curve=[]", "data.test_episodes=30", "data.contexts=[2]")
VARIANTS = {
    "plain": (),
    "interleaved": ("data.test_order=interleaved",),
    "revises": ("data.revises=true",),
    "interleaved, revises": ("data.test_order=interleaved", "data.revises=true"),
    "covers": ("data.covers=true", "data.length=4", "data.revises=true"),
    "more visits": ("data.visits=4",),
    "more visits, revises": ("data.visits=4", "data.test_order=interleaved", "data.revises=true"),
    "open cues": (
        "data.cue_length=2",
        "data.cue_symbols=5",
        "data.held_out_cues=0.3",
        "data.held_out_rules=0.4",
    ),
    "tokens above 255": ("data.cue_symbols=300",),
    "held-out rules": ("data.held_out_rules=0.5", "data.test_order=interleaved", "data.visits=3"),
}
EVERY = pytest.mark.parametrize("words", VARIANTS.values(), ids=VARIANTS)


def loaded(*words: str, length: int = 2, alphabet: int = 3, covers: bool = False) -> Dataset:
    sizes = (
        "data.test_size=3",
        f"data.alphabet={alphabet}",
        f"data.length={length}",
        f"data.covers={covers}",
    )
    return load(**compose("train", ["data=contexts", *sizes, *SMALL, *words])["data"])


def parts(data: Dataset) -> tuple[Contexts, Cued]:
    assert isinstance(data.episodes, Contexts) and isinstance(data.task, Cued)
    return data.episodes, data.task


def drawn(data: Dataset, count: int = 40, contexts: int = 4) -> Episodes:
    maker, _ = parts(data)
    rng = np.random.default_rng(1)
    return maker.draw(data.train, count, maker.plan.length(contexts), rng)


def replayed(data: Dataset, episodes: Episodes, row: int) -> list[dict]:
    """What somebody sees who reads the cues of an episode one after the other, and is told of the revision.

    For each puzzle: its context, in the order of first visits; which visit it is under the present rule, and
    in all; how many puzzles of others came since; and what the feedback to the earlier ones has shown.
    """
    maker, task = parts(data)
    visits, contexts = maker.plan.visits, maker.plan.contexts(episodes.length)
    cues = [tuple(tokens[: task.cue_length]) for tokens in episodes.inputs[row].tolist()]
    names, seen = list(dict.fromkeys(cues)), []
    assert len(names) == contexts
    for at, cue in enumerate(cues):
        before = [one for one in seen if one["cue"] == cue]
        changed = maker.plan.revises and len(before) >= visits - 1 and cues.count(cue) > visits
        since = [one for one in before if one["changed"] == changed]
        shown: dict = {}
        for one in since:
            shown |= one["pairs"]
        pairs = {}
        if at < episodes.length - 1:
            feedback = episodes.feedback[row, at].astype(int)
            assert tuple(feedback[: task.cue_length]) == cue
            for code in feedback[task.cue_length :] - task.vocab_size:
                question, answer = divmod(int(code), task.digits)
                pairs[question - task.first] = answer
        gap = len(seen[before[-1]["at"] + 1 :]) if before else -1
        seen.append(
            {"at": at, "cue": cue, "context": names.index(cue), "changed": changed, "pairs": pairs,
             "visit": len(since) + 1, "total": len(before) + 1, "gap": gap, "shown": shown}
        )  # fmt: skip
    return seen


def best_guess(rules: np.ndarray, digits: list[int], shown: dict[int, int]) -> float:
    """The probability of the most probable images of digits among equally likely rules, by counting."""
    fits = [rule for rule in rules.tolist() if all(rule[x] == y for x, y in shown.items())]
    answers = [tuple(rule[x] for x in digits) for rule in fits]
    return max(map(answers.count, answers)) / len(answers)


@EVERY
def test_what_is_best_is_what_counting_the_rules_says(words):
    data = loaded(*words)
    maker, task = parts(data)
    episodes = data.held_out()
    rules = maker.rules.permutations[maker.own_rules[1]]
    for row in range(len(episodes)):
        for at, one in enumerate(replayed(data, episodes, row)):
            digits = (episodes.inputs[row, at, task.cue_length :].astype(int) - task.first).tolist()
            expected = best_guess(rules, digits, one["shown"])
            assert episodes.best[row, at] == pytest.approx(expected, abs=1e-12), (row, at)


@EVERY
def test_the_optimum_at_a_visit_is_the_mean_over_all_questions_and_rules(words):
    data = loaded(*words)
    maker, task = parts(data)
    rules = maker.rules.permutations[maker.own_rules[1]]
    strings = [[int(x) - task.first for x in row[task.cue_length :]] for row in data.test.inputs]
    optimum = maker.optimum(data.test)
    for visit in range(min(3, maker.plan.visits)):
        found = [
            best_guess(rules, asked, {x: int(rule[x]) for string in before for x in string})
            for rule in rules
            for *before, asked in product(strings, repeat=visit + 1)
        ]
        assert optimum[visit] == pytest.approx(np.mean(found), abs=1e-12)
    many = maker.make(data.test, 2000)  # And it is what test episodes have on average.
    visit = many.facets["visit"].index
    for at, value in enumerate(optimum[: visit.max() + 1]):
        assert many.best[visit == at].mean() == pytest.approx(value, abs=0.03)


@EVERY
def test_the_course_is_as_replayed(words):
    data = loaded(*words)
    maker, task = parts(data)
    plan, episodes = maker.plan, data.held_out()
    assert episodes.address is not None and episodes.address.dtype == np.int32
    gap, revised = episodes.facets["gap"], episodes.facets.get("revised")
    bins = {0: "0", 1: "1-2", 2: "1-2", **dict.fromkeys(range(3, 9), "3-8"), 9: "9-32"}
    for row in range(len(episodes)):
        changed = False
        seen = replayed(data, episodes, row)
        for at, one in enumerate(seen):
            context, cue = episodes.address[row, at]
            assert context == one["context"]
            assert np.array_equal(task.cue(np.array(cue)), one["cue"])
            assert episodes.facets["visit"].values[episodes.facets["visit"].index[row, at]] == str(
                one["visit"]
            )
            known = one["visit"] > 1
            assert gap.index[row, at] == (gap.values.index(bins[one["gap"]]) if known else -1)
            changed |= one["changed"]
            expected = None
            if known:
                expected = "revised" if one["changed"] else "other" if changed else "before"
            if revised is not None:
                at_all = revised.index[row, at]
                assert expected == (None if at_all < 0 else revised.values[at_all])
            if one["visit"] > 1:  # The same rule as at the visit before.
                *_, last = (o for o in seen[:at] if o["cue"] == one["cue"])
                assert episodes.rules[row, at] == episodes.rules[row, last["at"]]
        totals = sorted(o["total"] for o in seen)
        assert totals.count(plan.visits) == 3 and totals.count(plan.visits + 1) == plan.revises
        if plan.test_order == "two_phase":
            order = [o["total"] for o in seen]
            assert order[: 3 * (plan.visits - 1)] == sorted(order[: 3 * (plan.visits - 1)])
            contexts = {o["context"] for o in seen[-3:]}
            assert contexts == {0, 1, 2}  # After the revision all are visited once.


@EVERY
def test_answers_follow_the_rule_of_their_context(words):
    data = loaded(*words)
    maker, task = parts(data)
    for episodes in (data.held_out(), drawn(data)):
        known = episodes.labels > 0
        assert not known[:, :, : task.cue_length].any()
        digits = episodes.inputs[:, :, task.cue_length :].astype(int) - task.first
        answers = np.take_along_axis(maker.rules.permutations[episodes.rules].astype(int), digits, axis=2)
        answers += task.first
        asked = known.any(axis=2)
        assert np.array_equal(episodes.labels[:, :, task.cue_length :][asked], answers[asked])
        assert (known[:, :, task.cue_length :].all(axis=2) == asked).all()
        first = episodes.facets["visit"].index == 0
        test = len(episodes) == maker.test_episodes
        assert asked.all() if test else np.array_equal(asked, ~first)
    every = loaded(*words, "data.asks=all")
    assert (drawn(every).labels > 0).any(axis=2).all()


def test_training_shows_no_cue_and_no_rule_that_is_held_out():
    data = loaded("data.alphabet=4", *VARIANTS["open cues"])
    maker, _ = parts(data)
    seen: dict[str, set] = {}
    for name, episodes in (("train", drawn(data, 400)), ("test", maker.make(data.test, 400))):
        assert episodes.address is not None
        seen[f"{name} cues"] = set(episodes.address[:, :, 1].ravel().tolist())
        seen[f"{name} rules"] = set(episodes.rules.ravel().tolist())
    assert not seen["train cues"] & seen["test cues"] and not seen["train rules"] & seen["test rules"]
    assert [len(seen[name]) for name in ("train cues", "test cues")] == [17, 8]  # All are used,
    assert [len(seen[name]) for name in ("train rules", "test rules")] == [
        14,
        10,
    ]  # and 24 rules are divided.
    train, test = (part.inputs[:, 2:] for part in (data.train, data.test))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}


def test_gaps_are_divided_as_their_names_say():
    data = loaded("data.visits=3")
    episodes = drawn(data, 20, contexts=40)
    facet, found = episodes.facets["gap"], set()
    for row in range(20):
        for at, one in enumerate(replayed(data, episodes, row)):
            if one["visit"] > 1:
                name = facet.values[facet.index[row, at]]
                low, _, high = name.rstrip("+").partition("-")
                most = 119 if name.endswith("+") else int(high or low)
                assert int(low) <= one["gap"] <= most
                found.add(one["gap"])
    assert found >= set(range(40))  # All edges among them.


@pytest.mark.parametrize(("cells", "contexts"), [(1, 3), (3, 1), (3, 3), (2, 5), (4, 2)])
def test_a_hash_holds_as_many_contexts_as_counting_all_hashes_says(cells, contexts):
    held, orders = [], list(permutations(range(contexts)))
    for taken in product(range(cells), repeat=contexts):
        for again in orders:  # All first visits in one order stand for those in any.
            kept = {cell: context for context, cell in enumerate(taken)}  # By the last that took it.
            found = 0
            for context in again:
                found += kept[taken[context]] == context
                kept[taken[context]] = context
            held.append(found)
    assert hashed(cells, contexts) == pytest.approx(np.mean(held) / contexts)
    assert perfect(cells, contexts) >= np.mean(held) / contexts
    assert (perfect(cells, contexts) == 1) == (cells >= contexts)


@pytest.mark.parametrize("times", [2, 3])
def test_a_hash_holds_more_if_visits_are_interleaved(times):
    contexts, cells = 3, 2
    held = []
    for taken in product(range(cells), repeat=contexts):
        for order in set(permutations(sorted([*range(contexts)] * times))):
            kept, seen, found = {}, [0] * contexts, 0
            for context in order:
                seen[context] += 1
                found += seen[context] == 2 and kept[taken[context]] == context
                kept[taken[context]] = context
            held.append(found)
    assert hashed(cells, contexts, "interleaved") == pytest.approx(np.mean(held) / contexts)


def test_a_hash_of_many_contexts_is_counted_too():
    assert hashed(32, 1200) * 1200 == pytest.approx(32 * 32 / 1200, rel=0.05)  # 1/j^2, with j near c/N.
    assert hashed(1, 40) == pytest.approx(1 / 40**2) and hashed(32, 64) == pytest.approx(0.25056438)


@pytest.mark.parametrize("words", [(), ("data.held_out_rules=0.5", "data.revises=true")])
def test_contexts_held_are_all_at_the_optimum_and_none_at_chance(words):
    maker, _ = parts(loaded(*words))
    episodes = maker.make(loaded(*words).test, 50)
    best = episodes.facets["visit"].means(episodes.best)
    scores = {"puzzles": episodes.best.size, "episodes": 50, "optimum_by_visit": best}
    first, second = best["1"], best["2"]
    for accuracy, held in ((second, 3), (first, 0), ((2 * second + first) / 3, 2)):
        made = maker.figures({**scores, "exact_accuracy_by_visit": {"2": accuracy}}, cells=2)
        assert made["contexts"] == 3 and made["contexts_held"] == pytest.approx(held)
        assert made["bits_held"] == pytest.approx(held * np.log2(6))
        assert (
            made["held_by_hash"] == pytest.approx(3 * (1 / 4 + 1 / 8 + 1 / 36))
            and made["held_by_perfect"] == 2
        )
    assert "held_by_hash" not in maker.figures({**scores, "exact_accuracy_by_visit": best}, cells=0)


def test_further_test_sets_have_the_contexts_that_are_asked_for_and_as_many_puzzles():
    data = loaded("data.curve=[1,5]", "data.revises=true")
    maker, _ = parts(data)
    series, puzzles = maker.series(data.test), data.held_out().best.size
    assert list(series) == ["contexts=1", "contexts=5"]
    for contexts, episodes in zip((1, 5), series.values()):
        assert episodes.address is not None and episodes.address[:, :, 0].max() == contexts - 1
        assert 0 <= episodes.best.size - puzzles < episodes.length and (episodes.labels > 0).any(axis=2).all()
    again = maker.series(data.test)
    assert all(np.array_equal(series[name].inputs, again[name].inputs) for name in series)


def test_rules_stay_as_they_are_in_the_first_parts_of_the_training():
    words = ("data.revises=true", "data.contexts=[1,1,3]")
    data, plain = loaded(*words, "data.revises_from=1"), loaded("data.contexts=[1,1,3]")
    maker, _ = parts(data)
    assert maker.lengths == (2, 3, 7) and any(
        "in training 1, 1, 3" in one for one in maker.describe(data.test)
    )
    stages = [maker.stage(data.train, 40, number, np.random.default_rng(1)) for number in range(3)]
    assert [set(one.facets) >= {"revised"} for one in stages] == [False, True, True]
    same = parts(plain)[0].stage(plain.train, 40, 0, np.random.default_rng(1))
    assert all(np.array_equal(getattr(stages[0], name), getattr(same, name)) for name in ("inputs", "labels"))
    before = parts(loaded(*words))[0]
    for number in (1, 2):
        from_the_start = before.stage(data.train, 40, number, np.random.default_rng(1))
        assert np.array_equal(stages[number].inputs, from_the_start.inputs)
    assert np.array_equal(data.held_out().inputs, loaded(*words).held_out().inputs)


def test_covering_strings_hold_every_digit_and_are_all_there():
    data = loaded(alphabet=3, length=4, covers=True)
    strings = np.concatenate([data.train.inputs, data.test.inputs])[:, 1:]
    assert len(np.unique(strings, axis=0)) == len(strings) == 36  # 3! times S(4, 3) = 6
    assert all(len(set(row)) == 3 for row in strings.tolist())
    best = data.episodes.optimum(data.test)  # pyright: ignore
    assert best.tolist() == pytest.approx([1 / 6, 1])


def test_many_digits_are_drawn_without_listing_all_strings():
    data = loaded("data.train_size=50", alphabet=6, length=9, covers=True)
    assert len(data.train) == 50 and all(len(set(row[1:])) == 6 for row in data.train.inputs.tolist())
    assert len(Rules(6).permutations) == 720
    _, task = parts(data)
    assert task.vocab_size == 1 + 64 + 6 and drawn(data).feedback.max() > 255  # No token wraps around.


def test_rows_of_distinct_numbers_are_uniform():
    rng = np.random.default_rng(0)
    for below, size in ((4, 4), (5, 2), (4096, 3)):
        rows = distinct(below, 20_000, size, rng)
        assert rows.min() == 0 or below > 100
        assert rows.max() < below and (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()
        if below < 100:
            pairs = np.bincount(rows[:, 0] * below + rows[:, 1], minlength=below**2).reshape(below, below)
            expected = 20_000 / below / (below - 1)
            assert abs(pairs[~np.eye(below, dtype=bool)] - expected).max() < 4.5 * expected**0.5


def test_the_text_of_an_answer_is_its_digits(tmp_path):
    data = loaded("data.cue_length=2")
    _, task = parts(data)
    assert len(SYMBOLS) == 1024 == len(set(SYMBOLS)) and not set(SYMBOLS) & set("123456\r\n,")
    examples = task.encode(["Ab12"], ["12"])
    assert examples.inputs.tolist() == [[1, 28, 65, 66]] and examples.labels.tolist() == [[0, 0, 65, 66]]
    assert task.decode(examples.inputs[0]) == "Ab12" and task.decode_answer(examples.labels[0]) == "12"
    assert task.render(examples.labels[0]) == "  12"
    task.write(tmp_path / "some.csv", data.test)
    again = task.read(tmp_path / "some.csv")
    assert np.array_equal(again.inputs, data.test.inputs) and np.array_equal(again.labels, data.test.labels)
    verdict = task.verdict(task.tokens("question", ["Ab12", "Ab11", "Ab12"]), np.array(
        [[9, 0, 66, 65], [1, 1, 65, 66], [1, 1, 5, 65]]))  # fmt: skip
    assert verdict is not None and verdict.keeps_givens.tolist() == [True, False, True]
    assert verdict.keeps_rules.tolist() == [True, True, False]
    for texts, message in (
        ((["Ab1A"], ["11"]), "question is no cue of 2 symbols and 2 digits"),
        ((["Ab12"], ["21"]), "answer does not repeat the digits"),
        ((["Ab12"], ["Ab12"]), "answer is 'Ab12'; cued3x2 has 2 digits"),
    ):
        with pytest.raises(ValueError, match=message):
            task.encode(*texts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.alphabet=7"], "data.alphabet is 7; allowed: 2 to 6"),
        (["data.length=3"], "data.length is 3; allowed: 4 to 12, to hold each of 4 digits"),
        (["data.contexts=[]"], "data.contexts is []; allowed: a list of numbers from 1"),
        (["data.contexts=[0]"], "data.contexts is [0]"),
        (["data.curve=[2,2]"], "data.curve is [2, 2]; allowed: each number once"),
        (["data.visits=1"], "data.visits is 1; allowed: numbers from 2"),
        (["data.test_contexts=65"], "data.test_contexts is 65; allowed: numbers up to 64, the cues"),
        (["data.curve=[128]"], "data.curve is [128]; allowed: numbers up to 64"),
        (["data.cue_length=4"], "data.cue_length is 4; allowed: 1, 2, 3"),
        (["data.cue_symbols=2000"], "data.cue_symbols is 2000; allowed: 1 to 1024"),
        (
            ["data.cue_length=3", "data.cue_symbols=200"],
            "data.cue_symbols is 200; allowed: 1 to 101, with data.cue_length=3",
        ),
        (["data.held_out_cues=0.5"], "data.held_out_cues is 0.5; allowed: 0 with data.cue_length=1"),
        (["data.cue_length=2", "data.held_out_cues=1"], "data.held_out_cues is 1.0; allowed: 0, or a share"),
        (
            ["data.cue_length=2", "data.cue_symbols=9", "data.held_out_cues=0.5"],
            "data.curve is [1, 2, 4, 8, 16, 32, 64]; allowed: numbers up to 40",
        ),
        (
            ["data.cue_length=2", "data.cue_symbols=9", "data.held_out_cues=0.9", "data.contexts=[1]"],
            "data.held_out_cues is 0.9; allowed: less: each symbol must be",
        ),
        (["data.held_out_rules=0.05"], "data.held_out_rules is 0.05; allowed: 0, or a share that leaves at"),
        (["data.order=random"], "data.order is 'random'; allowed: two_phase, interleaved"),
        (["data.train_size=500"], "ask for 540 strings; there are 240"),
    ],
)  # fmt: skip
def test_bad_settings_are_named(words, message):
    with pytest.raises(ValueError, match="data") as error:
        load(**compose("train", ["data=contexts", *words])["data"])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_augmentation_changes_nothing_and_says_so():
    with pytest.warns(SettingWarning, match="data.augment changes nothing"):
        loaded("data.augment=true")
