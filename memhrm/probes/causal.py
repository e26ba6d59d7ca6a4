"""Causal tests: how the answers change when the memory is disturbed.

n puzzles, N cells, k active cells.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require, require_size
from memhrm.models.recursion import State
from memhrm.probes.cells import hits
from memhrm.probes.intervals import paired
from memhrm.probes.rollout import UNMEASURED, Intervene, Rollout, rollout
from memhrm.probes.subject import Subject


class Disturbance(NamedTuple):
    """A test: its name, a description, the cell it is about, and the arguments of the rollout. rows: the
    indices of the puzzles that it can affect; None for all."""

    name: str
    how: str
    cell: int | None = None
    intervene: Intervene | None = None
    prefer: Tensor | None = None
    write: bool | None = None
    rows: np.ndarray | None = None


def effects(
    subject: Subject,
    steps: int | None = None,
    *,
    seed: int = 0,
    batch_size: int = 256,
    baseline: Rollout | None = None,
    progress: Callable[[int], Any] | None = None,
) -> list[dict[str, Any]]:
    """Return how each test changes the answers after `steps` supervision steps (None: those of training).

    zero, reset: before each step the memory is set to zero, or to what the module starts with.
    freeze: it is not written. shuffle: before each step each puzzle gets the memory of another one. swap: so
    once, before the step in the middle.
    knock_out: a cell is kept from being selected; or, if there is no choice, put back to its start before
    each step. force: a cell is selected at every H-step. Both only for memories with cells.

    Each is a dict of test, how (in words), cell (None for the whole memory); exact and accuracy, the scores
    so disturbed; change, low, high and accuracy_change, accuracy_low, accuracy_high: how much that is more
    than undisturbed, with an interval of 95 % over the puzzles (`paired`), each test for itself. An empty
    list without a memory.

    baseline: the undisturbed rollout of the same puzzles, if it is at hand; it may be longer.
    progress: as in `rollout`; the total is len(subject) * steps * count(subject).
    """
    steps = subject.halt_max_steps if steps is None else steps
    require_size("steps", steps)
    if not _remembers(subject):
        return []
    if baseline is None:
        baseline = rollout(subject, steps, batch_size=batch_size, progress=progress)
    elif progress is not None:
        progress(len(subject) * steps)
    require(len(baseline) >= steps, "the steps of the baseline", len(baseline), f"{steps} or above")
    usual = baseline.exact[steps - 1], baseline.accuracy[steps - 1]
    found = []
    for test in _tests(subject, steps, seed, baseline):
        exact, accuracy = (scores.copy() for scores in usual)
        rows = np.arange(len(subject)) if test.rows is None else test.rows
        if len(rows):
            groups = -(-len(rows) // batch_size)
            seen = rollout(
                subject.select(rows),
                steps,
                intervene=test.intervene,
                prefer=test.prefer,
                write=test.write,
                batch_size=-(-len(rows) // groups),  # Equal sizes: a batch of one row has no other memory.
                progress=progress,
            )
            exact[rows], accuracy[rows] = seen.exact[-1], seen.accuracy[-1]
        if progress is not None:
            progress((len(subject) - len(rows)) * steps)
        found.append(
            {
                "test": test.name,
                "how": test.how,
                "cell": test.cell,
                "exact": float(exact.mean()),
                **dict(zip(("change", "low", "high"), paired(exact, usual[0], pseudo=True))),
                "accuracy": float(accuracy.mean(dtype=np.float64)),
                **dict(zip(("accuracy_change", "accuracy_low", "accuracy_high"), paired(accuracy, usual[1]))),
            }
        )
    return found


def count(subject: Subject) -> int:
    """Return the most rollouts that `effects` makes, with the undisturbed one; 0 without a memory."""
    if not _remembers(subject):
        return 0
    short = subject.select(slice(1))
    return 1 + sum(1 for _ in _tests(short, 1, 0, rollout(short, 1)))


def _remembers(subject: Subject) -> bool:
    return bool(subject.select(slice(1)).initial_state().memory)


def _tests(subject: Subject, steps: int, seed: int, baseline: Rollout) -> Iterator[Disturbance]:
    rng = np.random.default_rng(seed)

    def zero(_step: int, state: State) -> State:
        memory = {name: torch.zeros_like(m) for name, m in state.memory.items() if name not in UNMEASURED}
        return state._replace(memory={**state.memory, **memory})

    def reset(_step: int, state: State) -> State:
        return state._replace(memory=_start(subject, state))

    def shuffle(_step: int, state: State) -> State:
        return _exchanged(state, rng)

    def swap(step: int, state: State) -> State:
        return _exchanged(state, rng) if step == steps // 2 else state

    yield Disturbance("zero", "memory set to zero before each step", intervene=zero)
    yield Disturbance("reset", "memory put back to its start before each step", intervene=reset)
    yield Disturbance("freeze", "memory not written", write=False)
    yield Disturbance("shuffle", "memory of another puzzle before each step", intervene=shuffle)
    yield Disturbance("swap", "memory of another puzzle once, in the middle", intervene=swap)
    module = subject.model.H_module
    if module.cells:
        yield from _single_cells(subject, hits(baseline.traces)[:steps])


def _single_cells(subject: Subject, active: np.ndarray) -> Iterator[Disturbance]:
    """Yield the tests of each cell. active: the undisturbed selections, (S, H, n, N)."""
    cells, shared = subject.model.H_module.cells, subject.model.H_module.always_active
    rivals = range(shared if active[0, 0, 0].sum() < cells else cells, cells)
    for cell in range(cells):
        if cell in rivals:  # Puzzles that never select it stay as they are.
            rows, prefer = active[..., cell].any(axis=(0, 1)), _one(cells, cell, -torch.inf)
            yield Disturbance("knock_out", "never selected", cell, prefer=prefer, rows=np.flatnonzero(rows))
        else:
            yield Disturbance(
                "knock_out", "put back to its start before each step", cell, _restart(subject, cell)
            )
    for cell in rivals:
        rows, prefer = ~active[..., cell].all(axis=(0, 1)), _one(cells, cell, torch.inf)
        yield Disturbance("force", "always selected", cell, prefer=prefer, rows=np.flatnonzero(rows))


def _one(cells: int, cell: int, value: float) -> Tensor:
    prefer = torch.zeros(cells)
    prefer[cell] = value
    return prefer


def _start(subject: Subject, state: State) -> dict[str, Tensor]:
    start = subject.model.H_module.initial_memory(len(state.z_H))
    return {name: start[name].to(m.dtype) for name, m in state.memory.items()}


def _restart(subject: Subject, cell: int) -> Intervene:
    """Reset one cell; tensors that are not lists of cells (usage, a clock) stay as they are."""
    cells = subject.model.H_module.cells

    def restart(_step: int, state: State) -> State:
        start, memory = _start(subject, state), {}
        for name, m in state.memory.items():
            if m.ndim > 2 and m.shape[1] == cells:
                m = m.clone()
                m[:, cell] = start[name][:, cell]
            memory[name] = m
        return state._replace(memory=memory)

    return restart


def _exchanged(state: State, rng: np.random.Generator) -> State:
    """Give each row the memory of another one: the next in a random circle of all rows."""
    circle = rng.permutation(len(state.z_H))
    owner = np.empty_like(circle)
    owner[circle] = np.roll(circle, 1)
    rows = torch.from_numpy(owner).to(state.z_H.device)
    return state._replace(memory={name: m[rows] for name, m in state.memory.items()})
