"""Memory cells: which are active, when that changes, and how similar they are."""

from typing import Any

import numpy as np

from memhrm.probes import cells
from memhrm.probes.rollout import rollout
from memhrm.report.curves import Series, curves, of_runs
from memhrm.report.maps import maps, matrix, trajectories
from memhrm.report.page import ReportPart, percent, table
from memhrm.report.run import ProbedRun
from memhrm.report.sections.learning import logged

KEPT = 32
"""Puzzles whose cells are kept: the contents for every puzzle at every step would take much memory."""
LOGGED = (
    *("usage_entropy_share", "null_corrected_information", "switching_supervision", "dead_cells"),
    *("cosine_cls", "cosine_contents"),
)
"""What a log has of the cells, with probe=light."""


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the numbers of `memhrm.probes.cells`, and what was logged about the cells in training."""
    if not run.cells:
        return None
    traces, curves = run.near.traces, {name: logged(run.metrics, f"probe/{name}") for name in LOGGED}
    usage = cells.usage(traces)
    over = usage.mean(axis=1)  # (S, N)
    found: dict[str, Any] = {
        "usage": usage,
        "entropy": cells.usage_entropy(over)["share"],
        "entropy_all": {name: float(one) for name, one in cells.usage_entropy(over.mean(axis=0)).items()},
        "switching": cells.switching(traces),
        "dead": cells.dead_cells(traces),
        "co_selection": cells.co_selection(traces),
        "weights": cells.weight_shares(traces) if "alpha" in traces else None,
        "active": int(traces["indices"].shape[-1]),
        "training": {name: one for name, one in curves.items() if one is not None and len(one["step"]) > 1},
    }
    few = run.few(KEPT)
    memory = few.select(slice(1)).initial_state().memory
    if "cells" not in memory or memory["cells"].ndim != 4:
        return found
    kept = rollout(few, run.depth, keep=("cells",)).states["cells"]
    found |= {"cosine": cells.cosines(kept), "cls": cells.cls_trajectories(kept)}
    lines = [line for line in run.metrics if "probe/cosine_cls_matrix" in line]
    if len(lines) > 1:
        names = {"step": "step", "cls": "probe/cosine_cls_matrix", "contents": "probe/cosine_contents_matrix"}
        found["cosine_training"] = {k: np.array([line[name] for line in lines]) for k, name in names.items()}
    return found


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the figures, and a table of which cells are used."""
    parts = [part for run in runs for part in _usage(run)]
    entropy = [
        one for one in of_runs(runs, "cells", "entropy") if len(one.y) > 1
    ]  # The table has a single one.
    lines = {"entropy": entropy, "switching": [line for run in runs for line in _switching(run)]}
    parts += [curves(f"cells-{key}", series) for key, series in lines.items() if series]
    parts += [part for run in runs if "cosine" in run.numbers["cells"] for part in _similarity(run)]
    logs = {name: of_runs(runs, "cells", "training", name) for name in LOGGED}
    parts += [curves(f"cells-{name}", series) for name, series in logs.items() if series]
    return [*parts, use_table(runs)]


def _usage(run: ProbedRun) -> list[ReportPart]:
    found = run.numbers["cells"]
    S, H, N = found["usage"].shape
    every = max(1, S * H // 12)
    columns = [f"{i // H + 1}.{i % H + 1}" if i % every == 0 else "" for i in range(S * H)]
    parts = [matrix("cells-usage", run, found["usage"].reshape(S * H, N).T, 1.0, columns=columns)]
    with np.errstate(divide="ignore"):
        bits = np.clip(np.log2(np.where(np.eye(N), np.nan, found["co_selection"]["ratio"])), -3, 3)
    if (np.abs(bits[np.isfinite(bits)]) > 1e-3).any():  # A shared cell, say, is always with every other.
        parts.append(matrix("cells-together", run, bits, 3.0, square=True))
    return parts


def _switching(run: ProbedRun) -> list[Series]:
    found = run.numbers["cells"]["switching"]
    between, within, series = found["supervision"], found["H_steps"], []
    if len(between):
        steps = np.arange(2, len(between) + 2)
        series.append(Series(f"{run.label}, supervision step", between, steps, run.index))
    if within.size:
        series.append(Series(f"{run.label}, H-step", within.mean(axis=1), run=run.index, dashed=True))
    return series


def _similarity(run: ProbedRun) -> list[ReportPart]:
    found = run.numbers["cells"]
    S = len(found["cosine"]["cls"]) - 1
    at = sorted({0, 1, max(1, S // 2), S})
    parts = [_cosines("cells-cosine", run, found["cosine"], at, [f"step {s}" if s else "start" for s in at])]
    if (training := found.get("cosine_training")) is not None:
        at = np.unique(np.linspace(0, len(training["step"]) - 1, 4).round().astype(int)).tolist()
        steps = [f"step {training['step'][i]:,}" for i in at]
        parts.append(_cosines("cells-cosine-training", run, training, at, steps))
    points = found["cls"]["points"].mean(axis=1).swapaxes(0, 1)  # (N, S + 1, 2)
    names = [str(cell) for cell in range(len(points))]
    return [*parts, trajectories("cells-cls", run, points, found["cls"]["explained"], names=names)]


def _cosines(
    key: str, run: ProbedRun, found: dict[str, np.ndarray], at: list[int], steps: list[str]
) -> ReportPart:
    """Return the cosines of the CLS in one row of four maps and those of the contents in another."""
    cls, contents, pad = found["cls"][at], found["contents"][at], 4 - len(at)
    values = np.concatenate([cls, np.zeros((pad, *cls.shape[1:])), contents])
    labels = [*(f"CLS, {one}" for one in steps), *[""] * pad, *(f"contents, {one}" for one in steps)]
    return maps(key, run, values, labels, [1.0] * len(values))


def use_table(runs: list[ProbedRun]) -> ReportPart:
    """Return the table of which cells are used."""
    rows = []
    for run in runs:
        found = run.numbers["cells"]
        N, dead = found["usage"].shape[-1], found["dead"].tolist()
        names = ", ".join(f"cell {cell}" for cell in dead) if 0 < len(dead) < 9 else str(len(dead) or "none")
        nats = f"{found['entropy_all']['nats']:.3f} of {np.log(N):.3f}"
        heavy = "" if found["weights"] is None else _largest(found["weights"])
        most = _largest(found["usage"].mean(axis=(0, 1)))
        rows.append([run.label, str(N), str(found["active"]), nats, names, most, heavy])
    return table("cells-table", rows)


def _largest(shares: np.ndarray) -> str:
    """Name the cell with the largest share, and the share; cells count from 0, as everywhere."""
    return f"cell {np.argmax(shares)}, {percent(float(np.max(shares)))}"
