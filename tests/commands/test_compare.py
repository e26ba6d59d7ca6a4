"""Runs side by side, usage in words, and controls of equal size."""

import numpy as np
import pytest
import torch

from memhrm.config.command import compose
from memhrm.cost.benchmark import Measured, Subject
from memhrm.cost.matching import cost, match
from memhrm.memory.usage import describe, words
from memhrm.models.reasoner import count_parameters
from memhrm.nn.attention import SHORT, sdpa
from tiny import TINY, call, train, variations


def said_by(capsys, *words: str) -> tuple[int, str, str]:
    code = call(*words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_runs_stand_side_by_side_with_their_usage(tmp_path, capsys):
    one, two = tmp_path / "plain", tmp_path / "cells"
    assert train(one, "steps=2") == 0
    assert train(two, "+memory=multicell", "model.H_cycles=2", "steps=2") == 0
    capsys.readouterr()
    code, out, _ = said_by(capsys, "compare", str(one), str(two))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["plain", "cells"]
    assert any(line.startswith("token accuracy") for line in lines)
    assert not any("cell accuracy" in line for line in lines)
    parameters = next(line for line in lines if line.startswith("parameters")).split()
    assert int(parameters[1].replace(",", "")) < int(parameters[2].replace(",", ""))
    assert any("2 of 8 cells are active at each H-step" in line for line in lines)
    (two / "summary.json").unlink()
    code, _, err = said_by(capsys, "compare", str(one), str(two))
    assert code == 2 and f"{two} is not finished" in err
    code, _, err = said_by(capsys, "compare", str(tmp_path))
    assert code == 2 and "holds no run" in err


def test_usage_of_planted_selections():
    """Of 4 cells, half of the examples always select 0 and 1, the others always 0 and 2."""
    found = describe([1.0, 0.5, 0.5, 0.0], mean_own_entropy=np.log(2))
    assert found["usage_entropy"] == pytest.approx(1.5 * np.log(2))  # 1/2, 1/4, 1/4
    assert found["usage_information"] == pytest.approx(0.5 * np.log(2))
    assert found["dead_cells"] == 1
    assert found["diverse"] == pytest.approx(-np.var([1, 0.5, 0.5, 0]))
    assert found["balance"] == pytest.approx(np.var([1, 0.5, 0.5, 0]) / 0.25)
    first, spread, told = words(found)
    most = "most used: cell 0 (100%), cell 1 (50%), cell 2 (50%)"
    assert first == f"2 of 4 cells are active at each H-step; {most}; 1 of 4 cells is never selected"
    assert spread == "usage is uneven: its entropy is 75% of the maximum"
    assert told.startswith("usage information is 0.35 of at most 1.04 nats: ")
    assert words(describe([1.0, 1.0], 0.0)) == ["all 2 cells are active at every H-step"]
    older = {"information" if name == "usage_information" else name: x for name, x in found.items()}
    assert words(older) == words(found)
    one, *_, nothing = words(describe([0.25] * 4, np.log(4) + 1e-9))
    assert one.startswith("1 of 4 cells is active") and one.endswith("no cell is dead")
    assert nothing.startswith("usage information is 0.00 of")  # Not -0.00.


SMALL = [*TINY, "model.H_cycles=2", "model.expansion=4.0"]


ORACLE = ("data=contexts", "data.contexts=[2]", "memory.selector=oracle", "k=1")


@pytest.mark.parametrize("words", [(), ORACLE])
def test_the_cost_counted_is_that_of_the_real_model(words):
    config = compose("train", ["+memory=multicell", *SMALL, *words])
    subject = Subject(config)
    assert cost(config).parameters == count_parameters(subject.model)
    assert cost(config).flops == subject.flops(subject.evaluation_step)
    assert subject.model.training  # As it was.


def test_the_products_of_attention_to_many_keys_are_counted_in_both_directions():
    """Two forward; five backward, one of which computes the probabilities again, as they are not kept."""
    subject = Subject(compose("train", SMALL))
    q, k, v = torch.randn(3, 2, SHORT + 1, 2, 4, requires_grad=True).unbind()

    def step() -> None:
        sdpa(q, k, v).sum().backward()

    product = 2 * 2 * 2 * (SHORT + 1) ** 2 * 4
    assert subject.flops(step) * subject.run.batch_size == 7 * product


@pytest.mark.parametrize("what", variations(["flops", "parameters"], 2))
def test_the_width_that_matches_is_the_nearest_of_all(what):
    target = compose("train", ["+memory=multicell", *SMALL, "model.hidden_size=32"])
    control = compose("train", ["+memory=carry_add", *SMALL])
    wanted = getattr(cost(target), what)
    width, found = match(control, target, what)

    def distance(candidate: int) -> int:
        config = {**control, "model": {**control["model"], "hidden_size": candidate}}
        return abs(getattr(cost(config), what) - wanted)

    assert abs(getattr(found, what) - wanted) == distance(width)
    assert distance(width) == min(distance(candidate) for candidate in range(4, 100, 4))


@pytest.mark.parametrize(
    ("words", "unit", "least"),
    [
        (("+memory=carry_add", "model.puzzle_emb_ndim=64"), 4, 64),
        (("+memory=bicross", "memory.num_heads=3", "model.hidden_size=48"), 12, 12),
    ],
)
def test_the_widths_that_are_tried_fit_what_else_is_given(words, unit, least):
    target = compose("train", ["+memory=carry_add", *SMALL, "model.hidden_size=96"])
    width, found = match(compose("train", [*SMALL, *words]), target, "parameters")
    assert width % unit == 0 and width >= least
    assert found.parameters == pytest.approx(cost(target).parameters, rel=0.3)


def test_what_is_measured_has_a_unit_of_its_own():
    """A row takes 4 supervision steps in an optimiser step, a question 8: the same rate of steps."""
    figures = dict(
        Measured(
            name="x", parameters=1, train_flops=12e9, evaluation_flops=1e9, train_seconds=[0.4],
            evaluation_seconds=[0.1], matmul_rates=[1e12], peak_bytes=0, batch_size=10, horizon=4,
            halt_max_steps=8,
        ).rows()
    )  # fmt: skip
    assert figures["training"] == "100.0 supervision steps of a row/s"
    assert figures["  per step of a row"] == "3.000 GFLOP"
    assert figures["evaluation"] == "12.5 questions/s"
    assert figures["  per question"] == "8.000 GFLOP"


def test_the_command_that_matches(capsys):
    words = "+memory=carry_add", "target=+memory=multicell", "match=flops"
    code, out, _ = said_by(capsys, "bench", *words)
    assert code == 0 and "matches the target's flops" in out
