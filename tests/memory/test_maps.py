"""The maps that memories trace, against what the memories compute."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from alone import CELLS, CONCAT, level, module_of, states
from memhrm.memory import maps
from memhrm.memory.aggregate import Aggregate, AggregateSettings
from memhrm.memory.base import Context
from memhrm.memory.bicross import BiCross
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.exchange import ExchangeSettings
from memhrm.models.reasoner import Guide
from planted import small

EXCHANGES = {
    "bicross": ExchangeSettings.of(name="", module="memhrm.memory.bicross.BiCross", tokens=3),
    "bicross_replace": ExchangeSettings.of(
        name="", module="memhrm.memory.bicross.BiCross", tokens=3, placement="replace", positions="both",
        state_norm="rms", num_heads=4,
    ),
    "multicell": CellSettings.of(
        name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=2, positions="both"
    ),
    "multicell_shared": CellSettings.of(
        name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=3, shared_cell=True,
        gate="all", placement="replace", positions="write", state_norm="rms",
    ),
    "multicell_random": CellSettings.of(
        name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=2, selector="random"
    ),
    "concat": AggregateSettings.of(
        name="", module="memhrm.memory.aggregate.Aggregate", tokens=2, cells=4, k=2, aggregation="concat",
        positions="both",
    ),
    "add": AggregateSettings.of(
        name="", module="memhrm.memory.aggregate.Aggregate", tokens=2, cells=4, k=2, state_norm="rms",
        positions="write",
    ),
}  # fmt: skip


class Step:
    """One H-step on the second supervision step's state: its inputs, its results, and its trace with maps."""

    def __init__(self, name: str):
        subject = small(EXCHANGES[name], n=3)
        model = subject.model
        self.module: Any = model.H_module
        noise = torch.full((3, 1, self.module.noise_size), 0.5) if self.module.noise_in_evaluation else None
        seen: list[tuple] = []
        hook = self.module.register_forward_pre_hook(lambda _, args: seen.append(args))
        with torch.no_grad():
            state = model.initial_state(3)
            for _ in range(2):
                rows = model.puzzle_rows(subject.identifiers)
                state, _ = model(state, subject.inputs, rows, Guide(noise))
            hook.remove()
            self.z_H, self.z_L, self.before, context = seen[-1]
            self.after, self.memory, self.trace = self.module(*seen[-1][:3], context._replace(maps=True))
            if self.module.exchange.augments:
                self.z_H = context.level(self.z_H, self.z_L)
        torch.testing.assert_close(self.after, state.z_H)

        self.h, self.h_plus = layer_norm(self.z_H + self.z_L), layer_norm(self.after + self.z_L)
        self.together = isinstance(self.module, Aggregate) and not self.module.adds
        self.old, self.new = self._cells(self.before), self._cells(self.memory)
        self.tokens, self.weights = self.old, torch.ones(3, 1)
        if not isinstance(self.module, BiCross):
            alpha = self.trace["alpha"]
            self.weights = alpha * (alpha.shape[1] if self.together else 1)
            if isinstance(self.module, Aggregate) and self.module.adds:
                self.tokens = (alpha[:, :, None, None] * self.old).sum(dim=1, keepdim=True)
                self.weights = torch.ones(3, 1)
        self.known = layer_norm(self.tokens)

    def _cells(self, memory: dict) -> torch.Tensor:
        if isinstance(self.module, BiCross):
            return memory["m"].unsqueeze(1)
        return memory["cells"].take_along_dim(self.trace["indices"][:, :, None, None], dim=1)


@pytest.fixture(params=EXCHANGES)
def step(request) -> Step:
    return Step(request.param)


