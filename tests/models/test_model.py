"""The reasoner against slow references and published facts."""

import math
from dataclasses import replace

import pytest
import torch

from alone import BICROSS
from conftest import SHAPE, model_settings
from memhrm.memory import registry
from memhrm.memory.none import NO_MEMORY
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.models.recursion import gradient_start
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.nn import attention as attend
from memhrm.nn import swiglu as units
from memhrm.nn.attention import axial_rotary_table, rotary_table, rotate
from memhrm.nn.blocks import SwiGLU, add_rms, inner_width, normed_gate
from memhrm.nn.layers import truncated_normal_
from memhrm.nn.swiglu import silu_gate, swiglu

PUBLISHED = {"hidden_size": 512, "num_heads": 8, "L_layers": 2, "H_net": "shared", "H_cycles": 3,
             "L_cycles": 6, "gradient_window": "last_cycle", "puzzle_emb_len": 16}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"L_layers": 4, "H_layers": 4, "H_net": "own", "puzzle_emb_len": 0}, 27_275_266),
        ({}, 6_828_034),
        ({"mixer": "mlp", "positions": "none"}, 5_028_866),
    ],
    ids=["hrm", "trm", "trm_mlp"],
)
def test_parameter_counts_are_the_published_ones(changes, parameters):
    shape = PuzzleShape(vocab_size=11, num_tokens=81, num_identifiers=1)
    with torch.device("meta"):
        model = Reasoner(ModelSettings.of(**{**PUBLISHED, **changes}), shape)
    assert count_parameters(model) == parameters


@pytest.mark.parametrize("H_net", ["own", "shared"])
@pytest.mark.parametrize("placement", ["replace", "augment"])
def test_a_memory_changes_no_first_weight_outside_itself(H_net, placement):
    layers = {"H_net": H_net, "H_layers": int(H_net == "own")}
    found = []
    for memory in ({}, {**BICROSS, "placement": placement}):
        torch.manual_seed(5)
        made = Reasoner(model_settings(**layers), SHAPE, registry.parse(memory) if memory else NO_MEMORY)
        found.append({name: value for name, value in made.state_dict().items() if "H_module" not in name})
    plain, beside = found
    without = plain.keys() - beside.keys()
    assert all(name.startswith("H_net") for name in without)
    assert bool(without) == (H_net == "own" and placement == "replace")
    for name, value in beside.items():
        assert torch.equal(value, plain[name]), name


def test_truncated_normal_has_the_std_asked_for_and_is_cut_at_two_sigma():
    torch.manual_seed(0)
    sample = truncated_normal_(torch.empty(200_000), std=0.5)
    assert sample.std().item() == pytest.approx(0.5, rel=0.01)
    sigma = sample.abs().max().item() / 2
    assert sigma == pytest.approx(0.5 / 0.8796, rel=0.01)  # 0.8796: std of a unit normal cut at +-2.


