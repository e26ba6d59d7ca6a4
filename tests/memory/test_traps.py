"""The traps of docs/memory.md: each of the first twelve has a test of its name, or several."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from alone import ADD, BICROSS, CELLS, CONCAT, level, module_of, states
from conftest import SHAPE, model_settings
from memhrm.config.command import CONFIGS, compose
from memhrm.config.settings import SettingWarning
from memhrm.cost.benchmark import Subject
from memhrm.memory import losses, registry
from memhrm.memory.base import Context, HModule, Situation
from memhrm.memory.losses import shares, straight_through
from memhrm.memory.selection import Scorer, plackett_luce
from memhrm.memory.usage import describe, own_entropy
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.models.recursion import State
from memhrm.nn import attention as attend
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.losses import weighted_sum
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings
from tiny import TEXTS, train

MEMORIES = sorted(path.stem for path in Path(CONFIGS, "memory").glob("*.yaml"))
SMALL = """
    data=sudoku4 model.hidden_size=16 model.num_heads=2 model.expansion=1.0 model.L_layers=1 batch_size=8
    threads=1 device=cpu
""".split()  # noqa: SIM905 (written as on a command line)
MODELS = {"trm": [], "trm_mlp": [], "hrm": ["model.H_layers=1"]}

WRITE = ("exchange.write.", "exchange.write_residual.", "store.within.")


def subject_of(*overrides: str, model: str = "trm") -> Subject:
    return Subject(compose("train", [f"model={model}", *SMALL, *MODELS[model], *overrides]))


def gradients(subject: Subject) -> dict[str, Tensor]:
    """The gradients of one training step, before the optimiser spends them; 0 where there is none."""
    found = {name: torch.zeros_like(p) for name, p in subject.model.named_parameters()}
    for name, p in subject.model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda p, name=name: found.update({name: p.grad.clone()}))
    subject.train_step()
    return found


def trained(subject: Subject) -> dict[str, bool]:
    """Which parameters of the H-module one training step gives a gradient."""
    inside = {name: g for name, g in gradients(subject).items() if name.startswith("H_module.")}
    return {name.removeprefix("H_module."): bool(g.count_nonzero()) for name, g in inside.items()}


def untrained(*overrides: str, model: str = "trm") -> tuple[set[str], set[str]]:
    """The parameters that one training step gives no gradient, whatever the seed; and all parameters.

    The write learns from the rows that read a cell again: with few rows a seed may have none.
    """
    still, every = set(), set()
    for seed in range(4):
        found = gradients(subject_of(*overrides, f"seed={seed}", model=model))
        every = set(found)
        none = {name for name, g in found.items() if not g.count_nonzero()}
        still = none if seed == 0 else still & none
        if not still:
            break
    return still, every


def reasoner_of(values: dict, seed: int = 0, **changes) -> Reasoner:
    torch.manual_seed(seed)
    model = Reasoner(model_settings(**changes), SHAPE, registry.parse(values))
    torch.nn.init.normal_(model.q_head.weight, std=0.1)
    return model


def learner_of(model: Reasoner, halt_max_steps: int = 3, **loss) -> Learner:
    return Learner.build(
        model,
        halting=Halting.of(rule="sigmoid", halt_max_steps=halt_max_steps, halt_exploration_prob=0.0),
        loss=LossSettings.parse(loss),
        optim=OptimSettings.of(name="adam_atan2", lr=1e-2, puzzle_lr=1e-2, warmup=0, ema=0.9),
        total_steps=10,
        local_batch_size=4,
    )


def stays(rows: int = 4) -> Tensor:
    """Exploration that lets no row halt before its last step."""
    return torch.full((rows,), 3)


def selections(indices: list[list[int]], scores: Tensor) -> dict[str, Tensor]:
    """A trace of one H-step: the cells that each example selected, and its scores."""
    return {"indices": torch.tensor(indices), "scores": scores}


# 1. The write gets no gradient in a window with one H-step.


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_trap_1_the_defaults_train_every_parameter(memory, model):
    if (memory, model) == ("tokens", "trm_mlp"):
        with pytest.raises(ValueError, match=r"model\.mixer is 'mlp'; allowed: attention"):
            subject_of(f"+memory={memory}", model=model)
        return
    words = [f"+memory={memory}"]
    if memory == "retrieval":
        words += ["data=intent", *TEXTS["intent"]]
    still, found = untrained(*words, model=model)
    assert still == set()
    has_weights = any(name.startswith("H_module.") for name in found)
    assert has_weights == (memory in ("bicross", "multicell", "aggregate", "retrieval"))


VARIANTS = [
    "+memory=bicross memory.placement=replace memory.positions=both",
    "+memory=multicell memory.placement=replace memory.self_attention=true",
    "+memory=multicell memory.projections=2 memory.combine=logsumexp memory.shared_cell=true memory.gate=all",
    "+memory=multicell memory.selector=policy k=1",
    "+memory=multicell memory.selector=lowest_loss k=1",
    "+memory=aggregate memory.aggregation=concat memory.self_attention=true",
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_trap_1_so_do_the_other_forms(variant):
    still, _ = untrained(*variant.split())
    assert {name for name in still if name.startswith("H_module.")} == set()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("memory", ["bicross", "multicell", "aggregate"])
def test_trap_1_one_step_trains_all_but_the_write(memory, model):
    with pytest.warns(SettingWarning, match="nothing trains the write"):
        subject = subject_of(f"+memory={memory}", "model.gradient_window=one_step", model=model)
    got = trained(subject)
    assert got == {name: not name.startswith(WRITE) for name in got}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("memory", ["bicross", "multicell", "aggregate"])
def test_trap_1_a_horizon_trains_the_write_in_any_window(memory, model):
    overrides = (f"+memory={memory}", "model.gradient_window=one_step", "memory.horizon=2")
    assert all(trained(subject_of(*overrides, model=model)).values())


# 2. k = 1 trains no scorer: softmax over one is 1.


@pytest.mark.parametrize("gate", ["selected", "all"])
def test_trap_2_one_cell_trains_the_scorer_only_with_a_gate_over_all(gate):
    overrides = ("+memory=multicell", "k=1", f"memory.gate={gate}")
    if gate == "selected":
        with pytest.warns(
            SettingWarning, match="with k=1 the gate is always 1 and nothing trains the scorer"
        ):
            subject = subject_of(*overrides)
    else:
        subject = subject_of(*overrides)  # A warning would be an error.
    got = trained(subject)
    assert got["store.scorer.weight"] == (gate == "all")
    assert all(got[name] for name in got if name.startswith("exchange.read"))


HELD = ("+memory=multicell", "memory.hold=example", "memory.gate=all", "model.H_cycles=3")
CURES = ("memory.hold=feedback", "model.gradient_window=whole", "memory.horizon=2")


@pytest.mark.parametrize("cure", [None, *CURES])
def test_trap_2_a_choice_that_is_held_from_before_the_window_trains_no_scorer(cure):
    if cure is None:
        with pytest.warns(SettingWarning, match="lies before .* nothing trains the scorer") as warned:
            subject = subject_of(*HELD)
        assert all(one in str(warned[0].message) for one in CURES)
    else:
        subject = subject_of(*HELD, cure)  # A warning would be an error.
    got = trained(subject)
    assert got["store.scorer.weight"] == (cure is not None)
    assert all(got[name] for name in got if name.startswith("exchange."))


# 3. The mean of R bilinear forms is one bilinear form; scores need a scale.


@pytest.mark.parametrize("combine", ["mean", "logsumexp", "max"])
def test_trap_3_only_the_mean_of_projections_is_one_projection(combine):
    torch.manual_seed(0)
    many, one = Scorer(8, 3, combine, True), Scorer(8, 1, "mean", True)
    with torch.no_grad():
        one.weight.copy_(many.weight.mean(dim=0, keepdim=True))
    query, cls = 3 * torch.randn(5, 1, 8), torch.randn(5, 4, 8)
    same = torch.allclose(many(query, cls).scores, one(query, cls).scores, atol=1e-5)
    odd = torch.allclose(many(-query, cls).scores, -many(query, cls).scores, atol=1e-5)  # Bilinear forms are.
    assert same == odd == (combine == "mean")


@pytest.mark.parametrize("combine", ["mean", "logsumexp", "max"])
def test_trap_3_scores_are_divided_by_the_root_of_the_width(combine):
    torch.manual_seed(0)
    scaled, plain = Scorer(16, 2, combine, True), Scorer(16, 2, combine, False)
    plain.load_state_dict(scaled.state_dict())
    query, cls = torch.randn(3, 1, 16), torch.randn(3, 5, 16)
    forms = torch.stack([torch.einsum("bnd,de,bqe->bn", cls, w, query) for w in scaled.weight])
    reduced = {
        "mean": lambda x: x.mean(dim=0),
        "max": lambda x: x.amax(dim=0),
        "logsumexp": lambda x: x.exp().mean(dim=0).log(),
    }[combine]
    torch.testing.assert_close(plain(query, cls).scores, reduced(forms))
    torch.testing.assert_close(scaled(query, cls).scores, reduced(forms / math.sqrt(16)))


# 4. Selection counts have no gradient.


def test_trap_4_the_value_is_the_count_and_the_gradient_that_of_the_softmax():
    """By hand: d(-Var p)/dp_i = -2 (p_i - mean p) / n and dp_i/ds_bj = q_bi (delta_ij - q_bj) / b."""
    torch.manual_seed(0)
    b, n, weight = 3, 4, torch.randn(3, 4, dtype=torch.float64)
    scores = torch.randn(b, n, dtype=torch.float64, requires_grad=True)
    indices = [[0, 1], [1, 3], [1, 0]]
    trace = selections(indices, scores)
    hard = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0]], dtype=torch.float64)
    assert torch.equal(straight_through(trace), hard)
    (estimated,) = torch.autograd.grad((straight_through(trace) * weight).sum(), scores)
    (soft,) = torch.autograd.grad((scores.softmax(dim=-1) * weight).sum(), scores)
    torch.testing.assert_close(estimated, soft)

    loss = losses.diverse(Situation([trace]))
    p = hard.mean(dim=0)
    assert loss.item() == pytest.approx(-b * ((p - p.mean()) ** 2).mean().item())
    q, by_hand = scores.detach().softmax(dim=-1), torch.zeros(b, n, dtype=torch.float64)
    for row, i, j in itertools.product(range(b), range(n), range(n)):
        outer = -b * 2 * (p[i] - p.mean()) / n
        by_hand[row, j] += outer * q[row, i] * (int(i == j) - q[row, j]) / b
    (found,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(found, by_hand)


# 5. -Var(p) rewards collapse.


def test_trap_5_the_least_minus_variance_is_collapse_and_nothing_else():
    """Every assignment of 2 of 4 cells to 3 examples."""
    pairs = list(itertools.combinations(range(4), 2))
    value = {
        given: losses.diverse(Situation([selections([*map(list, given)], torch.zeros(3, 4))])).item()
        for given in itertools.product(pairs, repeat=3)
    }
    least = min(value.values())
    best = {given for given, loss in value.items() if loss < least + 1e-6}
    assert best == {(pair,) * 3 for pair in pairs}


def test_trap_5_information_is_largest_for_confident_and_different_selections():
    """Every assignment of an answer, one of 3 cells for sure or none in particular, to 3 examples."""
    answers = [*(30.0 * torch.eye(3)), torch.zeros(3)]
    value = {}
    for given in itertools.product(range(4), repeat=3):
        trace = selections([[0]] * 3, torch.stack([answers[i] for i in given]))
        value[given] = losses.information(Situation([trace])).item() / 3
    least = min(value.values())
    assert least == pytest.approx(-math.log(3), abs=1e-5)
    assert {given for given, v in value.items() if v < least + 1e-4} == set(itertools.permutations(range(3)))
    assert all(value[(i,) * 3] == pytest.approx(0, abs=1e-5) for i in range(4))  # Collapse tells nothing.


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> list[dict]:
    """The lines of a tiny run with cells."""
    path = tmp_path_factory.mktemp("traps") / "run"
    assert train(path, "+memory=multicell", "model.H_cycles=2", "steps=2", "log_every=1", "eval_every=0") == 0
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_trap_5_the_figures_that_show_collapse_are_logged(logged):
    line = logged[0]
    p = line["train/usage"]
    assert len(p) == 8 and sum(p) == pytest.approx(2)
    assert line["train/diverse"] == pytest.approx(-sum((x - 0.25) ** 2 for x in p) / 8, abs=1e-5)
    share = [x / 2 for x in p if x > 0]
    assert line["train/usage_entropy"] == pytest.approx(-sum(x * math.log(x) for x in share), abs=1e-4)
    assert 0 <= line["train/usage_information"] <= line["train/usage_entropy"]
    assert {"test/cells"} <= logged[-1].keys()


# 6. No norm bounds the state.


@pytest.mark.parametrize("values", [BICROSS, CELLS, {**CELLS, "self_attention": True}, ADD, CONCAT])
def test_trap_6_rms_bounds_the_state_and_nothing_else_does(values):
    rms = {}
    for norm in ("none", "rms"):
        module = module_of({**values, "placement": "replace", "state_norm": norm})
        (z_H, z_L), memory = states(), module.initial_memory(3)
        rms[norm] = []
        with torch.no_grad():
            for _ in range(48):
                z_H, memory, trace = module(z_H, z_L, memory, Context(level))
                rms[norm].append((trace["z_H_norm"].mean().item(), trace["memory_norm"].mean().item()))
        m = memory.get("cells", memory.get("m"))
        if "k" in values:  # Only what was written is normed.
            m = m[torch.arange(3).unsqueeze(1), trace["indices"]]
        if norm == "rms":
            for tensor in (z_H, m):
                of_each = tensor.square().mean(dim=-1).sqrt()
                torch.testing.assert_close(of_each, torch.ones_like(of_each), atol=1e-3, rtol=0)
        by_hand = [x.square().flatten(1).mean(dim=1).sqrt() for x in (z_H, m)]
        torch.testing.assert_close([trace["z_H_norm"], trace["memory_norm"]], by_hand)
    assert all(x == pytest.approx(1, abs=1e-3) for pair in rms["rms"] for x in pair)
    assert all(last > 4 * first for first, last in zip(rms["none"][0], rms["none"][-1]))


def test_trap_6_both_norms_are_logged(logged):
    for line in logged[:2]:
        assert line["train/z_H_norm"] == pytest.approx(1, abs=1e-3)
        assert line["train/memory_norm"] == pytest.approx(1, abs=1e-3)


# 7. `replace` is a bottleneck.


@pytest.mark.parametrize("positions", ["none", "write", "both"])
@pytest.mark.parametrize("values", [BICROSS, CELLS, ADD, CONCAT])
def test_trap_7_positions_let_the_write_see_where_a_token_stands(values, positions):
    module = module_of({**values, "placement": "replace", "positions": positions})
    (z_H, z_L), order = states(), torch.tensor([3, 0, 5, 1, 4, 2])
    memory = module.initial_memory(3)
    new_z_H, new, _ = module(z_H, z_L, memory, Context(level))
    moved_z_H, moved, _ = module(z_H[:, order], z_L[:, order], memory, Context(level))
    blind = all(torch.allclose(new[name], moved[name], atol=1e-5) for name in new)
    assert blind == (positions == "none")
    reads_blindly = torch.allclose(new_z_H[:, order], moved_z_H, atol=1e-5)
    assert reads_blindly == (positions != "both")


@pytest.mark.parametrize("values", [BICROSS, CELLS, ADD])
def test_trap_7_replace_has_no_level_and_its_tokens_meet_only_through_the_memory(values):
    """With `replace` a position of z_H' depends on that position alone and on the memory."""
    model = reasoner_of({**values, "placement": "replace"}, H_net="own", H_layers=1)
    assert model.H_net is None

    def forbidden(*_):
        raise AssertionError("the level runs")

    selected_by_first = {"pooling": "first"} if "k" in values else {}
    module = module_of({**values, "placement": "replace", **selected_by_first})
    (z_H, z_L), memory = states(), module.initial_memory(3)
    before, _, _ = module(z_H, z_L, memory, Context(forbidden))
    z_L[:, 2] += 1
    after, _, _ = module(z_H, z_L, memory, Context(forbidden))
    changed = (before != after).any(dim=-1).any(dim=0)
    assert changed.tolist() == [i == 2 for i in range(6)]


