"""Few-shot episodes: texts are told with a number, others are asked, of categories that are not trained."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import memhrm
from memhrm import train
from memhrm.config.command import compose
from memhrm.data import load
from memhrm.data.text.few_shot import FewShotIntent
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.runs.build import label_weights, make_dataset
from memhrm.runs.settings import parse
from memhrm.runs.summary import table
from memhrm.system.ranks import Ranks
from memhrm.weights.restore import from_run
from memhrm.weights.server import Limits, Served
from pages import ROOT
from tiny import TEXTS, TINY, call, command_line
from tiny import train as tiny_run

SET = {
    "kind": "intent_episodes",
    "name": "few",
    "length": 10,
    "bag": 6,
    "buckets": 300,
    "ways": (2,),
    "test_ways": (2,),
    "shots": 3,
    "questions": 4,
    "test_episodes": 30,
    "held_out_categories": 0.5,
    "dropout": 0.3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("few")
    head, *texts = (ROOT / "docs/texts.csv").read_text().splitlines()
    for name, lines in (("train", texts[:24]), ("test", texts[24:])):
        (place / f"{name}.csv").write_text("\n".join([head, *lines]))
    return place


def test_episodes_tell_what_they_ask(folder):
    dataset = load(**SET, path=str(folder))
    task = dataset.task
    assert isinstance(task, FewShotIntent)
    episodes = dataset.held_out()
    assert len(episodes) == 30 and episodes.length == 10 and list(episodes.answered) == [6, 7, 8, 9]
    assert not set(dataset.train.groups) & set(dataset.test.groups)
    category = dict(zip(dataset.test.sources, dataset.test.groups))
    first = task.bag
    for row in range(30):
        told, asked = episodes.sources[row, :6], episodes.sources[row, 6:]
        numbers = episodes.feedback[row, :6, 0] - task.mark
        assert sorted(numbers) == [1, 1, 1, 2, 2, 2] and not set(told) & set(asked)
        meaning = {int(number): category[text] for number, text in zip(numbers, told)}
        assert len({category[text] for text in told}) == 2
        labels = episodes.labels[row, :, 0]
        assert not labels[:6].any()
        assert [meaning[int(number)] for number in labels[6:]] == [category[text] for text in asked]
        assert (episodes.inputs[row, 6:, 0] == task.mark).all()  # A question does not say its number.
        texts = dataset.task.encode([str(text) for text in told]).inputs
        assert (episodes.feedback[row, :6, first:] == texts[:, first:]).all()
        assert (episodes.mask[row, :6, 1:] == (texts[:, first:].reshape(6, -1, first) > 0).any(axis=2)).all()
    swapped = {tuple(episodes.feedback[row, :6, 0] - task.mark) for row in range(30)}
    assert len(swapped) > 5  # The numbers mean something else in each.


def test_training_episodes_are_varied_and_test_episodes_are_not(folder):
    dataset = load(**SET, path=str(folder))
    maker, rng = dataset.episodes, np.random.default_rng(0)
    drawn = maker.draw(dataset.train, 20, 10, rng)
    plain = {tuple(row) for row in dataset.train.inputs.tolist()}
    share = np.mean([tuple(row) in plain for row in drawn.inputs.reshape(-1, drawn.inputs.shape[2]).tolist()])
    assert share < 0.3
    kept = {tuple(row) for row in dataset.test.inputs.tolist()}
    assert all(tuple(row) in kept for row in dataset.held_out().inputs[0].tolist())
    assert (drawn.feedback[:, :6, 0] > dataset.task.mark).all()


def test_every_number_is_trained_with_few_categories_too(tmp_path):
    """Of as many as the largest test has: a label that no training episode has would never be answered."""
    names = [f"c{number}" for number in range(8)]
    lines = [f"{name} w{shot} x{shot % 3},{name}" for name in names for shot in range(9)]
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("\n".join(["text,category", *lines]))
    dataset = load(**{**SET, "path": str(tmp_path), "test_ways": (4, 2)})
    task, maker = dataset.task, dataset.episodes
    assert task.num_labels == 4
    for episodes, ways in (
        (maker.draw(dataset.train, 60, 10, np.random.default_rng(0)), 2),
        (dataset.held_out(), 4),
        (maker.series(dataset.test)["ways=2"], 2),
    ):
        told = 3 * ways
        numbers = np.concatenate(
            (episodes.feedback[:, :told, 0] - task.mark, episodes.labels[:, told:, 0]), axis=1
        )
        assert set(numbers.ravel()) == {1, 2, 3, 4}
        for row, own in enumerate(numbers):
            assert len(set(own)) == len(set(own[:told])) == ways
            category = {text.split()[0] for text in episodes.sources[row]}
            pairs = {(text.split()[0], number) for text, number in zip(episodes.sources[row], own)}
            assert len(pairs) == len(category) == ways  # A category has one number in an episode.
        assert episodes.optimum_without_memory == 1 / 4


BAD = {
    "shots": (12, "data.shots is 12; allowed: less, as 0 categories have more texts than that"),
    "ways": ((3,), "data.ways is [3]; allowed: numbers up to 2, the categories that"),
    "test_ways": ((2, 3), "data.test_ways is [2, 3]; allowed: numbers up to 2, the categories that"),
    "held_out_categories": (1.0, "data.held_out_categories is 1.0; allowed: between 0 and 1"),
    "holdout": (3, "data.holdout is 3; allowed: 0; data.held_out_categories says what is tested"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said(name, folder):
    value, message = BAD[name]
    with pytest.raises(ValueError) as error:
        load(**{**SET, "path": str(folder), name: value}).held_out()
    assert str(error.value).startswith(message)


def test_labels_that_each_episode_draws_cannot_be_balanced(folder):
    own = [f"data.{name}=[2]" for name in ("ways", "test_ways")]
    words = ["experiment=intent_episodes", f"data.path={folder}", "data.shots=3", *own]
    config = compose("train", [*words, "data.held_out_categories=0.5", "loss.class_weights=balanced"])
    with pytest.raises(ValueError, match=r"^loss.class_weights is balanced, which changes nothing with dat"):
        parse(config, frozenset({"loss.class_weights"}))
    run = parse(config)  # As if a file had set it.
    with pytest.raises(ValueError, match=r"class_weights is 'balanced'; allowed: none with data=intent_epis"):
        label_weights(run, make_dataset(run), Ranks(0, 1, torch.device("cpu")))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "run"
    words = [
        word for word in TINY if not word.startswith(("data", "validation_size", "halting", "eval_every"))
    ]
    words += [
        f"data.{name}={list(v) if isinstance(v, tuple) else v}" for name, v in SET.items() if name[0] != "k"
    ]
    words += ["data=intent_episodes", f"data.path={folder}", "loss.kind=softmax", "halting.halt_max_steps=1"]
    words += ["+memory=bicross", "memory.write_when=told", "validation_size=0", f"dir={place}"]
    assert parse(compose("train", words)).memory.lifetime == "episode"
    assert command_line("train", train.main, *words) == 0
    return place


def test_a_memory_is_trained_on_them(run):
    summary = json.loads((run / "summary.json").read_text())
    assert len(summary["exact_accuracy_by_position"]) == 4 and summary["puzzles"] == 120
    said = table({**summary, "series": {"ways=9": summary}}, run)
    assert re.search(r"best without memory( +50\.0%){4}\n", said) and "ways=9 " in said


def test_a_solver_is_told_texts_as_an_episode_tells_them(run):
    solver, restored = memhrm.load(run), from_run(run)
    head = solver.model.lm_head.weight.data  # After a few steps of training it says one number.
    head[:] = torch.randn(head.shape, generator=torch.Generator().manual_seed(0))
    episodes = load(**restored.run.data).held_out()
    for row in range(6):
        texts, numbers = episodes.sources[row].tolist(), episodes.feedback[row, :6, 0] - solver.task.mark
        told = [(text, str(number)) for text, number in zip(texts[:6], numbers)]
        part = episodes.select(slice(row, row + 1))
        moments = walk(solver.model, part, EvaluationSettings(steps=1))
        expected = [str(int(moment.answers.tokens[0, 0])) for moment in moments]
        assert solver.solve(texts[6:], examples=told) == expected


def test_categories_have_any_names(run):
    """The first that is told is number 1."""
    solver = memhrm.load(run)
    told, texts = [("rain and snow", "sky"), ("soup", "food"), ("a storm", "sky")], ["snow", "bread, rice"]
    shown = solver.shown([(text, {"sky": "1", "food": "2"}[name]) for text, name in told])
    asked = solver.task.encode(texts)
    logits = solver.last_step(asked.inputs, None, asked.mask, shown).output.logits
    for found, row in zip(solver.classify(texts, 5, examples=told), logits[:, 0, 1:].softmax(dim=-1)):
        assert dict(found) == pytest.approx(dict(zip(("sky", "food"), row.tolist())), abs=1e-5)
        assert found[0][1] > found[1][1]
    untold = solver.last_step(asked.inputs, None, asked.mask).output.logits
    assert not torch.allclose(untold, logits, atol=1e-4)


def test_a_file_of_texts_is_classified_by_examples(run, folder, tmp_path, capsys):
    (told := tmp_path / "told.csv").write_text("text,category\nrain and snow,sky\nbread and soup,kitchen\n")
    (asked := tmp_path / "asked.csv").write_text("text,category\nsnow and rain,sky\na walk,elsewhere\n")
    words = [f"run={run}", str(asked), f"examples={told}", f"out={tmp_path / 'out.csv'}"]
    assert call("solve", *words, "progress=false") == 0
    assert "2 texts classified" in capsys.readouterr().err
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0] == "text,category,probability" and len(rows) == 3
    assert all(row.split(",")[1] in ("sky", "kitchen") for row in rows[1:])


def test_a_model_that_is_served_is_told_categories(run):
    served = Served(memhrm.load(run), Limits())
    assert served.about()["learns_from_examples"]
    with pytest.raises(ValueError, match="number of categories in examples is 0; allowed: 1 to 2"):
        served.classify(["rain"], 1)
    assert served.remember("rain and snow", "sky") == 1 and served.remember("soup", "kitchen") == 2
    (found,) = served.classify(["snow"], 3)
    assert {one["name"] for one in found["categories"]} == {"sky", "kitchen"}
    with pytest.raises(ValueError, match="number of categories in examples is 3"):
        served.remember("a walk", "elsewhere")
    assert served.forget("soup") == 1 and served.remember("a walk", "elsewhere") == 2


def test_examples_are_for_models_of_episodes(folder, tmp_path):
    words = [*TEXTS["intent"], "data=intent", "loss.kind=softmax", "steps=1", "validation_size=0"]
    assert tiny_run(tmp_path / "run", *words) == 0
    with pytest.raises(ValueError, match="none, as the training was not on episodes"):
        memhrm.load(tmp_path / "run").classify(["rain"], examples=[("rain", "weather")])
