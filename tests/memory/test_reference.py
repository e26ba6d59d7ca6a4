"""The memories against their slow reference, and memories that must be equal to each other.

b batch, t position, d width, N cells, k active cells, l = 1 + M tokens of a cell.
"""

import random
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from conftest import SHAPE, model_settings
from memhrm.config.settings import SettingWarning
from memhrm.memory.base import NORMS, Context, HModule, HShape
from memhrm.memory.registry import make, parse
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.models.recursion import Recursion, State
from memhrm.nn.attention import sdpa
from memory_reference import Reference, rms

Result = tuple[Tensor, dict[str, Tensor], list[dict[str, Tensor]]]
"""z_H', memory' and the traces of two H-steps."""

MODULES = {
    "bicross": ("memhrm.memory.bicross.BiCross", {}),
    "multicell": ("memhrm.memory.multicell.MultiCell", {"cells": 4, "k": 2}),
    "add": ("memhrm.memory.aggregate.Aggregate", {"cells": 4, "k": 2, "aggregation": "add"}),
    "concat": ("memhrm.memory.aggregate.Aggregate", {"cells": 4, "k": 2, "aggregation": "concat"}),
}
CELLS = ["multicell", "add", "concat"]
B, T, D, M = 3, 5, 8, 2

FOR_ALL = [
    {},
    {"placement": "replace"},
    {"state_norm": "rms"},
    {"positions": "write"},
    {"positions": "both"},
    {"num_heads": 4},
    {"expansion": 64.0},
    {"tokens": 1},
]
RECIPE = {
    "k": 1,
    "cls": "key",
    "score_norm": "layer",
    "fresh": (0.2, 0.6),
    "hold": "feedback",
    "straight_through": "both",
    "gate": "none",
    "center": 0.5,
    "pooling": "attend",
    "scorer_start": "identity",
}
"""With which 32 cells learn to keep 32 contexts apart (docs/memory.md)."""
TOLD = [
    {**RECIPE, "write_when": "told", "shared_cell": False},
    {**RECIPE, "write_when": "told", "shared_cell": False, "hold": "example", "k": 2, "written": 1},
    {
        "write_when": "told",
        "shared_cell": False,
        "hold": "example",
        "cls": "key",
        "reads": "all",
        "pooling": "max",
        "projections": 2,
    },
    {
        "write_when": "told",
        "shared_cell": False,
        "hold": "feedback",
        "cls": "key",
        "writes": "all",
        "own_projections": True,
    },
    {"write_when": "told", "shared_cell": False, "hold": "example", "selector": "policy"},
    {"write_when": "told", "shared_cell": False, "cls": "key", "k": 1},
]
"""What questions write nothing with."""
FOR_CELLS = [
    {"k": 1},
    {"k": 4},
    {"gate": "all"},
    {"gate": "all", "k": 1},
    {"gate": "none"},
    {"projections": 3},
    {"projections": 3, "combine": "logsumexp"},
    {"projections": 3, "combine": "max"},
    {"score_scale": "none"},
    {"pooling": "first"},
    {"shared_cell": True},
    {"shared_cell": True, "k": 3, "gate": "all"},
    {"self_attention": True},
    {"self_attention": True, "state_norm": "rms", "num_heads": 4},
    {"selector": "policy"},
    {"selector": "policy", "shared_cell": True, "k": 3},
    {"selector": "random"},
    {"selector": "random", "shared_cell": True},
    {"selector": "all"},
    {"selector": "lowest_loss"},
    {"selector": "lowest_loss", "shared_cell": True, "state_norm": "rms"},
    {"decay": 0.3},
    {"decay": 1.0, "usage_average": 0.5, "shared_cell": True},
    {"usage_average": 0.0},
    {"pooling": "attend"},
    {"pooling": "max"},
    {"pooling": "max", "projections": 3, "combine": "logsumexp", "cls": "key", "k": 1},
    {"center": 0.1},
    {"center": 0.1, "pooling": "max", "score_norm": "layer", "hold": "feedback"},
    {"score_norm": "layer"},
    {"own_projections": True, "projections": 2, "combine": "max"},
    {"scorer_start": "identity"},
    {"load_bias": 0.1},
    {"load_bias": 0.1, "selector": "policy", "shared_cell": True},
    {"score_noise": 2.0},
    {"fresh": (0.5,)},
    {"fresh": (0.5,), "selector": "policy", "gate": "all"},
    {"contents_start": "same"},
    {"cls": "frozen"},
    {"cls": "key", "k": 1},
    {"cls": "key", "own_projections": True},
    {"cls": "key", "projections": 3, "combine": "max", "own_projections": True, "score_norm": "layer"},
    {"hold": "feedback"},
    {"hold": "example", "cls": "key", "k": 1},
    {"hold": "example", "selector": "policy"},
    {"hold": "feedback", "selector": "lowest_loss"},
    {"hold": "feedback", "selector": "random", "shared_cell": True},
    {"straight_through": "read"},
    {"straight_through": "write", "k": 1},
    {"straight_through": "both", "gate": "none", "shared_cell": True},
    {"straight_through": "both", "gate": "all", "self_attention": True, "state_norm": "rms", "cls": "frozen"},
    {"selector": "oracle"},
    {"selector": "oracle", "shared_cell": True, "k": 3},
    {"selector": "hash", "straight_through": "both"},
    {"reads": "all"},
    {"reads": "all", "gate": "all", "shared_cell": True},
    {"writes": "all"},
    {"writes": "all", "reads": "all", "gate": "none", "decay": 0.3},
    {"written": 1},
    {"written": 1, "k": 3, "reads": "all", "straight_through": "both", "decay": 0.3, "fresh": (0.3,)},
    RECIPE,
    *TOLD,
]
CASES = [(kind, changes) for kind in MODULES for changes in FOR_ALL] + [
    (kind, changes) for kind in CELLS for changes in FOR_CELLS
]