# 8. Cells start different.


@pytest.mark.parametrize("values", [CELLS, ADD, CONCAT])
def test_trap_8_cells_start_different_from_a_persistent_buffer(values):
    module = module_of(values)
    cells = module.initial_memory(2)["cells"]
    assert torch.equal(cells[0], cells[1])
    assert torch.equal(cells[0], module.state_dict()["cells_init"])
    assert "cells_init" not in dict(module.named_parameters())
    far = torch.pdist(cells[0].flatten(0, 1))  # Every token of every cell has a place of its own.
    assert far.min() > 0.5
    assert cells[0].square().mean().sqrt().item() == pytest.approx(1, rel=0.2)
    assert torch.equal(module_of(values).state_dict()["cells_init"], cells[0])
    assert not torch.equal(module_of(values, seed=1).state_dict()["cells_init"], cells[0])


# 9. Balance is not specialisation.


def test_trap_9_even_use_may_tell_nothing_and_is_told_from_specialisation():
    even = torch.full((4, 4), 3.0)  # Every example uses every cell alike.
    special = 12 * torch.eye(4)
    told = [describe(c.sum(dim=0) / 48, own_entropy(c).mean().item()) for c in (even, special)]
    assert all(figures["balance"] == pytest.approx(0, abs=1e-9) for figures in told)
    assert all(figures["usage_entropy"] == pytest.approx(math.log(4)) for figures in told)
    assert [figures["usage_information"] for figures in told] == pytest.approx([0, math.log(4)], abs=1e-6)


