"""What texts are measured against: each control against a slow version of itself."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch.utils.flop_counter import FlopCounterMode

from experiments import text as study
from experiments.grid import measures, results, texts
from experiments.grid.results import arrange, frame
from experiments.grid.run import Variant
from experiments.grid.tasks import CLINC, FEW_SHOT, LEFT_OUT, PROSE, TEXTS
from memhrm import train
from memhrm.config.command import compose
from memhrm.cost.matching import cost
from memhrm.data import load
from memhrm.data.text.prose import FIRST, MASK
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.probes.subject import open_subject, subject_of
from memhrm.runs.batches import Batches
from memhrm.runs.build import make_dataset, make_learner, make_model
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.step import train_step
from tiny import TINY

SAMPLE = Path(__file__).parents[2] / "docs" / "texts.csv"
ALONE = Ranks(0, 1, torch.device("cpu"))
TEXT = "the cat sat on a mat and then it ran to the door where another cat was asleep "


@pytest.fixture(scope="module")
def prose(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("prose") / "text.txt"
    path.write_text(" ".join(rng.choice(TEXT.split(), 900)), encoding="utf-8")
    return load(kind="text", name="text", path=str(path), length=16, masked=(0.5, 0.15, 1.0))


def slow(text: list[int], size: int, window: list[int], place: int) -> np.ndarray:
    """Witten-Bell interpolation, one context after the other, counted anew."""
    left = right = 0
    while left < texts.LEFT and place - left - 1 >= 0 and window[place - left - 1] != MASK:
        left += 1
    while right < texts.RIGHT and place + right + 1 < len(window) and window[place + right + 1] != MASK:
        right += 1
    found = np.full(size, 1 / (size - FIRST))
    found[:FIRST] = 0
    a = b = 0
    while True:
        counts = Counter(
            text[at]
            for at in range(a, len(text) - b)
            if text[at - a : at] == window[place - a : place]
            and text[at + 1 : at + 1 + b] == window[place + 1 : place + 1 + b]
        )
        total, kinds = sum(counts.values()), len(counts)
        if not total:
            return found
        found = found * kinds / (total + kinds)
        for token, count in counts.items():
            found[token] += count / (total + kinds)
        if (a, b) == (left, right):
            return found
        if a < left and (a <= b or b == right):
            a += 1
        else:
            b += 1


def test_n_grams_are_counted_as_by_hand(prose):
    task, held_out = prose.task, prose.held_out()
    counts = texts._Counts(task.text, task.vocab_size)
    losses = []
    for row in range(3):
        window, labels = held_out.inputs[row, 0].tolist(), held_out.labels[row, 0]
        for place in np.flatnonzero(labels):
            found = counts.probabilities(np.array(window), place)
            assert found.sum() == pytest.approx(1) and found[:FIRST].sum() == 0
            np.testing.assert_allclose(found, slow(task.text.tolist(), task.vocab_size, window, place))
            losses.append(-np.log(found[labels[place]]))
    assert counts.loss(held_out.inputs[:3, 0], held_out.labels[:3, 0]) == pytest.approx(np.mean(losses))


def test_n_grams_know_more_the_less_is_masked(prose):
    found = texts.grams(prose)
    assert list(found) == ["grams_masked=0.5", "grams_masked=0.15", "grams_masked=1"]
    letters = np.bincount(prose.task.text) / len(prose.task.text)
    entropy = -sum(p * np.log(p) for p in letters if p)
    assert found["grams_masked=0.15"] < found["grams_masked=0.5"] < found["grams_masked=1"]
    assert found["grams_masked=1"] == pytest.approx(entropy, rel=0.03)


def test_n_grams_of_many_tokens_are_shorter(prose):
    many = texts._Counts(prose.task.text, 5000)
    assert many.most == (2, 2) and np.isfinite(many.loss(prose.test.inputs[:2], prose.test.labels[:2]))


FEW = {
    "kind": "intent_episodes", "name": "few", "path": str(SAMPLE.parent), "train_file": SAMPLE.name,
    "test_file": SAMPLE.name, "ways": (2,), "test_ways": (2,), "shots": 3, "questions": 4, "test_episodes": 9,
    "held_out_categories": 0.5,
}  # fmt: skip


def test_the_told_texts_of_each_episode_answer_its_questions():
    """By the nearest of them, and by a linear classifier that is fitted on them."""
    dataset = load(**FEW)
    found = texts.told(dataset)
    vectors = texts._vectors().fit(dataset.train.sources)
    episodes, right, fitted = dataset.held_out(), 0, 0
    mark = dataset.task.mark
    for row in range(9):
        said = vectors.transform(episodes.sources[row].tolist()).toarray()
        number = [*(episodes.feedback[row, :6, 0] - mark), *episodes.labels[row, 6:, 0]]
        of_number = defaultdict(set)
        for text, one in zip(episodes.sources[row], number):
            of_number[one].add(text)
        assert sorted(of_number) == [1, 2]
        svm = LinearSVC(random_state=0).fit(said[:6], number[:6])
        for asked in range(6, 10):
            closest = max(range(6), key=lambda told: said[told] @ said[asked])
            right += number[closest] == number[asked]
            fitted += svm.predict(said[asked : asked + 1])[0] == number[asked]
    assert found == {"nearest_ways=2": pytest.approx(right / 36), "svm_ways=2": pytest.approx(fitted / 36)}


class Nearest:
    """A solver that answers as the nearest example says, and notes what it is asked."""

    def __init__(self, sources):
        self.vectors, self.asked = texts._vectors().fit(sources), []

    def classify(self, asked, examples):
        shown, names = zip(*examples)
        self.asked.append((set(shown), set(asked)))
        alike = self.vectors.transform(asked) @ self.vectors.transform(shown).T
        return [[(names[place], 1.0)] for place in alike.toarray().argmax(axis=1)]


def test_what_an_episode_tells_takes_the_place_of_the_bank():
    dataset = load(**FEW)
    solver = Nearest(dataset.train.sources)
    found = texts.in_place_of_the_bank(solver, dataset)
    assert found == {"ways=2": texts.told(dataset)["nearest_ways=2"]}
    assert len(solver.asked) == 9 and all(len(told) == 6 and not told & asked for told, asked in solver.asked)


def test_episodes_have_the_categories_that_a_bank_was_not_trained_on(tmp_path, monkeypatch):
    """And they are the very episodes of a model on few-shot episodes with the same seed."""
    path = str(SAMPLE.parent)
    words = [
        "experiment=intent",
        f"data.path={path}",
        "data.train_file=texts.csv",
        "data.holdout=12",
        "k=4",
        "data.left_out=2",
        "data.seed=3",
        "model.hidden_size=16",
        "+memory=retrieval",
    ]
    train.main(compose("train", [*words, "steps=2", "progress=false", "threads=1", f"dir={tmp_path}"]))
    seen = []
    monkeypatch.setattr(texts, "in_place_of_the_bank", lambda *args: seen.append(args) or {})
    assert measures.shots(open_subject(tmp_path)) == {}
    ((solver, dataset),) = seen
    asked = {dataset.task.categories[group] for group in np.unique(dataset.test.groups)}
    assert len(asked) == 2 and not asked & set(solver.task.categories)
    same = {**FEW, "seed": 3, "shots": 5, "questions": 10, "test_episodes": 200}
    expected = load(**same).held_out()
    (episodes,) = texts.tests(dataset).values()
    assert (episodes.sources == expected.sources).all() and (episodes.labels == expected.labels).all()


def test_a_memory_that_is_reset_is_measured_at_every_number_of_categories(tmp_path):
    lines = [f"c{name} w{shot},c{name}" for name in range(8) for shot in range(5)]
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("\n".join(["text,category", *lines]))
    words = [word for word in TINY if not word.startswith(("data", "validation_size", "eval_every"))]
    words += ["data=intent_episodes", f"data.path={tmp_path}", "data.held_out_categories=0.5", "steps=1"]
    words += ["data.ways=[2,3]", "data.test_ways=[2,3]", "data.shots=2", "data.test_episodes=5"]
    words += ["data.length=4", "data.bag=4", "data.buckets=99", "halting.halt_max_steps=1"]
    words += ["loss.kind=softmax", "+memory=bicross", "memory.write_when=told", "validation_size=0"]
    run = parse(compose("train", words))
    dataset = make_dataset(run)
    model = make_model(run, dataset).eval()
    torch.nn.init.normal_(model.lm_head.weight)
    found = measures.reset(subject_of(model, run, dataset, dataset.held_out(), name="few"))
    assert list(found) == ["kept_ways=2", "reset_ways=2", "kept_ways=3", "reset_ways=3"]
    for name, episodes in texts.tests(dataset).items():
        scores = evaluate(model, dataset.task, episodes, EvaluationSettings(steps=1), ALONE)
        assert found[f"kept_{name}"] == pytest.approx(scores["exact_accuracy"])
        assert 0 <= found[f"reset_{name}"] <= 1


def test_linear_classifiers_see_training_texts_alone(tmp_path):
    lines = SAMPLE.read_text().splitlines()
    (tmp_path / "outside.csv").write_text("text,category\n" + "\n".join(f"zzz qqq {n},oos" for n in range(9)))
    (tmp_path / "train.csv").write_text(
        "\n".join(lines[:1] + [one for n, one in enumerate(lines[1:]) if n % 5])
    )
    (tmp_path / "test.csv").write_text("\n".join(lines[:1] + lines[1::5]))
    dataset = load(kind="intent", name="intent", path=str(tmp_path), oos="outside.csv")
    found = texts.linear(dataset)
    assert 0.3 < found["svm"] <= 1 and 0.3 < found["bag"] <= 1 and found["svm_oos_auroc"] > 0.7


class Fake:
    """A solver that answers with what it was last told to remember."""

    def __init__(self, task):
        self.task, self.bank = task, []

    def remember(self, text, category):
        self.bank.append((text, category))

    def classify(self, asked):
        return [[(self.bank[-1][1], 1.0)] for _ in asked]


def test_a_bank_learns_the_categories_that_were_left_out():
    whole = load(kind="intent", name="intent", path=str(SAMPLE), holdout=12)
    dataset = load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=1)
    kept = dataset.task.categories
    (gone,) = set(whole.task.categories) - set(kept)
    assert len(dataset.train) + len(dataset.test) == 36 and (dataset.train.labels > 0).all()
    assert gone not in {dataset.task.decode_answer(one) for one in dataset.train.labels}
    names = [whole.task.decode_answer(one) for one in whole.test.labels]
    new, asked = 12 - names.count(gone), names.count(gone)
    solver = Fake(dataset.task)
    found = texts.added(solver, whole, kept)
    assert found == {"added": 1.0, "all": pytest.approx(asked / 12), "texts": new, "tests": asked}
    assert not {text for text, _ in solver.bank} & set(whole.test.sources)  # What is asked is not added.
    solver = Fake(whole.task)
    solver.bank.append(("", names[0]))
    found = texts.added(solver, whole, kept)  # One that was trained with all of them.
    share = np.mean([name == names[0] for name in names])
    assert found["texts"] == 0 and found["all"] == pytest.approx(share) and found["added"] in (0, 1)
    assert [texts.left_out(count) for count in (4, 77, 150)] == [1, 7, 15]
    some = [
        load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=1, seed=seed)
        for seed in (0, 0, 1, 2, 3)
    ]
    known = [one.task.categories for one in some]
    assert known[0] == known[1] and len(set(known)) > 1
    with pytest.raises(
        ValueError, match=r"data\.categories is .*; allowed: null, or those that data.left_out"
    ):
        load(kind="intent", name="i", path=str(SAMPLE), holdout=12, left_out=1, categories=known[0][::-1])
    again = load(kind="intent", name="i", path=str(SAMPLE), holdout=12, left_out=1, categories=known[0])
    assert again.task.categories == known[0] and len(again.train) == len(dataset.train)
    with pytest.raises(ValueError, match=r"data\.left_out is 3; allowed: 0 to 2, as two must stay"):
        load(kind="intent", name="intent", path=str(SAMPLE), holdout=12, left_out=3)


def flops(variant: Variant, *words: str) -> tuple[float, float]:
    """Return the FLOPs of an answer and of the training step of a text."""
    config = compose("train", ["batch_size=2", *words, *variant.overrides])
    run = parse(config)
    dataset = make_dataset(run)
    learner = make_learner(run, make_model(run, dataset), ALONE, dataset)
    with FlopCounterMode(display=False) as counted:
        train_step(learner, *Batches(run, dataset, ALONE, 0).take(0))
    assert learner.carry is not None and (learner.carry.steps == run.halting.halt_max_steps).all()
    return cost(config).flops * run.halting.halt_max_steps, counted.get_total_flops() / 2


def test_controls_take_the_flops_that_the_tables_say():
    words = (
        "experiment=intent",
        f"data.path={SAMPLE}",
        "data.holdout=12",
        "data.length=9",
        "data.buckets=99",
    )
    (two, _), (_, four) = (flops(one, *words) for one in study.CYCLES[1:3])
    for one in study.FLAT:
        answer, training = flops(one, *words)
        assert answer == pytest.approx(two, rel=1e-3) and training == pytest.approx(four, rel=0.03)
    words = ("experiment=text", f"data.path={SAMPLE}", "data.length=16")
    (answer, training), flat = (flops(one, *words) for one in study.WRITERS)
    assert answer == flat[0] and flat[1] == pytest.approx(1.5 * training, rel=0.05)


def test_runs_that_leave_categories_out_have_flops_whatever_their_seed():
    """A run's settings name the categories that its seed leaves."""
    kept = set()
    for seed in range(4):
        words = (
            *("experiment=intent", f"data.path={SAMPLE}", "data.holdout=12", "data.left_out=1"),
            *(f"data.seed={seed}", "data.length=9", "data.buckets=99"),
        )
        config = compose("train", words)
        known = make_dataset(parse(config)).task.categories
        named = {**config, "data": {**config["data"], "categories": list(known)}}
        assert results.flops(named) == cost(config).flops
        kept.add(known)
    assert len(kept) > 1


