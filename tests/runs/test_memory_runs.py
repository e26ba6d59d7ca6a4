"""What holds for every run holds with every memory: resuming, several processes, compiling, bfloat16,
checkpointed activations."""

import signal

import numpy as np
import pytest
import torch

from experiments.kill import differences
from memhrm.config.command import compose
from memhrm.cost.benchmark import Subject
from memhrm.runs.directory import RunDirectory
from tiny import TINY, at_step, send, train
from two_ranks import losses, on_two_ranks

CELLS = ("+memory=multicell", "memory.cells=4", "memory.tokens=2")
MEMORIES = {
    "bicross": ("+memory=bicross",),
    "replace": (*CELLS, "memory.placement=replace"),
    "hrm": (*CELLS, "model=hrm", "memory.state_norm=none"),
    "losses": (*CELLS, "loss.balance=0.1", "loss.diverse=0.1", "loss.information=0.1", "loss.self_sup=0.1"),
    "policy": (*CELLS, "memory.selector=policy", "memory.shared_cell=true", "memory.self_attention=true"),
    "random": (*CELLS, "memory.selector=random", "memory.gate=all"),
    "lowest_loss": (*CELLS, "memory.selector=lowest_loss", "memory.decay=0.1"),
    "global": (*CELLS, "memory.lifetime=global"),
    "horizon": (*CELLS, "memory.horizon=2", "model.gradient_window=one_step"),
    "add": ("+memory=aggregate", "memory.cells=4", "memory.positions=both"),
    "concat": (
        "+memory=aggregate",
        "memory.cells=4",
        "memory.aggregation=concat",
        "memory.selector=all",
        "k=4",
    ),
    "learned": (
        *("+memory=multicell", "memory.cells=4", "k=1", "data=contexts", "data.contexts=[2]"),
        *("data.test_contexts=2", "data.curve=[]", "data.test_episodes=6", "validation_size=2"),
    ),
    "carry_add": ("+memory=carry_add",),
    "tokens": ("+memory=tokens",),
}
ALL = [
    pytest.param(name, marks=() if name in ("bicross", "policy", "learned") else pytest.mark.thorough)
    for name in MEMORIES
]
"""All memories as parameters of a test, of which three are tried always."""
ROUNDING = {"learned": 1e-4}
"""How far two processes may be from one, relatively, where gradients are large and round more; else 3e-5."""
SHORT = ("model.H_cycles=2", "log_every=1", "steps=6", "eval_every=3", "optim=adamw", "optim.eps=1e-3")


def overrides(name: str) -> tuple[str, ...]:
    """Return the overrides; the memory comes first, so that what it sets for the model can be overridden."""
    return (*MEMORIES[name], *SHORT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a function that trains the undisturbed run with a memory once, and returns its directory."""
    folder = tmp_path_factory.mktemp("whole")

    def make(name: str):
        path = folder / name
        assert path.exists() or train(path, *overrides(name)) == 0
        return path

    return make


@pytest.mark.parametrize("name", ALL)
def test_a_resumed_run_equals_one_that_nothing_disturbed(name, whole, tmp_path, monkeypatch):
    at_step(monkeypatch, 4, send(signal.SIGTERM))
    path = tmp_path / "run"
    assert train(path, *overrides(name)) == 128 + signal.SIGTERM
    assert train(path, *overrides(name)) == 0
    assert differences(whole(name), path) == []


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    jobs = {name: (train, (folder / f"run_{name}", *overrides(name))) for name in MEMORIES}
    return folder, on_two_ranks(folder, jobs)


@pytest.mark.thorough
@pytest.mark.parametrize("name", MEMORIES)
def test_two_processes_have_the_numbers_of_one(name, whole, two):
    folder, said = two
    assert [text.splitlines()[-1] for text in said[name]] == ["0", "0"], said[name]
    torch.testing.assert_close(
        losses(folder / f"run_{name}"), losses(whole(name)), rtol=ROUNDING.get(name, 3e-5), atol=1e-6
    )
    one, both = (RunDirectory(path).summary() for path in (whole(name), folder / f"run_{name}"))
    assert one is not None and both is not None
    assert both["lm_loss"] == pytest.approx(one["lm_loss"], rel=1e-5)
    if "cells" in one:
        np.testing.assert_allclose(both["cells"]["usage"], one["cells"]["usage"], atol=1e-6)


def subject(name: str, *changes: str) -> Subject:
    """Return a learner whose weights learn from the first step on."""
    torch.manual_seed(0)
    made = Subject(compose("train", [*TINY, *overrides(name), "dir=none", "optim.warmup=0", *changes]))
    torch.nn.init.normal_(made.model.q_head.weight, std=0.1)
    return made


def stepped(made: Subject, steps: int = 2) -> dict[str, torch.Tensor]:
    for _ in range(steps):
        made.train_step()
    assert made.learner.carry is not None
    memory = {f"carry/{key}": value for key, value in made.learner.carry.state.memory.items()}
    return {**made.model.state_dict(), **memory}


@pytest.mark.thorough  # tests/training compiles a step without memory always.
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # Read by the tracer.
@pytest.mark.parametrize("name", ["policy", "bicross", "horizon", "learned"])
def test_the_step_compiles_without_graph_breaks_to_the_same_numbers(name):
    torch._dynamo.reset()
    plain, compiled = subject(name), subject(name)
    compiled.learner.supervise.compile(fullgraph=True, dynamic=False, backend="aot_eager")
    torch.testing.assert_close(stepped(compiled), stepped(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_checkpointed_activations_change_nothing(name, precision):
    ends = [
        stepped(subject(name, f"model.checkpoint_activations={flag}", f"precision={precision}"))
        for flag in ("false", "true")
    ]
    assert [key for key in ends[0] if not torch.equal(ends[0][key], ends[1][key])] == []


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_is_near_float32_and_weights_and_memory_stay_float32(name):
    first, second = (subject(name, f"precision={kind}") for kind in ("float32", "bfloat16"))
    plain, coarse = stepped(first, 1), stepped(second, 1)
    assert {value.dtype for value in coarse.values() if value.is_floating_point()} == {torch.float32}
    assert second.learner.carry is not None and second.learner.carry.state.z_H.dtype == torch.bfloat16
    for key in plain:
        if key.startswith("carry/") and key != "carry/usage":  # In a near tie another cell may be selected.
            like = torch.cosine_similarity(plain[key].flatten(1), coarse[key].flatten(1), dim=1)
            assert (like > 0.97).float().mean() >= 0.5, key