CONTROLS = {
    "random": "+memory=multicell memory.selector=random",
    "all": "+memory=multicell memory.selector=all k=8",
    "lowest_loss": "+memory=multicell memory.selector=lowest_loss",
    "carry_add": "+memory=carry_add",
    "tokens": "+memory=tokens",
}


@pytest.mark.parametrize("control", CONTROLS)
def test_trap_9_every_control_trains(control):
    subject = subject_of(*CONTROLS[control].split())
    assert all(g.isfinite().all() and g.count_nonzero() for g in gradients(subject).values())


def test_trap_9_controls_of_the_selection_have_the_parameters_of_the_selection():
    def sizes(text: str) -> dict[str, torch.Size]:
        return {name: p.shape for name, p in subject_of(*text.split()).model.named_parameters()}

    own = sizes("+memory=multicell")
    assert all(sizes(CONTROLS[control]) == own for control in ("random", "all", "lowest_loss"))


def test_trap_9_random_selection_is_blind_and_even():
    module = module_of({**CELLS, "selector": "random"})
    z_H, z_L = states(rows=1)
    draws = 4000
    noise = torch.rand(draws, 4, generator=torch.Generator().manual_seed(0))
    memory = {name: m.expand(draws, *m.shape[1:]) for name, m in module.initial_memory(1).items()}
    with torch.no_grad():
        module.store.scorer.weight.mul_(100)
        wide = (draws, -1, -1)
        _, _, trace = module(z_H.expand(wide), z_L.expand(wide), memory, Context(level, noise))
    assert trace["scores"].softmax(-1).amax() > 0.9  # The scorer has a favourite.
    counts = torch.zeros(draws, 4).scatter(1, trace["indices"], 1.0).mean(dim=0)
    torch.testing.assert_close(counts, torch.full((4,), 0.5), atol=0.03, rtol=0)


