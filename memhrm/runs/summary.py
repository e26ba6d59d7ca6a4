"""The result of a run as a table and sentences, for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memhrm.config.console import plural
from memhrm.data import Dataset
from memhrm.data.episodes.episodes import milestones
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.usage import words
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.models.recursion import gradient_start
from memhrm.runs import contexts, hops, rules
from memhrm.runs.chart import curves
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import RunSettings

SCORES = [
    ("exact_accuracy", "exact accuracy", "{:.1%}"),
    ("accuracy", "token accuracy", "{:.1%}"),
    ("macro_f1", "macro F1", "{:.1%}"),
    ("calibration_error", "calibration error", "{:.1%}"),
    ("oos_auroc", "out of scope, AUROC", "{:.3f}"),
    ("oos_recall", "found at 95 %", "{:.1%}"),
    ("valid_path", "valid path", "{:.1%}"),
    ("optimal_path", "optimal path", "{:.1%}"),
    ("steps", "supervision steps", "{:.1f}"),
    ("puzzles", "held-out puzzles", "{:,}"),
    ("parameters", "parameters", "{:,}"),
    ("step", "optimiser steps", "{:,}"),
    ("seconds", "seconds", "{:.0f}"),
]


def headline(run: RunSettings, dataset: Dataset, model: Reasoner, step: int, path: Path) -> str:
    """Say in one line what is about to be trained, on what, for how long and where."""
    memory = "" if run.memory.name == "none" else f" with memory={run.memory.name}"
    begun = f"steps {step + 1:,} to {run.steps:,}" if step else plural(run.steps, "step")
    if step == run.steps:
        begun = f"evaluates step {step:,}"
    return (
        f"training {run.model.name}{memory}, {count_parameters(model):,} parameters, on "
        f"{len(dataset.train):,} puzzles of {dataset.name}: {begun}, batch {run.batch_size}, in {path}"
    )


def table(summary: Mapping[str, Any], path: Path) -> str:
    """Return the scores of a summary, one per line, and the run's directory."""
    lines = [f"{what:<20}{form.format(summary[name]):>12}" for name, what, form in SCORES if name in summary]
    if summary.get("confusions"):
        lines += ["most often confused:", *confused(summary["confusions"])]
    if "cells" in summary:
        lines += ["memory cells:", *(f"  {sentence}" for sentence in words(summary["cells"]))]
    lines += [*further(summary), *in_episodes({"this run": summary})]
    return "\n".join([*lines, f"run directory       {path}"])


def further(summary: Mapping[str, Any]) -> list[str]:
    """Return the scores of further tests that no table of their own shows, one per line."""
    series = {} if contexts.test_sets(summary) or rules.test_sets(summary) else summary.get("series", {})
    said = "{:<20}{:>11.1%} exact, {:.1%} of tokens, loss {:.3f}"
    scores = ("exact_accuracy", "accuracy", "lm_loss")
    return [said.format(name, *(one[score] for score in scores)) for name, one in series.items()]


def confused(confusions: Sequence[Sequence[Any]], most: int = 5) -> list[str]:
    """Return the most frequent wrong answers of a classifier, one per line."""
    return [f"  {count:>4} x {right}, answered {given}" for right, given, count in confusions[:most]]