def drawn_cases(count: int) -> list[tuple[str, dict]]:
    """Random combinations of all options."""
    values = {
        "placement": ["replace", "augment"],
        "state_norm": ["none", "rms"],
        "positions": ["none", "write", "both"],
        "num_heads": [None, 1, 4],
        "gate": ["selected", "all", "none"],
        "combine": ["mean", "logsumexp", "max"],
        "projections": [1, 3],
        "score_scale": ["sqrt", "none"],
        "pooling": ["mean", "first", "attend", "max"],
        "shared_cell": [False, True],
        "self_attention": [False, True],
        "selector": ["topk", "policy", "random", "all", "lowest_loss", "oracle", "hash"],
        "own_projections": [False, True],
        "score_norm": ["none", "layer"],
        "score_noise": [0.0, 1.0],
        "center": [0.0, 0.1],
        "load_bias": [0.0, 0.1],
        "fresh": [(), (0.5,)],
        "straight_through": ["none", "read", "write", "both"],
        "reads": ["selected", "all"],
        "writes": ["selected", "selected", "all"],
        "cls": ["evolving", "frozen", "key"],
        "hold": ["none", "feedback", "example"],
        "write_when": ["always", "told"],
        "decay": [0.0, 0.4],
        "usage_average": [0.9, 0.2],
        "k": [2, 3],
        "cells": [4, 5],
    }
    draw = random.Random(0)
    cases = [{name: draw.choice(allowed) for name, allowed in values.items()} for _ in range(count)]
    for case in cases:  # Cells that are given the same key score the same ever after, and any may be chosen.
        case["own_projections"] |= case["cls"] == "key"
    return [(CELLS[i % len(CELLS)], case) for i, case in enumerate(cases)]


def named(case) -> str:
    return ",".join(f"{key}={value}" for key, value in case.items()) if isinstance(case, dict) else str(case)


def build(kind: str, seed: int = 0, **changes) -> Any:
    """A memory in double precision, with weights of its own for each seed."""
    path, values = MODULES[kind]
    torch.manual_seed(seed)
    shape = HShape(width=D, num_heads=2, expansion=1.0, length=T, mixer="attention", attend=sdpa)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SettingWarning)
        settings = parse({"name": kind, "module": path, "tokens": M, **values, **changes})
        if settings.write_when == "told":  # Something is told in episodes alone.
            settings = settings.within(episodes=True)
        return make(settings, shape).double()


