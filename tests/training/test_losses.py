"""Losses, halting and optimisers against their formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from conftest import SHAPE, model_settings
from memhrm.data.sampler import IGNORE
from memhrm.data.sudoku.task import Sudoku
from memhrm.memory import registry
from memhrm.memory.none import NO_MEMORY
from memhrm.models.reasoner import Output, Reasoner
from memhrm.nn.tables import PuzzleTable
from memhrm.training.halting import Halting, confident, q_target
from memhrm.training.losses import (
    grade,
    softmax_cross_entropy,
    stablemax_cross_entropy,
    token_loss,
    weighted_sum,
)
from memhrm.training.optim import AdamATan2, Optimisers, OptimSettings, SignSGD, moving_average
from memhrm.training.supervision import LossSettings

LOGITS = torch.tensor([[[0.0, 1.0, -2.0], [3.0, -0.5, 0.25]]])
LABELS = torch.tensor([[2, -100]])


def test_stablemax_is_its_formula():
    scores = [1.0, 2.0, 1 / 3]
    assert stablemax_cross_entropy(LOGITS, LABELS)[0].tolist() == pytest.approx(
        [-math.log(scores[2] / sum(scores)), 0]
    )


def test_stablemax_gradient_is_right_and_finite_far_out():
    logits = torch.tensor([[[0.0, -1e4, 1e4, 2.0]]], dtype=torch.float64, requires_grad=True)
    stablemax_cross_entropy(logits, torch.tensor([[1]])).sum().backward()
    assert torch.isfinite(logits.grad).all()
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[0, 1, -100], [3, 2, 1]])
    assert torch.autograd.gradcheck(lambda x: stablemax_cross_entropy(x, labels), logits)


def test_softmax_is_its_formula():
    expected = -LOGITS[0, 0].log_softmax(-1)[2].item()
    assert softmax_cross_entropy(LOGITS, LABELS)[0].tolist() == pytest.approx([expected, 0])


def test_smoothed_labels_are_a_mixture():
    """A share of each target is spread over all tokens; positions without a label have no loss."""
    loss = softmax_cross_entropy(LOGITS, LABELS, smoothing=0.3)[0]
    log_p = LOGITS[0, 0].log_softmax(-1)
    assert loss.tolist() == pytest.approx([float(-0.7 * log_p[2] - 0.3 * log_p.mean()), 0])
    for kind, smoothing, allowed in (
        ("softmax", 1.0, "0 to below 1"),
        ("stablemax", 0.1, "loss.kind=stablemax"),
    ):
        with pytest.raises(ValueError, match=f"loss.label_smoothing is .*{allowed}"):
            LossSettings.of(kind=kind, label_smoothing=smoothing)


def test_token_loss_averages_over_labelled_positions_and_sums_over_examples():
    logits, labels = torch.randn(2, 3, 4), torch.tensor([[1, -100, 2], [0, 0, 0]])
    expected = sum(
        F.cross_entropy(logits[i], labels[i], ignore_index=-100, reduction="mean").item() for i in range(2)
    )
    assert token_loss(logits, labels, softmax_cross_entropy).item() == pytest.approx(expected, rel=1e-5)


def test_grade_ignores_unlabelled_positions():
    graded = grade(LOGITS, torch.tensor([[1, -100]]))
    assert graded.exact.tolist() == [True] and graded.accuracy.tolist() == [1.0]
    graded = grade(LOGITS, torch.tensor([[1, 2]]))
    assert graded.exact.tolist() == [False] and graded.accuracy.tolist() == [0.5]


def test_an_answer_is_exact_if_it_has_labels_and_all_are_right_in_training_as_in_evaluation():
    rng = np.random.default_rng(0)
    task = Sudoku(side=4)
    labels = rng.integers(1, 4, size=(400, task.seq_len))
    answers = np.where(rng.random(labels.shape) < 0.03, 4, labels)
    unlabelled = rng.random(labels.shape) < rng.choice([0.0, 0.9, 1.0], size=(400, 1))
    for ignored in (IGNORE, 0):  # No label: -100 in batches, 0 in sets of puzzles.
        graded = grade(
            F.one_hot(torch.from_numpy(answers), 5).float(),
            torch.from_numpy(np.where(unlabelled, IGNORE, labels)),
        )
        scores = task.score(labels, np.where(unlabelled, ignored, labels), answers)
        np.testing.assert_array_equal(graded.exact.numpy(), scores["exact_accuracy"] == 1)
        np.testing.assert_allclose(graded.accuracy.numpy(), scores["accuracy"], rtol=1e-6)
    assert unlabelled.all(axis=1).sum() > 50 and not graded.exact[unlabelled.all(axis=1)].any()
    assert 50 < graded.exact.sum() < 350


def test_a_loss_without_a_weight_or_a_weight_without_a_loss_raises():
    losses = {"lm": torch.tensor(2.0), "q_halt": torch.tensor(1.0)}
    assert weighted_sum(losses, {"lm": 1.0, "q_halt": 0.5}).item() == 2.5
    for weights in ({"lm": 1.0}, {"lm": 1.0, "q_halt": 0.5, "balance": 0.1}):
        with pytest.raises(ValueError, match="not the same"):
            weighted_sum(losses, weights)


def _out(q_halt, q_continue=(0.0, 0.0, 0.0)) -> Output:
    return Output(torch.zeros(3, 1, 1), torch.tensor(q_halt), torch.tensor(q_continue), [])


def test_halting_rules():
    steps, none = torch.tensor([0, 0, 3]), torch.zeros(3, dtype=torch.int32)
    hrm = Halting.of(rule="q_learning", halt_max_steps=4)
    assert hrm(_out([1.0, -1.0, -1.0]), steps, none).tolist() == [True, False, True]
    trm = Halting.of(rule="sigmoid", halt_max_steps=4, threshold=0.9)
    assert trm(_out([3.0, 2.0, -1.0]), steps, none).tolist() == [True, False, True]
    assert trm(_out([3.0, 2.0, -1.0]), steps, torch.tensor([2, 0, 4])).tolist() == [False, False, True]
    assert Halting.of(rule="sigmoid", halt_max_steps=1)(_out([-9.0] * 3), steps, none).all()
    by_confidence = Halting.of(rule="confidence", halt_max_steps=4, threshold=0.9)
    said = by_confidence(
        _out([3.0, 2.0, -1.0]), torch.tensor([0, 0, 0]), none, torch.tensor([0.8, 0.95, 0.9])
    )
    assert said.tolist() == [False, True, False]
    assert confident(torch.tensor([2.1, 2.3]), 0.9).tolist() == [False, True]


def test_exploration_is_a_function_of_seed_and_index_with_the_asked_share():
    halting = Halting.of(rule="sigmoid", halt_max_steps=16, halt_exploration_prob=0.25)
    least = halting.exploration(3, 7, 20_000)
    np.testing.assert_array_equal(least, halting.exploration(3, 7, 20_000))
    assert (least != halting.exploration(3, 8, 20_000)).any()
    assert (least > 0).mean() == pytest.approx(0.25, abs=0.01)
    assert set(least.tolist()) == {0, *range(2, 17)}


def test_q_target_is_the_maximum_or_q_halt_at_the_end():
    target = q_target(torch.tensor([0.0, 0.0]), torch.tensor([2.0, 2.0]), torch.tensor([False, True]))
    assert target.tolist() == pytest.approx([1 / (1 + math.exp(-2)), 0.5])


def test_adam_atan2_is_its_formula():
    torch.manual_seed(0)
    start, gradients = torch.randn(5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    p = torch.nn.Parameter(start.clone())
    optimiser = AdamATan2([p], lr=0.1, betas=(0.9, 0.95), weight_decay=0.3)
    by_hand, m, v = start.clone(), torch.zeros(5), torch.zeros(5)
    for s, g in enumerate(gradients, start=1):
        p.grad = g.clone()
        optimiser.step()
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        by_hand = by_hand * (1 - 0.1 * 0.3)
        by_hand = by_hand - 0.1 / (1 - 0.9**s) * torch.atan2(m, v.sqrt() / math.sqrt(1 - 0.95**s))
    torch.testing.assert_close(p.detach(), by_hand)


def test_sign_sgd_sums_equal_identifiers_first_and_leaves_absent_rows_alone():
    table = PuzzleTable(4, 2)
    table.weight.fill_(1.0)
    gradients = torch.tensor([[1.0, 1.0], [-3.0, 1.0], [0.0, -2.0]])
    SignSGD(table, weight_decay=0.5).step(torch.tensor([2, 2, 0]), gradients, lr=0.1)
    torch.testing.assert_close(table.weight, torch.tensor([[0.95, 1.05], [1, 1], [1.05, 0.85], [1, 1]]))


def test_schedules():
    constant = OptimSettings.of(name="adamw", warmup=4)
    assert [constant.factor(s, 10) for s in (1, 2, 4, 9)] == [0.25, 0.5, 1, 1]
    cosine = OptimSettings.of(name="adamw", warmup=2, schedule="cosine", lr_min_ratio=0.1)
    assert [cosine.factor(s, 10) for s in (2, 6, 10)] == pytest.approx([1, 0.55, 0.1])
    linear = OptimSettings.of(name="adamw", warmup=2, schedule="linear", decay_from=0.6)
    assert [linear.factor(s, 10) for s in (1, 2, 6, 7, 9, 10)] == pytest.approx([0.5, 1, 1, 0.75, 0.25, 0])
    late = OptimSettings.of(name="adamw", warmup=8, schedule="linear", decay_from=0.6, lr_min_ratio=0.2)
    assert [late.factor(s, 10) for s in (4, 8, 9, 10)] == pytest.approx([0.5, 1, 0.6, 0.2])


RETRIEVAL = {"name": "retrieval", "module": "memhrm.memory.retrieval.Retrieval"}
BANK = {f"H_module.{name}" for name in ("encode.vectors", "encode.weights", "sharpness")}


@pytest.mark.parametrize(
    ("changes", "labels", "memory", "tables"),
    [
        ({"positions": "learned"}, 0, NO_MEMORY, {"embed.positions"}),
        ({"decoder_layers": 1}, 0, NO_MEMORY, {"decoder.tokens"}),
        ({}, 2, registry.parse(RETRIEVAL), BANK),
    ],
)
def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest(changes, labels, memory, tables):
    model = Reasoner(model_settings(**changes), replace(SHAPE, num_labels=labels), memory)
    muon, adamw = Optimisers(model, OptimSettings.of(name="muon"), 10).main
    names = {id(p): name for name, p in model.named_parameters()}
    of = [{names[id(p)] for group in o.param_groups for p in group["params"]} for o in (muon, adamw)]
    assert isinstance(muon, torch.optim.Muon)
    assert of[1] == {"embed.tokens", "lm_head.weight", "q_head.weight", "q_head.bias", *tables}
    assert of[0] | of[1] == set(names.values()) and not of[0] & of[1]


def test_moving_average_begins_at_the_weights_and_copies_the_puzzle_table(tiny_model):
    model = tiny_model()
    start = model.lm_head.weight.detach().clone()
    average = moving_average(model, 0.9)
    with torch.no_grad():
        model.lm_head.weight.add_(1.0)
        model.puzzles.weight.add_(1.0)
    average.update_parameters(model)
    torch.testing.assert_close(average.module.lm_head.weight, start + 0.1)
    torch.testing.assert_close(average.module.puzzles.weight, model.puzzles.weight)


def test_a_group_of_losses_is_read_back_as_it_was():
    """The weights of the memory's losses stand beside the others; null leaves one to the memory."""
    made = LossSettings.parse({"lm": 2.0, "mine": 0.5, "other": None})
    assert made.memory == {"mine": 0.5, "other": None} and made.lm == 2.0
    flat = made.flat()
    assert flat["mine"] == 0.5 and "memory" not in flat
    assert LossSettings.parse(flat) == made
