"""`train/agreement`: training says, without a probe, whether contexts find their cells again."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from memhrm.probes.addresses import agreement
from memhrm.probes.taken import FEEDBACK, QUESTION, Taken
from memhrm.runs.agreement import later_visits
from memhrm.runs.directory import RunDirectory
from tiny import train

WORDS = """
    data=contexts data.alphabet=3 data.length=4 data.test_size=9 data.cue_symbols=6 data.contexts=[1,2]
    data.curve=[] data.test_contexts=3 data.test_episodes=20 validation_size=0 halting.halt_max_steps=1
    log_every=4 +memory=multicell memory.cells=4 k=1 memory.tokens=2
""".split()  # noqa: SIM905 (written as on a command line)
N, APART = 5, 1


def observed(context: np.ndarray, rng: np.random.Generator) -> tuple[list[Any], Taken]:
    """Supervision steps, two for each question and its feedback, with random cells; and these as `Taken`."""
    n, p = context.shape
    rows, written = np.arange(n), {told: np.zeros((n, p, N + APART), bool) for told in (QUESTION, FEEDBACK)}
    first, seen = np.zeros((n, p), int), []
    for at in range(p):
        for step, told in ((0, QUESTION), (1, QUESTION), (2, FEEDBACK)):
            traces = []
            for cycle in range(2):
                own = np.argsort(rng.random((n, N)), axis=1)[:, :2] + APART
                chosen = np.concatenate([np.zeros((n, 1), int), own], axis=1)
                kept = chosen[:, :2]  # The shared cell and the first choice.
                traces.append({"indices": torch.from_numpy(chosen), "written_cells": torch.from_numpy(kept)})
                written[told][rows[:, None], at, kept] = True
                if (step, cycle) == (0, 0):
                    first[:, at] = own[:, 0] - APART
            address = torch.from_numpy(np.stack([context[:, at], context[:, at]], axis=1)).int()
            carry = SimpleNamespace(data={"address": address}, steps=torch.full((n,), step))
            out = SimpleNamespace(out=SimpleNamespace(traces=traces))
            seen.append(SimpleNamespace(supervised=out, carry=carry, feedback=torch.full((n,), told)))
    masks = {told: mask[:, :, APART:] for told, mask in written.items()}
    return seen, Taken(first, masks, masks, np.zeros((n, p), bool), APART)


def test_it_is_that_of_the_probe():
    rng = np.random.default_rng(0)
    context = rng.permuted(np.tile([0, 1, 2], (40, 3)), axis=1)
    seen, taken = observed(context, rng)
    module: Any = SimpleNamespace(cells=N + APART, always_active=APART)
    found = later_visits(seen, module)
    assert found["later_visits"] == 40 * 6
    expected = agreement(taken, context)["value"]
    assert 0.2 < expected < 0.6 and float(found["agreement"]) / 240 == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["memory.selector=hash"], 1.0),  # A cue has its cell.
        (["memory.horizon=2"], None),  # An optimiser step sees part of an episode.
    ],
)
def test_a_run_logs_it_where_a_step_sees_whole_episodes(tmp_path, changes, expected):
    assert train(tmp_path / "run", *WORDS, *changes) == 0
    lines = [line for line in RunDirectory(tmp_path / "run").metrics() if "train/loss" in line]
    assert len(lines) == 2
    assert [line.get("train/agreement") for line in lines] == [expected] * 2