def reference(kind: str, module: Any) -> Reference:
    heads = module.settings.num_heads or 2
    moved = [(name, x) for name, x in module.named_buffers() if not name.endswith("_init")]
    weights = {name.partition(".")[2]: x for name, x in [*module.named_parameters(), *moved]}  # Of its parts.
    return Reference(kind, module.settings, weights, heads, module.training)


class World:
    """States, a memory that differs by row, a level, a judge and noise, for two H-steps."""

    def __init__(self, module: HModule, seed: int = 1):
        self.random = torch.Generator().manual_seed(seed)
        self.z_H, self.z_L = self.draw(B, T, D), [self.draw(B, T, D), self.draw(B, T, D)]
        self.memory = {name: self.draw(*x.shape) for name, x in module.initial_memory(B).items()}
        if "usage" in self.memory:
            self.memory["usage"] = self.memory["usage"].detach().sigmoid().requires_grad_()
        if "written" in self.memory:
            self.memory["written"] = (self.memory["written"] > 0).double()
        for name, x in module.named_buffers():
            if not name.endswith("_init"):
                x.copy_(self.draw(*x.shape).detach())
        self.from_H, self.from_L = self.draw(D, D).detach() / 3, self.draw(D, D).detach() / 3
        self.wanted = self.draw(T, D).detach()
        self.noise: Tensor | None = torch.rand(2, B, module.cells, dtype=torch.float64, generator=self.random)
        self.judges = True
        self.address = torch.tensor([[0, 7], [2, 40], [5, 11]], dtype=torch.int32)
        self.feedback = torch.tensor([[False, True, False], [True, False, False]])
        self.continues = torch.tensor([[False, True, False], [True, True, False]])

    def draw(self, *size: int) -> Tensor:
        return torch.randn(size, dtype=torch.float64, generator=self.random).requires_grad_()

    def level(self, z_H: Tensor, z_L: Tensor) -> Tensor:
        return z_H @ self.from_H + z_L @ self.from_L

    def judge(self, z_H: Tensor) -> Tensor:
        return (z_H - self.wanted).square().mean(dim=(1, 2))

    def context(self, i: int) -> Context:
        return Context(
            self.level,
            None if self.noise is None else self.noise[i],
            self.judge if self.judges else None,
            address=self.address,
            feedback=self.feedback[i],
            continues=self.continues[i],
        )

    def told(self, i: int) -> dict[str, Tensor]:
        """What the reference is told beside the level, the noise and the judge."""
        return {"address": self.address, "feedback": self.feedback[i], "continues": self.continues[i]}

    def leaves(self, module: HModule) -> dict[str, Tensor]:
        """What a gradient is wanted for: every parameter, every input."""
        states = {"z_H": self.z_H, "z_L 0": self.z_L[0], "z_L 1": self.z_L[1]}
        drawn = {name: x for name, x in self.memory.items() if x.requires_grad}
        return {**dict(module.named_parameters()), **states, **drawn}

    def fast(self, module: HModule) -> Result:
        z_H, memory, traces = self.z_H, self.memory, []
        for i in range(2):
            z_H, memory, trace = module(z_H, self.z_L[i], memory, self.context(i))
            traces.append(trace)
        return z_H, memory, traces

    def slow(self, kind: str, module: HModule) -> Result:
        z_H, memory, traces, step = self.z_H, self.memory, [], reference(kind, module).step
        for i in range(2):
            z_H, memory, trace = step(z_H, self.z_L[i], memory, *self.context(i)[:3], **self.told(i))
            traces.append(trace)
        return z_H, memory, traces


SINGLE = ("self_sup", "_norm")
"""Figures that a trace has in float32 whatever the precision of the module."""


