"""Information: what the selection of memory cells tells about the puzzle, beyond chance."""

from typing import Any

from memhrm.probes.information import cell_information
from memhrm.report.maps import intervals
from memhrm.report.page import ReportPart, table
from memhrm.report.run import ProbedRun


def compute(run: ProbedRun) -> dict[str, Any] | None:
    """Return the null-corrected information about the puzzle and its labels, by name."""
    if not run.cells:
        return None
    groups, settings = run.subject.groups, run.settings
    return cell_information(run.near.traces, groups, settings.shuffles, settings.seed) or None


def show(runs: list[ProbedRun]) -> list[ReportPart]:
    """Return a figure and a table."""
    found = [(run, run.numbers["information"]) for run in runs]
    keys, names = ("null_corrected", "low", "high"), dict.fromkeys(name for _, one in found for name in one)
    values = {
        f"the {name}": [tuple(one[name][key] for key in keys) if name in one else None for _, one in found]
        for name in names
    }
    rows = [
        [
            f"{run.label}, {name}",
            f"{one['value']:.4f}",
            "{null_mean:.4f} ({null_low:.4f} to {null_high:.4f})".format(**one),
        ]
        for run, labels in found
        for name, one in labels.items()
    ]
    figure = intervals("information-null_corrected", runs, values)
    return [figure, table("information-table", rows)]
