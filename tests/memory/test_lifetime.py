"""How long a memory lives, whose it is, and what evaluation makes of it."""

import copy
import itertools
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import SHAPE, model_settings
from memhrm.data import Examples, Sudoku
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.memory import registry
from memhrm.memory.base import Context, HShape
from memhrm.memory.shared import absorb
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.nn import attention as attend
from memhrm.runs.checkpoint import restore, snapshot
from memhrm.system.ranks import Ranks
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings, Occasion

CPU = Ranks(0, 1, torch.device("cpu"))
NONE = torch.zeros(4, dtype=torch.int32)
BICROSS = {"name": "bicross", "module": "memhrm.memory.bicross.BiCross", "tokens": 3}
CELLS = {"name": "multicell", "module": "memhrm.memory.multicell.MultiCell", "tokens": 3, "cells": 4, "k": 2}
ADD = {**CELLS, "name": "aggregate", "module": "memhrm.memory.aggregate.Aggregate", "aggregation": "add"}
TOKENS = {"name": "tokens", "module": "memhrm.memory.tokens.Tokens", "tokens": 3}
MEMORIES = {
    "bicross": BICROSS,
    "multicell": {**CELLS, "decay": 0.2, "self_attention": True},
    "policy": {**CELLS, "selector": "policy"},
    "lowest_loss": {**CELLS, "selector": "lowest_loss"},
    "add": ADD,
    "concat": {**ADD, "aggregation": "concat"},
    "carry_add": {"name": "carry_add", "module": "memhrm.memory.carry_add.CarryAdd"},
    "tokens": TOKENS,
}
every_memory = pytest.mark.parametrize("name", MEMORIES)


def reasoner_of(values: dict, seed: int = 0, **changes) -> Reasoner:
    torch.manual_seed(seed)
    model = Reasoner(model_settings(**changes), SHAPE, registry.parse(values))
    torch.nn.init.normal_(model.q_head.weight, std=0.1)
    torch.nn.init.normal_(model.puzzles.weight, std=0.1)
    return model


def learner_of(model: Reasoner, halt_max_steps: int = 3) -> Learner:
    return Learner.build(
        model,
        halting=Halting.of(rule="sigmoid", halt_max_steps=halt_max_steps, halt_exploration_prob=0.0),
        loss=LossSettings.of(),
        optim=OptimSettings.of(name="adam_atan2", lr=1e-2, puzzle_lr=1e-2, warmup=0, ema=0.9),
        total_steps=10,
        local_batch_size=4,
    )


def noise_of(model: Reasoner, seed: int = 0) -> Tensor | None:
    size = (4, model.settings.H_cycles, model.H_module.noise_size)
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)) if size[-1] else None


def fresh(model: Reasoner, data: dict[str, Tensor]) -> Carry:
    initial = model.initial_state(len(data["inputs"]))
    return Carry.empty(initial, data).refill(data, initial)


def supervise(learner: Learner, carry: Carry, noise: Tensor | None = None):
    with torch.no_grad():
        return learner.supervise(carry, learner.model.puzzle_rows(carry.data["identifiers"]), noise)


def everything(done) -> dict[str, Tensor]:
    """All that a supervision step says of each row."""
    state, out = done.state, done.out
    found = {"z_H": state.z_H, "z_L": state.z_L, "logits": out.logits, "q_halt": out.q_halt}
    return found | state.memory


# Rows.


