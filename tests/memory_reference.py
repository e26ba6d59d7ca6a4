"""A slow, obvious H-step of each memory, for tests: one example, one cell, one head, one position at a time.

Letters, with loop variables in brackets:
  z_H, z_L  state of the two levels           h, h+  LN(z_H + z_L) before and after the read
  m         memory of one cell, (l, d)        N [i]  cells
  k         active cells                      A      the active cells, the first choice first
  M         content tokens; l = 1 + M with CLS       alpha  weights of the active cells
  s         scores                            R [r]  relevance projections
  b [e]     batch                             t [p]  positions
  d         width                             n      attention heads, of c = d / n channels each

The equations, by the names that the functions cite:
  read      dz = sum_{i in A} alpha_i Attn(h, LN(m_i), LN(m_i));   z_H' = z_H + dz + FFN(LN(z_H + dz))
  write     m_i' = m_i + dm_i + FFN(LN(m_i + dm_i)),  dm_i = Attn(LN(m_i), h+, h+),  for i in A only
  score     s_i = 1/R sum_r CLS_i^T W_r q(h)
  select    A = TopK(s, k) per example;  alpha = softmax of the selected s
  add       m = sum_{i in A} alpha_i m_i is read and written as one memory;  m_i' = m_i + alpha_i (m' - m)
  concat    dz = Attn(h, [LN(m_i)], [k alpha_i LN(m_i)]), i in A;  the write as above
  self_sup  mean |sg(dz) - Attn(h, LN(m_j), LN(m_j))|^2,  j the top-scoring of the active cells
  policy    log-probability of drawing A in its order without replacement, and the entropy of the first draw
BiCrossAttn has one memory that is always active: read and write with A = {m}, alpha = 1.

The reference takes the settings, and the weights by their names in the module; it shares nothing else with
memhrm.memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

EPS = 1e-5

Memory = dict[str, Tensor]
Trace = dict[str, Tensor]


@dataclass(frozen=True)
class Reference:
    """One H-step.

    Attributes:
        kind: bicross, multicell, add or concat.
        options: the module's settings.
        weights: the module's parameters by name.
        heads: attention heads, n.
        training: whether to compute the losses over the selection.
    """

    kind: str
    options: Any
    weights: Mapping[str, Tensor]
    heads: int
    training: bool = True

    def step(
        self,
        z_H: Tensor,
        z_L: Tensor,
        memory: Memory,
        level: Callable[[Tensor, Tensor], Tensor],
        noise: Tensor | None = None,
        judge: Callable[[Tensor], Tensor] | None = None,
        write: bool = True,
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H', memory' and trace, from z_H and z_L (b, t, d), memory (b, ...) and noise (b, N)."""
        if self.options.placement == "augment":
            z_H = level(z_H, z_L)
        if self.kind == "bicross":
            results = [self.one_memory(z_H[e], z_L[e], memory["m"][e]) for e in range(len(z_H))]
        else:
            losses = self.losses_of_cells(z_H, z_L, memory["cells"], judge)
            results = [
                self.many_cells(
                    z_H[e],
                    z_L[e],
                    memory["cells"][e],
                    memory["usage"][e],
                    None if noise is None else noise[e].tolist(),
                    None if losses is None else losses[e].tolist(),
                )
                for e in range(len(z_H))
            ]
        states, memories, traces = zip(*results, strict=True)
        return torch.stack(states), stack(memories) if write else memory, stack(traces)

    def one_memory(self, z_H: Tensor, z_L: Tensor, m: Tensor) -> tuple[Tensor, Memory, Trace]:
        """Compute BiCrossAttn for one example: z_H, z_L (t, d), m (l, d)."""
        dz = self.read_attention(norm(z_H + z_L), norm(m), norm(m))
        z_H = self.residual("read_residual", z_H, dz, self.normed)
        m = self.written(m, norm(z_H + z_L), self.normed)
        return z_H, {"m": m}, norms(z_H, m)

    def many_cells(
        self,
        z_H: Tensor,
        z_L: Tensor,
        cells: Tensor,
        usage: Tensor,
        noise: list[float] | None,
        losses: list[float] | None,
    ) -> tuple[Tensor, Memory, Trace]:
        """Select, read, write for one example: z_H, z_L (t, d), cells (N, l, d), usage (N,)."""
        o, h = self.options, norm(z_H + z_L)
        s = self.scores(h, cells)
        A = self.selected(s, noise, losses)
        alpha = self.gate(s, A)
        trace = {"indices": torch.tensor(A), "alpha": alpha, "scores": s}
        trace |= {"read_cells": torch.tensor(A), "written_cells": torch.tensor(A)}
        if self.training and o.selector in ("policy", "lowest_loss"):
            trace |= self.policy(s, A)

        dz = self.cells_read(h, [cells[i] for i in A], alpha)
        if self.training and self.kind == "multicell":
            trace["self_sup"] = self.self_sup(h, cells, s, A, dz)
        z_H = self.residual("read_residual", z_H, dz, self.normed)

        new = self.cells_written([cells[i] for i in A], norm(z_H + z_L), alpha)
        if o.self_attention:
            new = [self.attended_within(m) for m in new]

        used = [1.0 if i in A else 0.0 for i in range(len(cells))]
        usage = torch.stack(
            [o.usage_average * usage[i] + (1 - o.usage_average) * u for i, u in enumerate(used)]
        )
        rows = [
            new[A.index(i)] if i in A else cells[i] * (1 - o.decay * (1 - usage[i]))
            for i in range(len(cells))
        ]
        trace |= norms(z_H, torch.stack(new))
        return z_H, {"cells": torch.stack(rows), "usage": usage}, trace

    # score, select

    def scores(self, h: Tensor, cells: Tensor) -> Tensor:
        """Return s by score, (N,). q is the mean of h over positions, or h at position 0; CLS is token 0."""
        o = self.options
        q = sum(h[p] for p in range(len(h))) / len(h) if o.pooling == "mean" else h[0]
        scale = math.sqrt(h.shape[1]) if o.score_scale == "sqrt" else 1.0
        found = []
        for m in cells:
            each = torch.stack([m[0].dot(W @ q) / scale for W in self.weights["scorer.weight"]])
            if o.combine == "mean":
                found.append(each.sum() / len(each))
            elif o.combine == "max":
                found.append(each[each.argmax()])
            else:  # logsumexp minus log R.
                found.append((each.exp().sum() / len(each)).log())
        return torch.stack(found)

    def selected(self, s: Tensor, noise: list[float] | None, losses: list[float] | None) -> list[int]:
        """Return A by select. A shared cell is cell 0, always active; the others compete for k - 1 places."""
        o = self.options
        if o.selector == "all":
            return list(range(len(s)))
        merit = s.tolist()
        if o.selector == "policy" and noise is not None:  # Gumbel top-k.
            merit = [x - math.log(-math.log(u)) for x, u in zip(merit, noise, strict=True)]
        elif o.selector == "random":
            assert noise is not None
            merit = noise
        elif o.selector == "lowest_loss" and losses is not None:
            merit = [-x for x in losses]
        first = [0] if o.shared_cell else []
        rest = sorted(set(range(len(s))) - set(first), key=lambda i: -merit[i])
        return (first + rest)[: o.k]

    def gate(self, s: Tensor, A: list[int]) -> Tensor:
        """Return alpha by select, (k,).

        With gate=all it is the part of the softmax of all scores, with gate=none 1/k. A shared cell has the
        weight 1/k and does not compete for the rest.
        """
        o = self.options
        k, shared = len(A), o.shared_cell and o.selector != "all"
        rivals = [i for i in (range(len(s)) if o.gate == "all" else A) if i > 0 or not shared]
        total = sum(s[i].exp() for i in rivals)
        alpha = []
        for i in A:
            if o.gate == "none" or (shared and i == 0):
                alpha.append(torch.full_like(s[0], 1 / k))
            else:
                alpha.append(s[i].exp() / total * ((k - 1) / k if shared else 1))
        return torch.stack(alpha)

    def policy(self, s: Tensor, A: list[int]) -> Trace:
        """Return log p(A) and the entropy by policy (Plackett-Luce).

        p(A) = prod_j exp(s of the j-th) / sum of exp(s) over the cells that are left.
        """
        apart = [0] if self.options.shared_cell else []
        left = [i for i in range(len(s)) if i not in apart]
        p = {i: s[i].exp() / sum(s[j].exp() for j in left) for i in left}
        entropy = -sum(p[i] * p[i].log() for i in left)
        probability = torch.ones((), dtype=s.dtype)
        for i in A[len(apart) :]:
            probability = probability * s[i].exp() / sum(s[j].exp() for j in left)
            left.remove(i)
        return {"log_probability": probability.log(), "entropy": entropy}  # pyright: ignore[reportReturnType]

    def losses_of_cells(
        self, z_H: Tensor, z_L: Tensor, cells: Tensor, judge: Callable[[Tensor], Tensor] | None
    ) -> Tensor | None:
        """Return the loss of the answer if cell i alone were read with weight 1, (b, N), without gradient."""
        if self.options.selector != "lowest_loss" or judge is None:
            return None
        losses = []
        with torch.no_grad():
            for i in range(cells.shape[1]):
                answers = []
                for e in range(len(z_H)):
                    m = norm(cells[e, i])
                    dz = self.read_attention(norm(z_H[e] + z_L[e]), m, m)
                    answers.append(self.residual("read_residual", z_H[e], dz, self.normed))
                losses.append(judge(torch.stack(answers)))
        return torch.stack(losses, dim=1)

    # read

    def cells_read(self, h: Tensor, active: list[Tensor], alpha: Tensor) -> Tensor:
        """Return dz, the first half of read, (t, d)."""
        if self.kind == "multicell":
            return weighted_sum([self.read_attention(h, norm(m), norm(m)) for m in active], alpha)
        if self.kind == "add":
            m = norm(weighted_sum(active, alpha))
            return self.read_attention(h, m, m)
        k = len(active)
        keys = torch.cat([norm(m) for m in active])
        values = torch.cat([k * alpha[j] * norm(m) for j, m in enumerate(active)])
        return self.read_attention(h, keys, values)

    def read_attention(self, h: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return Attn(h, keys, values) of read; with positions=both the queries have learned positions."""
        places = self.weights["read.positions"] if self.options.positions == "both" else torch.zeros_like(h)
        return self.attention(*self.maps("read"), queries=h + places, keys=keys, values=values)

    def self_sup(self, h: Tensor, cells: Tensor, s: Tensor, A: list[int], dz: Tensor) -> Tensor:
        """Return self_sup of one example."""
        m = norm(cells[max(A, key=lambda i: s[i].item())])
        return ((dz.detach() - self.read_attention(h, m, m)) ** 2).mean()

    # write

    def cells_written(self, active: list[Tensor], h: Tensor, alpha: Tensor) -> list[Tensor]:
        """Return m_i' by write of the active cells (l, d), before attention within them; h is h+."""
        if self.kind != "add":
            return [self.written(m, h, self.normed) for m in active]
        m = weighted_sum(active, alpha)
        change = self.written(m, h, normed=False) - m  # The cells are normed, not their sum.
        new = [m_i + alpha[j] * change for j, m_i in enumerate(active)]
        return [rms(m_i) for m_i in new] if self.normed else new

    def written(self, m: Tensor, h: Tensor, normed: bool) -> Tensor:
        """Return m' by write, from m (l, d) and h+ (t, d). Only the keys have learned positions."""
        placed = h if self.options.positions == "none" else h + self.weights["write.positions"]
        dm = self.attention(*self.maps("write"), queries=norm(m), keys=placed, values=h)
        return self.residual("write_residual", m, dm, normed)

    def attended_within(self, m: Tensor) -> Tensor:
        """Return m + Attn(LN(m), LN(m), LN(m)) within the written cell, (l, d)."""
        W_q, W_k, W_v = thirds(self.weights["within.qkv.weight"])
        x = norm(m)
        m = m + self.attention(W_q, W_k, W_v, self.weights["within.out.weight"], queries=x, keys=x, values=x)
        return rms(m) if self.normed else m

    # Attn, FFN and the residual, common to read and write

    def attention(
        self,
        W_q: Tensor,
        W_k: Tensor,
        W_v: Tensor,
        W_o: Tensor,
        *,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
    ) -> Tensor:
        """Return Attn, (q, d): each head averages values with weights softmax(q . k / sqrt(c)); then W_o."""
        c = queries.shape[1] // self.heads
        heads = []
        for n in range(self.heads):
            own = slice(n * c, (n + 1) * c)  # The rows of the maps for this head's channels.
            Q, K, V = queries @ W_q[own].T, keys @ W_k[own].T, values @ W_v[own].T
            rows = []
            for q in Q:
                weights = (K @ q / math.sqrt(c)).exp()
                rows.append(weights @ V / weights.sum())
            heads.append(torch.stack(rows))
        return torch.cat(heads, dim=1) @ W_o.T

    def residual(self, name: str, x: Tensor, change: Tensor, normed: bool) -> Tensor:
        """Return x + change + FFN(LN(x + change)), with state_norm=rms divided by its root mean square."""
        gate, up = halves(self.weights[f"{name}.ffn.gate_up.weight"])
        down = self.weights[f"{name}.ffn.down.weight"]
        x = x + change
        u, v = norm(x) @ gate.T, norm(x) @ up.T
        x = x + (u / (1 + (-u).exp()) * v) @ down.T
        return rms(x) if normed else x

    def maps(self, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return W_q, W_k, W_v and W_o of read or write."""
        W_k, W_v = halves(self.weights[f"{name}.kv.weight"])
        return self.weights[f"{name}.q.weight"], W_k, W_v, self.weights[f"{name}.out.weight"]

    @property
    def normed(self) -> bool:
        return self.options.state_norm == "rms"


def norm(x: Tensor) -> Tensor:
    """Return LN(x) over the width, without weights."""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.pow(2).mean(-1, keepdim=True) + EPS).sqrt()


def rms(x: Tensor) -> Tensor:
    """Return x divided by its root mean square over the width."""
    return x / (x.pow(2).mean(-1, keepdim=True) + EPS).sqrt()


def weighted_sum(terms: list[Tensor], alpha: Tensor) -> Tensor:
    """Return sum_i alpha_i x_i."""
    total = torch.zeros_like(terms[0])
    for j, x in enumerate(terms):
        total = total + alpha[j] * x
    return total


def halves(W: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two maps that are stacked in one matrix."""
    return W[: len(W) // 2], W[len(W) // 2 :]


def thirds(W: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three maps that are stacked in one matrix."""
    n = len(W) // 3
    return W[:n], W[n : 2 * n], W[2 * n :]


def norms(z_H: Tensor, m: Tensor) -> Trace:
    """Return the root mean squares of the state and of the written memory."""
    return {"z_H_norm": z_H.pow(2).mean().sqrt(), "memory_norm": m.pow(2).mean().sqrt()}


def stack(rows: tuple[dict[str, Tensor], ...]) -> dict[str, Tensor]:
    """Stack a dictionary of tensors (...) per example into one dictionary of tensors (b, ...)."""
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
