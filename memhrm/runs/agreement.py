"""Whether contexts find their cells again, in training episodes: `train/agreement`.

b batch, N cells, k cells that are read or written.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from memhrm.memory.base import HModule
from memhrm.training.step import Observed


def sees_episodes(module: HModule) -> bool:
    """Return whether a memory has cells, and an optimiser step all of an episode."""
    settings = module.settings
    return module.cells > 0 and settings.lasts and settings.horizon == "episode"


def later_visits(observed: Sequence[Observed], module: HModule) -> dict[str, Tensor]:
    """Return how many visits were to contexts whose rule had been shown, and how many found its cell.

    A visit finds it if the first choice of its question, at its first H-step, is a cell that the context's
    last feedback wrote (`memhrm.probes.addresses.agreement`).

    Args:
        observed: the supervision steps of whole episodes with contexts.
        module: the memory.

    Returns:
        Sums over rows: `later_visits`, and `agreement`, those that found their cell.
    """
    address = observed[0].carry.data["address"]
    rows = torch.arange(len(address), device=address.device)
    told = torch.zeros(len(rows), len(observed), dtype=torch.bool, device=rows.device)  # By context.
    left = told.new_zeros(*told.shape, module.cells)
    visits, found = rows.new_zeros(()), rows.new_zeros(())
    for seen in observed:
        context, traces = seen.carry.data["address"][:, 0].long(), seen.supervised.out.traces
        later = ~seen.feedback & (seen.carry.steps == 0) & told[rows, context]
        first = traces[0]["indices"][:, module.always_active]
        visits, found = visits + later.sum(), found + (later & left[rows, context, first]).sum()
        written = torch.zeros_like(left[:, 0])
        for trace in traces:
            written = written.scatter(1, trace.get("written_cells", trace["indices"]), True)
        shown = seen.feedback.unsqueeze(1)
        left[rows, context] = torch.where(shown, written, left[rows, context])
        told[rows, context] |= seen.feedback
    return {"later_visits": visits, "agreement": found}
