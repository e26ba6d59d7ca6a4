"""The losses of the memories: loops, enumerations, and a policy that must learn."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from alone import ADD, BICROSS, CELLS, CONCAT, level, module_of, states
from conftest import SHAPE, model_settings
from memhrm.data.sampler import IGNORE
from memhrm.memory import losses, registry
from memhrm.memory.base import Context, Loss, Situation
from memhrm.memory.selection import choose, entropy, merits, plackett_luce
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.losses import CROSS_ENTROPY, token_losses
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings, Occasion

SIGMOID = Halting.of(rule="sigmoid", halt_max_steps=3, halt_exploration_prob=0.0)


LOSSES = {
    **{name: getattr(losses, name) for name in ("diverse", "balance", "information")},
    **{name: getattr(losses, name) for name in ("policy", "entropy", "imitation")},
    "self_sup": losses.traced("self_sup"),
}


def loss_of(name: str, situation: Situation, **more) -> Tensor:
    return LOSSES[name](situation, **more)


def reasoner_of(values: dict, **changes) -> Reasoner:
    torch.manual_seed(0)
    return Reasoner(model_settings(**changes), SHAPE, registry.parse(values))


def learner_of(model: Reasoner, **loss) -> Learner:
    optim = OptimSettings.of(name="adam_atan2", lr=1e-2, puzzle_lr=1e-2, warmup=0, ema=0.9)
    return Learner.build(
        model, halting=SIGMOID, loss=LossSettings.parse(loss), optim=optim, total_steps=10, local_batch_size=4
    )


B, N, K, STEPS = 4, 5, 2, 3


@pytest.fixture
def situation() -> Situation:
    """Random traces of 3 H-steps, 4 examples, 2 of 5 cells, in double precision."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    traces = []
    for _ in range(STEPS):
        scores = draw(B, N)
        indices = torch.stack([torch.randperm(N, generator=generator)[:K] for _ in range(B)])
        traces.append({
            "scores": scores,
            "indices": indices,
            "log_probability": plackett_luce(scores, indices),
            "entropy": entropy(scores),
            "self_sup": draw(B).square(),
        })  # fmt: skip
    return Situation(traces, draw(B))


def shares_by_hand(traces) -> list[float]:
    """The share of examples and H-steps in which each cell is among the selected."""
    p = [0.0] * N
    for trace in traces:
        for row in trace["indices"].tolist():
            for cell in row:
                p[cell] += 1 / (B * STEPS)
    return p


def softmax(scores: list[float]) -> list[float]:
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def nats(p: list[float]) -> float:
    return -sum(x * math.log(x) for x in p)


def test_diverse_is_minus_the_variance_of_the_shares(situation):
    p = shares_by_hand(situation.traces)
    mean = sum(p) / N
    by_hand = -sum((x - mean) ** 2 for x in p) / N
    assert loss_of("diverse", situation).item() / B == pytest.approx(by_hand)


@pytest.mark.parametrize("always", [0, 1])
def test_balance_is_the_squared_variation_of_the_cells_that_compete(situation, always):
    p = shares_by_hand(situation.traces)[always:]
    mean = sum(p) / len(p)
    by_hand = sum((x - mean) ** 2 for x in p) / len(p) / mean**2
    found = loss_of("balance", situation, always_active=always)
    assert found.item() / B == pytest.approx(by_hand)


def test_information_is_entropy_minus_mean_entropy_of_the_examples(situation):
    own = []
    for row in range(B):
        steps = [softmax(trace["scores"][row].tolist()) for trace in situation.traces]
        own.append([sum(column) / STEPS for column in zip(*steps)])
    mean = [sum(column) / B for column in zip(*own)]
    by_hand = sum(map(nats, own)) / B - nats(mean)
    assert loss_of("information", situation).item() / B == pytest.approx(by_hand)