@every_memory
def test_nothing_leaks_from_row_to_row(name, batch):
    """Two supervision steps; another puzzle in row 2 changes row 2 alone, to the last bit."""
    learner, data = learner_of(reasoner_of(MEMORIES[name])), batch()
    noise, other = noise_of(learner.model), copy.deepcopy(data)
    other["inputs"][2] = (other["inputs"][2] + 1) % SHAPE.vocab_size
    other["labels"][2] = other["labels"][2].flip(0)
    other["identifiers"][2] = (other["identifiers"][2] + 1) % 3
    results = []
    for given in (data, other):
        carry = fresh(learner.model, given)
        done = supervise(learner, carry, noise)
        carry = carry.advance(done.state, torch.zeros(4, dtype=torch.bool), keep_memory_graph=False)
        results.append(everything(supervise(learner, carry, noise)))
    for key in results[0]:
        same = (results[0][key] == results[1][key]).view(4, -1).all(dim=1).tolist()
        if key != "usage":  # Another puzzle may select the same cells.
            assert same == [True, True, False, True], key
        assert same[:2] + same[3:] == [True] * 3, key


@every_memory
def test_rows_are_what_each_would_be_alone(name, batch):
    learner, data = learner_of(reasoner_of(MEMORIES[name])), batch()
    noise = noise_of(learner.model)
    whole = everything(supervise(learner, fresh(learner.model, data), noise))
    for row in range(4):
        own = {key: value[row : row + 1] for key, value in data.items()}
        own_noise = None if noise is None else noise[row : row + 1]
        alone = everything(supervise(learner, fresh(learner.model, own), own_noise))
        for key, value in alone.items():
            torch.testing.assert_close(value[0], whole[key][row], atol=1e-4, rtol=1e-4)


# Lifetimes.


def after_one_step(values: dict, batch, halted: list[bool]) -> tuple[Learner, Carry]:
    learner = learner_of(reasoner_of(values))
    carry = fresh(learner.model, batch(0))
    done = supervise(learner, carry)
    return learner, carry.advance(done.state, torch.tensor(halted), keep_memory_graph=False)


@every_memory
def test_example_a_row_that_halted_starts_from_the_initial_memory(name, batch):
    """What it says of its next example is what a fresh carry says of it; the others go on."""
    halted = [True, False, True, False]
    learner, carry = after_one_step(MEMORIES[name], batch, halted)
    new = everything(supervise(learner, fresh(learner.model, batch(1))))
    went_on = everything(supervise(learner, carry))  # As if no row had halted.
    found = everything(supervise(learner, carry.refill(batch(1), learner.initial, "example")))
    for key in found:
        for row, done in enumerate(halted):
            assert torch.equal(found[key][row], (new if done else went_on)[key][row]), (key, row)


@pytest.mark.parametrize("first", [None, (True, False, True, False)])
@pytest.mark.parametrize("lifetime", ["example", "episode", "global"])
def test_the_lifetime_says_which_rows_start_anew(lifetime, first, batch):
    halted = [True, True, False, False]
    learner, carry = after_one_step(CELLS, batch, halted)
    old, initial, offered = carry.state, learner.initial, batch(1)
    if first is not None:
        offered["episode_start"] = torch.tensor(first)
    carry = carry._replace(
        data=carry.data | ({} if first is None else {"episode_start": torch.ones(4).bool()})
    )
    state = carry.refill(offered, initial, lifetime).state
    for row, done in enumerate(halted):
        assert torch.equal(state.z_H[row], (initial if done else old).z_H[row])
        assert torch.equal(state.z_L[row], (initial if done else old).z_L[row])
        anew = {"example": done, "episode": done and (first is None or first[row]), "global": False}[lifetime]
        for key in state.memory:
            assert torch.equal(state.memory[key][row], (initial if anew else old).memory[key][row])
            assert not torch.equal(initial.memory[key][row], old.memory[key][row])


def test_episode_the_memory_of_the_last_example_meets_the_next_one_in_training(batch):
    """Each step an example; an episode of three, while one row begins another in the middle."""
    learner = learner_of(reasoner_of({**CELLS, "lifetime": "episode"}), halt_max_steps=1)
    seen = []
    learner.model.H_module.register_forward_pre_hook(lambda _, args: seen.append(args))
    written = []
    for number in range(3):
        start = torch.tensor([number == 0, number == 0, number == 0, number <= 1])
        train_step(learner, [{**batch(number), "episode_start": start}], [NONE])
        written.append({key: m.clone() for key, m in learner.carry.state.memory.items()})
    met = [seen[number * learner.model.settings.H_cycles][2] for number in range(3)]
    initial = learner.initial.memory
    for key in initial:
        assert torch.equal(met[0][key], initial[key])
        assert torch.equal(met[1][key][:3], written[0][key][:3])
        assert torch.equal(met[1][key][3], initial[key][3])
        assert torch.equal(met[2][key], written[1][key])


