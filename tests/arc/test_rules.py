"""Generated rules against what they say cell by cell, what can be known of them, and what is held out."""

from itertools import product

import numpy as np
import pytest

from memhrm.data import load
from memhrm.data.arc.ruled import ArcRules, Ruled
from memhrm.data.arc.rules import KINDS, best_guesses, grids, rules_of
from memhrm.runs.used import identities

COLOURS, SHIFT = 4, 2
RNG = np.random.default_rng(0)
SOME = grids(20, 5, COLOURS, RNG)


def slowly(name: str, grid: np.ndarray) -> np.ndarray:
    """What a rule of this name makes of a grid, cell by cell."""
    if ", then " in name:
        first, second = name.split(", then ")
        return slowly(second, slowly(first, grid))
    side, made = len(grid), np.zeros_like(grid)
    words = name.split()
    for i, j in product(range(side), range(side)):
        back = side - 1
        sources = {
            "turn left": (j, back - i), "turn around": (back - i, back - j), "turn right": (back - j, i),
            "swap left and right": (i, back - j), "swap top and bottom": (back - i, j),
            "transpose": (j, i), "transpose the other way": (back - j, back - i),
        }  # fmt: skip
        value = int(grid[i, j])
        if words[0] == "colours":
            made[i, j] = int(words[1][value - 1]) if value else 0
        elif name in sources:
            made[i, j] = grid[sources[name]]
        elif words[0] == "shift":
            made[(i + int(words[1])) % side, (j + int(words[2])) % side] = value
        elif words[0] in ("keep", "drop"):
            made[i, j] = value if (value == int(words[1])) == (words[0] == "keep") else 0
        elif words[0] == "mirror":
            other = {"down": (min(i, back - i), j), "up": (max(i, back - i), j),
                     "right": (i, min(j, back - j)), "left": (i, max(j, back - j))}  # fmt: skip
            made[i, j] = grid[other[words[1]]]
    if words[0] == "fall":
        lines = grid.T if words[1] in ("down", "up") else grid
        fallen = []
        for line in lines:
            cells, empty = [c for c in line if c], [c for c in line if not c]
            fallen.append(empty + cells if words[1] in ("down", "right") else cells + empty)
        made = np.array(fallen).T if words[1] in ("down", "up") else np.array(fallen)
    return made


@pytest.mark.parametrize("kind", [*KINDS, "turns+gravity", "masks+shifts"])
def test_rules_do_what_they_say(kind):
    rules = rules_of(kind, COLOURS, SHIFT)
    counts = {"colours": 23, "turns": 7, "shifts": 24, "masks": 8, "gravity": 4, "mirrors": 4}
    assert len(rules) == int(np.prod([counts[one] for one in kind.split("+")]))
    assert len({rule.name for rule in rules}) == len(rules) and {rule.kind for rule in rules} == {kind}
    for rule in rules:
        made = rule.apply(SOME)
        for before, after in zip(SOME, made):
            assert (slowly(rule.name, before) == after).all(), rule.name


def test_shifts_go_as_far_as_is_said():
    assert len(rules_of("shifts", COLOURS, 1)) == 8
    near = loaded(kinds=["shifts", "turns"], shift=1).train
    assert {kind: int((near.sources == kind).sum()) for kind in ("shifts", "turns")} == {
        "shifts": 6,
        "turns": 5,
    }


def test_best_guesses_are_those_of_brute_force():
    """With one demonstration of few cells, so that several rules fit."""
    rules = [*rules_of("masks", 2, SHIFT), *rules_of("gravity", 2, SHIFT), *rules_of("colours", 2, SHIFT)]
    rng = np.random.default_rng(1)
    inputs, questions = (grids(60, 4, 2, rng).reshape(30, 2, 4, 4)[:, :1] for _ in range(2))
    inputs[rng.random(inputs.shape) < 0.7] = 0
    chances = rng.dirichlet(np.ones(len(rules)))
    outputs = np.stack([rules[number % len(rules)].apply(one) for number, one in enumerate(inputs)])
    best, blind = best_guesses(rules, chances, inputs, outputs, questions)
    for episode in range(30):
        fits, prior = {}, {}
        for rule, chance in zip(rules, chances):
            said = rule.apply(questions[episode])[0].tobytes()
            prior[said] = prior.get(said, 0) + chance
            if (rule.apply(inputs[episode]) == outputs[episode]).all():
                fits[said] = fits.get(said, 0) + chance
        assert best[episode, 0] == pytest.approx(max(fits.values()) / sum(fits.values()))
        assert blind[episode, 0] == pytest.approx(max(prior.values()))
    assert 0 < (best < 0.99).sum() < 30


