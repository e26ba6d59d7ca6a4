"""Few-shot episodes: texts are told with a number, others are asked, of categories that are not trained."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from memhrm import train
from memhrm.config.command import compose
from memhrm.data import load
from memhrm.data.text.few_shot import FewShotIntent
from memhrm.runs.settings import parse
from memhrm.runs.summary import table
from pages import ROOT
from tiny import TINY, command_line

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


def test_a_memory_is_trained_on_them(folder, tmp_path):
    words = [
        word for word in TINY if not word.startswith(("data", "validation_size", "halting", "eval_every"))
    ]
    words += [
        f"data.{name}={list(v) if isinstance(v, tuple) else v}" for name, v in SET.items() if name[0] != "k"
    ]
    words += ["data=intent_episodes", f"data.path={folder}", "loss.kind=softmax", "halting.halt_max_steps=1"]
    words += ["+memory=bicross", "memory.write_when=told", "validation_size=0", f"dir={tmp_path}/run"]
    assert parse(compose("train", words)).memory.lifetime == "episode"
    assert command_line("train", train.main, *words) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert len(summary["exact_accuracy_by_position"]) == 4 and summary["puzzles"] == 120
    said = table({**summary, "series": {"ways=9": summary}}, tmp_path)
    assert re.search(r"best without memory( +50\.0%){4}\n", said) and "ways=9 " in said
