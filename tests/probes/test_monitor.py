"""probe=light: training logs what its cells do, and is the same run with and without."""

import json

import pytest
import torch

from memhrm.config.command import compose
from memhrm.probes.subject import subject_of
from memhrm.runs import build as parts
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import parse
from tiny import TINY, train

EPISODES = """
    data=recall data.test_size=20 data.lengths=[2,3] data.test_length=4 data.test_episodes=20
    halting.halt_max_steps=1 validation_size=10
""".split()  # noqa: SIM905 (written as on a command line)


@pytest.mark.parametrize("data", [[], EPISODES], ids=["puzzles", "episodes"])
def test_a_run_that_is_looked_at_is_the_same_run(tmp_path, data):
    memory = ["+memory=multicell", "k=3", "model.gradient_window=last_cycle", "memory.horizon=2", *data]
    assert train(tmp_path / "plain", *memory) == 0
    assert train(tmp_path / "seen", *memory, "probe=light", "probe_every=4") == 0
    plain, seen = (RunDirectory(tmp_path / name) for name in ("plain", "seen"))
    looks = [line for line in seen.metrics() if any(name.startswith("probe/") for name in line)]
    assert [line["step"] for line in looks] == [4, 8]
    assert {"probe/usage_entropy", "probe/null_corrected_information", "probe/cosine_cls"} <= set(looks[0])
    assert ("probe/exact_accuracy_unwritten" in looks[0]) == (not data)  # Episodes have one H-step here.
    before, after = ({k: v for k, v in run.summary().items() if k != "seconds"} for run in (plain, seen))  # pyright: ignore
    assert json.dumps(before) == json.dumps(after)


def test_an_episode_is_remembered_as_in_evaluation_in_the_middle_of_training():
    words = "+memory=multicell", "k=1", "data=contexts", "data.contexts=[2]", "data.test_contexts=2"
    few = "data.curve=[]", "data.test_episodes=4", "data.test_size=20", "memory.fresh=[0.0,1.0]"
    run = parse(compose("train", [*TINY, *words, *few]))
    data = parts.make_dataset(run)
    model = parts.make_model(run, data)
    model.H_module.schedule(0, 10)  # In evaluation the last number of memory.fresh counts.
    seen = []
    for training in (True, False):
        model.train(training)
        seen.append(subject_of(model, run, data, data.held_out(), name="model").memory)
        assert model.training == training
    training, evaluation = seen
    assert all(torch.equal(training[name], m) for name, m in evaluation.items())


def test_a_run_without_cells_is_looked_at_as_far_as_there_is_something(tmp_path):
    assert train(tmp_path / "run", "probe=light", "probe_every=8") == 0
    look = RunDirectory(tmp_path / "run").metrics()[-2]
    assert set(look) == {"step", "probe/exact_accuracy", "probe/accuracy"}


def test_bad_settings_are_named(tmp_path, capsys):
    assert train(tmp_path / "run", "probe=heavy") == 2
    assert "probe is 'heavy'; allowed: none, light" in capsys.readouterr().err
