"""The recipes have the published sizes (HRM, arXiv 2506.21734; TRM, arXiv 2510.04871)."""

import pytest
import torch

from memhrm.config.command import compose
from memhrm.data.settings import parse
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.models.settings import puzzle_shape
from memhrm.runs.settings import parse as parse_run

RECIPES = {  # H_cycles, L_cycles, gradient window, halting rule, EMA, optimiser steps, parameters
    "hrm_sudoku_extreme": (2, 2, "one_step", "q_learning", 0.0, 26041, 27_275_266),
    "trm_sudoku_extreme": (3, 6, "last_cycle", "sigmoid", 0.999, 65104, 6_828_034),
    "trm_mlp_sudoku_extreme": (3, 6, "last_cycle", "sigmoid", 0.999, 65104, 5_028_866),
    "hrm_maze_hard": (2, 2, "one_step", "q_learning", 0.0, 26041, 27_270_146),
    "trm_maze_hard": (3, 4, "last_cycle", "sigmoid", 0.999, 65104, 6_822_914),
    "hrm_arc1": (2, 2, "one_step", "q_learning", 0.0, 519_000, 27_276_290),
    "trm_arc1": (3, 4, "last_cycle", "sigmoid", 0.999, 519_000, 6_829_058),
    "trm_arc2": (3, 4, "last_cycle", "sigmoid", 0.999, 726_000, 6_829_058),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_the_published_one(name):
    run = parse_run(compose("train", [f"experiment={name}", "data.path=anywhere"]))
    with torch.device("meta"):
        model = Reasoner(run.model, puzzle_shape(parse(run.data).task()))
    m, h, o = run.model, run.halting, run.optim
    found = (m.H_cycles, m.L_cycles, m.gradient_window, h.rule, o.ema, run.steps, count_parameters(model))
    assert found == RECIPES[name]
    assert (m.hidden_size, m.num_heads, h.halt_max_steps, run.batch_size) == (512, 8, 16, 768)
    decay, puzzle_lr = (0.1, 1e-2) if "arc" in name else (1.0, 1e-4)
    assert (o.name, o.lr, o.betas, o.warmup) == ("adam_atan2", 1e-4, (0.9, 0.95), 2000)
    assert (o.weight_decay, o.puzzle_weight_decay, o.puzzle_lr) == (decay, decay, puzzle_lr)
    assert m.prefix_length() == (1 if "hrm" in name else 16)
