"""Addresses: which cell a context takes, whether it is found again, and what is left in it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from memhrm.data.episodes.visits import GAPS
from memhrm.probes.addresses import address_numbers, contexts_of
from memhrm.report.curves import Series, curves, figure, of_runs, paint_curves
from memhrm.report.maps import matrix
from memhrm.report.page import ReportPart, percent, table
from memhrm.report.run import ProbedRun
from memhrm.report.sections.learning import logged

LOGGED = "agreement", "overwritten"
"""Numbers that training logs; without probe=light the first alone, of training episodes."""


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the numbers of the addresses, and those that training logged."""
    if contexts_of(run.subject) is None:
        return None
    found = address_numbers(run.subject, run.settings.shuffles, run.settings.seed)
    training = {
        name: logged(run.metrics, f"probe/{name}") or logged(run.metrics, f"train/{name}") for name in LOGGED
    }
    return found | {"training": {name: one for name, one in training.items() if one is not None}}


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return the maps of cells, both numbers over training, retention, and a table."""
    parts = [part for run in runs for part in _maps(run)]
    logs = {name: of_runs(runs, "addresses", "training", name) for name in LOGGED}
    parts += [curves(f"addresses-{name}", series) for name, series in logs.items() if series]
    return [*parts, _retention(runs), _table(runs)]


def _maps(run: ProbedRun) -> list[ReportPart]:
    """Return the shares of each cue's questions, and of each context's in one episode, by cell."""
    found, parts = run.numbers["addresses"], []
    for key, counts in (("addresses-cues", found["cell_by_cue"]), ("addresses-one", found["one"])):
        parts.append(matrix(key, run, counts / np.maximum(counts.sum(axis=0), 1), 1.0))
    return parts


def _retention(runs: list[ProbedRun]) -> ReportPart:
    """Return the figure of accuracy against the gap, beside a hash and a cell for each context."""
    every = [run.numbers["addresses"]["retention"] for run in runs]
    gaps = [gap for gap in GAPS if any(gap in found for found in every)]

    def line(found: Mapping[str, Any], name: str) -> np.ndarray:
        return np.array([found[gap][name] if gap in found else np.nan for gap in gaps])

    series, at, references = [], range(len(gaps)), {}
    for run, found in zip(runs, every):
        band = line(found, "low"), line(found, "high")
        series.append(Series(run.label, line(found, "exact"), at, run.index, band=band))
        cells = run.numbers["addresses"]["cells"]
        references |= {"a cell for each context": line(found, "perfect")}
        references |= {f"{cells} cells, by a hash": line(found, "hash")}
    for number, (name, y) in enumerate(references.items()):
        series.append(Series(name, y, at, None, dashes=((4, 2), (1, 1.6), (7, 2, 1, 2))[number % 3]))

    def paint(on: Any, words: dict[str, Any]) -> None:
        paint_curves(on, words, series).set_xticks(at, gaps)

    return figure("addresses-retention", paint)


def _table(runs: list[ProbedRun]) -> ReportPart:
    rows = []
    for run in runs:
        found = run.numbers["addresses"]
        information = found["information"]
        null = "{null_mean:.3f} ({null_low:.3f} to {null_high:.3f})".format(**information)
        shares = [
            percent(found[name][key])
            for name, reference in (("agreement", "chance"), ("overwritten", "hash"))
            for key in ("value", reference)
        ]
        nats = f"{information['value']:.3f}", null, f"{information['bound']:.3f}"
        rows.append([run.label, str(found["cells"]), str(found["contexts"]), *shares, *nats])
    return table("addresses-table", rows)
