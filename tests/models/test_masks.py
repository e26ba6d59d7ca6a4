"""Padding: what stands there changes nothing that is there, and one label per example."""

import sys
from types import SimpleNamespace

import pytest
import torch

from conftest import SHAPE, model_settings
from memhrm.memory import registry
from memhrm.memory.cross_attention import Write
from memhrm.memory.query import Query
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import PuzzleShape
from memhrm.nn import attention as attend
from memhrm.nn.blocks import MLPMixer
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings

CELLS = {"name": "multicell", "module": "memhrm.memory.multicell.MultiCell", "tokens": 3, "cells": 4, "k": 2}
ADD = {**CELLS, "name": "aggregate", "module": "memhrm.memory.aggregate.Aggregate", "aggregation": "add"}
MEMORIES = {
    "none": {"name": "none", "module": "memhrm.memory.none.NoMemory"},
    "bicross": {"name": "bicross", "module": "memhrm.memory.bicross.BiCross", "tokens": 3},
    "multicell": CELLS,
    "first": {**CELLS, "pooling": "first", "placement": "replace"},
    "lowest_loss": {**CELLS, "selector": "lowest_loss"},
    "add": ADD,
    "concat": {**ADD, "aggregation": "concat"},
    "carry_add": {"name": "carry_add", "module": "memhrm.memory.carry_add.CarryAdd"},
    "tokens": {"name": "tokens", "module": "memhrm.memory.tokens.Tokens", "tokens": 3},
}
MODELS = {
    "attention": {},
    "no_prefix": {"puzzle_emb_ndim": 0, "puzzle_emb_len": 0},
    "mlp": {"mixer": "mlp", "positions": "none"},
}
CASES = [
    (model, memory)
    for model in ("attention", "mlp")
    for memory in MEMORIES
    if (model, memory) != ("mlp", "tokens")
]
CASES += [("no_prefix", "none"), ("no_prefix", "first")]

MASK = torch.ones(4, SHAPE.num_tokens, dtype=torch.bool)
MASK[0, 10:], MASK[1, :5], MASK[2, ::3] = False, False, False


def learner_of(model: str, memory: str, num_labels: int = 0) -> Learner:
    torch.manual_seed(0)
    shape = PuzzleShape(vocab_size=6, num_tokens=16, num_identifiers=3, num_labels=num_labels)
    reasoner = Reasoner(model_settings(**MODELS[model]), shape, registry.parse(MEMORIES[memory]))
    torch.nn.init.normal_(reasoner.q_head.weight, std=0.1)
    return Learner.build(
        reasoner,
        halting=Halting.of(rule="sigmoid", halt_max_steps=3, halt_exploration_prob=0.0),
        loss=LossSettings.parse({"self_sup": 0.1} if memory in ("multicell", "first", "lowest_loss") else {}),
        optim=OptimSettings.of(name="adamw", lr=1e-3, warmup=0),
        total_steps=10,
        local_batch_size=4,
    )


def found(learner: Learner, data: dict, trains: bool) -> dict[str, torch.Tensor]:
    """All that two steps say of what is there; in training, two of `train_step`, and the weights after."""
    model, seen = learner.model, {}
    if trains:
        for number in range(2):
            stepped = train_step(learner, [data], [torch.zeros(4)])
            done = stepped.observed[0].supervised
            seen |= {f"{number} {name}": loss for name, loss in done.losses.items()}
        seen |= dict(model.named_parameters())
    else:
        model.eval()
        with torch.no_grad():
            rows = model.puzzle_rows(data["identifiers"])
            state, _ = model(model.initial_state(4), data["inputs"], rows, mask=MASK)
            done = SimpleNamespace(state=state, out=None)
            done.state, done.out = model(state, data["inputs"], rows, mask=MASK)
    out = done.out
    logits = out.logits if model.shape.num_labels else out.logits[MASK]
    seen |= {"logits": logits, "q_halt": out.q_halt, **done.state.memory}
    for trace in out.traces:
        seen |= {f"trace {name}": value for name, value in trace.items()}
    return {name: value.detach().clone() for name, value in seen.items()}


def differs(model: str, memory: str, batch, trains: bool, num_labels: int = 0) -> list[str]:
    """What changes when the tokens at padded positions do."""
    data = batch() | {"mask": MASK}
    data["labels"] = data["labels"][:, :1] if num_labels else torch.where(MASK, data["labels"], -100)
    other = data | {"inputs": torch.where(MASK, data["inputs"], (data["inputs"] + 1) % SHAPE.vocab_size)}
    one, two = (found(learner_of(model, memory, num_labels), given, trains) for given in (data, other))
    return [name for name in one if not torch.equal(one[name], two[name])]


@pytest.mark.parametrize("trains", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("model", "memory"), CASES)
def test_nothing_sees_padding(model, memory, trains, batch):
    assert differs(model, memory, batch, trains) == []