# 10. Cost follows k, not N.


def flops(module: HModule) -> int:
    (z_H, z_L), memory = states(), module.initial_memory(3)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(z_H, z_L, memory, Context(level))
    return counter.get_total_flops()


@pytest.mark.parametrize("values", [CELLS, {**CELLS, "self_attention": True}, ADD, CONCAT])
def test_trap_10_cells_that_are_not_selected_cost_their_scores_alone(values):
    few, many = (flops(module_of({**values, "cells": cells}).eval()) for cells in (4, 64))
    b, d = 3, 8
    assert many - few == 2 * b * (64 - 4) * d  # One product of width d per example and further cell.


@pytest.mark.parametrize(
    ("values", "calls"), [(CELLS, 2), ({**CELLS, "self_attention": True}, 3), (ADD, 2), (CONCAT, 2)]
)
def test_trap_10_one_attention_call_reads_all_cells_and_one_writes_them(values, calls):
    for cells in (4, 8):
        for k in (2, 3, 4):
            seen = []

            def counting(q, keys, v, mask=None):
                seen.append(q.shape)  # noqa: B023 (called within this turn)
                return attend.sdpa(q, keys, v)

            module = module_of({**values, "cells": cells, "k": k}, attention=counting)
            (z_H, z_L), memory = states(), module.initial_memory(3)
            module(z_H, z_L, memory, Context(level))
            assert len(seen) == calls


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"selector": "policy"},
        {"selector": "lowest_loss"},
        {"decay": 0.1, "shared_cell": True, "gate": "all"},
    ],
)
def test_trap_10_the_step_has_no_branch_on_data(changes):
    """Tensors without data go through; a branch on values, or a shape that depends on them, would raise."""
    module = module_of({**CELLS, **changes}).to("meta")
    z_H, z_L = (z.to("meta") for z in states())
    noise = torch.rand(3, 4, device="meta") if module.noise_size else None
    context = Context(level, noise, lambda z_H: z_H.square().mean(dim=(1, 2)))
    new, memory, trace = module(z_H, z_L, module.initial_memory(3), context)
    assert new.shape == z_H.shape and memory["cells"].shape == (3, 4, 4, 8)
    assert trace["indices"].shape == (3, 2)


