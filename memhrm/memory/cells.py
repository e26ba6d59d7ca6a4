"""Many memory cells, of which each example selects, reads and writes k: how they are selected and kept.

b batch, t position, d width, N cells, k active cells, l = 1 + M tokens of a cell: its CLS, then its contents.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.memory.addresses import readdressed
from memhrm.memory.base import Context, HShape, Memory, Trace
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.cross_attention import layer_norm
from memhrm.memory.parts import Part, parted
from memhrm.memory.query import Query
from memhrm.memory.selection import Scored, Scorer, choose, entropy, merits, plackett_luce, unlabelled
from memhrm.memory.store import first_tokens, put, take
from memhrm.memory.usage import hits
from memhrm.nn.attention import SelfAttention
from memhrm.nn.blocks import add_rms
from memhrm.system.ranks import summed


class Selection(NamedTuple):
    """What each example selects.

    Attributes:
        indices: the active cells, (b, k), the first choice first.
        scores: of all cells, (b, N).
        merit: what they are chosen by, (b, N).
        read: the cells that are read.
        write: the cells that are written.
        keys: what the query asks of the cells that are written, (b, k, d), with cls=key.
        answered: rows that ask nothing and leave the CLS as it is: feedback, and what has the selection of an
            earlier H-step, (b,) bool; None for none.
        cells: all cells as they were, (b, N, l, d), on their way from one look at them to the next
            (`memhrm.memory.store`).
    """

    indices: Tensor
    scores: Tensor
    merit: Tensor
    read: Part
    write: Part
    keys: Tensor | None
    answered: Tensor | None
    cells: Tensor


ReadAlone = Callable[[Tensor], Tensor]
"""One cell of each example, (b, 1, l, d), to z_H (b, t, d) after reading it alone with weight 1."""


class Cells(nn.Module):
    """Selects cells, takes them out of the memory and puts them back.

    A memory calls `select` and `take`, reads and writes in its own way, and calls `finish` and `put_back`.
    """

    def __init__(self, settings: CellSettings, shape: HShape, num_heads: int):
        super().__init__()
        self.settings, self.active, s = settings, settings.active, settings
        self.address = a = settings.address
        self.query = Query(a.pooling, shape.width, shape.length, a.center)
        scaled, normed = s.score_scale == "sqrt", a.score_norm == "layer"
        own = s.cells if s.own_projections else 0
        self.scorer = Scorer(shape.width, s.projections, s.combine, scaled, normed, own, a.scorer_start)
        self.exact_match = shape.width * self.scorer.scale  # The score of equal vectors, normed.
        self.within = SelfAttention(shape.width, num_heads, shape.attend) if s.self_attention else None
        self.bias: Tensor | None
        self.register_buffer("bias", torch.zeros(s.cells) if s.load_bias > 0 else None)
        self.fresh: Tensor | None  # A tensor, so that a compiled step does not depend on its value.
        fresh = torch.tensor(a.fresh[-1]) if a.fresh else None
        self.register_buffer("fresh", fresh, persistent=False)

    def select(
        self, h: Tensor, memory: Memory, context: Context, read_alone: ReadAlone
    ) -> tuple[Selection, Trace]:
        """Select the active cells of each example.

        Args:
            h: the state that reads, (b, t, d).
            memory: the memory before the step.
            context: the context of the H-step.
            read_alone: what reading one cell alone gives, for selector=lowest_loss.
        """
        s, apart = self.settings, self.settings.shared  # A shared cell stands apart from the competition.
        judged, held = self._judged(memory["cells"], context, read_alone), self._held(context)
        queries, there, trace = self.query(h, context.present, held)
        cls, cells = first_tokens(memory["cells"])
        scored = self._scored(queries, there, cls, memory)
        scores = scored.scores
        noise, judged, prefer = (
            None if x is None else x[:, apart:] for x in (context.noise, judged, context.prefer)
        )
        rivals = self._drawn_by(scores).detach()
        merit = merits(s.selector, rivals, noise, judged, context.address, s.score_noise)
        if held is not None:
            scores = torch.where(held.unsqueeze(1), memory["asked_scores"], scores)
            asked = memory["asked_merit"][:, apart:].detach()
            merit = torch.where(held.unsqueeze(1), asked, merit)
        winners = choose(merit, self.active - apart, prefer)

        active, read, write = parted(s, scores, winners)
        alpha = read.weights if s.reads == "selected" else read.weights.gather(1, active.indices)
        trace |= {"indices": active.indices, "alpha": alpha, "scores": scores}
        trace |= {"read_cells": read.indices, "written_cells": write.indices}
        if self.training and s.selector in ("policy", "lowest_loss"):
            silent = None if judged is None else unlabelled(judged)  # Nothing is imitated there.
            trace |= self._probability(h, memory, context, scored.scores, winners, held, silent)
        keys, answered = self._keys(scored, write.indices, memory, context, held)
        merit = F.pad(merit, (apart, 0))
        return Selection(active.indices, scores, merit, read, write, keys, answered, cells), trace

    def _keys(
        self, scored: Scored, indices: Tensor, memory: Memory, context: Context, held: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return `Selection.keys` of the cells at `indices` (b, k) and `Selection.answered`."""
        s = self.settings
        if s.cls != "key":
            return None, None
        keys = scored.keys(indices)
        if s.write_when == "always":
            return keys, _either(held, context.feedback)
        if held is not None:  # Questions write nothing: their feedback writes what they asked for.
            asked = memory["asked_keys"][:, : keys.shape[1]].to(keys.dtype)
            keys = torch.where(held[:, None, None], asked, keys)
        return keys, None

    def _held(self, context: Context) -> Tensor | None:
        """Return the rows that keep an earlier selection, (b,) bool; None for none; equation (27)."""
        if self.address.hold == "none":
            return None
        held = context.feedback
        return held if self.address.hold == "feedback" else _either(held, context.continues)

    def _scored(self, queries: Tensor, there: Tensor | None, cls: Tensor, memory: Memory) -> Scored:
        """Return how the queries match the cells' CLS (b, N, d), those not written yet by equation (24)."""
        scored = self.scorer(queries, cls, there)
        if self.fresh is None:
            return scored
        s, unused = scored.scores, memory["written"] == 0
        unused[:, : self.settings.shared] = False
        best = s.detach().masked_fill(~unused, torch.finfo(s.dtype).min).amax(dim=1, keepdim=True)
        fresh = self.fresh if self.training else self.address.fresh[-1]
        return scored._replace(scores=torch.where(unused, s + (fresh * self.exact_match - best), s))

    def _drawn_by(self, scores: Tensor) -> Tensor:
        """Return what the cells that compete are chosen by: scores and a bias of the load; equation (26)."""
        if self.bias is not None:
            scores = scores + self.bias.to(scores.dtype)
        return scores[:, self.settings.shared :]

    def _probability(
        self,
        h: Tensor,
        memory: Memory,
        context: Context,
        scores: Tensor,
        winners: Tensor,
        held: Tensor | None,
        silent: Tensor | None,
    ) -> Trace:
        """Return the log-probability of the choice and the entropy of its first draw; 0 where it is held.

        silent: rows whose log-probability is 0 as well, (b,) bool; None: no others.
        """
        constant = not torch.is_grad_enabled()
        with torch.enable_grad():  # Selections in cycles without gradient are credited too.
            if constant:
                queries, there, _ = self.query(h.detach(), context.present)
                memory = {name: tensor.detach() for name, tensor in memory.items()}
                scores = self._scored(queries, there, memory["cells"][:, :, 0], memory).scores
            rivals = self._drawn_by(scores)
            found = {"log_probability": plackett_luce(rivals, winners), "entropy": entropy(rivals)}
            if silent is not None:
                found["log_probability"] = torch.where(silent, 0, found["log_probability"])
            if held is not None:
                found = {name: torch.where(held, 0, x) for name, x in found.items()}
        return found

    @torch.no_grad()
    def _judged(self, cells: Tensor, context: Context, read_alone: ReadAlone) -> Tensor | None:
        """Return the loss of the answer after reading each cell alone, (b, N), for selector=lowest_loss.

        Where no label tells it, it is 0 for all.
        """
        if self.settings.selector != "lowest_loss":
            return None
        if context.judge is None:
            return torch.zeros(cells.shape[:2], device=cells.device)
        # One after the other: all at once would take n times the memory.
        losses = [context.judge(read_alone(cells[:, i : i + 1])) for i in range(cells.shape[1])]
        return torch.stack(losses, dim=1)

    def take(self, selection: Selection) -> tuple[Tensor, Tensor, Selection]:
        """Return the cells to read and those to write, (b, k, l, d) each, and the selection to go on with."""
        read, write = selection.read.indices, selection.write.indices
        active, cells = _taken(selection.cells, read)
        before = active
        if write is not read:
            before, cells = _taken(cells, write)
        return active, before, selection._replace(cells=cells)

    def finish(self, before: Tensor, after: Tensor, selection: Selection, dtype: torch.dtype) -> Tensor:
        """Return the cells as they are put back, (b, k, l, d).

        Args:
            before: the cells before the write.
            after: the cells after it.
            selection: which they are.
            dtype: the type in which self-attention within them computes, if there is one.
        """
        s, credit = self.settings, selection.write.credit
        if self.within is not None:
            tokens = layer_norm(after.to(dtype)).flatten(0, 1)
            change = self.within(tokens, None).view(after.shape).to(after.dtype)
            after = add_rms(after, change) if s.state_norm == "rms" else after + change
        if credit is not None:
            after = after + credit.to(after.dtype)[:, :, None, None] * (after - before)
        return readdressed(self.address.cls, before, after, selection.keys, selection.answered)

    def of_active(self, maps: Trace, selection: Selection) -> Trace:
        """Return maps of the cells that are read and written, (b, k, ...), as maps of the active ones.

        What is not written has a map of zeros.
        """
        s, indices, found = self.settings, selection.indices, {}
        for name, values in maps.items():
            every = (s.reads if name.startswith("read") else s.writes) == "all"
            if every:
                values = values.take_along_dim(indices.view(*indices.shape, *[1] * (values.ndim - 2)), dim=1)
            missing = indices.shape[1] - values.shape[1]
            found[name] = F.pad(values, (*[0] * (2 * values.ndim - 4), 0, missing))
        return found

    def put_back(self, memory: Memory, written: Tensor, selection: Selection, *, write: bool) -> Memory:
        """Return the memory with the written cells, (b, k, l, d), and what else is noted of the step.

        Without `write` the cells stay as they were.
        """
        s, cells, indices = self.settings, selection.cells, selection.write.indices
        hit = torch.zeros_like(memory["usage"]).scatter(1, selection.indices, 1.0)
        usage = torch.lerp(hit, memory["usage"], s.usage_average)
        if write:
            if s.decay > 0:
                cells = cells * (1 - s.decay * (1 - usage) * (1 - hit))[:, :, None, None]
            cells = put(cells, _rows(cells, indices), written.flatten(0, 1))
        noted = {"cells": cells, "usage": usage}
        if self.fresh is not None:
            noted["written"] = memory["written"].scatter(1, indices, 1.0)
        if self.address.hold != "none":
            noted |= {"asked_scores": selection.scores, "asked_merit": selection.merit}
        if s.notes_keys:
            assert selection.keys is not None
            missing = s.most_written - selection.keys.shape[1]
            noted["asked_keys"] = F.pad(selection.keys, (0, 0, 0, missing)).to(memory["asked_keys"].dtype)
        return {**memory, **noted}

    @torch.no_grad()
    def settle(self, traces: Sequence[Trace]) -> None:
        """Move what no gradient moves; see `HModule.settle`."""
        self.query.settle(traces)
        if self.bias is not None:
            apart = self.settings.shared
            load = summed(torch.stack([hits(trace) for trace in traces]).sum(dim=(0, 1)))[apart:]
            self.bias[apart:] += self.settings.load_bias * (load.mean() - load).sign()


def _either(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Return the rows, (b,) bool, of one or the other; None for none."""
    return other if one is None else one if other is None else one | other


def _taken(cells: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells at `indices` (b, k), (b, k, l, d), and all of them again."""
    taken, cells = take(cells, _rows(cells, indices))
    return taken.unflatten(0, indices.shape), cells


def _rows(cells: Tensor, indices: Tensor) -> Tensor:
    """Return where the cells of `indices` (b, k) stand when (b, N) is one axis."""
    batch, n = cells.shape[:2]
    return (indices + torch.arange(batch, device=indices.device).unsqueeze(1) * n).flatten()
