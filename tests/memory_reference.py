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
  query     q = mean, first, or attention-weighted mean of h; or every position, of which the best counts;
            less its running mean; its gradient less the mean over the batch of what is asked
  fresh     s_i, of cells that have not been written so that the best has this share of d / its scale
  parts     what is read and what is written, of A or of all cells; p_i the softmax of all scores
  credit    weights of the read, and changes of the write, times 1 + p_i - sg(p_i)
  cls       the CLS after a write: written, as it was, or what was asked for
  hold      feedback, or all but the first H-step of an example, has the scores and the order of before
  told      a question writes nothing; what it asked for is noted and written by its feedback
BiCrossAttn has one memory that is always active: read and write with A = {m}, alpha = 1.

The reference takes the settings, and the weights by their names in the module; it shares nothing else with
memhrm.memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
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
        weights: the module's parameters by name, and its buffers that training moves.
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
        address: Tensor | None = None,
        feedback: Tensor | None = None,
        continues: Tensor | None = None,
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H', memory' and trace, from z_H and z_L (b, t, d), memory (b, ...) and noise (b, N).

        address (b, 2), feedback (b,) and continues (b,) are those of a context.
        """
        if self.options.placement == "augment":
            z_H = level(z_H, z_L)
        if self.kind == "bicross":
            results = [self.one_memory(z_H[e], z_L[e], memory["m"][e], write) for e in range(len(z_H))]
        else:
            losses = self.losses_of_cells(z_H, z_L, memory["cells"], judge)
            held = [
                self.holds(
                    feedback is not None and bool(feedback[e]), continues is not None and bool(continues[e])
                )
                for e in range(len(z_H))
            ]
            common = self.common([norm(z_H[e] + z_L[e]) for e in range(len(z_H)) if not held[e]])
            results = [
                self.many_cells(
                    z_H[e],
                    z_L[e],
                    {name: x[e] for name, x in memory.items()},
                    write,
                    None if noise is None else noise[e].tolist(),
                    None if losses is None else losses[e].tolist(),
                    (0, 0) if address is None else tuple(address[e].tolist()),
                    feedback is not None and bool(feedback[e]),
                    held[e],
                    common,
                )
                for e in range(len(z_H))
            ]
        states, memories, traces = zip(*results, strict=True)
        after = stack(memories)
        noted = {name: x for name, x in after.items() if name.startswith("asked_")}
        return torch.stack(states), after if write else {**memory, **noted}, stack(traces)

    def one_memory(self, z_H: Tensor, z_L: Tensor, m: Tensor, write: bool) -> tuple[Tensor, Memory, Trace]:
        """Compute BiCrossAttn for one example: z_H, z_L (t, d), m (l, d)."""
        dz = self.read_attention(norm(z_H + z_L), norm(m), norm(m))
        z_H = self.residual("read_residual", z_H, dz, self.normed)
        if write:
            m = self.written(m, norm(z_H + z_L), self.normed)
        return z_H, {"m": m}, norms(z_H, m)

    def many_cells(
        self,
        z_H: Tensor,
        z_L: Tensor,
        memory: Memory,
        write: bool,
        noise: list[float] | None,
        losses: list[float] | None,
        address: tuple[int, ...],
        feedback: bool,
        held: bool,
        common: list[Tensor] | None,
    ) -> tuple[Tensor, Memory, Trace]:
        """Select, read, write for one example: z_H, z_L (t, d), cells (N, l, d), usage (N,)."""
        o, h, cells, usage = self.options, norm(z_H + z_L), memory["cells"], memory["usage"]
        trace = self.asked(h, held)
        own, wanted = self.scores(h, memory, None if held else common)
        s, merit = own, self.merits(own, noise, losses, address)
        if held:
            first = [0.0] * self.shared
            s, merit = memory["asked_scores"], first + memory["asked_merit"].tolist()[len(first) :]
        A = self.selected(merit)
        every = list(range(len(cells)))
        R, W = (A if which == "selected" else every for which in (o.reads, o.writes))
        alpha, beta = self.gate(s, R), self.gate(s, W)
        W = W if o.written is None else W[: o.written]
        shown = torch.stack([alpha[R.index(i)] for i in A])
        trace |= {"indices": torch.tensor(A), "alpha": shown, "scores": s}
        trace |= {"read_cells": torch.tensor(R), "written_cells": torch.tensor(W)}
        if self.training and o.selector in ("policy", "lowest_loss"):
            found = self.policy(own if self.bias is None else own + self.bias, A)
            if o.selector == "lowest_loss" and not differ((losses or [])[1 if self.shared else 0 :]):
                found["log_probability"] = torch.zeros_like(found["log_probability"])
            trace |= {name: torch.zeros_like(x) for name, x in found.items()} if held else found

        in_read, in_write = (o.straight_through in (which, "both") for which in ("read", "write"))
        read_by = torch.stack(
            [alpha[j] * self.credit(s, i) if in_read else alpha[j] for j, i in enumerate(R)]
        )
        dz = self.cells_read(h, [cells[i] for i in R], read_by)
        if self.training and self.kind == "multicell":
            trace["self_sup"] = self.self_sup(h, cells, s, R, dz)
        z_H = self.residual("read_residual", z_H, dz, self.normed)

        change = self.change(cells, R, alpha, norm(z_H + z_L))
        rows, used = [], [1.0 if i in A else 0.0 for i in every]
        usage = torch.stack(
            [o.usage_average * usage[i] + (1 - o.usage_average) * u for i, u in enumerate(used)]
        )
        for i in every:
            if i in W:
                m = self.cell_written(cells[i], norm(z_H + z_L), change, beta[W.index(i)])
                m = self.attended_within(m) if o.self_attention else m
                m = cells[i] + self.credit(s, i) * (m - cells[i]) if in_write else m
                told = o.write_when == "told"
                if o.cls == "frozen" or (o.cls == "key" and (held or feedback) and not told):
                    m = torch.stack([cells[i, 0], *m[1:]])
                elif o.cls == "key":
                    m = torch.stack([memory["asked_keys"][W.index(i)] if held else wanted[i], *m[1:]])
                rows.append(m)
            else:
                rows.append(cells[i] if i in A else cells[i] * (1 - o.decay * (1 - usage[i])))
        trace |= norms(z_H, torch.stack([(rows if write else cells)[i] for i in W]))
        noted = {}
        if o.fresh:
            noted["written"] = torch.stack([torch.ones_like(x) if i in W else x
                                            for i, x in enumerate(memory["written"])])  # fmt: skip
        if o.hold != "none":
            noted |= {"asked_scores": s, "asked_merit": torch.tensor(merit, dtype=s.dtype)}
        if o.hold != "none" and o.cls == "key" and o.write_when == "told":
            noted["asked_keys"] = (
                memory["asked_keys"] if held else torch.stack([wanted[i] for i in W])  # In their order.
            )
        return z_H, {"cells": torch.stack(rows), "usage": usage, **noted}, trace

    # query, score, select

    def queries(self, h: Tensor) -> list[Tensor]:
        """Return q by query, before the running mean is taken off."""
        o = self.options
        if o.pooling == "max":
            return list(h)
        if o.pooling == "first":
            return [h[0]]
        weights = torch.ones_like(h[:, 0])
        if o.pooling == "attend":
            weights = torch.stack([x.dot(self.weights["query.attention"]).exp() for x in h])
        return [sum(w * x for w, x in zip(weights, h, strict=True)) / weights.sum()]  # pyright: ignore

    def asked(self, h: Tensor, held: bool) -> Trace:
        """Return what the running mean of query is made of: the queries of what is asked in training."""
        if self.options.center == 0 or not self.training:
            return {}
        queries = torch.stack(self.queries(h)).detach()
        return {"queries": queries, "queries_there": torch.full_like(queries[:, 0], 0.0 if held else 1.0)}

    def holds(self, feedback: bool, continues: bool) -> bool:
        """Return whether an example has the selection of before, by hold."""
        o = self.options
        return (o.hold != "none" and feedback) or (o.hold == "example" and continues)

    def common(self, asking: list[Tensor]) -> list[Tensor] | None:
        """Return, by query, the batch mean less itself: 0, whose gradient is that of the mean."""
        if self.options.center == 0 or not self.training or not asking:
            return None
        means = [sum(each) / len(each) for each in zip(*map(self.queries, asking), strict=True)]
        return [x - x.detach() for x in means]  # pyright: ignore

    def scores(
        self, h: Tensor, memory: Memory, common: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return s by score and fresh, (N,), and for each cell what was asked for that matches it best."""
        o = self.options
        scale = math.sqrt(h.shape[1]) if o.score_scale == "sqrt" else 1.0
        mean = self.weights["query.mean"] if o.center > 0 else torch.zeros_like(h)
        if common is not None:
            mean = mean + torch.stack(common)
        found, wanted = [], []
        for i, m in enumerate(memory["cells"]):
            W = self.weights["scorer.weight"]
            W = W[i] if o.own_projections else W
            CLS = norm(m[0]) if o.score_norm == "layer" else m[0]
            scores, matches = [], []
            for p, q in enumerate(self.queries(h)):
                asked = [W_r @ (q - mean[p]) for W_r in W]
                if o.combine == "mean":
                    asked = [sum(asked) / len(asked)]  # pyright: ignore
                if o.score_norm == "layer":
                    asked = [norm(x) for x in asked]
                each = torch.stack([CLS.dot(x) / scale for x in asked])
                matches += list(zip(each.tolist(), asked, strict=True))
                # logsumexp less log R.
                scores.append(
                    (each.exp().sum() / len(each)).log() if o.combine == "logsumexp" else each.max()
                )
            found.append(max(scores, key=lambda x: x.item()))
            wanted.append(max(matches, key=lambda one: one[0])[1])
        unused = [i for i, x in enumerate(memory.get("written", ())) if x == 0 and (i > 0 or not self.shared)]
        if o.fresh and unused:
            best = max(found[i].item() for i in unused)
            share = self.weights["fresh"] if self.training else o.fresh[-1]  # That of the stage, or the last.
            score = share * h.shape[1] / scale
            found = [x + (score - best) if i in unused else x for i, x in enumerate(found)]
        return torch.stack(found), wanted

    @property
    def bias(self) -> Tensor | None:
        """The bias of the load, which counts in the choice alone."""
        return self.weights["bias"] if self.options.load_bias > 0 else None

    def merits(
        self, s: Tensor, noise: list[float] | None, losses: list[float] | None, address: tuple[int, ...]
    ) -> list[float]:
        """Return by what the cells are chosen; a shared cell, which is certain, has 0."""
        o, first = self.options, 1 if self.shared else 0
        merit = (s if self.bias is None else s + self.bias).tolist()
        n = len(merit) - first  # Those that compete.
        if o.selector == "all":
            merit = [-float(i) for i in range(len(merit))]
        elif o.selector == "policy" and noise is not None:  # Gumbel top-k.
            merit = [x - math.log(-math.log(u)) for x, u in zip(merit, noise, strict=True)]
        elif o.selector == "topk" and o.score_noise > 0 and noise is not None:
            merit = [x + o.score_noise * NormalDist().inv_cdf(u) for x, u in zip(merit, noise, strict=True)]
        elif o.selector == "random":
            assert noise is not None
            merit = noise
        elif o.selector == "lowest_loss" and losses is not None and differ(losses[first:]):
            merit = [-x for x in losses]
        elif o.selector == "oracle":
            merit = [0.0] * first + [-float((i - address[0]) % n) for i in range(n)]
        elif o.selector == "hash":
            merit = [0.0] * first + [scrambled(address[1], i) for i in range(n)]
        return [0.0] * first + merit[first:]

    @property
    def shared(self) -> bool:
        """Whether cell 0 is always active."""
        return bool(self.options.shared_cell) and self.options.selector != "all"

    def selected(self, merit: list[float]) -> list[int]:
        """Return A by select. A shared cell is cell 0, always active; the others compete for k - 1 places."""
        first = [0] if self.shared else []
        rest = sorted(set(range(len(merit))) - set(first), key=lambda i: -merit[i])
        return (first + rest)[: self.options.active]

    def gate(self, s: Tensor, A: list[int]) -> Tensor:
        """Return alpha by select, (k,), of k cells that are read or written.

        With gate=all it is the part of the softmax of all scores, with gate=none 1/k. A shared cell has the
        weight 1/k and does not compete for the rest.
        """
        o, k = self.options, len(A)
        rivals = [i for i in (range(len(s)) if o.gate == "all" else A) if i > 0 or not self.shared]
        total = sum(s[i].exp() for i in rivals)
        alpha = []
        for i in A:
            if o.gate == "none" or (self.shared and i == 0):
                alpha.append(torch.full_like(s[0], 1 / k))
            else:
                alpha.append(s[i].exp() / total * ((k - 1) / k if self.shared else 1))
        return torch.stack(alpha)

    def credit(self, s: Tensor, i: int) -> Tensor:
        """Return 1 + p_i - sg(p_i) by credit."""
        if self.shared and i == 0:
            return torch.ones_like(s[0])
        p = s[i].exp() / s[int(self.shared) :].exp().sum()
        return 1 + p - p.detach()

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

    def change(self, cells: Tensor, R: list[int], alpha: Tensor, h: Tensor) -> Tensor | None:
        """Return m' - m of the one memory that is read, with add; h is h+."""
        if self.kind != "add":
            return None
        m = weighted_sum([cells[i] for i in R], alpha)
        return self.written(m, h, normed=False) - m  # The cells are normed, not their sum.

    def cell_written(self, m: Tensor, h: Tensor, change: Tensor | None, share: Tensor) -> Tensor:
        """Return m_i' by write of a cell (l, d), before attention within it; h is h+."""
        if change is None:
            return self.written(m, h, self.normed)
        return rms(m + share * change) if self.normed else m + share * change

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


def differ(losses: list[float]) -> bool:
    """Whether a label tells cells apart."""
    return len(set(losses)) > 1


def scrambled(cue: int, cell: int) -> float:
    """Return a pseudo-random number in [0, 1), a fixed function of both."""
    x = (cue * 0x9E3779B1 + cell * 0x85EBCA6B + 1) % 2**32
    for _ in range(2):
        x = (x ^ (x >> 16)) * 0x45D9F3B % 2**32
    return (x ^ (x >> 16)) / 2**32


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