# The global bank.

GLOBAL = {**CELLS, "lifetime": "global", "rate": 0.25}


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize("changes", [
    {}, {"selector": "policy"}, {"selector": "all"}, {"written": 1}, {"writes": "all"},
    {"write_when": "told", "gate": "all", "shared_cell": False},
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:k=2 changes nothing")
def test_global_the_bank_moves_by_the_mean_change_over_the_rows_that_wrote_a_cell(changes, horizon, batch):
    told = "write_when" in changes  # In the last step, which alone writes.
    settings = registry.parse({**GLOBAL, **changes, "horizon": horizon}).within(episodes=told)
    learner = learner_of(reasoner_of(asdict(settings)))
    bank = learner.model.H_module.starts()
    met = []
    learner.model.H_module.register_forward_pre_hook(lambda _, args: met.append(args[2]["cells"].clone()))
    for number in range(3):
        before = {key: start.clone() for key, start in bank.items()}
        noise, met[:] = noise_of(learner.model, number), []
        begins = torch.ones(4, dtype=torch.bool)  # Every step has examples of its own.
        batches = [{**batch(number + index), "begins": begins} for index in range(horizon)]
        occasions = [Occasion(told=told and index == horizon - 1) for index in range(horizon)]
        stepped = train_step(learner, batches, [NONE] * horizon, [noise] * horizon, occasions)
        for row in range(4):  # Every row, halted or not, starts from the bank.
            assert torch.equal(met[0][row], before["cells"])
        written = {key: m.detach() for key, m in stepped.observed[-1].supervised.state.memory.items()}
        writing = stepped.observed[-1:] if told else stepped.observed
        for cell in range(4):
            wrote = [
                row
                for row in range(4)
                if any(cell in trace["written_cells"][row].tolist()
                       for seen in writing for trace in seen.supervised.out.traces)
            ]  # fmt: skip
            expected = before["cells"][cell].clone()
            for row in wrote:
                expected += 0.25 * (written["cells"][row, cell] - before["cells"][cell]) / len(wrote)
            torch.testing.assert_close(bank["cells"][cell], expected)
            if not wrote:
                assert torch.equal(bank["cells"][cell], before["cells"][cell])
        usage = before["usage"] + 0.25 * (written["usage"] - before["usage"]).mean(dim=0)
        torch.testing.assert_close(bank["usage"], usage)
        assert not torch.equal(bank["cells"], before["cells"])
    assert torch.equal(learner.initial.memory["cells"][2], bank["cells"])


@pytest.mark.parametrize("values", [BICROSS, TOKENS])
def test_global_the_bank_of_one_memory_moves_by_the_mean_change_of_all_rows(values, batch):
    learner = learner_of(reasoner_of({**values, "lifetime": "global", "rate": 0.5}))
    bank = learner.model.H_module.starts()["m"]
    before = bank.clone()
    stepped = train_step(learner, [batch()], [NONE])
    written = stepped.observed[0].supervised.state.memory["m"].detach()
    torch.testing.assert_close(bank, before + 0.5 * (written - before).mean(dim=0))


def test_global_rows_that_did_not_write_a_cell_do_not_dilute_its_change():
    """By hand, with two processes that have the same rows: sums and counts are taken over both.

    Cell 0 decays in row 1, which did not write it; cell 2 decays in both rows.
    """
    bank = {"cells": torch.zeros(3, 2, 1), "usage": torch.tensor([0.5, 0.5, 0.0])}
    cells, usage = torch.zeros(2, 3, 2, 1), torch.tensor([[0.5, 0.7, 0.0], [0.5, 0.9, 0.4]])
    cells[0, 0], cells[0, 1], cells[1, 1, 0], cells[1, 0], cells[:, 2] = 1.0, 2.0, 6.0, -0.1, -0.2
    wrote = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0]])
    absorb(bank, {"cells": cells, "usage": usage}, wrote, 0.5, lambda x: 2 * x)
    torch.testing.assert_close(
        bank["cells"].squeeze(-1), torch.tensor([[0.5, 0.5], [2.0, 0.5], [-0.1, -0.1]])
    )
    torch.testing.assert_close(bank["usage"], torch.tensor([0.5, 0.65, 0.1]))


