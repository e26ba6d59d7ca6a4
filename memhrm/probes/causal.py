"""Causal tests: how the answers change when the memory is disturbed.

n puzzles, N cells, k active cells.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require, require_size
from memhrm.evaluation.intervals import paired
from memhrm.models.recursion import State
from memhrm.probes.cells import active_cells
from memhrm.probes.rollout import Intervene, Rollout, of_size, rollout
from memhrm.probes.subject import Subject

WHOLE = "zero", "reset", "freeze", "shuffle", "swap"
"""The tests of the whole memory."""


class Disturbance(NamedTuple):
    """One test.

    Attributes:
        name: of the test.
        description: of the test, in words.
        cell: which it disturbs; None for the whole memory.
        intervene: argument of `rollout`; so are `prefer` and `write`.
        rows: indices of the puzzles that it can affect; None for all.
    """

    name: str
    description: str
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
) -> list[dict[str, Any]]:
    """Return how each test changes the answers.

    Tests of the whole memory, those that are `meaningful`: `zero` and `reset` set it to zero, as far as it is
    `of_size`, or to what the module starts with, before each step; `freeze` never writes it; `shuffle` gives
    each puzzle the memory of another one before each step, `swap` once, before the step in the middle. Tests
    of one cell, for memories with cells: `knock_out` keeps it from being selected or, if all cells always
    are, resets it before each step; `force` selects it at every H-step.

    Args:
        subject: the model and its puzzles.
        steps: supervision steps; None: those of training.
        seed: of the shuffles.
        batch_size: puzzles of a batch, at most.
        baseline: the undisturbed rollout of the same puzzles, if it is at hand; it may be longer.

    Returns:
        A dict for each test: `test`, `description`, `cell` (None for the whole memory); `exact` and
        `accuracy`, the disturbed scores; `change`, `low`, `high` and `accuracy_change`, `accuracy_low`,
        `accuracy_high`, the disturbed scores less the undisturbed ones, with 95 % intervals over the puzzles
        (`paired`), each test on its own. An empty list for a model without memory, or that only has notes.
    """
    steps = subject.halt_max_steps if steps is None else steps
    require_size("steps", steps)
    if not subject.model.H_module.writes:
        return []
    if baseline is None:
        baseline = rollout(subject, steps, batch_size=batch_size)
    require(len(baseline) >= steps, "the steps of the baseline", len(baseline), f"{steps} or above")
    usual = baseline.exact[steps - 1], baseline.accuracy[steps - 1]
    found = []
    for test in _tests(subject, steps, seed, baseline):
        exact, accuracy = (scores.copy() for scores in usual)
        rows = np.arange(len(subject)) if test.rows is None else test.rows
        if len(rows):
            batches = -(-len(rows) // batch_size)
            disturbed = rollout(
                subject.select(rows),
                steps,
                intervene=test.intervene,
                prefer=test.prefer,
                write=test.write,
                # Equal batch sizes: a batch of one row has no other memory to swap with.
                batch_size=-(-len(rows) // batches),
            )
            exact[rows], accuracy[rows] = disturbed.exact[-1], disturbed.accuracy[-1]
        found.append(
            {
                "test": test.name,
                "description": test.description,
                "cell": test.cell,
                "exact": float(exact.mean()),
                **dict(zip(("change", "low", "high"), paired(exact, usual[0], pseudo=True))),
                "accuracy": float(accuracy.mean(dtype=np.float64)),
                **dict(zip(("accuracy_change", "accuracy_low", "accuracy_high"), paired(accuracy, usual[1]))),
            }
        )
    return found


def meaningful(steps: int, H_cycles: int, writes: bool) -> list[str]:
    """Return the tests of the whole memory that can show something, by name.

    The middle of a single supervision step is its beginning, so that `swap` is `shuffle`. `freeze` is nothing
    where a question writes nothing, nor with a single H-step, after which nothing reads what it wrote.

    Args:
        steps: supervision steps.
        H_cycles: H-steps of each.
        writes: whether a question writes the memory.
    """
    useless = {"swap": steps == 1, "freeze": steps * H_cycles == 1 or not writes}
    return [test for test in WHOLE if not useless.get(test)]


def _tests(subject: Subject, steps: int, seed: int, baseline: Rollout) -> Iterator[Disturbance]:
    rng = np.random.default_rng(seed)

    def zero(_step: int, state: State) -> State:
        memory = {name: torch.zeros_like(m) for name, m in state.memory.items() if of_size(name, m)}
        return state._replace(memory={**state.memory, **memory})

    def reset(_step: int, state: State) -> State:
        return state._replace(memory=_start(subject, state))

    def shuffle(_step: int, state: State) -> State:
        return _from_other_rows(state, rng)

    def swap(step: int, state: State) -> State:
        return _from_other_rows(state, rng) if step == steps // 2 else state

    every = (
        Disturbance("zero", "memory set to zero before each step", intervene=zero),
        Disturbance("reset", "memory put back to its start before each step", intervene=reset),
        Disturbance("freeze", "memory not written", write=False),
        Disturbance("shuffle", "memory of another puzzle before each step", intervene=shuffle),
        Disturbance("swap", "memory of another puzzle once, in the middle", intervene=swap),
    )
    shown = meaningful(steps, subject.model.settings.H_cycles, subject.writes_at_questions)
    yield from (test for test in every if test.name in shown)
    if subject.model.H_module.cells:
        yield from _single_cells(subject, active_cells(baseline.traces)[:steps])


def _single_cells(subject: Subject, active: np.ndarray) -> Iterator[Disturbance]:
    """Yield the tests of each cell. active: the undisturbed selections, (S, H, n, N)."""
    cells, shared = subject.model.H_module.cells, subject.model.H_module.always_active
    rivals = range(shared if active[0, 0, 0].sum() < cells else cells, cells)
    for cell in range(cells):
        if cell in rivals:  # Puzzles that never select it stay as they are.
            rows, prefer = active[..., cell].any(axis=(0, 1)), _preference(cells, cell, -torch.inf)
            yield Disturbance("knock_out", "never selected", cell, prefer=prefer, rows=np.flatnonzero(rows))
        else:
            yield Disturbance(
                "knock_out", "put back to its start before each step", cell, _restart(subject, cell)
            )
    for cell in rivals:
        rows, prefer = ~active[..., cell].all(axis=(0, 1)), _preference(cells, cell, torch.inf)
        yield Disturbance("force", "always selected", cell, prefer=prefer, rows=np.flatnonzero(rows))


def _preference(cells: int, cell: int, value: float) -> Tensor:
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


def _from_other_rows(state: State, rng: np.random.Generator) -> State:
    """Give each row the memory of another one: the next in a random circle of all rows."""
    circle = rng.permutation(len(state.z_H))
    owner = np.empty_like(circle)
    owner[circle] = np.roll(circle, 1)
    rows = torch.from_numpy(owner).to(state.z_H.device)
    return state._replace(memory={name: m[rows] for name, m in state.memory.items()})
