"""Read and write attention of a memory, recomputed from the weights of its module.

n puzzles, t positions (prefix and grid), d width, k active cells, l tokens of a cell, m heads, c channels
of a head. BiCross, and Aggregate that adds its cells, exchange with one memory: k is 1 there.
Everything is computed in float32.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from memhrm.config.settings import require
from memhrm.data.task import Task
from memhrm.memory.aggregate import Aggregate
from memhrm.memory.bicross import BiCross
from memhrm.memory.exchange import CrossAttention, layer_norm
from memhrm.memory.h_module import Context, HModule, Memory, Trace
from memhrm.memory.multicell import MultiCell
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject

READABLE = (BiCross, MultiCell, Aggregate)
"""The H-modules whose attention can be recomputed."""


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """The inputs of the attention in one H-step.

    h: what reads, LN(z_H + z_L), (n, t, d). h_plus: what is written, LN(z_H' + z_L), (n, t, d).
    tokens: the active cells after their norm, (n, k, l, d). cells: which ones these are, (n, k); None without
    cells, or where they are one. weights: of each cell's values, (n, k). together: whether a position's
    attention is shared out among all cells (Aggregate with concat), or each cell's tokens have all of it.
    present: which positions are no padding, (n, t); None: all.
    """

    module: BiCross | MultiCell | Aggregate
    h: Tensor
    h_plus: Tensor
    tokens: Tensor
    cells: np.ndarray | None
    weights: Tensor
    together: bool = False
    present: Tensor | None = None


def readable(module: HModule) -> bool:
    """Return whether `exchanged` supports this H-module."""
    return isinstance(module, READABLE)


@torch.no_grad()
def exchanged(subject: Subject, step: int, H_step: int = -1) -> Exchanged:
    """Return the inputs of the attention in an H-step of supervision step `step`, from 0; all puzzles run at
    once.

    Raises:
        ValueError: the memory's attention is not known here, or there is no such step.
    """
    model, module = subject.model, subject.model.H_module
    names = ", ".join(kind.__name__ for kind in READABLE)
    if not isinstance(module, READABLE):
        raise ValueError(f"memory.module is {type(module).__name__}; attention maps are of {names}")
    cycles = model.settings.H_cycles
    require(step >= 0, "step", step, "0 or above")
    require(-cycles <= H_step < cycles, "H_step", H_step, f"{-cycles} to {cycles - 1}")
    before: list[State] = []

    def look(at: int, state: State) -> State:
        if at == step:
            before.append(state)
        return state

    traces = rollout(subject, step + 1, intervene=look, batch_size=len(subject)).traces
    chosen = torch.from_numpy(traces["indices"][step]) if module.cells else None
    return _H_steps(model, before[0], subject, chosen)[H_step]


def _H_steps(model: Reasoner, state: State, subject: Subject, chosen: Tensor | None) -> list[Exchanged]:
    """Return the inputs of the attention in each H-step of the supervision step that begins with `state`,
    with the cells `chosen`, (H, n, k), active."""
    module, device = model.H_module, state.z_H.device
    assert isinstance(module, READABLE)
    seen: list[Exchanged] = []
    present = model.present(None if subject.mask is None else subject.mask.to(device))
    noise = None  # Its numbers are equal: what was chosen is chosen again.
    if module.noise_in_evaluation:
        noise = torch.full((len(subject), module.noise_size), 0.5, device=device)

    def H_step(at: int, z_H: Tensor, z_L: Tensor, memory: Memory, learns: bool):
        prefer = None
        if chosen is not None:
            prefer = torch.full((len(z_H), module.cells), -torch.inf, device=device)
            prefer = prefer.scatter(1, chosen[at].to(device), 0.0)
        level = partial(model.H_level, present=present)
        context = Context(level, noise, prefer=prefer, present=present)
        after, written, trace = module(z_H, z_L, memory, context)
        _, h = module.start(z_H, z_L, context)
        seen.append(replace(_met(module, h, layer_norm(after + z_L), memory, trace), present=present))
        return after, written, trace

    rows = model.puzzle_rows(subject.identifiers.to(device))
    start = State(state.z_H.float(), state.z_L.float(), {name: m.float() for name, m in state.memory.items()})
    x = model.embed(subject.inputs.to(device), rows)
    model.recursion(start, x, partial(model.L_level, present=present), H_step, write=subject.write)
    return seen


def _met(
    module: BiCross | MultiCell | Aggregate, h: Tensor, h_plus: Tensor, memory: Memory, trace: Trace
) -> Exchanged:
    cells, together = None, False
    weights = torch.ones(len(h), 1, device=h.device)
    if isinstance(module, BiCross):
        tokens = memory["m"].unsqueeze(1)
    else:
        at, alpha = trace["indices"], trace["alpha"]
        tokens = memory["cells"].take_along_dim(at[:, :, None, None], dim=1)
        if isinstance(module, Aggregate) and module.adds:
            tokens = (alpha[:, :, None, None] * tokens).sum(dim=1, keepdim=True)
        else:
            together = isinstance(module, Aggregate)
            cells, weights = at.cpu().numpy(), alpha * (alpha.shape[1] if together else 1)
    tokens = layer_norm(tokens)
    return Exchanged(
        module=module, h=h, h_plus=h_plus, tokens=tokens, cells=cells, weights=weights, together=together
    )


def _heads(attention: CrossAttention, x: Tensor) -> Tensor:
    """Split heads: (..., d) to (..., m, c)."""
    return x.unflatten(-1, (attention.num_heads, -1))


@torch.no_grad()
def read_attention(met: Exchanged) -> Tensor:
    """Return the attention of each position to the tokens that it reads, (n, m, k, l, t), which sums to 1
    over l or, with `together`, over k and l."""
    read = met.module.read
    h = met.h if read.positions is None else met.h + read.positions
    q = _heads(read, read.q(h))
    keys = _heads(read, read.kv(met.tokens).chunk(2, dim=-1)[0])
    scores = torch.einsum("ntmc,nklmc->nmklt", q, keys) * q.shape[-1] ** -0.5
    if not met.together:
        return scores.softmax(dim=3)
    return scores.flatten(2, 3).softmax(dim=2).view_as(scores)


@torch.no_grad()
def write_attention(met: Exchanged) -> Tensor:
    """Return the attention of each token to the positions that it is written from, (n, m, k, l, t), which
    sums to 1 over t."""
    write = met.module.write
    q = _heads(write, write.q(met.tokens))
    keys = write.kv(met.h_plus).chunk(2, dim=-1)[0]
    if write.positions is not None:
        keys = keys + F.linear(write.positions, write.kv.weight[: keys.shape[-1]])
    scores = torch.einsum("nklmc,ntmc->nmklt", q, _heads(write, keys)) * q.shape[-1] ** -0.5
    if met.present is not None:
        scores = scores.masked_fill(~met.present[:, None, None, None], -torch.inf)
    return scores.softmax(dim=-1)


@torch.no_grad()
def contributions(met: Exchanged) -> Tensor:
    """Return what each cell adds to each position, (n, k, t, d), which sums to dz over k."""
    read = met.module.read
    values = _heads(read, read.kv(met.tokens).chunk(2, dim=-1)[1]) * met.weights[:, :, None, None, None]
    taken = torch.einsum("nmklt,nklmc->nktmc", read_attention(met), values)
    return read.out(taken.flatten(3))


@torch.no_grad()
def written(met: Exchanged) -> Tensor:
    """Return what the attention writes to each token, before its feed-forward net, dm (n, k, l, d)."""
    write = met.module.write
    values = _heads(write, write.kv(met.h_plus).chunk(2, dim=-1)[1])
    taken = torch.einsum("nmklt,ntmc->nklmc", write_attention(met), values)
    return write.out(taken.flatten(3))


def read_map(met: Exchanged) -> np.ndarray:
    """Return how much each position reads from each cell, (n, k, t): the root mean square of what the cell
    adds.

    The attention does not show this, since it sums to 1 over a cell's tokens at every position.
    """
    return contributions(met).square().mean(dim=-1).sqrt().cpu().numpy()


def write_map(met: Exchanged) -> np.ndarray:
    """Return from which positions each cell is written, (n, k, t): the mean attention over heads and tokens,
    which sums to 1 over t."""
    return write_attention(met).mean(dim=(1, 3)).cpu().numpy()


def read_token_map(met: Exchanged) -> np.ndarray:
    """Return the attention of each position to the tokens, (n, k, l, t), mean over heads."""
    return read_attention(met).mean(dim=1).cpu().numpy()


def write_token_map(met: Exchanged) -> np.ndarray:
    """Return from which positions each token is written, (n, k, l, t), mean over heads."""
    return write_attention(met).mean(dim=1).cpu().numpy()


def on_grid(task: Task, values: np.ndarray) -> np.ndarray:
    """Return maps (..., t) as grids (..., rows, side), without the prefix, which has no place on the grid."""
    tokens = values[..., values.shape[-1] - task.seq_len :]
    rows, side = task.layout
    return rearrange(tokens, "... (rows side) -> ... rows side", rows=rows, side=side)