def test_information_has_a_gradient_where_an_example_is_beyond_doubt():
    """A probability that rounds to 0 must not make the gradient NaN."""
    scores = torch.tensor([[0.0, 200.0, 1.0], [0.5, 0.0, 0.2]], requires_grad=True)
    trace = {"scores": scores, "indices": torch.tensor([[1], [0]])}
    (found,) = torch.autograd.grad(loss_of("information", Situation([trace], None)), scores)
    assert found.isfinite().all() and found[1].count_nonzero()


def test_self_sup_and_entropy_are_means_over_the_steps(situation):
    for name, sign in (("self_sup", 1), ("entropy", -1)):
        by_hand = sum(float(trace[name][row]) for trace in situation.traces for row in range(B)) / STEPS
        assert loss_of(name, situation).item() == pytest.approx(sign * by_hand)


def log_probability_by_hand(scores: list[float], order: list[int]) -> float:
    """Draw one after the other, each in proportion to exp(score) among those that are left."""
    left, total = list(range(len(scores))), 0.0
    for cell in order:
        total += scores[cell] - math.log(sum(math.exp(scores[i]) for i in left))
        left.remove(cell)
    return total


@pytest.mark.parametrize("baseline", [True, False])
def test_policy_weighs_log_probabilities_with_the_advantage(situation, baseline):
    by_hand, reward = 0.0, situation.reward.tolist()
    for row in range(B):
        others = [r for i, r in enumerate(reward) if i != row]
        advantage = reward[row] - (sum(others) / len(others) if baseline else 0)
        for trace in situation.traces:
            order = trace["indices"][row].tolist()
            by_hand -= advantage * log_probability_by_hand(trace["scores"][row].tolist(), order)
    found = loss_of("policy", Situation(situation.traces, situation.reward, baseline=baseline))
    assert found.item() == pytest.approx(by_hand)


def test_imitation_is_minus_the_mean_log_probability(situation):
    by_hand = 0.0
    for trace in situation.traces:
        for scores, order in zip(trace["scores"].tolist(), trace["indices"].tolist()):
            by_hand -= log_probability_by_hand(scores, order) / STEPS
    assert loss_of("imitation", situation).item() == pytest.approx(by_hand)


def test_entropy_is_that_of_the_first_draw():
    scores = torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert entropy(scores).tolist() == pytest.approx([nats(softmax(row)) for row in scores.tolist()])
    assert entropy(scores)[1].item() == pytest.approx(math.log(3))


# The policy: 2 of 4 cells, every ordered draw.

SCORES = torch.tensor([[0.4, -0.3, 1.1, 0.0], [-0.5, 0.9, 0.2, -1.2]], dtype=torch.float64)
ORDERS = list(itertools.permutations(range(4), 2))


def rewards(seed: int = 0) -> dict[tuple[int, ...], float]:
    """A reward of each subset."""
    drawn = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
    return dict(zip(itertools.combinations(range(4), 2), drawn))


def expected_reward(scores: Tensor, reward: dict) -> Tensor:
    """By enumeration, with products of plain probabilities; scores (4,)."""
    p, total = scores.softmax(dim=0), scores.new_zeros(())
    for i, j in ORDERS:
        total = total + p[i] * p[j] / (1 - p[i]) * reward[tuple(sorted((i, j)))]
    return total


def test_plackett_luce_is_a_distribution_over_ordered_draws():
    logs = torch.stack([plackett_luce(SCORES, torch.tensor([order, order])) for order in ORDERS])
    torch.testing.assert_close(logs.exp().sum(dim=0), torch.ones(2, dtype=torch.float64))
    by_hand = [log_probability_by_hand(SCORES[0].tolist(), list(order)) for order in ORDERS]
    assert logs[:, 0].tolist() == pytest.approx(by_hand)


def estimate(scores: Tensor, orders: list[tuple[int, ...]], reward: list[float], baseline: bool) -> Tensor:
    """The gradient that the policy loss gives for one draw per example."""
    scores, indices = scores.clone().requires_grad_(), torch.tensor(orders)
    trace = {"indices": indices, "scores": scores, "log_probability": plackett_luce(scores, indices)}
    given = torch.tensor(reward, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss_of("policy", Situation([trace], given, baseline=baseline)), scores)
    return gradient


