"""The supervision step, the optimiser step and evaluation against equivalent computations."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import SHAPE
from memhrm.data import Examples, Sudoku
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.data.sampler import IGNORE
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.system.ranks import Ranks
from memhrm.training.carry import Carry
from memhrm.training.halting import Halting
from memhrm.training.losses import weighted_sum
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner, train_step
from memhrm.training.supervision import LossSettings, in_precision
from tiny import variations

HALTINGS = {
    "q_learning": Halting.of(rule="q_learning", halt_max_steps=3, halt_exploration_prob=0.0),
    "reuse": Halting.of(rule="q_learning", q_target="reuse", halt_max_steps=3, halt_exploration_prob=0.0),
    "sigmoid": Halting.of(rule="sigmoid", halt_max_steps=3, halt_exploration_prob=0.0),
    "confidence": Halting.of(rule="confidence", halt_max_steps=3, halt_exploration_prob=0.0),
}
NONE = torch.zeros(4, dtype=torch.int32)
CPU = Ranks(0, 1, torch.device("cpu"))


def learner_of(model, halting="sigmoid", **changes) -> Learner:
    optim = OptimSettings.of(name="adam_atan2", lr=1e-2, puzzle_lr=1e-2, warmup=0, ema=0.9)
    values = {"loss": LossSettings.of(), "optim": optim, "total_steps": 10, "local_batch_size": 4}
    return Learner.build(model, halting=HALTINGS[halting], **{**values, **changes})


def test_refill_gives_halted_rows_the_next_example_and_leaves_the_others_alone(tiny_model, batch):
    model, first, second = tiny_model(), batch(1), batch(2)
    initial = model.initial_state(4)
    carry = Carry.empty(initial, first).refill(first, initial)
    state, _ = model(carry.state, carry.data["inputs"], model.puzzles(carry.data["identifiers"]))
    halted = torch.tensor([True, False, False, True])
    before = carry.advance(state, halted, keep_memory_graph=False)
    after = before.refill(second, initial)
    for row, done in enumerate(halted.tolist()):
        source = second if done else first
        assert all(torch.equal(after.data[name][row], source[name][row]) for name in after.data)
        assert after.steps[row] == (0 if done else 1)
        assert torch.equal(after.state.z_H[row], (initial if done else state).z_H[row])
        assert torch.equal(after.state.z_L[row], (initial if done else state).z_L[row])


def test_the_carry_holds_no_graph(tiny_model, batch):
    learner = learner_of(tiny_model())
    train_step(learner, [batch()], [NONE])
    assert not learner.carry.state.z_H.requires_grad and not learner.carry.state.z_L.requires_grad


def test_every_row_halts_at_the_last_step_and_takes_a_new_example(tiny_model, batch):
    learner = learner_of(tiny_model())
    steps = []
    for number in range(4):
        train_step(learner, [batch(number)], [torch.full((4,), 3)])
        steps.append(learner.carry.steps.tolist())
    assert steps == [[1] * 4, [2] * 4, [3] * 4, [1] * 4]


@pytest.mark.parametrize(("loss", "threshold"), [("stablemax", 0.38), ("softmax", 0.7)])
def test_rows_halt_where_the_mean_probability_of_the_answer_is_above_the_threshold(
    tiny_model, batch, loss, threshold
):
    model = tiny_model()
    torch.nn.init.normal_(model.lm_head.weight)
    learner = learner_of(model, "confidence", loss=LossSettings.of(kind=loss))
    learner.halting, data = replace(learner.halting, threshold=threshold), batch(0)
    data["labels"][:, 2:] = IGNORE
    (seen,) = train_step(learner, [data], [NONE]).observed
    logits = seen.supervised.out.logits.double()
    shares = {
        "softmax": logits.exp(),
        "stablemax": torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0))),
    }[loss]
    surest = (shares / shares.sum(dim=-1, keepdim=True)).amax(dim=-1)
    sure = torch.stack([row[labels != IGNORE].mean() for row, labels in zip(surest, data["labels"])])
    assert torch.equal(seen.halted, sure > threshold) and seen.halted.unique().numel() == 2


def test_a_horizon_is_the_sum_of_the_losses_at_weights_that_stand_still(tiny_model, batch):
    learner = learner_of(tiny_model())
    reference = copy.deepcopy(learner.model)
    by_hand = learner_of(reference)
    carry = Carry.empty(by_hand.initial, batch(0))
    for number in range(2):
        carry = carry.refill(batch(number), by_hand.initial)
        rows = reference.puzzles(carry.data["identifiers"])
        done = by_hand.supervise(carry, rows)
        (weighted_sum(done.losses, by_hand.loss_weights) / 4).backward()
        halted = by_hand.halting(done.out, carry.steps, NONE)
        carry = carry.advance(done.state, halted, keep_memory_graph=False)
    gradients = {}
    for name, p in learner.model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda p, name=name: gradients.update({name: p.grad.clone()}))
    train_step(learner, [batch(0), batch(1)], [NONE, NONE])
    assert learner.step == 1
    for name, p in reference.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, msg=name)
    torch.testing.assert_close(learner.carry.state.z_H, carry.state.z_H)


@pytest.mark.parametrize("halting", HALTINGS)
def test_bfloat16_steps_are_near_float32_and_the_masters_stay_float32(tiny_model, batch, halting):
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        learner = learner_of(tiny_model(), halting, dtype=dtype)
        stepped = [train_step(learner, [batch(i)], [NONE]) for i in range(2)]
        assert all(p.dtype == torch.float32 for p in learner.model.parameters())
        assert learner.carry.state.z_H.dtype == dtype
        assert stepped[0].observed[0].supervised.out.q_halt.dtype == torch.float32
        losses.append(stepped[0].loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05) and losses[0] != losses[1]


def test_bfloat16_gradient_points_where_the_float32_gradient_does(tiny_model, batch):
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        model = tiny_model()
        run, data = in_precision(model, dtype), batch()
        rows = model.puzzles(data["identifiers"])
        _, out = run(model.initial_state(4, dtype), data["inputs"], rows)
        out.logits.float().square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_checkpointed_activations_change_nothing_in_bfloat16(tiny_model, batch):
    weights = []
    for checkpointed in (False, True):
        learner = learner_of(tiny_model(checkpoint_activations=checkpointed), dtype=torch.bfloat16)
        train_step(learner, [batch()], [NONE])
        weights.append(list(learner.model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_reused_q_target_is_the_published_one_a_step_late(tiny_model, batch):
    """With weights that stand still, the target that `reuse` finds at step 2 is the one `next` found at 1."""
    found = {}
    for halting in ("q_learning", "reuse"):
        learner = learner_of(tiny_model(), halting)
        carry = Carry.empty(learner.initial, batch()).refill(batch(), learner.initial)
        rows = learner.model.puzzles(carry.data["identifiers"])
        first = learner.supervise(carry, rows)
        carry = carry.advance(first.state, torch.zeros(4, dtype=torch.bool), keep_memory_graph=False)
        found[halting] = (first, learner.supervise(carry, rows))
    (published, _), (empty, late) = found["q_learning"], found["reuse"]
    torch.testing.assert_close(late.q_target, published.q_target)
    torch.testing.assert_close(late.losses["q_continue"], published.losses["q_continue"])
    assert empty.losses["q_continue"] == 0  # Nothing was said yet of a new example.


@pytest.mark.parametrize("halting", variations(HALTINGS, len(HALTINGS)))
def test_the_step_compiles_without_graph_breaks_to_the_same_numbers(tiny_model, batch, halting):
    torch._dynamo.reset()
    plain, compiled = (learner_of(tiny_model(), halting) for _ in range(2))
    compiled.supervise.compile(fullgraph=True, dynamic=False, backend="aot_eager")
    for number in range(2):
        steps = [train_step(learner, [batch(number)], [NONE]) for learner in (plain, compiled)]
        torch.testing.assert_close(steps[1].loss, steps[0].loss)
    for a, b in zip(plain.model.parameters(), compiled.model.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def _puzzles(count: int) -> Examples:
    rng = np.random.default_rng(0)
    inputs, labels = rng.integers(1, SHAPE.vocab_size, (2, count, 16)).astype(np.uint8)
    return examples_of(inputs, labels)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_evaluation_equals_one_puzzle_at_a_time(tiny_model, threshold):
    model, task, puzzles = tiny_model(), Sudoku(side=4), _puzzles(7)
    with torch.no_grad():
        model.q_head.weight.mul_(10)
    found = evaluate(
        model, task, each_alone(puzzles), EvaluationSettings(steps=3, threshold=threshold, batch_size=4), CPU
    )
    accuracy, steps, by_step = [], [], np.zeros(3)
    for i in range(7):
        state = model.initial_state(1)
        row = model.puzzles(torch.zeros(1, dtype=torch.int32))
        stopped = 0
        for step in range(3):
            if not stopped:
                with torch.no_grad():
                    state, out = model(
                        state, torch.from_numpy(puzzles.inputs[i : i + 1].astype(np.int32)), row
                    )
                right = out.logits.argmax(-1)[0].numpy() == puzzles.labels[i]
                if threshold is not None and torch.sigmoid(out.q_halt) > threshold:
                    stopped = step + 1
            by_step[step] += right.all()
        accuracy.append(right.mean())
        steps.append(stopped or 3)
    assert found["accuracy"] == pytest.approx(np.mean(accuracy))
    assert found["steps"] == pytest.approx(np.mean(steps))
    assert found["exact_accuracy_by_step"] == pytest.approx(by_step / 7)
    assert found["puzzles"] == 7
    if threshold is not None:
        assert 1 < found["steps"] < 3  # The test is void unless some stop early and some do not.


def test_evaluation_changes_nothing(tiny_model):
    model = tiny_model()
    before = copy.deepcopy(model.state_dict())
    evaluate(model, Sudoku(side=4), each_alone(_puzzles(3)), EvaluationSettings(steps=2), CPU)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert all(p.grad is None for p in model.parameters())
