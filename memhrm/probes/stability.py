"""Stability of solutions: almost solved puzzles, solved ones, and symmetric variants of failures.

After Ren and Liu, arXiv 2601.10679.

n puzzles, s tokens, S supervision steps, R tries, f failures.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require
from memhrm.data.examples import examples_of
from memhrm.data.sampler import batch_of
from memhrm.data.sudoku.task import BLANK, Sudoku
from memhrm.data.task import Task
from memhrm.data.text.intent import Intent
from memhrm.data.text.prose import Prose
from memhrm.probes.rollout import Rollout, rollout
from memhrm.probes.subject import Subject


def one_blank(
    subject: Subject, *, steps: int | None = None, seed: int = 0, batch_size: int = 256
) -> dict[str, np.ndarray] | None:
    """Test whether the model completes solutions in which one random token of each is blank.

    Args:
        subject: the model and its puzzles.
        steps: supervision steps, S; None: those of training.
        seed: of the blank positions.
        batch_size: puzzles of a batch.

    Returns:
        `blank` (n,), the position of the blank token; and the share of puzzles in which that token is right
        after each step, `filled` (S,), and in which all are, `exact` (S,). None for a task other than Sudoku,
        or if answers do not follow from the questions alone.
    """
    solution = _solutions(subject)
    if solution is None:
        return None
    n, s = solution.shape
    blank = np.random.default_rng((seed, 0xB1A)).integers(s, size=n)
    rows = np.arange(n)
    asked = solution.clone()
    asked[rows, blank] = BLANK
    run = rollout(replace(subject, inputs=asked), _steps(subject, steps), batch_size=batch_size)
    filled = run.tokens[:, rows, blank] == solution[rows, blank].numpy()
    return {"blank": blank, "filled": filled.mean(axis=1), "exact": run.exact.mean(axis=1)}


def from_solution(
    subject: Subject, *, steps: int | None = None, batch_size: int = 256
) -> dict[str, Any] | None:
    """Test whether, and for how long, a puzzle stays solved if its question is already the solution.

    Args:
        subject: the model and its puzzles.
        steps: supervision steps, S; None: those of training.
        batch_size: puzzles of a batch.

    Returns:
        `exact` (S,), the share that is right after each step; `held` (n,), the steps before the first wrong
        answer, S if there is none; `mean_held`; and `stays`, the share that is right after every step. None
        for a task other than Sudoku, or if answers do not follow from the questions alone.
    """
    solution = _solutions(subject)
    if solution is None:
        return None
    run = rollout(replace(subject, inputs=solution), _steps(subject, steps), batch_size=batch_size)
    unbroken = np.logical_and.accumulate(run.exact, axis=0)
    held = unbroken.sum(axis=0)
    return {
        "exact": run.exact.mean(axis=1),
        "held": held,
        "mean_held": float(held.mean()),
        "stays": float(unbroken[-1].mean()),
    }


def relabelled(
    subject: Subject,
    *,
    tries: int = 8,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    baseline: Rollout | None = None,
) -> dict[str, Any] | None:
    """Test whether the model solves symmetric variants of the puzzles that it fails on.

    A variant is an image under a random symmetry of the task, which for Sudoku may also rename the digits.

    Args:
        subject: the model and its puzzles.
        tries: variants of each puzzle, R.
        steps: supervision steps; None: those of training.
        seed: of the symmetries.
        batch_size: puzzles of a batch.
        baseline: the rollout of the same puzzles, if it is at hand; it may be longer.

    Returns:
        `rows` (f,), the puzzles that are not exact after the last step; `solved` (R, f) bool, whether each
        variant is; `any`, the share solved in at least one variant, and `mean`, the mean share, nan where
        nothing fails. None where answers do not follow from the questions alone, as in episodes; and for a
        task without symmetries, as texts, whose variants lack some of their words.
    """
    require(tries >= 1, "tries", tries, "1 or above")
    if not (_has_symmetries(subject.task) and _by_the_rules(subject)):
        return None
    count = _steps(subject, steps)
    if baseline is None:
        baseline = rollout(subject, count, batch_size=batch_size)
    require(len(baseline) >= count, "the steps of the baseline", len(baseline), f"{count} or above")
    rows = np.flatnonzero(~baseline.exact[count - 1])
    solved = np.zeros((tries, len(rows)), bool)
    if not len(rows):
        return {"rows": rows, "solved": solved, "any": float("nan"), "mean": float("nan")}
    failed = subject.select(rows)
    for number in range(tries):
        image = _image(failed, np.random.default_rng((seed, number, 0x5CA)))
        solved[number] = rollout(image, count, batch_size=batch_size).exact[-1]
    return {
        "rows": rows,
        "solved": solved,
        "any": float(solved.any(axis=0).mean()),
        "mean": float(solved.mean()),
    }


def _image(subject: Subject, rng: np.random.Generator) -> Subject:
    """Return each puzzle under a random symmetry of its task."""
    inputs, labels, identifiers = (
        tensor.cpu().numpy() for tensor in (subject.inputs, subject.labels, subject.identifiers)
    )
    mask = None if subject.mask is None else subject.mask.cpu().numpy()
    puzzles = examples_of(inputs, np.maximum(labels, 0), identifiers=identifiers, mask=mask)
    batch = batch_of(subject.task.augment(puzzles, rng))
    changed = "inputs", "labels", "identifiers", *(() if mask is None else ("mask",))
    return replace(subject, **{name: torch.from_numpy(batch[name]) for name in changed})


def _solutions(subject: Subject) -> Tensor | None:
    """Return the full grids, (n, s), on the CPU, or None where an answer cannot be a question."""
    if not isinstance(subject.task, Sudoku) or not _by_the_rules(subject):
        return None
    return subject.labels.cpu()


def _has_symmetries(task: Task) -> bool:
    return type(task).augment is not Task.augment and not isinstance(task, Intent | Prose)


def _by_the_rules(subject: Subject) -> bool:
    """Return whether each answer solves its question, by itself and by the rules of the task."""
    if subject.episodes is not None and subject.episodes.length > 1:
        return False
    try:
        subject.task.check(subject.inputs.cpu().numpy(), np.maximum(subject.labels.cpu().numpy(), 0))
    except ValueError:
        return False
    return True


def _steps(subject: Subject, steps: int | None) -> int:
    return subject.halt_max_steps if steps is None else steps