def test_the_mean_estimate_without_baseline_is_the_exact_gradient():
    scores, reward = SCORES[:1], rewards()
    mean = torch.zeros_like(scores)
    for order in ORDERS:
        p = plackett_luce(scores, torch.tensor([order])).exp()
        mean += p * estimate(scores, [order], [reward[tuple(sorted(order))]], baseline=False)
    leaf = scores[0].clone().requires_grad_()
    (exact,) = torch.autograd.grad(-expected_reward(leaf, reward), leaf)
    torch.testing.assert_close(mean[0], exact)
    assert exact.abs().max() > 0.05


def test_the_mean_estimate_with_leave_one_out_is_the_exact_gradient():
    """Every joint draw of two examples, with scores and rewards of their own."""
    tables = [rewards(0), rewards(1)]
    mean = torch.zeros_like(SCORES)
    for orders in itertools.product(ORDERS, repeat=2):
        p = plackett_luce(SCORES, torch.tensor(orders)).exp().prod()
        reward = [table[tuple(sorted(order))] for table, order in zip(tables, orders)]
        mean += p * estimate(SCORES, list(orders), reward, baseline=True)
    for row, table in enumerate(tables):
        leaf = SCORES[row].clone().requires_grad_()
        (exact,) = torch.autograd.grad(-expected_reward(leaf, table), leaf)
        torch.testing.assert_close(mean[row], exact)


def test_the_baseline_takes_what_all_examples_share_out_of_the_estimate():
    orders, reward = [ORDERS[0], ORDERS[7]], [0.3, -0.4]
    with_it, shifted = (
        estimate(SCORES, orders, [r + shift for r in reward], baseline=True) for shift in (0, 100)
    )
    torch.testing.assert_close(with_it, shifted)