def test_every_claim_on_texts_has_three_seeds_and_its_controls():
    runs = study.STUDY.runs("cpu")
    seeds = defaultdict(set)
    for run in runs:
        seeds[run.task, run.variant].add(run.seed)
    assert set(map(len, seeds.values())) == {3} and {task for task, _ in seeds} == set(TEXTS["cpu"])
    measured = {(run.task, run.seed, one) for run in runs for one in run.measures}
    for task in TEXTS["cpu"]:
        needed = {FEW_SHOT: ["told", "reset", "shots"], PROSE: ["grams", "samples"]}.get(task, ["linear"])
        assert {(task, seed, one) for seed in range(3) for one in needed} <= measured
    later = [run for run in runs if run.variant in study.LATER]
    assert len(later) == 3 * len(study.LATER)
    assert {f"data.left_out={texts.left_out(150)}"} <= set.intersection(*(set(run.settings) for run in later))
    assert {run.task for run in later} == {CLINC}
    assert LEFT_OUT["smoke"] == texts.left_out(4)


def rows(task: str, variant: str, seeds: int, **cells: float | str) -> list[dict[str, object]]:
    """Return rows whose numbers grow by a hundredth with each seed."""
    usual = {"steps": 1.0, "flops": 2_000_000, "parameters": 9, "seconds": 60.0, "settings": "", **cells}
    grown = {name for name, value in usual.items() if isinstance(value, float)}
    return [
        {"task": task, "variant": variant, "seed": seed}
        | {name: value + 0.01 * seed if name in grown else value for name, value in usual.items()}
        for seed in range(seeds)
    ]