def test_global_a_row_does_not_see_another_within_the_step(batch):
    """Only the bank, after the optimiser step, passes something on."""
    results = []
    for changed in (False, True):
        learner, data = learner_of(reasoner_of(GLOBAL)), batch()
        if changed:
            data["inputs"][2] = (data["inputs"][2] + 1) % SHAPE.vocab_size
        out = [train_step(learner, [data], [NONE]).observed[0].supervised for _ in range(2)]
        results.append(out)
    (one, two), (one_other, two_other) = results
    same = (one.out.logits == one_other.out.logits).flatten(1).all(dim=1).tolist()
    assert same == [True, True, False, True]
    assert (two.out.logits != two_other.out.logits).flatten(1).any(dim=1).all()


def test_global_the_bank_is_in_the_checkpoint_and_in_the_average(batch):
    learner = learner_of(reasoner_of(GLOBAL))
    for number in range(2):
        train_step(learner, [batch(number)], [NONE])
    bank = learner.model.H_module.starts()
    average = learner.average.module.H_module
    content = copy.deepcopy(snapshot(learner, CPU, {}, {}))
    for key, start in bank.items():
        assert torch.equal(content["model"][f"H_module.{key}_init"], start)
        assert torch.equal(average.starts()[key], start)
        assert torch.equal(average.initial_memory(3)[key][1], start)

    other = learner_of(reasoner_of(GLOBAL, seed=5))
    assert not torch.equal(other.model.H_module.starts()["cells"], bank["cells"])
    restore(other, CPU, content, Path("last.pt"))
    for key, start in bank.items():
        assert torch.equal(other.model.H_module.starts()[key], start)
        assert torch.equal(other.initial.memory[key][0], start)
        assert torch.equal(other.average.module.H_module.starts()[key], start)
    for each in (learner, other):
        train_step(each, [batch(7)], [NONE])
    for (key, a), b in zip(learner.model.state_dict().items(), other.model.state_dict().values()):
        assert torch.equal(a, b), key


@pytest.mark.parametrize("lifetime", ["example", "episode"])
def test_other_lifetimes_leave_the_starts_alone(lifetime, batch):
    learner = learner_of(reasoner_of({**CELLS, "lifetime": lifetime}))
    before = copy.deepcopy(learner.model.H_module.starts())
    train_step(learner, [batch()], [NONE])
    assert all(torch.equal(before[key], start) for key, start in learner.model.H_module.starts().items())


# Evaluation.


def puzzles(count: int) -> Examples:
    rng = np.random.default_rng(0)
    inputs, labels = rng.integers(1, SHAPE.vocab_size, (2, count, 16)).astype(np.uint8)
    identifiers = rng.integers(0, 3, count).astype(np.int32)
    return examples_of(inputs, labels, identifiers=identifiers)


def scores_of(model: Reasoner, chosen: Examples, **changes) -> dict:
    return evaluate(model, Sudoku(side=4), each_alone(chosen), EvaluationSettings(steps=3, **changes), CPU)


def flat(scores: dict) -> dict[str, float]:
    parts = {**scores, **scores.get("cells", {})}
    return {key: value for key, value in parts.items() if not isinstance(value, dict)}


