"""Dynamics of the state: residuals, trajectories, norms."""

from typing import Any

import numpy as np

from memhrm.probes.dynamics import chance, norms, residual_auroc, residuals, trajectories
from memhrm.report.curves import Line, lines
from memhrm.report.figures import Drawing
from memhrm.report.maps import paths
from memhrm.report.page import Figure, Section, Table
from memhrm.report.sections.base import Looking, Numbers, Seen, Topic, counted, depth_of

NAME = "dynamics"
STEP = "supervision step"
STARTS = 6
LEVELS = {"z_H": "z_H", "z_L": "z_L"}


def look(looking: Looking) -> Numbers:
    """Return residual and norm for some puzzles, far beyond the training depth; auroc for all at the training
    depth, and auroc_far for some at the end; and paths of one puzzle that is solved and one that is not."""
    examples = looking.examples
    steps = 4 * looking.trained
    found = trajectories(
        looking.subject, steps, puzzles=list(examples.values()), starts=STARTS, seed=looking.how.seed
    )
    return {
        "residual": residuals(looking.far),
        "norm": norms(looking.far),
        "auroc": residual_auroc(looking.near),
        "auroc_far": residual_auroc(looking.far),
        "chance": list(chance(looking.near.exact[-1])),
        "chance_far": list(chance(looking.far.exact[-1])),
        "paths": {kind: {key: of[i] for key, of in found.items()} for i, kind in enumerate(examples)},
    }


def show(runs: list[Seen]) -> Section:
    parts: list[Any] = []
    memory = any(_memories(run) for run in runs)
    for name, what in (*LEVELS.items(), *([("memory", "the memory")] if memory else [])):
        parts.append(
            Figure(
                f"Residual of {what}",
                _apart(runs, name, what),
                f"Median relative change of {what} per step, for puzzles that are right after the last step "
                "(solid) and puzzles that are wrong (dashed).",
                "Residuals over steps: HRM, arXiv 2506.21734.",
            )
        )
    parts.append(
        Figure(
            "Size of the state",
            _sizes(runs, ("z_H", "z_L"), "size"),
            "Root mean square of z_H (solid) and z_L (dashed) after each step, mean over puzzles.",
        )
    )
    if memory:
        parts.append(
            Figure(
                "Size of the memory",
                _sizes(runs, ("memory",), "memory-size"),
                "Root mean square of the memory after each step, mean over puzzles.",
            )
        )
    parts += [figure for run in runs for figure in _planes(run)]
    parts.append(_table(runs))
    return Section(
        NAME,
        "Dynamics",
        "Does the state converge, and does it converge where the answer is right?",
        parts,
    )


def _memories(run: Seen) -> list[str]:
    return [name for name in run.numbers[NAME]["residual"] if name not in LEVELS]


def _named(run: Seen, name: str) -> list[tuple[str, str]]:
    """Return the tensors of a run that a chart shows, with their labels."""
    if name in LEVELS:
        return [(name, run.label)]
    found = _memories(run)
    return [(one, run.label if len(found) == 1 else f"{run.label}, {one}") for one in found]


def _apart(runs: list[Seen], name: str, what: str) -> Drawing:
    series = []
    for run in runs:
        for tensor, label in _named(run, name):
            for kind, dashed in (("correct", False), ("incorrect", True)):
                y = np.asarray(run.numbers[NAME]["residual"][tensor][kind]["median"], float)
                if np.isfinite(y).any():
                    y = np.where(y > 0, y, np.nan)  # A logarithm has no place for what stands still.
                    series.append(
                        Line(f"{label}, {'wrong' if dashed else 'right'}", y, run=run.index, dashed=dashed)
                    )
    title = f"Residual of {what} after each supervision step"
    return lines(
        f"{NAME}-{name}",
        title,
        series,
        STEP,
        f"residual of {what}",
        log=True,
        log_x=True,
        depth=depth_of(runs),
    )


def _sizes(runs: list[Seen], names: tuple[str, ...], file: str) -> Drawing:
    series = []
    for run in runs:
        for i, name in enumerate(names):
            for tensor, label in _named(run, name):
                label = f"{label}, {name}" if len(names) > 1 else label
                y = run.numbers[NAME]["norm"][tensor]["all"]["mean"]
                series.append(Line(label, y, run=run.index, dashed=i > 0))
    return lines(
        f"{NAME}-{file}",
        "Root mean square of the state",
        series,
        STEP,
        "root mean square",
        log_x=True,
        zero=True,
        depth=depth_of(runs),
    )


def _planes(run: Seen) -> list[Figure]:
    figures = []
    for kind, found in run.numbers[NAME]["paths"].items():
        right, trained = found["exact"].sum(axis=0), run.looking.trained
        drawing = paths(
            f"{NAME}-paths-{run.index}-{kind}",
            f"Trajectories of z_H from {STARTS} starts",
            [(run.label, run.index, found["points"])],
            found["shares"],
            [found["exact"][:, -1]],
            first=True,
        )
        figures.append(
            Figure(
                f"From {STARTS} starts: {run.label}, a puzzle it "
                f"{'solves' if kind == 'solved' else 'does not solve'}",
                drawing,
                f"z_H in the plane of its first two principal components over {len(right)} steps, from the "
                "model's own start (bold) and from random ones. Hollow marks are starts; at the end, a full "
                f"mark is a right answer and a cross a wrong one. Right answers: {right[trained - 1]} of "
                f"{STARTS} at the training depth ({counted(trained, 'step')}), {right[-1]} of {STARTS} "
                "at the end.",
                "Trajectories in the plane: HRM, arXiv 2506.21734; several fixed points: Ren and Liu, arXiv "
                "2601.10679.",
            )
        )
    return figures


def _table(runs: list[Seen]) -> Table:
    names = list(dict.fromkeys(name for run in runs for name in run.numbers[NAME]["auroc"]))
    rows = []
    for run in runs:
        for ends, of, exact in (
            ("", run.looking.trained, run.looking.near.exact[-1]),
            ("_far", len(run.looking.far), run.looking.far.exact[-1]),
        ):
            found, (low, high) = run.numbers[NAME][f"auroc{ends}"], run.numbers[NAME][f"chance{ends}"]
            values = (found.get(name) for name in names)
            texts = ["" if v is None or not np.isfinite(v) else f"{v:.2f}" for v in values]
            by_chance = f"{low:.2f} to {high:.2f}" if np.isfinite(low) else ""
            rows.append([run.label, str(of), f"{int((~exact).sum())} of {len(exact)}", *texts, by_chance])
    return Table(
        "Does a small residual predict a right answer?",
        ["run", "after step", "wrong", *names, "by chance (95 %)"],
        rows,
        "AUROC of a small last residual as a predictor of a right answer: 1 is perfect, 0.5 is chance, and "
        "values within the chance interval show nothing. Empty if all answers are right or all are wrong.",
        "Residuals as predictors of right answers: EqR, arXiv 2605.21488.",
    )


def say(run: Seen) -> list[str]:
    area, (low, high) = run.numbers[NAME]["auroc"]["z_H"], run.numbers[NAME]["chance"]
    if not np.isfinite(area):
        return []
    exact = run.looking.near.exact[-1]
    numbers = (
        f"AUROC {area:.2f}, {low:.2f} to {high:.2f} by chance, {int((~exact).sum())} of {len(exact)} wrong"
    )
    if low <= area <= high:
        return [
            f"The last residual of z_H does not measurably predict whether an answer is right ({numbers})."
        ]
    return [
        f"A {'small' if area > high else 'large'} last residual of z_H predicts a right answer ({numbers})."
    ]


TOPIC = Topic(NAME, look, show, say)
