"""What the memories with cells have in common: attentions, cells, losses, what is remembered.

N cells.
"""

from collections.abc import Sequence
from functools import partial

import torch

from memhrm.config.settings import stage
from memhrm.memory import losses
from memhrm.memory.base import NORMS, HModule, HShape, Loss, Memory, Trace
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cells import Cells
from memhrm.memory.exchange import Exchange
from memhrm.nn.layers import truncated_normal_


class CellModule(HModule):
    """An H-module whose memory is cells with which the state exchanges by cross-attention."""

    Settings = CellSettings
    has_maps = True

    def __init__(self, settings: CellSettings, shape: HShape, *, norms_write: bool = True):
        """Make both attentions and the cells, and declare everything that comes with them.

        Args:
            settings: the settings.
            shape: the model's sizes.
            norms_write: as in `Exchange`.
        """
        settings = s = settings.explicit()
        a = s.address
        super().__init__(settings, shape)
        self.exchange = Exchange(settings, shape, norms_write=norms_write)
        self.needs_level = self.exchange.augments
        self.store = Cells(settings, shape, self.exchange.read.num_heads)
        # Every cell starts at a random place of its own: equal cells would never separate (trap 8).
        start = truncated_normal_(torch.empty(s.cells, 1 + s.tokens, shape.width), std=1.0)
        if a.contents_start == "same":  # Their CLS tell them apart.
            start[:, 1:] = start[:1, 1:].clone()
        self.remember("cells", start)
        self.remember("usage", torch.full((s.cells,), s.active / s.cells))
        if a.fresh:
            self.remember("written", torch.zeros(s.cells))
        if a.hold != "none":
            self.remember("asked_scores", torch.zeros(s.cells), note=True)
            self.remember("asked_merit", torch.zeros(s.cells), note=True)
        if s.notes_keys:
            self.remember("asked_keys", torch.zeros(s.most_written, shape.width), note=True)
        self.cells, self.always_active = s.cells, s.shared
        self.noise_size = s.cells if s.selector in ("policy", "random") or s.score_noise > 0 else 0
        self.noise_in_evaluation = s.selector == "random"
        self.logged = NORMS
        self.losses |= {
            "diverse": Loss(losses.diverse),
            "balance": Loss(partial(losses.balance, always_active=s.shared)),
            "information": Loss(losses.information),
        }
        if s.selector == "policy":
            self.losses["policy"] = Loss(losses.policy, weight=1.0, needs_reward=True)
            self.losses["entropy"] = Loss(losses.entropy, weight=0.01)
            self.logged = (*NORMS, "entropy")
        elif s.selector == "lowest_loss":
            self.losses["imitation"] = Loss(losses.imitation, weight=1.0)
            self.logged = (*NORMS, "entropy")

    def unwritten(self, before: Memory, after: Memory) -> Memory:
        """As `HModule.unwritten`; the cells, which are the same, go on from one look to the next."""
        return super().unwritten(before, after) | {"cells": after["cells"]}

    def schedule(self, step: int, total: int) -> None:
        """Set the number of active cells, and the score of the unused ones."""
        store = self.store
        if store.settings.k_stages:
            store.active = store.settings.k_stages[stage(step, total, len(store.settings.k_stages))]
        if store.fresh is not None:
            store.fresh.fill_(store.address.fresh[stage(step, total, len(store.address.fresh))])

    def settle(self, traces: Sequence[Trace]) -> None:
        """Move the running mean of the query and the bias of the load."""
        self.store.settle(traces)