def page(*made: list[dict[str, object]]):
    return study.STUDY.render(arrange(frame([row for one in made for row in one])))


def test_the_tables_on_categories_compare_what_is_of_the_same_seed():
    linear = {"linear.svm": 0.8, "linear.bag": 0.7, "linear.svm_oos_auroc": 0.9}
    later, fixed = study.LATER
    found = page(
        rows(CLINC, study.ONE.name, 3, exact_accuracy=0.85, macro_f1=0.8, oos_auroc=0.95, **linear),
        rows(CLINC, study.BANK.name, 2, exact_accuracy=0.9, **{"added.added": 0.7, "added.all": 0.9}),
        rows(
            CLINC,
            later,
            2,
            exact_accuracy=0.99,
            **{"added.added": 0.6, "added.all": 0.88},
            **{"added.tests": 70},
        ),
        rows(CLINC, study.FIXED_BANK.name, 3, exact_accuracy=0.9, **{"added.added": 0.7, "added.all": 0.9}),
        rows(
            CLINC, fixed, 3, exact_accuracy=0.9, **{"added.added": 0.75, "added.all": 0.9, "added.tests": 70}
        ),
    )
    lines = {line[0]: dict(zip(found.tables[CLINC].head[1:], line[1:])) for line in found.tables[CLINC].rows}
    assert (
        lines[study.SVM]["all texts"].startswith("81.0") and lines[study.SVM]["AUROC out of scope"] == "91.0"
    )
    assert lines[study.ONE.name]["less the SVM"] == "+5.0 ± 0.0"
    assert lines["retrieval"]["less the SVM"] == "+10.0 ± 0.0" and lines["retrieval"]["seeds"] == "2"
    assert lines["retrieval"]["less one H-cycle"] == "+5.0 ± 0.0" and not study.LATER.keys() & lines
    assert study.SEARCH in found.tables[CLINC].caption and study.GRADIENT not in found.tables[CLINC].caption
    added = found.tables["categories added later"]
    assert added.head[2:] == ["the 70 texts of these categories", "all texts"]
    names = [f"{bank.name}: {how}" for bank in study.LATER.values() for how in ("trained with them", "added")]
    assert len(added.rows) == 6
    assert all(line[0].startswith(name) for line, name in zip(added.rows[:2] + added.rows[3:5], names))
    assert added.rows[2] == ["difference", "2", "−10.0 ± 0.0", "−2.0 ± 0.0"]
    assert added.rows[5] == ["difference", "3", "+5.0 ± 0.0", "+0.0 ± 0.0"]
    assert found.numbers[f"text/{CLINC}/{later}/difference"] == "−10.0 ± 0.0"
    assert found.numbers[f"text/{CLINC}/{fixed}/difference"] == "+5.0 ± 0.0"


