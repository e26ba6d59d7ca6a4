"""Numbers about a memory that are cheap enough to log during training."""

from typing import Any

import numpy as np

from memhrm.evaluation.rollout import evaluating
from memhrm.probes import cells
from memhrm.probes.addresses import agreement, contexts_of, overwritten
from memhrm.probes.causal import meaningful
from memhrm.probes.information import puzzle_information
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import Subject
from memhrm.probes.taken import cells_taken

PUZZLES = 128
"""The most puzzles used."""

KEPT = 16
"""Puzzles whose cells are kept: those of every puzzle at every step would take much memory."""


MATRIX = 16
"""The most cells for which the cosine of each pair is logged."""


def monitor_numbers(subject: Subject) -> dict[str, Any]:
    """Return numbers of some puzzles at the training depth; the model stays in the mode it was in.

    Returns:
        `exact_accuracy` and `accuracy`. With a memory, where `freeze` is `meaningful`:
        `exact_accuracy_unwritten`, the same without a write.
        With cells: `usage_entropy` in nats and `usage_entropy_share` of log N; `null_corrected_information`
        about the puzzle in nats, with the ends of its 95 % interval, `null_corrected_information_low` and
        `_high`; `switching_H_steps` and `switching_supervision`, the share of the active cells that change;
        `dead_cells`; `cosine_cls` and `cosine_contents`, the mean absolute cosine of two cells at the end;
        and for few cells `cosine_cls_matrix` and `cosine_contents_matrix`, (N, N) lists. With cells and
        contexts: `agreement` and `overwritten`, as of `memhrm.probes.addresses`, over whole episodes. What
        does not apply is left out.
    """
    with evaluating(subject.model):
        return _numbers(subject.select(subject.spread(PUZZLES)), subject.halt_max_steps)


def _numbers(subject: Subject, steps: int) -> dict[str, Any]:
    module, memory = subject.model.H_module, subject.select(slice(1)).initial_state().memory
    seen = rollout(subject, steps)
    found = {"exact_accuracy": _mean(seen.exact[-1]), "accuracy": _mean(seen.accuracy[-1])}
    shown = meaningful(steps, subject.model.settings.H_cycles, subject.writes_at_questions)
    if module.writes and "freeze" in shown:
        found["exact_accuracy_unwritten"] = _mean(rollout(subject, steps, write=False).exact[-1])
    if not module.cells:
        return found

    entropy = cells.usage_entropy(cells.usage(seen.traces).mean(axis=(0, 1)))
    information = puzzle_information(seen.traces["indices"], module.cells)
    switching = cells.switching(seen.traces)
    found |= {
        "usage_entropy": float(entropy["nats"]),
        "usage_entropy_share": float(entropy["share"]),
        "null_corrected_information": information["null_corrected"],
        "null_corrected_information_low": information["low"],
        "null_corrected_information_high": information["high"],
        **{f"switching_{name}": _mean(values) for name, values in switching.items() if values.size},
        "dead_cells": float(len(cells.dead_cells(seen.traces))),
    }
    if module.cells > 1 and "cells" in memory and memory["cells"].ndim == 4:
        kept = rollout(subject.select(subject.spread(KEPT)), steps, keep=("cells",)).states["cells"]
        for name, matrix in cells.cosines(kept[-1:]).items():
            found[f"cosine_{name}"] = cells.mean_cosine(matrix[0])
            if module.cells <= MATRIX:
                found[f"cosine_{name}_matrix"] = matrix[0].round(3).tolist()
    if (context := contexts_of(subject)) is not None:
        places = cells_taken(subject)
        found["agreement"] = agreement(places, context)["value"]
        found["overwritten"] = overwritten(places, context)["value"]
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