@every_memory
@pytest.mark.parametrize("lifetime", ["example", "global"])
def test_evaluation_without_writing_is_a_model_whose_update_is_discarded(name, lifetime):
    values = {**MEMORIES[name], "lifetime": lifetime}
    frozen = scores_of(reasoner_of(values), puzzles(7), write=False)
    model = reasoner_of(values)
    model.H_module.register_forward_hook(lambda _, args, result: (result[0], args[2], result[2]))
    assert scores_of(model, puzzles(7), write=True) == frozen
    assert flat(scores_of(reasoner_of(values), puzzles(7)))["lm_loss"] != frozen["lm_loss"]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("lifetime", ["example", "global"])
@pytest.mark.parametrize("name", ["bicross", "multicell", "carry_add"])
def test_evaluation_changes_nothing_in_the_model(name, lifetime, write):
    model = reasoner_of({**MEMORIES[name], "lifetime": lifetime})
    before = copy.deepcopy(model.state_dict())
    scores_of(model, puzzles(5), write=write, batch_size=2)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("lifetime", ["example", "global"])
@pytest.mark.parametrize("name", ["bicross", "multicell", "add"])
def test_evaluation_does_not_depend_on_order_or_batch_size(name, lifetime, threshold):
    model = reasoner_of({**MEMORIES[name], "lifetime": lifetime})
    with torch.no_grad():
        model.q_head.weight.mul_(10)
    chosen, order = puzzles(7), np.array([4, 0, 6, 2, 5, 1, 3])
    found = flat(scores_of(model, chosen, threshold=threshold, batch_size=7))
    for size, given in ((1, chosen), (3, chosen), (7, chosen.select(order)), (3, chosen.select(order))):
        other = flat(scores_of(model, given, threshold=threshold, batch_size=size))
        assert other.keys() == found.keys()
        for key, value in found.items():
            assert other[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


# Usage.


def test_usage_is_a_running_average_and_decay_shrinks_what_is_not_used():
    """Three H-steps by hand, for a cell at a time."""
    torch.manual_seed(0)
    values = {**CELLS, "usage_average": 0.6, "decay": 0.3, "selector": "random", "placement": "replace"}
    module = registry.make(registry.parse(values), HShape(8, 2, 1.0, 6, "attention", attend.sdpa))
    z_H, z_L = torch.randn(2, 3, 6, 8)
    memory = module.initial_memory(3)
    assert memory["usage"].tolist() == [[0.5] * 4] * 3
    usage = [[0.5] * 4 for _ in range(3)]
    shrunk = 0
    for step in range(3):
        noise = torch.rand(3, 4, generator=torch.Generator().manual_seed(step))
        z_H, new, trace = module(z_H, z_L, memory, Context(lambda z_H, _: z_H, noise))
        for row, cell in itertools.product(range(3), range(4)):
            hit = cell in trace["indices"][row].tolist()
            usage[row][cell] = 0.6 * usage[row][cell] + 0.4 * hit
            assert new["usage"][row, cell].item() == pytest.approx(usage[row][cell])
            if not hit:
                kept = 1 - 0.3 * (1 - usage[row][cell])
                torch.testing.assert_close(new["cells"][row, cell], kept * memory["cells"][row, cell])
                shrunk += 1
        memory = new
    assert shrunk == 3 * 3 * 2


def test_a_cell_that_is_not_selected_stays_to_the_last_bit_without_decay(batch):
    model, data = reasoner_of(CELLS), batch()
    rows = model.puzzle_rows(data["identifiers"])
    state, out = model(model.initial_state(4), data["inputs"], rows, Guide())
    hit = torch.zeros(4, 4, dtype=torch.bool)
    for trace in out.traces:
        hit.scatter_(1, trace["indices"], True)
    same = (state.memory["cells"] == model.H_module.starts()["cells"]).flatten(2).all(dim=2)
    assert torch.equal(same, ~hit) and not hit.all()