def test_rms_of_a_sum_is_its_formula():
    x, y = torch.randn(2, 3, 5).unbind(0)
    by_hand = (x + y) / ((x + y).double().pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(add_rms(x, y), by_hand.float())
    torch.testing.assert_close(add_rms(x.mT, y.mT, dim=-2), by_hand.float().mT)


def test_normed_gate_is_its_formula():
    gate, up = torch.randn(2, 5, 8, dtype=torch.float64)
    product = gate * up
    wanted = product / (product.square().mean(-1, keepdim=True) + 1e-5).sqrt() / (1 + torch.exp(-gate))
    torch.testing.assert_close(normed_gate(torch.cat((gate, up), -1)), wanted)


def test_unit_is_that_of_all_blocks():
    """A normed unit's output does not grow with its first map, a SwiGLU's does."""
    for mixer in ("attention", "mlp"):
        for unit, grows in (("swiglu", True), ("normed", False)):
            torch.manual_seed(0)
            positions = "none" if mixer == "mlp" else "rope"
            model = Reasoner(model_settings(unit=unit, mixer=mixer, positions=positions), SHAPE)
            units = [module for module in model.modules() if isinstance(module, SwiGLU)]
            assert len(units) == (2 if mixer == "mlp" else 1)
            for one in units:
                x = torch.randn(3, one.gate_up.in_features)
                before = one(x).norm()
                with torch.no_grad():
                    one.gate_up.weight[one.down.in_features :] *= 100  # Of the half that is not gated.
                assert bool(one(x).norm() > 50 * before) == grows


def test_silu_gate_is_its_formula():
    gate, up = torch.randn(2, 3, 4).unbind(0)
    torch.testing.assert_close(silu_gate(torch.cat((gate, up), -1)), gate / (1 + torch.exp(-gate)) * up)


@pytest.mark.parametrize("part", [1, 3000, 2**21], ids=["row by row", "unequal parts", "one part"])
@pytest.mark.parametrize("across", [False, True])
def test_swiglu_by_parts_is_its_formula(monkeypatch, part, across):
    monkeypatch.setattr(units, "PART", part)
    gate_up, down = torch.randn(16, 5, requires_grad=True), torch.randn(5, 8, requires_grad=True)
    x = torch.randn(7, 5, 9) if across else torch.randn(63, 5)
    x.requires_grad_()
    gate, up = ((x.mT if across else x) @ gate_up.T).chunk(2, -1)
    wanted = (gate / (1 + torch.exp(-gate)) * up) @ down.T
    wanted = wanted.mT if across else wanted
    found = swiglu(x, gate_up, down)
    torch.testing.assert_close(found, wanted)
    with torch.no_grad():
        assert torch.equal(swiglu(x, gate_up, down), found)
    gradient, tensors = torch.randn_like(wanted), (x, gate_up, down)
    for one, other in zip(
        torch.autograd.grad(found, tensors, gradient), torch.autograd.grad(wanted, tensors, gradient)
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_tokens_are_mixed_alike_by_parts_and_by_plain_products(monkeypatch):
    mlp, x = SwiGLU(5, 4.0), torch.randn(3, 5, 8)
    by_parts = mlp.across(x)
    monkeypatch.setattr(mlp, "by_parts", lambda x: False)
    torch.testing.assert_close(mlp.across(x), by_parts)
    torch.testing.assert_close(mlp(x.mT).mT, by_parts)


def test_bfloat16_loses_no_gradient_between_parts(monkeypatch):
    """The gradient of a weight adds up over parts in float32: its error stays at one rounding."""
    monkeypatch.setattr(units, "PART", 1)
    gate_up, down = torch.randn(16, 5).bfloat16().requires_grad_(), torch.randn(5, 8).bfloat16()
    x = torch.randn(2000, 5, 9).bfloat16()
    (found,) = torch.autograd.grad(swiglu(x, gate_up, down).sum(), gate_up)
    (exact,) = torch.autograd.grad(swiglu(x.double(), gate_up.double(), down.double()).sum(), gate_up)
    assert (found.double() - exact).norm() < 2**-7 * exact.norm()


@pytest.mark.parametrize("learns", [False, True])
def test_swiglu_is_one_operation_to_a_compiler(learns):
    x, gate_up, down = torch.randn(3, 5, 9), torch.randn(16, 5), torch.randn(5, 8)
    inputs = (x, gate_up.requires_grad_(learns), down)
    op = torch.ops.memhrm.swiglu if learns else torch.ops.memhrm.swiglu_fixed
    torch.library.opcheck(op, inputs)


def test_gradients_written_by_hand_are_those_of_their_formulas():
    x, y = (torch.randn(2, 3, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(add_rms, (x, y))
    assert torch.autograd.gradcheck(lambda x, y: add_rms(x, y, dim=-2), (x, y))
    assert torch.autograd.gradcheck(silu_gate, (x,))
    for one, width in ((x.flatten(0, 2), 4), (x.flatten(0, 1), 2)):
        sizes = (6, width), (width, 3)
        weights = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes)
        assert torch.autograd.gradcheck(swiglu, (one, *weights))
    assert torch.autograd.gradcheck(lambda x: rotate(x, rotary_table(3, 4).double()), (x,))


def test_inner_width_is_rounded_up_to_256():
    assert [inner_width(*args) for args in [(512, 4), (97, 4), (16, 1), (384, 4)]] == [1536, 512, 256, 1024]


def test_rotation_by_complex_numbers_gives_the_same():
    x, length, c = torch.randn(2, 7, 3, 8), 7, 8
    angle = torch.outer(torch.arange(length), 10000.0 ** (-torch.arange(0, c, 2) / c))
    turned = (
        torch.complex(x[..., : c // 2], x[..., c // 2 :])
        * torch.polar(torch.ones_like(angle), angle)[:, None]
    )
    torch.testing.assert_close(rotate(x, rotary_table(length, c)), torch.cat((turned.real, turned.imag), -1))


def test_attention_is_its_formula():
    q, k, v = torch.randn(3, 2, 5, 4, 8).unbind(0)
    scores = torch.einsum("bsnc,btnc->bnst", q, k) / math.sqrt(8)
    by_hand = torch.einsum("bnst,btnc->bsnc", scores.softmax(-1), v)
    torch.testing.assert_close(attend.sdpa(q, k, v), by_hand)


@pytest.mark.skipif(torch.cuda.is_available(), reason="xformers can run here")
def test_xformers_without_cuda_says_why():
    with pytest.raises(ValueError, match="needs a CUDA device"):
        attend.backend("xformers")


def test_gradient_windows_begin_where_they_say():
    assert gradient_start("one_step", 3, 6) == (2, 5)
    assert gradient_start("last_cycle", 3, 6) == (2, 0)
    assert gradient_start(2, 3, 6) == (1, 0)
    for window in ("one_step", "last_cycle", "whole", 1):  # What has one step of each has one window.
        assert {gradient_start(window, 1, steps) for steps in (0, 1)} == {(0, 0)}


@pytest.mark.parametrize("window", ["one_step", "last_cycle", {"cycles": 2}, {"cycles": 3}])
def test_window_gives_the_gradient_of_the_recursion_unrolled_by_hand(tiny_model, batch, window):
    """Written out step by step in float64, with the states cut at the start of the window."""
    model = tiny_model(H_net="own", H_layers=1, H_cycles=3, L_cycles=2, gradient_window=window).double()
    data = batch()
    rows = model.puzzles(data["identifiers"])
    _, out = model(model.initial_state(4, torch.float64), data["inputs"], rows)
    (out.logits.sum() + out.q_halt.sum()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()

    steps = [("L", h, i) for h in range(3) for i in range(2)] + [("H", h, 2) for h in range(3)]
    steps.sort(key=lambda step: step[1:])
    first = (
        {"one_step": 7, "last_cycle": 6}.get(str(window))
        if isinstance(window, str)
        else 3 * (3 - window["cycles"])
    )
    x = model.embed(data["inputs"], rows)
    z_H, z_L, _ = model.initial_state(4, torch.float64)
    for number, (level, _, _) in enumerate(steps):
        if number == first:
            z_H, z_L = z_H.detach(), z_L.detach()
        if level == "L":
            z_L = model.L_net(z_L, (z_H + x) if number >= first else (z_H + x).detach(), model.rotary)
        else:
            z_H = model.H_net(z_H, z_L, model.rotary)
    logits = model.lm_head(z_H[:, 2:])
    (logits.sum() + model.q_head(z_H[:, 0])[:, 0].sum()).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(found[name], p.grad, msg=lambda m, n=name: f"{n}: {m}")


def test_without_L_steps_the_H_step_receives_the_input(tiny_model, batch):
    model = tiny_model(L_layers=0, L_cycles=0, H_layers=2, H_net="own", H_cycles=2)
    data = batch()
    rows = model.puzzles(data["identifiers"])
    state, _ = model(model.initial_state(4), data["inputs"], rows)
    x, z_H = model.embed(data["inputs"], rows), model.initial_state(4).z_H
    for _ in range(2):
        z_H = model.H_net(z_H, x, model.rotary)
    torch.testing.assert_close(state.z_H, z_H)
    torch.testing.assert_close(state.z_L, model.initial_state(4).z_L)


def test_checkpointed_activations_give_the_same_gradient_bit_for_bit(tiny_model, batch):
    gradients = []
    for checkpointed in (False, True):
        model = tiny_model(gradient_window={"cycles": 2}, checkpoint_activations=checkpointed)
        data = batch()
        _, out = model(model.initial_state(4), data["inputs"], model.puzzles(data["identifiers"]))
        out.logits.square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_rows_do_not_see_each_other(tiny_model, batch):
    model, data = tiny_model(), batch()
    rows = model.puzzles(data["identifiers"])
    together, _ = model(model.initial_state(4), data["inputs"], rows)
    alone, _ = model(model.initial_state(1), data["inputs"][2:3], rows[2:3])
    torch.testing.assert_close(together.z_H[2:3], alone.z_H)


def test_learned_positions_enter_before_the_scale(tiny_model, batch):
    model, data = tiny_model(positions="learned"), batch()
    rows = model.puzzles(data["identifiers"])
    tokens = torch.cat(
        (rows.view(4, 1, 16), torch.zeros(4, 1, 16), model.embed.tokens[data["inputs"].long()]), 1
    )
    by_hand = 4.0 * (tokens + model.embed.positions) / math.sqrt(2)
    torch.testing.assert_close(model.embed(data["inputs"], rows), by_hand)


def test_axial_positions_are_those_of_row_and_column(tiny_model, batch):
    model, data = tiny_model(positions="axial"), batch()
    rows, embed = model.puzzles(data["identifiers"]), model.embed
    x = model.embed(data["inputs"], rows)
    assert embed.rows.shape == embed.columns.shape == (4, 16) and embed.positions.shape == (2, 16)
    for at in range(16):
        where = (embed.rows[at // 4] + embed.columns[at % 4]) / math.sqrt(2)
        by_hand = 4.0 * (embed.tokens[data["inputs"][:, at].long()] + where) / math.sqrt(2)
        torch.testing.assert_close(x[:, 2 + at], by_hand)
    prefix = torch.cat((rows.view(4, 1, 16), torch.zeros(4, 1, 16)), 1)
    torch.testing.assert_close(x[:, :2], 4.0 * (prefix + embed.positions) / math.sqrt(2))
    with pytest.raises(
        ValueError, match=r"model.positions is 'axial'; allowed: with data whose positions lie"
    ):
        Reasoner(model_settings(positions="axial"), replace(SHAPE, layout=(1, 16)))


def test_axial_rotary_positions_turn_half_a_head_with_the_row_and_half_with_the_column(tiny_model):
    table = axial_rotary_table((3, 5), 8, prefix=2)
    for at in range(15):
        here = table[:, 2 + at, 0]
        for places, pairs in ((at // 5, (0, 1)), (at % 5, (2, 3))):
            alone = rotary_table(places + 1, 4, theta=100.0)[:, places, 0]
            for own, pair in enumerate(pairs):
                assert torch.equal(here[:, pair], alone[:, own])
                assert torch.equal(here[:, 4 + pair], alone[:, 2 + own])
    still = torch.tensor([1.0, 0.0]).view(2, 1, 1).expand(2, 2, 8)
    assert torch.equal(table[:, :2, 0].abs(), still)
    model = tiny_model(positions="axial_rope")
    assert torch.equal(model.rotary, axial_rotary_table((4, 4), 8, prefix=2)) and hasattr(model.embed, "rows")


def test_with_axial_rotary_positions_attention_sees_how_far_cells_lie_apart():
    """A query and a key, moved together over the grid, match as before."""
    table = axial_rotary_table((4, 4), 8).double()
    random = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 8, dtype=torch.float64, generator=random)
    turned_q, turned_k = (rotate(x.expand(1, 16, 1, 8), table)[0, :, 0] for x in (q, k))
    match = (turned_q @ turned_k.T).view(4, 4, 4, 4)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1)):
        origin = max(-column, 0)
        same = [
            match[r, c, r + row, c + column]
            for r in range(4 - row)
            for c in range(origin, 4 - max(column, 0))
        ]
        torch.testing.assert_close(torch.stack(same), same[0].expand(len(same)))
    assert not torch.isclose(match[0, 0, 0, 1], match[0, 0, 1, 0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_heads": 3}, "model.num_heads is 3; allowed: with model.hidden_size=16: 1, 2, 4, 8"),
        ({"gradient_window": {"cycles": 3}}, "g from 1 to H_cycles=2"),
        ({"gradient_window": "all"}, "one_step, last_cycle"),
        ({"puzzle_emb_ndim": 33}, "0 to puzzle_emb_len"),
        ({"H_layers": 1}, "0 with H_net=shared"),
        ({"L_cycles": 0}, "model.L_layers is 1"),
    ],
)
def test_impossible_architectures_are_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=words):
        model_settings(**changes)


def test_a_model_without_puzzle_table_has_no_prefix(batch):
    model = Reasoner(model_settings(puzzle_emb_ndim=0, puzzle_emb_len=0), SHAPE)
    _, out = model(model.initial_state(4), batch()["inputs"], None)
    assert model.puzzles is None and out.logits.shape == (4, SHAPE.num_tokens, SHAPE.vocab_size)
