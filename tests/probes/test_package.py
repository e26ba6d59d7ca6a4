"""From Python: `memhrm.probes` has the functions by name, which return plain numbers and arrays."""

import subprocess
import sys
from typing import Any

import numpy as np

import memhrm.probes as probes
from memhrm.memory.cell_settings import CellSettings
from planted import contexts, recall, small

MULTICELL = CellSettings.of(name="", module="memhrm.memory.multicell.MultiCell", tokens=2, cells=4, k=2)
PLAIN = int, float, bool, str, np.ndarray, np.generic, type(None)


def strange(value: Any) -> list[type]:
    """The types in a value that are not plain."""
    if isinstance(value, dict):
        return [kind for name, one in value.items() for kind in strange(name) + strange(one)]
    if isinstance(value, list | tuple):
        return [kind for one in value for kind in strange(one)]
    return [] if isinstance(value, PLAIN) else [type(value)]


def test_every_function_returns_plain_values():
    subject = small(MULTICELL, H_cycles=2)
    seen = probes.roll_out(subject, 2, keep=("cells", "z_H"))
    traces, cells = seen.traces, seen.states["cells"]
    selected, labels = probes.selection_counts(traces), np.arange(6) % 2
    found_maps = probes.attention_maps(subject, 1)
    episode, cued = recall(), contexts(4)
    context, places = probes.contexts_of(cued), probes.cells_taken(cued)
    assert context is not None and cued.episodes is not None
    found = {
        "address_numbers": probes.address_numbers(cued, shuffles=3),
        "agreement": probes.agreement(places, context),
        "overwritten": probes.overwritten(places, context),
        "address_information": probes.address_information(places.first, context, 4, shuffles=3),
        "retention": probes.retention(places.exact, cued.episodes, 4),
        "contexts_of": context,
        "cells_taken": vars(places),
        "within_episodes": probes.within_episodes(np.eye(4, dtype=int)[places.first], context, shuffles=3),
        "over_steps": probes.over_steps(seen),
        "accuracy_by_position": probes.accuracy_by_position(episode),
        "best_accuracy": probes.best_accuracy(episode),
        "residuals": probes.residuals(seen),
        "residual_auroc": probes.residual_auroc(seen),
        "norms": probes.norms(seen),
        "auroc": probes.auroc(seen.q_halt[-1], labels),
        "chance": probes.chance(labels > 0),
        "pca": probes.pca(seen.states["z_H"]),
        "trajectories": probes.trajectories(subject, 2, starts=2),
        "calibration": probes.calibration(seen.q_halt, seen.exact),
        "restarts": probes.restarts(subject, 2, 0.5),
        "one_blank": probes.one_blank(subject),
        "from_solution": probes.from_solution(subject),
        "relabelled": probes.relabelled(subject, tries=2),
        "active_cells": probes.active_cells(traces),
        "selection_counts": selected,
        "usage": probes.usage(traces),
        "weight_shares": probes.weight_shares(traces),
        "usage_entropy": probes.usage_entropy(probes.usage(traces)),
        "switching": probes.switching(traces),
        "dead_cells": probes.dead_cells(traces),
        "co_selection": probes.co_selection(traces),
        "cosines": probes.cosines(cells),
        "mean_cosine": probes.mean_cosine(np.eye(3)),
        "cls_trajectories": probes.cls_trajectories(cells),
        "with_null": probes.with_null(selected, labels, shuffles=3),
        "puzzle_information": probes.puzzle_information(traces["indices"], 4, shuffles=3),
        "cell_information": probes.cell_information(traces, {"rule": labels}, shuffles=3),
        "quartiles": probes.quartiles(np.arange(20)),
        "attention_maps": vars(found_maps),
        "on_grid": probes.on_grid(subject.task, found_maps.read),
        "effects": probes.effects(subject),
        "paired": probes.paired(np.ones(3), np.zeros(3)),
        "monitor_numbers": probes.monitor_numbers(subject),
    }
    assert {name: strange(value) for name, value in found.items() if strange(value)} == {}
    fields = "tokens", "exact", "accuracy", "q_halt", "q_continue", "residual", "norm", "traces", "states"
    assert [strange(getattr(seen, name)) for name in fields] == [[]] * len(fields)
    rest = {"Subject", "open_subject", "subject_of", "Rollout", "roll_out", "measured", "Taken"}
    assert set(found) | rest == set(probes.__all__)  # Whatever is offered is looked at here.


def test_no_matplotlib_is_needed():
    code = "import sys; sys.modules['matplotlib'] = None; import memhrm.probes"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