# 11. Policy gradient; the estimate and its baselines are enumerated in test_losses.py.


def test_trap_11_selections_without_gradient_are_credited_from_detached_inputs(batch):
    model = reasoner_of({**CELLS, "selector": "policy"}, gradient_window="one_step", H_cycles=3)
    data, seen = batch(), []
    hook = model.H_module.store.scorer.register_forward_pre_hook(lambda _, args: seen.append(args))
    noise = torch.rand(4, 3, 4, generator=torch.Generator().manual_seed(0))
    rows = model.puzzle_rows(data["identifiers"])
    _, out = model(model.initial_state(4), data["inputs"], rows, Guide(noise))
    hook.remove()
    scorer = model.H_module.store.scorer
    for h, trace in enumerate(out.traces):
        inputs = next(args for args in seen if torch.equal(scorer(*args).scores, trace["scores"]))
        by_hand = plackett_luce(scorer(*(x.detach() for x in inputs[:2])).scores, trace["indices"])
        torch.testing.assert_close(trace["log_probability"], by_hand)
        (expected,) = torch.autograd.grad(by_hand.sum(), scorer.weight)
        assert expected.count_nonzero()
        parameters = dict(model.named_parameters())
        found = torch.autograd.grad(
            trace["log_probability"].sum(), list(parameters.values()), retain_graph=True, allow_unused=True
        )
        reached = {name for name, g in zip(parameters, found) if g is not None and g.count_nonzero()}
        if h < 2:  # Constant inputs: the credit ends at the scorer.
            assert reached == {"H_module.store.scorer.weight"}
        else:
            assert "H_module.store.scorer.weight" in reached and "embed.tokens" in reached
        torch.testing.assert_close(dict(zip(parameters, found))["H_module.store.scorer.weight"], expected)