def same(found: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(
        found, wanted, rtol=tolerance, atol=tolerance, check_dtype=False, msg=lambda m: f"{what}: {m}"
    )


def listed(result: Result) -> dict[str, Tensor]:
    z_H, memory, traces = result
    figures = {f"trace {i} {name}": x for i, trace in enumerate(traces) for name, x in trace.items()}
    return {"z_H": z_H, **{f"memory {name}": x for name, x in memory.items()}, **figures}


def assert_same(found: Result, wanted: Result, leaves: Mapping[str, Tensor]) -> None:
    """Everything that comes out, and by every leaf the gradient of a random function of all of it."""
    fast, slow = listed(found), listed(wanted)
    assert fast.keys() == slow.keys()
    for name in fast:
        same(fast[name], slow[name], name, 1e-6 if name.endswith(SINGLE) else 1e-9)

    double = [name for name in fast if not name.endswith(SINGLE)]
    smooth = [name for name in double if fast[name].requires_grad]
    assert smooth == [name for name in double if slow[name].requires_grad]
    random = torch.Generator().manual_seed(2)
    weights = {name: torch.randn(fast[name].shape, dtype=torch.float64, generator=random) for name in smooth}

    def total(x: dict[str, Tensor]) -> Tensor:
        return torch.stack([(weights[name] * x[name]).sum() for name in smooth]).sum()

    assert_same_gradients(total(fast), total(slow), leaves, 1e-9)
    own = [name for name in fast if name.endswith("self_sup")]
    if own:
        assert_same_gradients(
            torch.stack([fast[name] for name in own]).sum(),
            torch.stack([slow[name] for name in own]).sum(),
            leaves,
            1e-5,
        )


def assert_same_gradients(fast: Tensor, slow: Tensor, leaves: Mapping[str, Tensor], tolerance: float) -> None:
    wanted = list(leaves.values())
    a, b = (
        torch.autograd.grad(x, wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        for x in (fast, slow)
    )
    for name, x, y in zip(leaves, a, b, strict=True):
        same(x, y, f"gradient by {name}", tolerance)


@pytest.mark.parametrize(("kind", "changes"), CASES, ids=named)
def test_two_H_steps_are_those_of_the_reference(kind, changes):
    module = build(kind, **changes)
    world = World(module)
    assert_same(world.fast(module), world.slow(kind, module), world.leaves(module))


@pytest.mark.parametrize(("kind", "changes"), drawn_cases(24), ids=range(24))
def test_options_together_are_those_of_the_reference(kind, changes):
    module = build(kind, **changes)
    world = World(module, seed=3)
    assert_same(world.fast(module), world.slow(kind, module), world.leaves(module))


@pytest.mark.parametrize("kind", MODULES)
def test_own_width_of_the_feed_forward_nets(kind):
    """256 is the least inner width; 64 * 8 * 2/3 is 341 and rounded up to 512."""
    for module, inner in ((build(kind), 256), (build(kind, expansion=64.0), 512)):
        widths = [
            x.ffn.down.weight.shape[1]
            for x in (module.exchange.read_residual, module.exchange.write_residual)
        ]
        assert widths == [inner, inner]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("selector", ["topk", "policy", "lowest_loss"])
def test_evaluation_is_greedy_and_has_no_figures_of_training(kind, selector):
    """Without noise and without a judge each of these takes the top scores."""
    module = build(kind, selector=selector).eval()
    world = World(module)
    world.noise, world.judges = None, False
    result = world.fast(module)
    assert_same(result, world.slow(kind, module), world.leaves(module))
    for trace in result[2]:
        assert torch.equal(trace["indices"], trace["scores"].topk(2).indices)
        assert trace.keys() == {"indices", "alpha", "scores", "read_cells", "written_cells", *NORMS}
    with torch.no_grad():  # Attention has another backend then.
        same(world.fast(module)[0], result[0], "z_H without gradient")


@pytest.mark.parametrize("changes", [{}, {"shared_cell": True, "k": 3}], ids=named)
@pytest.mark.parametrize("selector", ["policy", "lowest_loss"])
def test_selections_without_gradient_are_credited_as_of_constant_inputs(selector, changes):
    module = build("multicell", selector=selector, **changes)
    world = World(module)
    with torch.no_grad():
        z_H, memory, fast = module(world.z_H, world.z_L[0], world.memory, world.context(0))
    z_H_in, z_L_in = world.z_H.detach(), world.z_L[0].detach()
    memory_in = {name: x.detach() for name, x in world.memory.items()}
    _, _, slow = reference("multicell", module).step(
        z_H_in, z_L_in, memory_in, *world.context(0)[:3], **world.told(0)
    )
    assert not any(x.requires_grad for x in (z_H, *memory.values(), fast["alpha"], fast["scores"]))
    for name in ("log_probability", "entropy"):
        same(fast[name], slow[name], name)
        assert_same_gradients(fast[name].sum(), slow[name].sum(), world.leaves(module), 1e-9)
        (by_scorer,) = torch.autograd.grad(fast[name].sum(), module.store.scorer.weight, retain_graph=True)
        assert by_scorer.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "changes"),
    [*((kind, {}) for kind in MODULES), *(("multicell", changes) for changes in TOLD)],
    ids=named,
)
def test_without_write_every_H_step_reads_the_memory_as_it_was_and_notes_what_it_asked(kind, changes):
    module = build(kind, **changes)
    world = World(module)
    recursion = Recursion(H_cycles=2, L_cycles=1, gradient_from=(0, 0))

    def L_step(z_L, injection):
        return (z_L + injection).tanh()

    def H_step(h, z_H, z_L, memory, level):
        context = world.context(h)._replace(write=False)
        z_H, after, trace = module(z_H, z_L, memory, context)
        return z_H, module.unwritten(memory, after), trace

    x, start = world.z_L[1], State(world.z_H, world.z_L[0], world.memory)
    (z_H, _, memory), traces = recursion(start, x, L_step, world.level, H_step)
    noted = {name for name in memory if name.startswith("asked_")}
    assert {name for name in memory if memory[name].data_ptr() != world.memory[name].data_ptr()} == noted
    assert ("asked_keys" in noted) == (changes.get("cls") == "key" and "hold" in changes)

    slow_H, slow_L, unwritten, slow_traces = world.z_H, world.z_L[0], world.memory, []
    for i in range(2):
        slow_L = L_step(slow_L, slow_H + x)
        slow_H, unwritten, trace = reference(kind, module).step(
            slow_H, slow_L, unwritten, *world.context(i)[:3], write=False, **world.told(i)
        )
        slow_traces.append(trace)
    slow = (slow_H, unwritten, slow_traces)
    assert_same((z_H, memory, traces), slow, world.leaves(module))