@torch.no_grad()
def test_attention_times_values_is_what_the_attentions_compute(step):
    read, write = step.module.exchange.read, step.module.exchange.write
    reads = maps.read_attention(read, step.h, step.known, step.together)
    writes = maps.write_attention(write, step.known, step.h_plus)
    if step.together:
        each = step.weights.repeat_interleave(step.known.shape[2], dim=1).unsqueeze(1)
        dz = read.out(read(step.h, step.known.flatten(1, 2).unsqueeze(1), each)).squeeze(2)
    else:
        dz = read.out(torch.einsum("btkd,bk->btd", read(step.h, step.known), step.weights))
    dm = write(step.known.flatten(1, 2), step.h_plus).view(step.known.shape)
    added = maps.contributions(read, reads, step.known, step.weights)
    torch.testing.assert_close(added.sum(dim=1), dz)
    torch.testing.assert_close(maps.written(write, writes, step.h_plus), dm)
    for sums in (reads.sum(dim=(2, 3) if step.together else 3), writes.sum(dim=-1)):
        torch.testing.assert_close(sums, torch.ones_like(sums))

    trace = step.trace
    torch.testing.assert_close(trace["read_map"], added.square().mean(dim=-1).sqrt())
    torch.testing.assert_close(trace["read_token_map"], reads.mean(dim=1))
    torch.testing.assert_close(trace["write_token_map"], writes.mean(dim=1))
    torch.testing.assert_close(trace["write_map"], trace["write_token_map"].mean(dim=2))


@torch.no_grad()
def test_the_parts_put_together_again_are_the_step_that_was_taken(step):
    exchange = step.module.exchange
    reads = maps.read_attention(exchange.read, step.h, step.known, step.together)
    dz = maps.contributions(exchange.read, reads, step.known, step.weights).sum(dim=1)
    torch.testing.assert_close(exchange.read_residual(step.z_H, dz), step.after)

    writes = maps.write_attention(exchange.write, step.known, step.h_plus)
    written = exchange.write_residual(step.tokens, maps.written(exchange.write, writes, step.h_plus))
    if isinstance(step.module, Aggregate) and step.module.adds:  # Each cell is moved by its share.
        alpha = step.trace["alpha"][:, :, None, None]
        written = F.rms_norm(step.old + alpha * (written - step.tokens), (16,), eps=1e-5)
    torch.testing.assert_close(written, step.new)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")
@pytest.mark.parametrize("kind", [CELLS, CONCAT], ids=["multicell", "concat"])
def test_maps_are_of_the_active_cells_whatever_is_read_and_written(kind):
    """All cells are read and the first choice is written: the other is written from nowhere."""
    (z_H, z_L), found = states(), {}
    for name, changes in {
        "parts": {"reads": "all", "written": 1},
        "all": {"selector": "all"},
        "active": {},
    }.items():
        module = module_of({**kind, "gate": "none", **changes})
        made = module(z_H, z_L, module.initial_memory(3), Context(level, maps=True))
        found[name] = made[2]
    indices, part = found["parts"]["indices"], found["parts"]
    assert torch.equal(indices, found["active"]["indices"])
    for name in ("read_map", "read_token_map"):
        whole = found["all"][name]
        wanted = whole.take_along_dim(indices.view(3, 2, *[1] * (whole.ndim - 2)), dim=1)
        torch.testing.assert_close(part[name], wanted)
    every = module_of({**kind, "gate": "none", "reads": "all"})
    made = every(z_H, z_L, every.initial_memory(3), Context(level, maps=True))
    for name in ("write_map", "write_token_map"):
        torch.testing.assert_close(part[name][:, 0], made[2][name][:, 0])
        assert not part[name][:, 1].any() and made[2][name][:, 1].any()


@torch.no_grad()
def test_maps_of_a_model_in_bfloat16_are_computed_in_float32():
    step = Step("concat")
    module = step.module.bfloat16()
    z_H, z_L = step.z_H.bfloat16(), step.z_L.bfloat16()
    _, _, trace = module(z_H, z_L, step.before, Context(lambda z_H, z_L: z_H, maps=True))
    assert trace["read_map"].dtype == trace["write_map"].dtype == torch.float32
    torch.testing.assert_close(trace["write_map"].sum(dim=-1), torch.ones(3, 2))


def test_padding_is_not_written_from():
    step = Step("multicell")
    present = torch.ones(3, 17, dtype=torch.bool)
    present[:, 9:] = False
    context = Context(lambda z_H, z_L: z_H, present=present, maps=True)
    with torch.no_grad():
        _, _, trace = step.module(step.z_H, step.z_L, step.before, context)
    assert not trace["write_map"][:, :, 9:].any()
    torch.testing.assert_close(trace["write_map"].sum(dim=-1), torch.ones(3, 2))