def test_gumbel_top_k_draws_with_the_plackett_luce_frequencies():
    draws = 20_000
    noise = torch.rand(draws, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = choose(merits("policy", SCORES[:1].expand(draws, 4), noise), 2)
    chi2 = 0.0
    for order in ORDERS:
        expected = draws * math.exp(log_probability_by_hand(SCORES[0].tolist(), list(order)))
        chi2 += ((drawn == torch.tensor(order)).all(dim=1).sum().item() - expected) ** 2 / expected
    assert chi2 < 31.3  # 11 degrees of freedom exceed it once in a thousand.


def test_the_policy_loss_finds_the_best_subset_of_a_bandit():
    reward, generator = rewards(3), torch.Generator().manual_seed(0)
    scores, best = torch.zeros(4, dtype=torch.float64, requires_grad=True), max(reward.values())
    gap = [best - expected_reward(scores, reward).item()]
    for _ in range(400):
        wide = scores.expand(32, 4)
        noise = torch.rand(32, 4, generator=generator, dtype=torch.float64)
        indices = choose(merits("policy", wide.detach(), noise), 2)
        gained = torch.tensor([reward[tuple(sorted(row))] for row in indices.tolist()], dtype=torch.float64)
        trace = {"indices": indices, "scores": wide, "log_probability": plackett_luce(wide, indices)}
        (gradient,) = torch.autograd.grad(loss_of("policy", Situation([trace], gained)) / 32, scores)
        with torch.no_grad():
            scores -= 0.5 * gradient
    gap.append(best - expected_reward(scores, reward).item())
    assert gap[0] > 0.5 and gap[1] < 0.05 * gap[0]


@pytest.mark.parametrize("values", [CELLS, {**CELLS, "k": 1, "gate": "all"}])
def test_selections_of_cycles_without_gradient_are_credited(values, batch):
    """With a window of one of three H-steps, all three H-steps move the scorer through the policy loss."""
    model, data = (
        reasoner_of({**values, "selector": "policy"}, gradient_window="one_step", H_cycles=3),
        batch(),
    )
    noise = torch.rand(4, 3, 4, generator=torch.Generator().manual_seed(0))
    rows = model.puzzle_rows(data["identifiers"])
    _, out = model(model.initial_state(4), data["inputs"], rows, Guide(noise))
    reward, weight = torch.tensor([1.0, -0.5, 0.25, 2.0]), model.H_module.store.scorer.weight

    def gradient(traces) -> Tensor:
        loss = loss_of("policy", Situation(traces, reward))
        return torch.autograd.grad(loss, weight, retain_graph=True)[0]

    each = [gradient([trace]) for trace in out.traces]
    assert all(g.count_nonzero() for g in each)
    torch.testing.assert_close(gradient(out.traces), sum(each))

    model.eval()
    with torch.no_grad():
        _, out = model(model.initial_state(4), data["inputs"], rows)
    for trace in out.traces:
        assert "log_probability" not in trace
        assert torch.equal(trace["indices"], trace["scores"].topk(values["k"]).indices)


def supervised(batch, reward: str, answer: Tensor | None = None):
    """A first supervision step of a policy; its first example's labels are `answer`, if given."""
    model = reasoner_of({**CELLS, "selector": "policy"})
    learner, data = learner_of(model, reward=reward), batch()
    if answer is not None:
        data["labels"][0] = answer
    carry = Carry.empty(learner.initial, data).refill(data, learner.initial)
    with torch.no_grad():
        return model, data, learner.supervise(carry, model.puzzle_rows(data["identifiers"]))


def test_the_reward_is_the_fall_of_the_loss(batch):
    """By hand: the head's loss of each example on z_H before the supervision step, less that after it."""
    model, data, done = supervised(batch, "fall")
    cross_entropy = CROSS_ENTROPY["stablemax"]
    with torch.no_grad():
        before = cross_entropy(model.logits(model.initial_state(4).z_H), data["labels"]).mean(dim=1)
    after = cross_entropy(done.out.logits, data["labels"]).mean(dim=1)
    torch.testing.assert_close(done.reward, before - after)
    assert done.reward.count_nonzero() == 4


def test_the_reward_is_exactness(batch):
    _, _, done = supervised(batch, "exact")
    _, _, done = supervised(batch, "exact", done.out.logits[0].argmax(dim=-1).int())
    assert done.reward.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("reward", ["exact", "fall"])
def test_feedback_which_has_no_labels_earns_no_reward(batch, reward):
    _, _, done = supervised(batch, reward, torch.tensor(IGNORE))
    assert done.reward[0] == 0 and not done.graded.exact[0]


# The other losses that need the module.


def test_self_sup_compares_the_best_cell_alone_with_all_and_moves_it_alone():
    module, rows = module_of(CELLS), 3
    (z_H, z_L), memory = states(rows), module.initial_memory(rows)
    seen = []
    hook = module.exchange.read.register_forward_pre_hook(lambda _, args: seen.append(args))
    _, _, trace = module(z_H, z_L, memory, Context(level))
    hook.remove()
    ((h, active),) = seen
    alpha = trace["scores"].gather(1, trace["indices"]).softmax(dim=1)
    by_hand, read = [], module.exchange.read
    for row in range(rows):
        one = slice(row, row + 1)
        alone = [read.out(read(h[one], active[one, i : i + 1])[:, :, 0]) for i in range(2)]
        together = sum(alpha[row, i].item() * alone[i] for i in range(2))
        best = alone[0 if trace["scores"][row, trace["indices"][row, 0]]
                     >= trace["scores"][row, trace["indices"][row, 1]] else 1]  # fmt: skip
        by_hand.append((together.detach() - best).square().mean())
    found = loss_of("self_sup", Situation([trace], None))
    torch.testing.assert_close(found, sum(by_hand))
    weights = list(module.exchange.read.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found, weights), torch.autograd.grad(sum(by_hand), weights)
    )


