"""memory.write_when=told: a question leaves the memory as it is; in training, evaluation and a solver."""

from itertools import pairwise

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import memhrm
from memhrm.config.command import compose
from memhrm.data import load
from memhrm.data.sampler import IGNORE
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.models.reasoner import Guide
from memhrm.runs import build as parts
from memhrm.runs.batches import Batches
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.step import train_step
from tiny import TINY, train

ALONE = Ranks(0, 1, torch.device("cpu"))
RECALL = (
    "data=recall",
    "data.lengths=[3]",
    "data.test_length=3",
    "data.test_episodes=6",
    "halting.halt_max_steps=2",
)
CONTEXTS = ("data=contexts", "model.puzzle_emb_ndim=0", "model.H_cycles=2", "k=1")
HOPS = ("data=hops", "data.test_episodes=6", "data.test_size=40", "data.questions=2", "data.early=true")


def made(memory: str, *overrides: str, written: str = "told"):
    words = ["memory.gate=all"] if memory in ("multicell", "aggregate") else []
    run = parse(
        compose("train", [*TINY, *overrides, f"+memory={memory}", *words, f"memory.write_when={written}"])
    )
    data = parts.make_dataset(run)
    return run, data, parts.make_model(run, data)


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("memory", ["bicross", "multicell", "aggregate", "carry_add"])
def test_only_a_step_that_tells_something_writes(memory):
    _, data, model = made(memory, *RECALL)
    inputs, start = torch.from_numpy(data.test.inputs[:4]).int(), model.initial_state(4)
    rows = model.puzzle_rows(torch.zeros(4))
    free = made(memory, *RECALL, written="always")[2]
    free.load_state_dict(model.state_dict())
    with torch.no_grad():
        told, answer = model.eval()(start, inputs, rows, Guide(told=True))
        always, wanted = free.eval()(start, inputs, rows)
        asked, same_answer = model(start, inputs, rows)
        frozen, _ = model(start, inputs, rows, Guide(told=True, write=False))
    assert same(told.memory, always.memory) and torch.equal(answer.logits, wanted.logits)
    assert same(asked.memory, start.memory) and same(frozen.memory, start.memory)
    assert torch.equal(same_answer.logits, wanted.logits)  # With one H-cycle nothing is read after the write.
    assert memory == "carry_add" or not same(told.memory, start.memory)


@pytest.mark.parametrize("memory", ["bicross", "multicell", "aggregate"])
def test_a_write_that_is_not_kept_is_not_computed(memory):
    _, data, model = made(memory, *RECALL)
    inputs, start = torch.from_numpy(data.test.inputs[:4]).int(), model.initial_state(4)
    write = model.H_module.get_submodule("exchange.write")
    called = []
    write.register_forward_hook(lambda *_: called.append(True))

    def cost(told: bool) -> int:
        called.clear()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.eval()(start, inputs, model.puzzle_rows(torch.zeros(4)), Guide(told=told))
        return counter.get_total_flops()

    told = cost(told=True)
    assert called
    asked = cost(told=False)
    assert not called and asked < told


@pytest.mark.parametrize("written", ["told", "always"])
def test_a_question_that_writes_nothing_notes_what_it_asked(written):
    _, _, model = made("multicell", *CONTEXTS, written=written)
    inputs = torch.arange(60).view(4, -1)[:, : model.shape.num_tokens] % (model.shape.vocab_size - 1) + 1
    start, asks = model.initial_state(4), torch.ones(4, dtype=torch.bool)
    with torch.no_grad():
        state, answer = model.eval()(start, inputs, None, Guide(write=False))
        told, _ = model(state, inputs.flip(1), None, Guide(told=True, feedback=asks, continues=asks))
    notes = {name for name in start.memory if not torch.equal(state.memory[name], start.memory[name])}
    assert notes == {"asked_scores", "asked_merit", *(["asked_keys"] if written == "told" else [])}
    first, second = (trace["indices"] for trace in answer.traces)
    assert torch.equal(first, second)
    cells, rows = told.memory["cells"], torch.arange(4)
    changed = (cells[:, :, 1:] != start.memory["cells"][:, :, 1:]).flatten(2).any(dim=2)
    assert torch.equal(changed, torch.zeros_like(changed).scatter(1, first, True))
    wanted = (state if written == "told" else start).memory
    cls = wanted["asked_keys"][:, 0] if written == "told" else wanted["cells"][rows, first[:, 0], 0]
    assert torch.equal(cells[rows, first[:, 0], 0], cls)


@pytest.mark.parametrize("data", [RECALL, HOPS], ids=["recall", "hops"])
def test_training_writes_what_is_told(data):
    run, dataset, model = made("bicross", *data, "optim.weight_decay=0")
    write = model.H_module.get_parameter("exchange.write.out.weight")
    before = write.detach().clone()
    learner = parts.make_learner(run, model, ALONE)
    taken = Batches(run, dataset, ALONE, 0).take(0)
    for seen, batch in zip(train_step(learner, *taken).observed, taken[0]):
        told = bool((batch["labels"] == IGNORE).all())
        assert same(seen.carry.state.memory, seen.supervised.state.memory) == (not told)
    assert not torch.equal(write, before)  # It has a gradient.


@pytest.mark.parametrize("data", [RECALL, HOPS], ids=["recall", "hops"])
def test_evaluation_writes_what_is_told(data):
    _, dataset, model = made("bicross", *data)
    episodes = dataset.held_out()
    moments = list(walk(model, episodes, EvaluationSettings(steps=2)))
    assert all(same(moment.memory, moment.answers.state.memory) for moment in moments)
    told = [any(episodes.course.told[a.at : b.at]) for a, b in pairwise(moments)]
    assert [not same(a.memory, b.memory) for a, b in pairwise(moments)] == told and any(told)


@pytest.mark.parametrize("lifetime", ["episode", "global"])
def test_a_solver_writes_what_it_is_shown(lifetime, tmp_path):
    words = "+memory=bicross", "memory.write_when=told", f"memory.lifetime={lifetime}"
    assert train(tmp_path / "run", *RECALL, *words, "steps=1", "validation_size=1") == 0
    solver = memhrm.load(tmp_path / "run")
    episodes = load(**parse(compose("train", [*TINY, *RECALL])).data).held_out()
    moments = list(walk(solver.model, episodes, EvaluationSettings(steps=2)))
    questions, answers = (
        [solver.task.decode(row) for row in part[0]] for part in (episodes.inputs, episodes.labels)
    )
    assert not same(moments[0].memory, moments[1].memory)
    for known, moment in enumerate(moments):
        examples = list(zip(questions, answers))[:known]
        wanted = solver.task.decode(moment.answers.tokens[0].numpy())
        assert solver.solve([questions[known]], examples=examples) == [wanted]


def test_where_nothing_is_told_nothing_would_be_written():
    with pytest.raises(
        ValueError, match=r"memory\.write_when is 'told'; allowed: always, with data that have no"
    ):
        parse(compose("train", [*TINY, "+memory=bicross", "memory.write_when=told"]))
