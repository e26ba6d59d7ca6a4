"""Probes of a trained model: its answers, the dynamics of its state, and the use of its memory.

Functions take a `Subject` or a `Rollout` and return plain arrays and numbers. They see what any caller of the
model sees: its state between supervision steps, its output and the trace of its H-steps. All are here by
name, as in `from memhrm.probes import open_subject, roll_out, over_steps`; `roll_out` is
`memhrm.probes.rollout.rollout`. They need what `pip install 'memhrm[probe]'` installs.
"""

from memhrm.evaluation.intervals import paired
from memhrm.probes.accuracy import over_steps
from memhrm.probes.addresses import (
    address_information,
    address_numbers,
    agreement,
    contexts_of,
    overwritten,
    retention,
)
from memhrm.probes.attention import attention_maps, on_grid
from memhrm.probes.causal import effects
from memhrm.probes.cells import (
    active_cells,
    cls_trajectories,
    co_selection,
    cosines,
    dead_cells,
    mean_cosine,
    selection_counts,
    switching,
    usage,
    usage_entropy,
    weight_shares,
)
from memhrm.probes.dynamics import auroc, chance, norms, pca, residual_auroc, residuals, trajectories
from memhrm.probes.episodes import accuracy_by_position, best_accuracy
from memhrm.probes.information import (
    cell_information,
    puzzle_information,
    quartiles,
    with_null,
    within_episodes,
)
from memhrm.probes.monitor import monitor_numbers
from memhrm.probes.q_head import calibration, restarts
from memhrm.probes.rollout import Rollout, measured
from memhrm.probes.rollout import rollout as roll_out
from memhrm.probes.stability import from_solution, one_blank, relabelled
from memhrm.probes.subject import Subject, open_subject, subject_of
from memhrm.probes.taken import Taken, cells_taken

__all__ = [
    "Rollout", "Subject", "Taken", "accuracy_by_position", "active_cells", "address_information",
    "address_numbers", "agreement", "attention_maps", "auroc", "best_accuracy", "calibration",
    "cell_information", "cells_taken", "chance", "cls_trajectories", "co_selection", "contexts_of", "cosines",
    "dead_cells", "effects", "from_solution", "mean_cosine", "measured", "monitor_numbers", "norms",
    "on_grid", "one_blank", "open_subject", "over_steps", "overwritten", "paired", "pca",
    "puzzle_information", "quartiles", "relabelled", "residual_auroc", "residuals", "restarts",
    "retention", "roll_out", "selection_counts", "subject_of", "switching", "trajectories", "usage",
    "usage_entropy", "weight_shares", "with_null", "within_episodes"
]  # fmt: skip