@pytest.mark.parametrize("values", [CELLS, ADD, CONCAT])
def test_lowest_loss_selects_the_cells_that_are_best_alone_and_imitation_names_them(values):
    """Against a module with one cell, the same weights, and each cell in turn."""
    module, rows = module_of({**values, "selector": "lowest_loss", "state_norm": "rms"}), 3
    single = module_of({**values, "cells": 1, "k": 1, "gate": "all", "state_norm": "rms"})
    weights = {name: w for name, w in module.state_dict().items() if not name.endswith("_init")}
    single.load_state_dict(weights, strict=False)
    (z_H, z_L), memory = states(rows), module.initial_memory(rows)
    wanted = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))

    def judge(z_H: Tensor) -> Tensor:
        return (z_H - wanted).square().mean(dim=(1, 2))

    alone = []
    for i in range(4):
        own = {"cells": memory["cells"][:, i : i + 1], "usage": memory["usage"][:, i : i + 1]}
        answer, _, _ = single(z_H, z_L, own, Context(level))
        alone.append(judge(answer))
    order = torch.stack(alone, dim=1).argsort(dim=1)
    _, _, trace = module(z_H, z_L, memory, Context(level, judge=judge))
    assert torch.equal(trace["indices"], order[:, :2])
    assert not torch.equal(order[:, :2], trace["scores"].topk(2).indices)  # Or the test shows nothing.
    by_hand = -sum(log_probability_by_hand(trace["scores"][row].tolist(), order[row, :2].tolist())
                   for row in range(rows))  # fmt: skip
    assert loss_of("imitation", Situation([trace], None)).item() == pytest.approx(by_hand, rel=1e-5)

    _, _, unlabelled = module.eval()(z_H, z_L, memory, Context(level))
    assert torch.equal(unlabelled["indices"], unlabelled["scores"].topk(2).indices)


def test_the_judge_of_a_supervision_step_is_the_token_loss_of_each_example(batch):
    model = reasoner_of({**CELLS, "selector": "lowest_loss"}, H_cycles=1, gradient_window="one_step")
    learner, data = learner_of(model), batch()
    data["labels"][1, 3:] = -100
    seen = []
    hook = model.H_module.register_forward_pre_hook(lambda _, args: seen.append(args))
    train_step(learner, [data], [torch.zeros(4, dtype=torch.int32)])
    hook.remove()
    z_H = torch.randn(4, SHAPE.num_tokens + 2, 16, generator=torch.Generator().manual_seed(0))
    by_hand = token_losses(model.logits(z_H), data["labels"], CROSS_ENTROPY["stablemax"])
    torch.testing.assert_close(seen[0][3].judge(z_H), by_hand)


def test_where_something_is_told_no_label_tells_the_loss_and_nothing_is_imitated(batch):
    model, data = reasoner_of({**CELLS, "selector": "lowest_loss"}), batch()
    learner = learner_of(model)
    carry = Carry.empty(learner.initial, data).refill(data, learner.initial)
    asked, told = (
        learner.supervise(carry, model.puzzle_rows(data["identifiers"]), None, Occasion(told=told))
        for told in (False, True)
    )
    for trace in told.out.traces:
        assert torch.equal(trace["indices"], trace["scores"].topk(2).indices)
    assert loss_of("imitation", Situation(told.out.traces)) == 0
    assert loss_of("imitation", Situation(asked.out.traces)) > 0