def plain_attention(attention, queries: Tensor, tokens: Tensor) -> Tensor:
    """PyTorch's multi-head attention with the maps of a cross-attention, (b, t, d) and (b, l, d)."""
    maps = torch.cat((attention.q.weight, attention.kv.weight))
    x, y = queries.transpose(0, 1), tokens.transpose(0, 1)
    out, _ = F.multi_head_attention_forward(
        x, y, y, D, attention.num_heads, maps, None, None, None, False, 0.0, attention.out.weight, None
    )
    return out.transpose(0, 1)


def test_equal_scores_read_all_cells_with_weights_one_nth():
    module = build("multicell", k=4, placement="replace", state_norm="none")
    torch.nn.init.zeros_(module.store.scorer.weight)
    world = World(module)
    h = F.layer_norm(world.z_H + world.z_L[0], (D,))
    each = [
        plain_attention(module.exchange.read, h, F.layer_norm(world.memory["cells"][:, i], (D,)))
        for i in range(4)
    ]
    u = world.z_H + torch.stack(each).mean(dim=0)
    dense = u + module.exchange.read_residual.ffn(F.layer_norm(u, (D,)))
    z_H, _, trace = module(world.z_H, world.z_L[0], world.memory, world.context(0))
    same(trace["alpha"], torch.full((B, 4), 0.25), "alpha")
    same(z_H, dense, "z_H", 1e-12)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("gate", ["selected", "all", "none"])
