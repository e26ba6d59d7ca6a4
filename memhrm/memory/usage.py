"""Which cells are used, by whom: figures of selections, as sums that can be added over steps and processes.

b batch, N cells, k active cells.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.memory.base import Trace


def hits(trace: Trace) -> Tensor:
    """Return 1 where a cell is active, else 0, (b, N)."""
    return torch.zeros_like(trace["scores"]).scatter(1, trace["indices"], 1.0)


def selected(traces: Sequence[Trace]) -> Tensor:
    """Return in how many of the H-steps each example selected each cell, (b, N)."""
    return torch.stack([hits(trace) for trace in traces]).sum(dim=0)


def wrote(traces: Sequence[Trace]) -> Tensor:
    """Return in how many of the H-steps, all of which write, each example wrote each cell, (b, N)."""
    return selected([{**trace, "indices": trace.get("written_cells", trace["indices"])} for trace in traces])


def own_entropy(counts: Tensor) -> Tensor:
    """Return the entropy in nats of the cells that each example selected: counts (b, N) to (b,)."""
    p = counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)
    return -torch.special.xlogy(p, p).sum(dim=-1)


def describe(usage: Sequence[float] | np.ndarray, mean_own_entropy: float) -> dict[str, Any]:
    """Return the figures of an interval of training or of an evaluation.

    Args:
        usage: p_i, the share of the H-steps in which cell i is active, (N,).
        mean_own_entropy: the mean of `own_entropy` over examples.

    Returns usage; usage_entropy, that of p / k in nats (at most log N); usage_information, that entropy less
    the mean own entropy: the mutual information of cell and example as their counts estimate it, in nats (too
    high where an example makes few selections); dead_cells, never selected; and the hard values of the
    losses: diverse, -Var(p), and balance, CV^2(p).

    Two other estimates of that information have names of their own: the loss `information`, from the softmax
    of the scores, and the null-corrected information of `memhrm.probes.information`.
    """
    p = np.asarray(usage, dtype=np.float64)
    total = max(p.sum(), 1e-12)
    q = p[p > 0] / total
    entropy = float(-(q * np.log(q)).sum())
    return {
        "usage": [round(float(x), 6) for x in p],
        "usage_entropy": entropy,
        "usage_information": entropy - mean_own_entropy,
        "dead_cells": int((p == 0).sum()),
        "diverse": float(-p.var()),
        "balance": float(p.var() / max(p.mean() ** 2, 1e-12)),
    }


def words(cells: dict[str, Any]) -> list[str]:
    """Return sentences on what `describe` found; `cells` may be of an older run."""
    usage = np.asarray(cells["usage"])
    n, k = len(usage), round(usage.sum())
    if k == n:
        return [f"all {n} cells are active at every H-step"]
    order = np.argsort(-usage, kind="stable")
    most = ", ".join(f"cell {i} ({usage[i]:.0%})" for i in order[:4] if usage[i] > 0)
    evenness, dead = cells["usage_entropy"] / math.log(n), cells["dead_cells"]
    idle = f"{dead} of {n} cells {'is' if dead == 1 else 'are'} never selected" if dead else "no cell is dead"
    spread = "even" if evenness > 0.95 else "uneven" if evenness > 0.7 else "very uneven"
    information = cells.get("usage_information", cells.get("information", math.nan))  # Its earlier name.
    return [
        f"{k} of {n} cells {'is' if k == 1 else 'are'} active at each H-step; most used: {most}; {idle}",
        f"usage is {spread}: its entropy is {evenness:.0%} of the maximum",
        f"usage information is {round(information, 2) + 0.0:.2f} of at most {cells['usage_entropy']:.2f} "
        "nats: how much the choice of cells depends on the puzzle",
    ]