def test_a_question_without_a_label_is_answered_by_the_scores_and_the_others_by_the_loss(batch):
    model, data = reasoner_of({**CELLS, "selector": "lowest_loss"}), batch()
    data["labels"][1] = -100
    learner = learner_of(model)
    carry = Carry.empty(learner.initial, data).refill(data, learner.initial)
    asked = learner.supervise(carry, model.puzzle_rows(data["identifiers"]), None, Occasion())
    for trace in asked.out.traces:
        by_score = (trace["indices"] == trace["scores"].topk(2).indices).all(dim=1)
        assert by_score[1] and not by_score.all()
        assert (trace["log_probability"] == 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", ["policy", "imitation"])
def test_a_shared_cell_takes_no_part_in_the_competition(name):
    selector = {"policy": "policy", "imitation": "lowest_loss"}[name]
    module = module_of({**CELLS, "selector": selector, "shared_cell": True, "k": 3})
    (z_H, z_L), memory = states(), module.initial_memory(3)
    noise = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)) if name == "policy" else None
    context = Context(level, noise, lambda z_H: z_H.square().mean(dim=(1, 2)))
    _, _, trace = module(z_H, z_L, memory, context)
    assert trace["indices"][:, 0].tolist() == [0, 0, 0] and (trace["indices"][:, 1:] > 0).all()
    by_hand = [
        log_probability_by_hand(scores[1:], [i - 1 for i in order[1:]])
        for scores, order in zip(trace["scores"].tolist(), trace["indices"].tolist())
    ]
    assert trace["log_probability"].tolist() == pytest.approx(by_hand, rel=1e-5)
    assert trace["entropy"].tolist() == pytest.approx(
        [nats(softmax(row[1:])) for row in trace["scores"].tolist()], rel=1e-5
    )
    assert module.always_active == 1


# Weights.


@pytest.mark.parametrize(
    ("values", "loss", "expected"),
    [
        (BICROSS, {}, {}),
        (CELLS, {}, {}),
        (CELLS, {"diverse": 0.1, "self_sup": 0.2}, {"diverse": 0.1, "self_sup": 0.2}),
        ({**CELLS, "selector": "policy"}, {}, {"policy": 1.0, "entropy": 0.01}),
        ({**CELLS, "selector": "policy"}, {"entropy": 0.0}, {"policy": 1.0}),
        ({**ADD, "selector": "lowest_loss"}, {"balance": 0.3}, {"balance": 0.3, "imitation": 1.0}),
    ],
)
def test_a_run_has_the_losses_of_its_memory_that_have_a_weight(values, loss, expected):
    weights = LossSettings.parse(loss).weights(SIGMOID, module_of(values))
    assert weights == {"lm": 1.0, "q_halt": 0.5, **expected}


@pytest.mark.parametrize(
    ("values", "name", "memory"),
    [
        (BICROSS, "balance", "bicross"),
        (BICROSS, "diverse", "bicross"),
        (BICROSS, "information", "bicross"),
        (ADD, "self_sup", "aggregate"),
    ],
)
def test_a_loss_that_the_memory_has_nothing_for_is_refused(values, name, memory):
    with pytest.raises(ValueError) as refused:
        LossSettings.parse({name: 0.1}).weights(SIGMOID, module_of(values))
    has = "none" if memory == "bicross" else "balance, diverse, information"
    expected = f"loss.{name} is 0.1; allowed: 0, since memory={memory} has nothing for it; it has {has}"
    assert str(refused.value) == expected


def test_a_loss_by_a_name_that_is_taken_is_refused():
    module = module_of(BICROSS)
    module.losses["lm"] = Loss(losses.traced("z_H_norm"))
    with pytest.raises(ValueError, match=r"memory\.module is .* other names than lm$"):
        LossSettings.parse({}).weights(SIGMOID, module)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_below_zero_is_refused(name):
    with pytest.raises(ValueError, match=rf"^loss\.{name} is -1\.0; allowed: 0 or above$"):
        LossSettings.parse({name: -1.0})


@pytest.mark.parametrize("name", ["diverse", "balance", "information", "self_sup"])
def test_the_loss_of_a_step_is_the_weighted_sum_over_the_batch(name, batch):
    """The memory's part of the scalar that is differentiated: weight times the loss over the global batch."""
    data, least, total = batch(), torch.zeros(4, dtype=torch.int32), []
    for weight in (0.0, 0.7):
        learner = learner_of(reasoner_of(CELLS), **{name: weight})
        stepped = train_step(learner, [data], [least])
        total.append(stepped.loss.item())
    supervised = stepped.observed[0].supervised
    by_hand = loss_of(name, Situation(supervised.out.traces, None)).item()
    assert supervised.losses[name].item() == pytest.approx(by_hand)
    assert total[1] - total[0] == pytest.approx(0.7 * by_hand / 4, abs=1e-6)
    assert by_hand != 0