def test_all_cells_are_the_top_n(kind, gate):
    every, top = build(kind, selector="all", gate=gate), build(kind, k=4, gate=gate)
    world = World(every)
    top.load_state_dict(every.state_dict())
    z_H, memory, traces = world.fast(every)
    z_H_top, memory_top, traces_top = world.fast(top)
    same(z_H, z_H_top, "z_H", 1e-12)
    for name in memory:
        same(memory[name], memory_top[name], name, 1e-12)
    for trace, trace_top in zip(traces, traces_top, strict=True):
        assert torch.equal(trace["indices"], torch.arange(4).expand(B, 4))
        same(trace["alpha"].gather(1, trace_top["indices"]), trace_top["alpha"], "alpha", 1e-12)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("selector", ["topk", "policy", "random", "all", "lowest_loss"])
def test_cells_have_no_order(kind, selector):
    """Cells in another order: indices, usage and cells follow, nothing else changes."""
    module = build(kind, selector=selector, decay=0.2, self_attention=True)
    world, order = World(module), torch.tensor([2, 0, 3, 1])
    z_H, memory, traces = world.fast(module)
    assert world.noise is not None
    world.noise = world.noise[:, :, order]
    world.memory = {name: x[:, order] for name, x in world.memory.items()}
    z_H_moved, memory_moved, traces_moved = world.fast(module)

    same(z_H_moved, z_H, "z_H", 1e-12)
    for name in memory:
        same(memory_moved[name], memory[name][:, order], name, 1e-12)
    for trace, moved in zip(traces, traces_moved, strict=True):
        same(moved["scores"], trace["scores"][:, order], "scores", 1e-12)
        which = ("indices", "read_cells", "written_cells")
        if selector == "all":  # Its order of the cells is that of the memory.
            same(moved["alpha"], trace["alpha"][:, order], "alpha", 1e-12)
        else:
            assert all(torch.equal(order[moved[name]], trace[name]) for name in which)
        for name in trace.keys() - {*which, "scores"} - ({"alpha"} if selector == "all" else set()):
            same(moved[name], trace[name], name, 1e-6 if name.endswith(SINGLE) else 1e-12)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("gate", ["selected", "all", "none"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"placement": "replace"}, {"state_norm": "rms"}, {"positions": "both", "num_heads": 4}],
    ids=named,
)
def test_one_cell_is_the_one_memory(kind, gate, changes):
    cells = build(kind, cells=1, k=1, gate=gate, **changes)
    one = build("bicross", seed=5, tokens=1 + M, **changes)
    missing, unexpected = one.load_state_dict(
        {
            name: x
            for name, x in cells.state_dict().items()
            if name.split(".")[0] in dict(one.named_children())
        },
        strict=False,
    )
    assert (missing, unexpected) == (["m_init"], [])
    world = World(cells)
    z_H, memory, traces = world.fast(cells)
    world.memory = {"m": world.memory["cells"][:, 0]}
    z_H_one, memory_one, traces_one = world.fast(one)
    same(z_H, z_H_one, "z_H", 1e-12)
    same(memory["cells"][:, 0], memory_one["m"], "m", 1e-12)
    for trace, trace_one in zip(traces, traces_one, strict=True):
        for name, x in trace_one.items():
            same(trace[name], x, name, 1e-6)


@pytest.mark.parametrize("norm", ["none", "rms"])
def test_concat_with_equal_weights_is_attention_over_the_tokens_of_the_active_cells(norm):
    module = build("concat", gate="none", placement="replace", state_norm=norm)
    world = World(module)
    z_H, _, trace = module(world.z_H, world.z_L[0], world.memory, world.context(0))
    active = torch.stack([x[i] for x, i in zip(world.memory["cells"], trace["indices"], strict=True)])
    tokens = F.layer_norm(active, (D,)).reshape(B, -1, D)
    assert tokens.shape[1] == 2 * (1 + M)
    u = world.z_H + plain_attention(
        module.exchange.read, F.layer_norm(world.z_H + world.z_L[0], (D,)), tokens
    )
    u = u + module.exchange.read_residual.ffn(F.layer_norm(u, (D,)))
    same(z_H, rms(u) if norm == "rms" else u, "z_H", 1e-12)


# The whole reasoner.