def test_trap_11_the_policy_is_greedy_without_noise_and_draws_with_it():
    module = module_of({**CELLS, "selector": "policy"})
    (z_H, z_L), memory = states(), module.initial_memory(3)
    _, _, greedy = module(z_H, z_L, memory, Context(level))
    assert torch.equal(greedy["indices"], greedy["scores"].topk(2).indices)
    noise = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    _, _, drawn = module(z_H, z_L, memory, Context(level, noise))
    gumbel = -(-noise.log()).log()
    assert torch.equal(drawn["indices"], (drawn["scores"] + gumbel).topk(2).indices)
    assert not torch.equal(drawn["indices"], greedy["indices"])
    assert module.noise_size and not module.noise_in_evaluation


# 12. What must be remembered across supervision steps needs a graph across them.


def written_at_step_1(batch, horizon: int, starts: list[bool]) -> float:
    """How much the gradient of the second supervision step reaches the write, when each step is an example
    of its own, the first one without labels, and `starts` says in which rows the second begins an episode."""
    values = {**BICROSS, "lifetime": "episode", "horizon": horizon}
    model = reasoner_of(values, gradient_window="one_step", H_cycles=1)
    learner = learner_of(model, halt_max_steps=1, q_halt=0.0, q_continue=0.0)
    first = {**batch(0), "labels": torch.full((4, SHAPE.num_tokens), -100)}
    second = batch(1)
    first["episode_start"], second["episode_start"] = torch.ones(4, dtype=torch.bool), torch.tensor(starts)
    total = []
    for name, p in model.H_module.named_parameters():
        if name.startswith(WRITE):
            p.register_post_accumulate_grad_hook(lambda p: total.append(p.grad.abs().sum().item()))
    none = torch.zeros(4, dtype=torch.int32)
    if horizon == 2:
        train_step(learner, [first, second], [none, none])
    else:
        for data in (first, second):
            train_step(learner, [data], [none])
    return sum(total)


