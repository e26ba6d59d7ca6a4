"""Which cells are used, by whom: figures of selections, as sums that can be added over steps and processes.

b batch, n cells, k active cells.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.memory.h_module import Trace


def hits(trace: Trace) -> Tensor:
    """1 where the cell is active, else 0, (b, n)."""
    return torch.zeros_like(trace["scores"]).scatter(1, trace["indices"], 1.0)


def selected(traces: Sequence[Trace]) -> Tensor:
    """In how many of the H-steps each example selected each cell, (b, n)."""
    return torch.stack([hits(trace) for trace in traces]).sum(dim=0)


def own_entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of the cells that each example selected, (b, n) counts to (b,)."""
    p = counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)
    return -torch.special.xlogy(p, p).sum(dim=-1)


def describe(usage: Sequence[float] | np.ndarray, mean_own_entropy: float) -> dict[str, Any]:
    """The figures of an interval or of an evaluation.

    usage: p_i, the share of the H-steps in which cell i is active, (n,). mean_own_entropy: of `own_entropy`.

    Returns usage; usage_entropy, that of p / k in nats (at most log n); information, the mutual information
    of cell and example in nats (an example's few selections overstate it); dead_cells, never selected; and
    the hard values of the losses: diverse, -Var(p), and balance, CV^2(p).
    """
    p = np.asarray(usage, dtype=np.float64)
    total = max(p.sum(), 1e-12)
    q = p[p > 0] / total
    entropy = float(-(q * np.log(q)).sum())
    return {
        "usage": [round(float(x), 6) for x in p],
        "usage_entropy": entropy,
        "information": entropy - mean_own_entropy,
        "dead_cells": int((p == 0).sum()),
        "diverse": float(-p.var()),
        "balance": float(p.var() / max(p.mean() ** 2, 1e-12)),
    }


def words(cells: dict[str, Any]) -> list[str]:
    """What a description says, in sentences."""
    usage = np.asarray(cells["usage"])
    n, k = len(usage), usage.sum()
    if k > n - 1e-6:
        return [f"all {n} cells are active at every H-step"]
    order = np.argsort(-usage, kind="stable")
    often = [i for i in order[:4] if usage[i] > 0]
    named = ", ".join(f"{i} ({usage[i]:.0%})" for i in often)
    evenness = cells["usage_entropy"] / math.log(n) if n > 1 else 1.0
    dead = cells["dead_cells"]
    idle = "every cell is used" if not dead else f"{dead} of {n} cells are never selected"
    spread = "evenly" if evenness > 0.95 else "unevenly" if evenness > 0.7 else "very unevenly"
    return [
        f"{k:.0f} of {n} cells are active at an H-step; most often {named}; {idle}",
        f"the work is spread {spread} (entropy {evenness:.0%} of the largest)",
        f"knowing the puzzle tells {cells['information']:.2f} nats about its cells, "
        f"of {cells['usage_entropy']:.2f} that are to be known",
    ]