MEMORIES = {
    "none": {"module": "memhrm.memory.none.NoMemory"},
    "carry_add": {"module": "memhrm.memory.carry_add.CarryAdd"},
    "tokens": {"module": "memhrm.memory.tokens.Tokens", "tokens": 3},
    **{kind: {"module": path, "tokens": M, **values} for kind, (path, values) in MODULES.items()},
}
TRM = {"gradient_window": {"cycles": 2}}
HRM = {"H_net": "own", "H_layers": 1, "gradient_window": {"cycles": 2}}


def reasoner(memory: str | None, seed: int = 4, **changes) -> Any:
    torch.manual_seed(seed)
    settings = model_settings(**changes)
    if memory is None:
        return Reasoner(settings, SHAPE)
    return Reasoner(settings, SHAPE, parse({"name": memory, **MEMORIES[memory]}))


@pytest.mark.parametrize("changes", [TRM, HRM], ids=["trm", "hrm"])
def test_no_memory_is_the_bare_recursion_bit_for_bit(changes, batch):
    """Settings that name no memory, no settings, and the level called where the H-module stands."""
    found = []
    for memory, bare in ((None, False), ("none", False), ("none", True)):
        model, data = reasoner(memory, **changes), batch()
        rows = model.puzzle_rows(data["identifiers"])
        start = model.initial_state(4)
        if bare:
            net = model.H_net or model.L_net
            x, (z_H, z_L, _) = model.embed(data["inputs"], rows), start
            for _ in range(2):
                injection = z_H + x
                for _ in range(2):
                    z_L = model.L_net(z_L, injection, model.rotary)
                z_H = net(z_H, z_L, model.rotary)
            logits, q_halt = model.logits(z_H), model.q_values(z_H)[0]
        else:
            state, (logits, q_halt, _, traces) = model(start, data["inputs"], rows)
            z_H, z_L = state.z_H, state.z_L
            assert state.memory == {} and traces == [{}, {}]
        (logits.square().sum() + q_halt.sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        found.append([logits, q_halt, z_H, z_L, *gradients])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("changes", [TRM, HRM], ids=["trm", "hrm"])
@pytest.mark.parametrize("memory", MEMORIES)
def test_a_seed_gives_the_other_weights_whatever_the_memory(memory, changes):
    baseline, model = reasoner(None, **changes), reasoner(memory, **changes)
    others = {name: x for name, x in model.state_dict().items() if not name.startswith("H_module.")}
    wanted = baseline.state_dict()
    assert others.keys() == wanted.keys()
    assert all(torch.equal(others[name], wanted[name]) for name in wanted)
    other_seed = reasoner(memory, seed=5, **changes).H_module.state_dict()
    for name, x in model.H_module.state_dict().items():  # The memory's own weights follow the seed.
        constant = name in ("usage_init", "z_H_init")
        assert torch.equal(x, other_seed[name]) is constant, name


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("write", [True, False], ids=["write", "frozen"])
def test_a_supervision_step_is_that_of_the_reference(kind, write, batch):
    """H-steps and L-steps in turn, with the reference where the H-module stands."""
    model, data = reasoner(kind, **HRM).double(), batch(rows=2)
    rows = model.puzzle_rows(data["identifiers"])
    start = model.initial_state(2, torch.float64)
    state, out = model(start, data["inputs"], rows, Guide(write=write))

    slow = reference(kind, model.H_module)
    x, (z_H, z_L, memory) = model.embed(data["inputs"], rows), start
    for _ in range(2):
        injection = z_H + x
        for _ in range(2):
            z_L = model.L_net(z_L, injection, model.rotary)
        z_H, memory, _ = slow.step(
            z_H, z_L, memory, lambda a, b: model.H_net(a, b, model.rotary), write=write
        )
    same(out.logits, model.lm_head(z_H[:, 2:]), "logits")
    for name in memory:
        same(state.memory[name], memory[name], name)
        assert torch.equal(memory[name], start.memory[name]) is not write
    leaves = dict(model.named_parameters())
    assert_same_gradients(out.logits.square().sum(), model.lm_head(z_H[:, 2:]).square().sum(), leaves, 1e-9)