def test_trap_12_a_horizon_lets_a_later_loss_reach_an_earlier_write(batch):
    assert written_at_step_1(batch, 2, [False] * 4) > 0
    assert written_at_step_1(batch, 2, [True, True, False, True]) > 0
    assert written_at_step_1(batch, 2, [True] * 4) == 0  # Nothing of the old memory is left.
    assert written_at_step_1(batch, 1, [False] * 4) == 0


@pytest.mark.parametrize("values", [BICROSS, CELLS, ADD, CONCAT])
@pytest.mark.parametrize("horizon", [1, 2])
def test_trap_12_the_later_loss_reaches_the_earlier_step_by_the_memory_alone(values, horizon, batch):
    """Step 1 and step 2 have copies of the weights, so that each one's gradient is told apart."""
    model = reasoner_of({**values, "horizon": horizon}, gradient_window="one_step")
    first, second = ({name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
                     for _ in range(2))  # fmt: skip
    data = batch()
    rows = model.puzzle_rows(data["identifiers"]).requires_grad_()
    carry = Carry.empty(model.initial_state(4), data).refill(data, model.initial_state(4))
    state, _ = functional_call(model, first, (carry.state, data["inputs"], rows))
    carry = carry.advance(state, torch.zeros(4, dtype=torch.bool), keep_memory_graph=horizon > 1)
    carry = carry.refill(data, model.initial_state(4))
    assert not carry.state.z_H.requires_grad and not carry.state.z_L.requires_grad
    _, out = functional_call(model, second, (carry.state, data["inputs"], rows.detach()))
    loss = out.logits.square().mean()
    earlier = torch.autograd.grad(loss, list(first.values()), allow_unused=True, retain_graph=True)
    reached = {name for name, g in zip(first, earlier) if g is not None and g.count_nonzero()}
    if horizon == 1:
        assert reached == set()
    else:
        assert {
            name for name in first if name.startswith(("H_module.exchange.write", "H_module.exchange.read"))
        } <= reached
        assert "lm_head.weight" not in reached and "q_head.weight" not in reached


@pytest.mark.parametrize("values", [BICROSS, CELLS])
def test_trap_12_rows_that_halted_inside_a_horizon_are_cut(values, batch):
    model = reasoner_of({**values, "horizon": 2}, gradient_window="one_step")
    data = batch()
    carry = Carry.empty(model.initial_state(4), data).refill(data, model.initial_state(4))
    name = "m" if "m" in carry.state.memory else "cells"
    old = {key: m.clone() for key, m in carry.state.memory.items()}
    old[name] = (old[name] + 0.1).requires_grad_()
    halted = torch.tensor([True, False, True, False])
    state = State(carry.state.z_H, carry.state.z_L, old)
    carry = carry.advance(state, halted, keep_memory_graph=True).refill(batch(1), model.initial_state(4))
    rows = model.puzzle_rows(carry.data["identifiers"])
    _, out = model(carry.state, carry.data["inputs"], rows)
    (reach,) = torch.autograd.grad(out.logits.square().mean(), old[name])
    assert reach.flatten(1).ne(0).any(dim=1).tolist() == [not done for done in halted.tolist()]


@pytest.mark.parametrize("window", ["one_step", {"cycles": 2}])
@pytest.mark.parametrize("values", [BICROSS, CELLS])
def test_trap_12_a_horizon_of_one_is_the_published_loop_bit_for_bit(values, window, batch):
    """Against supervision steps written out: after each the whole state is cut and the weights change."""
    learner, by_hand = (learner_of(reasoner_of(values, gradient_window=window)) for _ in range(2))
    assert learner.model.recursion.whole_memory_graph is False
    model, state, data = by_hand.model, by_hand.initial, batch()
    for number in range(2):
        train_step(learner, [batch(number)], [stays()])  # No row halts, so that the second offer is declined.
        rows = model.puzzles(data["identifiers"]).detach().requires_grad_()
        carry = Carry(state, torch.full((4,), number), torch.zeros(4, dtype=torch.bool), data)
        done = by_hand.supervise(carry, rows)
        (weighted_sum(done.losses, by_hand.loss_weights) / 4).backward()
        by_hand.optimisers.step(number + 1, [(data["identifiers"], rows)])
        z_H, z_L, memory = done.state
        state = State(z_H.detach(), z_L.detach(), {name: m.detach() for name, m in memory.items()})
        for (name, a), b in zip(learner.model.named_parameters(), model.parameters()):
            assert torch.equal(a, b), name
        for name, m in state.memory.items():
            assert torch.equal(m, learner.carry.state.memory[name]) and not m.requires_grad


@pytest.mark.parametrize("window", ["one_step", "last_cycle"])
def test_trap_12_a_whole_memory_graph_changes_nothing_where_there_is_no_memory(window, batch):
    none = {"name": "none", "module": "memhrm.memory.none.NoMemory"}
    found = []
    for horizon in (1, 2):
        model, data = reasoner_of({**none, "horizon": horizon}, gradient_window=window), batch()
        rows = model.puzzle_rows(data["identifiers"])
        _, out = model(model.initial_state(4), data["inputs"], rows)
        found.append(torch.autograd.grad(out.logits.square().mean(), list(model.parameters())[:-2]))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize("values", [BICROSS, CELLS])
def test_trap_12_before_the_window_only_the_memory_keeps_its_graph(values, horizon, batch):
    """Which of z_H, z_L and the memory bring a graph into each of three H-steps."""
    model, data = reasoner_of({**values, "horizon": horizon}, gradient_window="one_step", H_cycles=3), batch()
    name, seen = "m" if "m" in model.H_module.starts() else "cells", []
    hook = lambda _, args: seen.append([x.requires_grad for x in (args[0], args[1], args[2][name])])  # noqa: E731
    model.H_module.register_forward_pre_hook(hook)
    model(model.initial_state(4), data["inputs"], model.puzzle_rows(data["identifiers"]))
    whole = horizon > 1
    assert seen == [[False, False, False], [False, False, whole], [False, True, whole]]


def test_trap_12_the_embedded_input_is_cut_with_the_rest_before_the_window(batch):
    """Without L-steps the H-step receives x: before the window its gradient ends there too."""
    model = reasoner_of(
        {**BICROSS, "horizon": 2}, H_net="own", H_layers=1, L_layers=0, L_cycles=0, H_cycles=2
    )
    data = batch()
    rows = model.puzzle_rows(data["identifiers"]).requires_grad_()
    assert model.recursion.gradient_from == (1, 0)
    seen = []
    model.H_module.register_forward_pre_hook(lambda _, args: seen.append(args[1].requires_grad))
    state, _ = model(model.initial_state(4), data["inputs"], rows)
    assert state.memory["m"].requires_grad
    assert seen == [False, True]


def test_shares_average_over_examples_and_steps():
    traces = [selections([[0], [1]], torch.zeros(2, 3)), selections([[0], [0]], torch.zeros(2, 3))]
    assert shares(traces).tolist() == [0.75, 0.25, 0.0]
