"""Prose: masked tokens never show their target, test windows are not trained, writing fills all gaps."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import memhrm
from memhrm import train
from memhrm.data import Sampler, load
from memhrm.data.sampler import IGNORE
from memhrm.data.text.prose import FIRST, GAP, MASK, UNKNOWN, Letters, Parts, Prose, learn_parts
from memhrm.evaluation.answers import EvaluationSettings, tensors
from memhrm.evaluation.evaluate import evaluate
from memhrm.evaluation.rollout import rollout
from memhrm.system.ranks import Ranks
from memhrm.weights.restore import from_run, save
from memhrm.weights.tensors import read_tensors
from memhrm.weights.writing import Manner, write
from tiny import TINY, call, command_line

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "the",
    "dog",
    "ran",
    "to",
    "the",
    "door",
    ",",
    "then",
    "it",
    "slept",
    ".",
]


def prose(count: int, seed: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count))


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("prose") / "text.txt"
    path.write_text(prose(900, 0) + "\n" + prose(100, 1) + " é", encoding="utf-8")
    return path


def loaded(file: Path, **changes):
    usual = {"kind": "text", "name": "text", "path": str(file), "length": 16, "masked": (0.5, 0.25, 1.0)}
    return load(**{**usual, **changes})


def test_a_masked_token_never_shows_its_target(file):
    """The leak check: what is seen does not depend on what is masked."""
    dataset = loaded(file)
    task = dataset.task
    batch = Sampler(dataset.train, task, batch_size=300, seed=0, augment=True).batch(0)
    hidden = batch["labels"] > 0
    assert (batch["inputs"][hidden] == MASK).all() and (batch["inputs"][~hidden] != MASK).all()
    assert hidden.any(axis=1).all() and 0.4 < hidden.mean() < 0.6 and hidden.all(axis=1).any()
    for episodes, share in (
        (dataset.held_out(), 0.5),
        *zip(dataset.episodes.series(dataset.test).values(), (0.25, 1)),
    ):
        inputs, labels = episodes.inputs[:, 0], episodes.labels[:, 0]
        covered = inputs == MASK
        assert (task.asked(inputs) == covered).all()
        assert (covered.sum(axis=1) == 16 * share).all() and not labels[~covered].any()
        assert (
            np.where(covered, labels, inputs) == np.where(covered & (labels == 0), 0, dataset.test.inputs)
        ).all()
    again = loaded(file).held_out()
    assert (again.inputs == dataset.held_out().inputs).all()


def test_windows_of_training_come_from_the_first_part_and_begin_anywhere(file):
    dataset = loaded(file)
    text = file.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    task = dataset.task
    assert "".join(map(task.decode, dataset.train.inputs)) == text[: len(dataset.train) * 16]
    whole = task.script.encode(text[:cut])
    batch = Sampler(dataset.train, task, batch_size=200, seed=1, augment=True).batch(0)
    places = {whole[start : start + 16].tobytes(): start for start in range(len(whole) - 15)}
    full = np.where(batch["labels"] > 0, batch["labels"], batch["inputs"]).astype(np.int32)
    starts = [places[row.tobytes()] for row in full]
    assert len({start % 16 for start in starts}) == 16
    assert (dataset.test.inputs == UNKNOWN).sum() == 0 or "é" not in task.script.alphabet  # It is beyond.


def test_letters_and_parts_are_read_back(file):
    text = file.read_text(encoding="utf-8")
    letters = Letters("".join(sorted(set(text))))
    parts = Parts(learn_parts(text, 320))
    for script in (letters, parts):
        tokens = script.encode(text)
        assert script.decode(tokens.tolist()) == text and tokens.min() >= FIRST
        assert tokens.max() < FIRST + script.size
    assert len(parts.encode(text)) < 0.7 * len(text)
    assert parts.decode(parts.encode("Grüße, 世界\n").tolist()) == "Grüße, 世界\n"
    task = Prose(letters, length=12)
    examples = task.encode(["the _at"], ["the cat"])
    assert task.decode(examples.inputs[0]) == "the _at" and (examples.labels > 0).sum() == 1
    assert task.decode(examples.labels[0]) == "c"
    with pytest.warns(UserWarning, match="each _ is filled in: that of the training text cannot be given"):
        assert Prose(Letters("ab_"), length=4).with_gaps("a_b").tolist() == [FIRST, MASK, FIRST + 1]
    with pytest.raises(ValueError, match="text has 20 tokens; allowed: 1 to 12"):
        task.encode(["t" * 20])
    with pytest.raises(ValueError, match="answer has 3 tokens; the text has 7"):
        task.encode(["the _at"], ["cat"])


BAD = {
    "length": (5000, "data.length is 5000; allowed: 4 to 4096"),
    "masked": ((0.0,), "data.masked is [0.0]; allowed: numbers above 0, up to 1"),
    "augment": (False, "data.augment is False; allowed: true: a window without masks asks nothing"),
    "trained": (1.0, "data.trained is 1.0; allowed: between 0 and 1"),
    "vocabulary": ("abc", "data.vocabulary is 'abc'...; allowed with data.tokens=learned: null"),
    "path": (None, "data.path is None; allowed: a text file, as data.path=FILE"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said(name, file):
    value, message = BAD[name]
    with pytest.raises(ValueError) as error:
        loaded(file, **{name: value}, **({"tokens": "learned"} if name == "vocabulary" else {}))
    assert str(error.value).startswith(message)


def test_a_file_that_is_empty_or_too_short_is_said(tmp_path):
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"a\.txt: the text is empty"):
        loaded(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("too short for both of them")
    with pytest.raises(ValueError, match=r"b\.txt: the part for test has 3 characters; allowed: a window"):
        loaded(tmp_path / "b.txt")


OUT = ("data", "validation_size", "steps", "eval_every", "batch_size", "model.puzzle_emb_len")
SMALL = [word for word in TINY if not word.startswith(OUT)]


@pytest.fixture(scope="module")
def run(file, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "run"
    words = [*SMALL, "data=text", f"data.path={file}", "data.length=16", "data.masked=[0.25,1]", "steps=300"]
    words += [
        "loss.kind=softmax",
        "model.puzzle_emb_ndim=0",
        "validation_size=0",
        "optim.ema=0",
        "batch_size=32",
    ]
    assert command_line("train", train.main, *words, f"dir={place}") == 0
    return place


def test_what_is_shared_tells_no_path_and_keeps_its_characters(file, run, tmp_path):
    """Characters that begin with a slash look like a path."""
    restored = from_run(run)
    restored.run.data["vocabulary"] = "/" + restored.run.data["vocabulary"][1:]
    save(restored, tmp_path / "shared.safetensors", shared=True)
    about = read_tensors(tmp_path / "shared.safetensors").metadata["about"]
    assert str(file.parent) not in about and str(run.parent) not in about
    data = json.loads(about)["data"]
    assert data["vocabulary"] == restored.run.data["vocabulary"] and data["path"] == "text.txt"


def test_a_model_fills_in_what_is_masked(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["accuracy"] > summary["series"]["masked=1"]["accuracy"] > 0.1  # A space is most frequent.


@pytest.mark.parametrize("name", ["run", "spoken"])
def test_an_answer_keeps_what_was_given_and_fills_the_gaps(name, request):
    solver = memhrm.load(request.getfixturevalue(name))
    (answer,) = solver.solve(["the c_t"])
    assert re.fullmatch(r"the c.t", answer, re.DOTALL)
    assert solver.follow("the c_t")[-1].answer == answer
    (unknown,) = solver.solve(["Ü_t"])  # It has no token, and stays as it is.
    assert re.fullmatch(r"Ü.t", unknown, re.DOTALL) and "_" not in unknown


def test_an_answer_ends_when_the_model_is_sure_of_what_is_masked(run, file):
    """Against the first step by hand; of other tokens, which are never trained, nothing is asked."""
    model, data = memhrm.load(run).model, loaded(file, masked=(0.25,))
    episodes = data.held_out()
    batch = tensors(episodes.batch(0), "cpu")
    first = next(rollout(model, batch, model.initial_state(len(episodes)), 1)).output.logits
    masked = batch["inputs"] == MASK
    sure = (first.softmax(dim=-1).amax(dim=-1) * masked).sum(dim=1) / masked.sum(dim=1)
    threshold = float(sure.sort().values[len(sure) // 2 :][:2].mean())  # Between two of them.
    how = EvaluationSettings(steps=2, loss="softmax", threshold=threshold, sure="confidence")
    found = evaluate(model, data.task, episodes, how, Ranks(0, 1, torch.device("cpu")))
    assert found["steps"] == pytest.approx(float(2 - (sure > threshold).float().mean()))


@pytest.mark.parametrize("order", ["confidence", "left"])
def test_prose_is_written_until_no_gap_is_left(run, order):
    solver = memhrm.load(run)
    seen = list(write(solver, "the _at", 30, Manner(steps=4, order=order)))
    text = seen[-1].text
    assert GAP not in text and len(text) == 37 and text.startswith("the ") and text[5:7] == "at"
    first = [one for one in seen if one.begin == 0]
    assert [one.left for one in first] == [7, 4, 2, 0][: len(first)] and len(first) == 4
    gaps = [one.text.count(GAP) for one in seen]
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] == 0
    kept = [one.text for one in seen]
    for before, after in pairwise(kept):  # What is filled in stays.
        assert all(a in (GAP, b) for a, b in zip(before, after))
    again = list(write(solver, "the _at", 30, Manner(steps=4, order=order)))
    assert again == seen
    plain = list(write(solver, "", 5, Manner(steps=1, temperature=0)))
    assert len(plain) == 1 and len(plain[0].text) == 5
    with pytest.raises(ValueError, match="halt_max_steps is 0; allowed"):
        Manner(halt_max_steps=0)
    with pytest.raises(ValueError, match="length is 0; allowed: 1 or above, or a prompt with gaps"):
        list(write(solver, "whole", 0, Manner()))


def test_what_the_training_text_lacks_stays_in_the_prompt_as_it_is(run):
    solver = memhrm.load(run)
    task = solver.task
    assert task.unknown("a Ü_ßat") == ["Ü", "ß"]
    assert task.decode(task.with_gaps("Ü_ßat"), ["Ü", "ß"]) == "Ü_ßat"
    assert task.decode(task.with_gaps("Ü_ßat"), ["Ü"]) == "Ü__at"
    seen = list(write(solver, "the Ü_ß: _at", 30, Manner(steps=4)))
    assert seen[0].text.startswith("the Ü") and seen[0].text.count(GAP) > seen[-1].text.count(GAP) == 0
    assert re.fullmatch(r"the Ü.ß: .at.{30}", seen[-1].text, re.DOTALL)
    parts = Prose(Parts(learn_parts("some text", 300)), length=12)
    assert parts.unknown("Grüße_ 世界") == []  # Any text can be written in parts.


@pytest.fixture(scope="module")
def spoken(file, tmp_path_factory) -> Path:
    """A run whose model says masked tokens one after the other."""
    place = tmp_path_factory.mktemp("runs") / "spoken"
    words = [*SMALL, "data=text", f"data.path={file}", "data.length=16", "data.masked=[0.25,1]", "steps=300"]
    words += ["loss.kind=softmax", "model.puzzle_emb_ndim=0", "validation_size=0", "optim.ema=0"]
    words += ["batch_size=32", "model.decoder_layers=1"]
    assert command_line("train", train.main, *words, f"dir={place}") == 0
    return place


@torch.no_grad()
def test_a_decoder_knows_the_tokens_before_and_no_others(spoken):
    solver = memhrm.load(spoken)
    model, (n, s) = solver.model, (5, 16)
    z = torch.randn(n, s, model.settings.hidden_size, generator=torch.Generator().manual_seed(0))
    known = torch.randint(FIRST, model.shape.vocab_size, (n, s), generator=torch.Generator().manual_seed(1))
    usual = model.logits(z, known)
    for place in range(s):
        other = known.clone()
        other[:, place] = FIRST + (known[:, place] - FIRST + 1) % (model.shape.vocab_size - FIRST)
        changed = (model.logits(z, other) != usual).flatten(2).any(dim=-1)
        assert not changed[:, : place + 1].any() and changed[:, place + 1 :].any(dim=1).all() == (place < 15)


@torch.no_grad()
def test_what_is_said_in_order_is_what_each_token_alone_would_be(spoken):
    """Against the slow way: a whole supervision step for each token, with the answers so far as labels."""
    solver = memhrm.load(spoken)
    model, rng = solver.model, np.random.default_rng(0)
    inputs = rng.integers(FIRST, model.shape.vocab_size, (6, 16)).astype(np.int32)
    inputs[rng.random((6, 16)) < 0.6] = MASK
    said = solver.answer(inputs).tokens
    labels = np.full_like(inputs, IGNORE)
    for place in range(16):
        data = {"inputs": inputs, "labels": labels, "identifiers": np.zeros(6, np.int32)}
        batch = {name: torch.from_numpy(values.copy()) for name, values in data.items()}
        *_, last = rollout(model, batch, model.initial_state(6), solver.halt_max_steps)
        best = last.output.logits[:, place].argmax(dim=-1).numpy()
        masked = inputs[:, place] == MASK
        assert (said[:, place] == np.where(masked, best, inputs[:, place])).all()
        labels[masked, place] = best[masked]


def test_a_decoder_learns_what_follows_what(run, spoken):
    """Where all is masked a word's first letters say the others: in parallel nothing does."""
    at_once, in_turn = (json.loads((one / "summary.json").read_text()) for one in (run, spoken))
    assert in_turn["series"]["masked=1"]["accuracy"] > at_once["series"]["masked=1"]["accuracy"] + 0.2
    seen = list(write(memhrm.load(spoken), "the _at", 30, Manner(steps=4)))
    text = seen[-1].text
    assert GAP not in text and len(text) == 37 and text.startswith("the ")
    assert seen == list(write(memhrm.load(spoken), "the _at", 30, Manner(steps=4)))
    with pytest.raises(ValueError, match="order is 'confidence'; allowed: null or left, as the model has a"):
        list(write(memhrm.load(spoken), "the ", 3, Manner(order="confidence")))


def test_a_decoder_is_refused_where_it_would_be_told_the_answer(capsys):
    assert call("train", "model.decoder_layers=1") == 2
    assert "model.decoder_layers is 1; allowed: 0 with data=sudoku4" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["the ", "", "a, cat's 'mat' , ", "{a: [b, \\"])
def test_the_command_writes_behind_the_prompt_as_it_is(prompt, run, tmp_path, capsys):
    out = tmp_path / "text.txt"
    words = [f"run={run}", f"prompt={prompt}", "length=20", "steps=3", f"out={out}", "threads=1"]
    assert call("write", *words) == 0
    assert len(out.read_text()) == len(prompt) + 20 and out.read_text().startswith(prompt)
    assert "left of this window" in capsys.readouterr().err