def of_runs(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the results of finished runs by labels that tell them apart.

    Raises:
        ValueError: a path holds no run or stands twice, or a run is not finished.
    """
    summaries = {}
    for label, path in zip(labels(paths), paths):
        directory = RunDirectory(path)
        steps = directory.config().get("steps", 0)  # Raises if there is no run.
        summary = directory.summary()
        if summary is None or not finished(directory, steps):
            raise ValueError(f"{path} is not finished; run its training command again to resume it")
        summaries[label] = summary
    return summaries


def labels(paths: Sequence[Path]) -> list[str]:
    """Name runs by their directories, with as many parents as make the names unique.

    Raises:
        ValueError: a run stands there twice.
    """
    parts = [path.resolve().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"run is {', '.join(map(str, paths))}; allowed: each run once")


def side_by_side(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of runs in columns, their accuracy by position, and the use of their cells."""
    width = max(12, 2 + max(map(len, summaries)))
    lines = [" " * 18 + "".join(f"{name:>{width}}" for name in summaries)]
    for key, what, form in SCORES:
        cells = [form.format(one[key]) if key in one else "" for one in summaries.values()]
        if any(cells):
            lines.append(f"{what:<18}" + "".join(f"{cell:>{width}}" for cell in cells))
    lines += in_episodes(summaries)
    for name, summary in summaries.items():
        if "cells" in summary:
            lines += [f"\n{name}:", *(f"  {sentence}" for sentence in words(summary["cells"]))]
    return "\n".join(lines)


def require_alike(setting: str, file: str, summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to draw results in one figure unless all are of runs on episodes of one kind.

    Raises:
        ValueError: they are not, or their best possible is not known.
    """
    best = [summary.get("optimum_by_position") for summary in summaries.values()]
    if best[0] is None or any(other != best[0] for other in best):
        allowed = "runs on episodes, all of one kind, of which the best possible is known"
        raise ValueError(f"{setting} is {file}; allowed with {allowed}")


def in_episodes(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what runs on episodes did in them: contexts held, accuracy by hops, rules, else position."""
    others = {
        name: summary
        for name, summary in summaries.items()
        if not (contexts.test_sets(summary) or rules.test_sets(summary)) and hops.BY_HOPS not in summary
    }
    return [
        *contexts.table(summaries), *hops.table(summaries), *rules.table(summaries), *positions(others)
    ]  # fmt: skip


def positions(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return charts and tables of exact accuracy by position in the episode, for the summaries that have it.

    Summaries with the same best possible accuracy share a chart.
    """
    key, lines = "exact_accuracy_by_position", []
    left = {name: summary for name, summary in summaries.items() if key in summary}
    while left:
        first = next(iter(left.values()))
        best = first.get("optimum_by_position")
        blind = first.get("optimum_without_memory", best and best[0])  # Old summaries lack it.
        same = {name: summary for name, summary in left.items() if summary.get("optimum_by_position") == best}
        lines += _chart({name: summary[key] for name, summary in same.items()}, best, blind)
        left = {name: summary for name, summary in left.items() if name not in same}
    return lines


def _chart(
    found: Mapping[str, Sequence[float]], best: Sequence[float] | None, blind: float | None
) -> list[str]:
    """Return a chart and a table beside the best possible, with memory and without, where it is known."""
    length = len(next(iter(found.values())))
    limits = {"best without memory": None if blind is None else [blind] * length, "best with memory": best}
    known = {name: values for name, values in limits.items() if values is not None}
    series, at = {**known, **found}, milestones(length)
    width = max(map(len, series)) + 2
    lines = [f"{'puzzle':<{width}}" + "".join(f"{place:>8}" for place in at)]
    for name, values in series.items():
        cells = (f"{values[place - 1]:>8.1%}" for place in at if place <= len(values))
        lines.append(f"{name:<{width}}" + "".join(cells))
    chart = curves(series, ".-o*+x#@"[len(limits) - len(known) :])
    return ["", "exact accuracy by puzzle of the episode", *chart, "", *lines, ""]


def memory_line(run: RunSettings) -> str | None:
    """Return a line that says what the settings of a memory have come to; None without a memory."""
    memory, model = run.memory, run.model
    if memory.module == NO_MEMORY.module:
        return None
    start = gradient_start(model.window(), model.H_cycles, model.L_cycles)
    cycles = model.H_cycles - start[0]
    reach = f"the last {cycles} of {model.H_cycles} H-cycles" if model.H_cycles > 1 else "the only H-cycle"
    if start[1] > 0:
        reach = f"the last step of {reach}" if cycles > 1 else "the last L-step and H-step"
    horizon = memory.horizon
    assert horizon is not None  # RunSettings has set it.
    spanned = "the whole episode" if isinstance(horizon, str) else plural(horizon, "supervision step")
    parts = [
        *(f"{name} {getattr(memory, name)}" for name in ("placement", "state_norm") if hasattr(memory, name)),
        *(["cell 0 shared"] if getattr(memory, "shared_cell", False) else []),
        f"gradient through {reach}",
        f"horizon {spanned}",
        f"lifetime {memory.lifetime}",
    ]
    return f"memory {memory.name}: {', '.join(parts)}"


def finished(directory: RunDirectory, steps: int) -> bool:
    """Return whether the run in a directory has done all its steps and has been evaluated."""
    summary = directory.summary()
    return summary is not None and summary.get("step", 0) >= steps