def loaded(**changes):
    kinds = {"kinds": ["turns", "gravity", "colours+turns"], "held_out_kinds": ["turns+gravity"]}
    usual = {"kind": "arc_rules", "name": "rules", "side": 5, "held_out_rules": 0.3, "test_episodes": 40}
    return load(**{**usual, **kinds, **changes})


def test_held_out_rules_are_those_that_no_trained_rule_equals():
    dataset = loaded()
    task, maker = dataset.task, dataset.episodes
    assert isinstance(task, ArcRules) and isinstance(maker, Ruled)
    trained = [task.rules[number] for number in task.numbers(dataset.train)]
    held_out = [task.rules[number] for number in task.numbers(dataset.test)]
    for one, other in product(held_out, trained):
        assert (one.apply(SOME) != other.apply(SOME)).any(), (one.name, other.name)
    assert {rule.kind for rule in trained} == {"turns", "gravity", "colours+turns"}
    assert {rule.kind for rule in held_out} == {"turns", "gravity", "colours+turns", "turns+gravity"}
    assert len(task.rules) == len({rule.apply(SOME).tobytes() for rule in task.rules})


def test_episodes_show_one_rule_on_new_grids():
    dataset = loaded(demonstrations=2, questions=3)
    task = dataset.task
    episodes = dataset.episodes.draw(dataset.train, 30, 5, np.random.default_rng(0))
    trained = set(task.numbers(dataset.train).tolist())
    for row in range(30):
        rule = task.rules[episodes.rules[row, 0]]
        assert episodes.rules[row, 0] in trained
        questions = episodes.inputs[row].reshape(5, 5, 5).astype(int) - 2
        told = episodes.feedback[row, :2].astype(int) - 12
        answers = np.concatenate(
            ((told % 12).reshape(2, 5, 5) - 2, episodes.labels[row, 2:].reshape(3, 5, 5) - 2.0)
        )
        assert (told // 12 == episodes.inputs[row, :2]).all() and not episodes.labels[row, :2].any()
        for question, answer in zip(questions, answers):
            assert (slowly(rule.name, question) == answer).all()
    assert len({grid.tobytes() for grid in episodes.inputs.reshape(150, 25)}) == 150


def test_tests_of_seen_and_of_new_rules():
    dataset = loaded()
    series = dataset.episodes.series(dataset.test)
    assert list(series) == ["rules=seen", "rules=new", "rules=new_compositions"]
    numbers = {name: set(one.rules.ravel().tolist()) for name, one in series.items()}
    seen, held_out = (set(dataset.task.numbers(part).tolist()) for part in (dataset.train, dataset.test))
    assert (
        numbers["rules=seen"] <= seen and numbers["rules=new"] | numbers["rules=new_compositions"] <= held_out
    )
    kinds = {
        name: {dataset.task.rules[number].kind for number in of_test} for name, of_test in numbers.items()
    }
    assert kinds["rules=seen"] == kinds["rules=new"] == {"turns", "gravity", "colours+turns"}
    assert kinds["rules=new_compositions"] == {"turns+gravity"}
    for one in series.values():
        assert one.optimum.mean() > 0.9 > 0.5 >= one.optimum_without_memory
    assert (dataset.held_out().inputs == loaded().held_out().inputs).all()


def test_a_kind_that_is_not_trained_has_a_test_of_its_own():
    dataset = loaded(kinds=["turns", "gravity+turns"], held_out_kinds=["gravity", "masks+turns"])
    series = dataset.episodes.series(dataset.test)
    kinds = {
        name: {dataset.task.rules[number].kind for number in one.rules.ravel()}
        for name, one in series.items()
    }
    assert kinds["rules=new"] == {"turns", "gravity+turns"}
    assert kinds["rules=new_compositions"] == {"masks+turns"} and kinds["rules=new_kinds"] == {"gravity"}


def test_rules_that_agree_on_one_grid_are_not_the_same():
    """A colour that lies as its mirror image does on one grid: to keep it is there to keep and mirror it."""
    dataset = loaded(kinds=["turns"], held_out_kinds=["masks+turns"])
    task = dataset.task
    assert isinstance(task, ArcRules)
    assert sum(rule.kind == "masks+turns" for rule in task.rules) == 8 * 7
    shown = task.shown(np.arange(len(task.rules)))
    assert len(np.unique(shown.inputs, axis=0)) > 1
    assert task.numbers(shown).tolist() == list(range(len(task.rules)))
    assert len(set(identities(shown, task).tolist())) == len(task.rules)
    for rule, given, output in zip(task.rules, shown.inputs, shown.labels):
        grid = given.reshape(5, 5).astype(int) - 2
        assert (slowly(rule.name, grid) == output.reshape(5, 5) - 2.0).all()


def test_a_rule_is_known_again_in_another_set():
    """Whatever other rules are there, and on whichever grid it is shown."""

    def known(*kinds: str) -> dict[str, int]:
        task = loaded(kinds=[*kinds], held_out_kinds=["masks+turns"]).task
        assert isinstance(task, ArcRules)
        shown = task.shown(np.arange(len(task.rules)))
        return {rule.name: one for rule, one in zip(task.rules, identities(shown, task).tolist())}

    few, many = known("turns"), known("gravity", "masks", "turns")
    assert few.items() <= many.items() and len(few) < len(many)


def test_every_kind_is_as_likely_as_any_other():
    dataset = loaded(kinds=["gravity", "colours+turns"])
    episodes = dataset.episodes.draw(dataset.train, 4000, 5, np.random.default_rng(0))
    kinds = [dataset.task.rules[number].kind for number in episodes.rules[:, 0]]
    assert kinds.count("gravity") / 4000 == pytest.approx(0.5, abs=0.03)


def test_shares_say_how_often_a_kind_is_drawn_in_training_alone():
    dataset = loaded(shares=[1, 3, 4])
    assert isinstance(dataset.task, ArcRules) and isinstance(dataset.episodes, Ruled)
    kinds, maker = np.array([rule.kind for rule in dataset.task.rules]), dataset.episodes

    def drawn(**more) -> dict[str, float]:
        found = maker.draw(dataset.train, 4000, 5, np.random.default_rng(0), **more).rules[:, 0]
        return {kind: float((kinds[found] == kind).mean()) for kind in ("turns", "gravity", "colours+turns")}

    assert drawn() == pytest.approx({"turns": 1 / 8, "gravity": 3 / 8, "colours+turns": 1 / 2}, abs=0.03)
    assert drawn(test=True) == pytest.approx(dict.fromkeys(drawn(), 1 / 3), abs=0.03)


BAD = {
    "kinds": (
        {"kinds": ["turn"]},
        "data.kinds is 'turn'; allowed: colours, turns, shifts, masks, gravity, mirrors",
    ),
    "three": ({"kinds": ["turns+turns+turns"]}, "or two of them, as turns+gravity"),
    "twice": ({"held_out_kinds": ["turns"]}, "data.held_out_kinds is ['turns']; allowed: different kinds"),
    "nothing held out": (
        {"held_out_kinds": [], "held_out_rules": 0.0},
        "data.held_out_rules is 0.0; allowed: above 0",
    ),
    "side": ({"side": 3}, "data.side is 3; allowed: 4 to 30"),
    "shift": ({"shift": 5}, "data.shift is 5; allowed: 1 to 4, below data.side"),
    "shares": ({"shares": [1, 2]}, "data.shares is [1.0, 2.0]; allowed: null, or 3 numbers above 0"),
    "no share": ({"shares": [1, 0, 2]}, "allowed: null, or 3 numbers above 0"),
    "colours": ({"colours": 6}, "data.colours is 6; allowed: 2 to 5"),
    "train_size": ({"train_size": 3}, "data.train_size is 3; allowed: null"),
    "questions": ({"questions": 0}, "data.questions is 0; allowed: numbers from 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_settings_that_do_not_fit_are_refused(name):
    changes, message = BAD[name]
    with pytest.raises(ValueError) as error:
        loaded(**changes)
    assert message in str(error.value)
