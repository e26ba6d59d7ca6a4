"""Other H-cycles than in training: on questions alone, and as if the model had been built so."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from memhrm.config.command import compose
from memhrm.data.sampler import IGNORE
from memhrm.evaluate import main
from memhrm.evaluation.answers import EvaluationSettings, tensors, walk
from memhrm.evaluation.evaluate import evaluate
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.runs import build as parts
from memhrm.runs.batches import Batches
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.step import train_step
from tiny import TINY, train

CPU = Ranks(0, 1, torch.device("cpu"))
SMALL = ("data=hops", "data.test_size=40", "data.test_episodes=8", "data.questions=2", "data.early=true")


@pytest.mark.parametrize("memory", ["none", "bicross", "multicell"])
def test_a_question_is_answered_as_by_a_model_with_these_cycles(memory):
    run = parse(compose("train", [*TINY, f"+memory={memory}", "model.H_cycles=2"]))
    data = parts.make_dataset(run)
    model = parts.make_model(run, data).eval()
    deep = parse(compose("train", [*TINY, f"+memory={memory}", "model.H_cycles=5"]))
    other = Reasoner(deep.model, model.shape, deep.memory).eval()
    other.load_state_dict(model.state_dict())
    episodes = data.held_out()
    how = EvaluationSettings(steps=2, batch_size=8)
    found = evaluate(model, data.task, episodes, replace(how, H_cycles=5), CPU)
    assert found == evaluate(other, data.task, episodes, how, CPU)
    assert found["lm_loss"] != evaluate(model, data.task, episodes, how, CPU)["lm_loss"]


def test_what_is_told_takes_the_cycles_of_training():
    run = parse(compose("train", [*TINY, *SMALL, "+memory=bicross", "memory.write_in_evaluation=true"]))
    data = parts.make_dataset(run)
    model, episodes = parts.make_model(run, data), data.held_out()
    plain, deep = (
        list(walk(model, episodes, EvaluationSettings(steps=1, H_cycles=cycles))) for cycles in (None, 4)
    )
    assert torch.equal(plain[0].memory["m"], deep[0].memory["m"])  # After the first fact.
    assert not torch.equal(plain[0].answers.state.z_H, deep[0].answers.state.z_H)
    told = tensors(episodes.batch(2, feedback=True), "cpu")  # The second, after one question.
    state = model.initial_state(8)._replace(memory=deep[0].answers.state.memory)
    with torch.no_grad():
        after, _ = model(state, told["inputs"], model.puzzle_rows(told["identifiers"]), mask=told["mask"])
    assert torch.equal(after.memory["m"], deep[1].memory["m"])


def test_the_command_says_how_deep_it_looked(tmp_path):
    assert train(tmp_path / "run", *SMALL, "+memory=bicross", "steps=1", "validation_size=2") == 0
    found = {}
    for cycles in ("null", "3"):
        out = tmp_path / f"{cycles}.json"
        main(compose("evaluate", [f"run={tmp_path / 'run'}", f"H_cycles={cycles}", f"out={out}"]))
        found[cycles] = json.loads(out.read_text())
    assert [one["settings"]["H_cycles"] for one in found.values()] == [1, 3]
    assert not np.isclose(found["null"]["lm_loss"], found["3"]["lm_loss"], rtol=1e-9)


@pytest.mark.parametrize(
    ("window", "starts"),
    [("last_cycle", {1: 0, 2: 1, 4: 3}), ("{cycles: 3}", {1: 0, 2: 0, 4: 1}), ("whole", {1: 0, 2: 0, 4: 0})],
)
def test_other_cycles_have_the_window_of_a_model_built_so(window, starts):
    run = parse(compose("train", [*TINY, "model.H_cycles=4", f"model.gradient_window={window}"]))
    model = parts.make_model(run, parts.make_dataset(run))
    for cycles, start in starts.items():
        recursion = model._recursion(Guide(H_cycles=cycles))
        assert (recursion.H_cycles, recursion.gradient_from) == (cycles, (start, 0))
    assert model._recursion(Guide()) is model.recursion


def test_a_stage_gives_questions_its_cycles_and_what_is_told_its_own(monkeypatch):
    words = ("data.hops=[1,2]", "data.cycles=[1,3]", "model.H_cycles=3", "model.told_cycles=2", "steps=2")
    run = parse(compose("train", [*TINY, *SMALL, *words, "halting.halt_max_steps=1", "batch_size=4"]))
    data = parts.make_dataset(run)
    model = parts.make_model(run, data)
    learner = parts.make_learner(run, model, CPU)
    batches = Batches(run, data, CPU, 0)
    for stage, cycles in enumerate((1, 3)):
        stepped = train_step(learner, *batches.take(stage))
        told = [bool((seen.carry.data["labels"] == IGNORE).all()) for seen in stepped.observed]
        found = [len(seen.supervised.out.traces) for seen in stepped.observed]
        assert found == [2 if one else cycles for one in told] and set(told) == {True, False}
    counts = []
    heard = Reasoner.forward

    def forward(self, *args):
        counts.append((args[3].told, self._recursion(args[3]).H_cycles))
        return heard(self, *args)

    monkeypatch.setattr(Reasoner, "forward", forward)
    list(walk(model, data.held_out(), EvaluationSettings(steps=1)))
    assert set(counts) == {(True, 2), (False, 3)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data.cycles=[1]", r"data.cycles is \[1\]; allowed: null, or a number from 1 for each of data.hops"),
        ("data.cycles=[1,1,1,0]", r"data.cycles is \[1, 1, 1, 0\]; allowed: null, or a number from 1"),
        ("data.cycles=[1,1,1,2]", r"data.cycles is \[1, 1, 1, 2\]; allowed: numbers up to model.H_cycles=1"),
        ("model.told_cycles=2", "model.told_cycles is 2; allowed: null, or 1 to model.H_cycles=1"),
    ],
)
def test_cycles_out_of_range_are_named(words, message):
    with pytest.raises(ValueError, match=message):
        parse(compose("train", [*TINY, *SMALL, words]))