def test_the_tables_of_episodes_and_prose_have_all_their_tests():
    told = {f"told.{of}_ways={ways}": 0.5 for ways in (5, 20) for of in ("nearest", "svm")}
    reset = {"reset.reset_ways=5": 0.05, "reset.reset_ways=20": 0.04}
    scores = {"exact_accuracy": 0.6, "series.ways=20.exact_accuracy": 0.4}
    losses = {"lm_loss": 2.0, **{f"series.masked={share}.lm_loss": 1.5 for share in ("0.15", "0.85", "1")}}
    grams = {f"grams.grams_masked={share}": 2.25 for share in study.SHARES}
    said = {"samples.prompt": "To be,\nor", "samples.text": " not\nto be | it"}
    first, other = (one.name for one in study.WRITERS)
    found = page(
        rows(FEW_SHOT, "one memory", 3, **scores, **told, **reset),
        rows(FEW_SHOT, "cells", 3, **scores, **reset),
        rows(FEW_SHOT, study.TOLD_BANK.name, 3, **scores, **{"shots.ways=5": 0.7, "shots.ways=20": 0.55}),
        rows(PROSE, first, 3, exact_accuracy=0.0, **losses, **grams, **said),
        rows(PROSE, other, 3, exact_accuracy=0.0, **dict.fromkeys(losses, 1.0), **said),
    )
    table = found.tables[FEW_SHOT]
    assert table.head[2:8] == [
        f"{a}" for w in (5, 20) for a in (f"{w} categories", "less the nearest", "memory reset")
    ]
    assert [line[0] for line in table.rows] == [
        study.NEAREST,
        f"{study.SVM} of the told texts",
        "one memory",
        "cells",
        study.TOLD_BANK.name,
    ]
    assert table.rows[3][2:8] == ["61.0 ± 2.5", "+10.0 ± 0.0", "6.0", "41.0 ± 2.5", "−10.0 ± 0.0", "5.0"]
    assert table.rows[4][2:8] == ["71.0 ± 2.5", "+20.0 ± 0.0", "", "56.0 ± 2.5", "+5.0 ± 0.0", ""]
    assert found.numbers[f"text/{FEW_SHOT}/{study.TOLD_BANK.name}, 5"] == "71.0 ± 2.5"
    assert found.numbers[f"text/{FEW_SHOT}/cells, 20/less the nearest"] == "−10.0 ± 0.0"
    table = found.tables[PROSE]
    assert [line[1] for line in table.rows] == ["3"] * 4 and table.rows[0][2:6] == ["2.26 ± 0.02"] * 4
    assert table.rows[1][2:4] == ["1.51 ± 0.02", "2.01 ± 0.02"]
    assert table.rows[3][:4] == ["difference", "3", "+0.50 ± 0.00", "+1.00 ± 0.00"]
    assert found.numbers[f"text/{PROSE}/{first}, 0.5"] == "2.01 ± 0.02"
    assert f"text/{PROSE}/{first}" not in found.numbers  # Exact windows say nothing.
    table = found.tables[f"{PROSE}, samples"]
    assert table.head[1] == "what it writes behind “To be, / or”" and table.rows[0] == [
        first,
        "not / to be | it",
    ]