@pytest.mark.parametrize("trains", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("model", MODELS)
def test_the_label_of_an_example_does_not_see_padding(model, trains, batch):
    assert differs(model, "none", batch, trains, num_labels=4) == []


def without(monkeypatch, owner, name: str) -> None:
    """Have a function be called without its last argument, the mask."""
    method = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: method(*args[:-1], None))


MASKED = {
    "attention": (attend.SelfAttention, "forward", "attention", "none", 0),
    "mixer": (MLPMixer, "forward", "mlp", "none", 0),
    "write": (Write, "forward", "attention", "bicross", 0),
    "mean": (sys.modules[Query.__module__], "masked_mean", "attention", "multicell", 0),
    "first": (sys.modules[Query.__module__], "first", "no_prefix", "first", 0),
    "q": (Reasoner, "q_values", "no_prefix", "none", 0),
    "label": (Reasoner, "logits", "attention", "none", 4),
}


@pytest.mark.parametrize("trains", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("place", MASKED)
def test_each_mask_is_needed(place, trains, batch, monkeypatch):
    owner, name, model, memory, num_labels = MASKED[place]
    without(monkeypatch, owner, name)
    assert differs(model, memory, batch, trains, num_labels)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_mask_of_everything_is_no_mask(memory, batch):
    learner, data = learner_of("attention", memory), batch()
    model, rows = learner.model, learner.model.puzzle_rows(data["identifiers"])
    (_, one), (_, two) = (
        model(model.initial_state(4), data["inputs"], rows, mask=mask)
        for mask in (None, torch.ones_like(data["inputs"], dtype=torch.bool))
    )
    torch.testing.assert_close(one.logits, two.logits)
    torch.testing.assert_close(one.q_halt, two.q_halt)


def test_carry_add_keeps_what_it_knows_of_positions_that_are_padding(batch):
    model, data = learner_of("attention", "carry_add").model, batch()
    start = model.initial_state(4)
    start = start._replace(memory={"z_H": torch.randn(4, 18, 16)})
    state, _ = model(start, data["inputs"], model.puzzle_rows(data["identifiers"]), mask=MASK)
    kept = (state.memory["z_H"] == start.memory["z_H"]).all(dim=-1)
    assert torch.equal(kept, ~model.present(MASK))


@pytest.mark.parametrize("grad", [True, False])
def test_attention_is_its_formula_over_the_keys_that_are_there(grad):
    q, k, v = (x.requires_grad_(grad) for x in torch.randn(3, 4, 16, 2, 8).unbind(0))
    expected = torch.zeros(4, 16, 2, 8)
    for row in range(4):
        there = MASK[row]
        scores = torch.einsum("snc,tnc->nst", q[row], k[row, there]) / 8**0.5
        expected[row] = torch.einsum("nst,tnc->snc", scores.softmax(-1), v[row, there])
    torch.testing.assert_close(attend.sdpa(q, k, v, MASK), expected)
    assert attend.sdpa(q, k, v, torch.zeros_like(MASK)).isfinite().all()  # A row that fills up a batch.


def test_xformers_is_given_the_mask_as_a_bias(monkeypatch):
    """By a stand-in with the published formula; its kernels want strides that are multiples of 8."""

    def stand_in(q, k, v, attn_bias=None):
        scores = torch.einsum("bsnc,btnc->bnst", q, k) / q.shape[-1] ** 0.5
        if attn_bias is not None:
            assert attn_bias.shape == scores.shape and all(s % 8 == 0 for s in attn_bias.stride()[:3])
            scores = scores + attn_bias
        return torch.einsum("bnst,btnc->bsnc", scores.softmax(-1), v)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "xformers", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "xformers.ops", SimpleNamespace(memory_efficient_attention=stand_in))
    given = attend.xformers_backend()
    q, k, v = torch.randn(3, 4, 13, 2, 8).unbind(0)
    for mask in (None, MASK[:, :13]):
        torch.testing.assert_close(given(q, k, v, mask), attend.sdpa(q, k, v, mask))


def test_the_label_of_an_example_is_learned(batch):
    """It is graded, it halts, and its loss falls, as that of a token's."""
    learner, data = learner_of("attention", "multicell", num_labels=4), batch() | {"mask": MASK}
    data["labels"] = torch.tensor([[1], [4], [2], [3]])
    losses = []
    for _ in range(8):
        seen = train_step(learner, [data], [torch.zeros(4)]).observed[0]
        losses.append(float(seen.supervised.losses["lm"].detach()))
        assert seen.supervised.out.logits.shape == (4, 1, 5)
        assert seen.supervised.graded.exact.shape == (4,)
    assert losses[-1] < losses[0]
    assert set(learner.carry.data) == {"inputs", "labels", "identifiers", "mask"}
