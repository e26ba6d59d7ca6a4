"""Accuracy by position in an episode, with the memory intact and disturbed.

p puzzles of an episode.
"""

from typing import Any, get_args

import numpy as np

from memhrm.data.episodes.episodes import Episodes
from memhrm.evaluation.answers import EvaluationSettings, Kept, walk
from memhrm.evaluation.intervals import wilson
from memhrm.probes.subject import Subject

KEPT: tuple[Kept, ...] = get_args(Kept)


def accuracy_by_position(
    subject: Subject, kept: Kept = "kept", steps: int | None = None
) -> dict[str, np.ndarray]:
    """Return the accuracy at each puzzle of the episodes.

    Args:
        subject: the model and its episodes.
        kept: whether the memory is kept, reset before each puzzle, never written (frozen), or given to
            another row after each feedback (shuffled).
        steps: supervision steps of a puzzle; None: as in training.

    Returns:
        (p,) each: `exact`, `accuracy`, and `low` and `high`, the 95 % interval of `exact` over the episodes
        (`wilson`).
    """
    how = EvaluationSettings(steps=steps or subject.halt_max_steps, write=subject.write)
    episodes, task = _episodes(subject), subject.task
    exact, accuracy = [], []
    for moment in walk(subject.model, episodes, how, kept=kept, device=subject.model.H_init.device,
                       dtype=subject.dtype):  # fmt: skip
        at = moment.at
        scores = task.score(
            episodes.inputs[:, at], episodes.labels[:, at], moment.answers.tokens.cpu().numpy()
        )
        exact.append(scores["exact_accuracy"])
        accuracy.append(scores["accuracy"].mean())
    share = np.stack(exact).mean(axis=1)
    low, high = wilson(share, len(episodes))
    return {"exact": share, "accuracy": np.array(accuracy), "low": low, "high": high}


def best_accuracy(subject: Subject) -> dict[str, Any]:
    """Return the best possible exact accuracy at each puzzle, `with_memory` (p,) and `without_memory`.

    They are nan where they are not known.
    """
    episodes = _episodes(subject)
    return {"with_memory": episodes.optimum, "without_memory": episodes.optimum_without_memory}


def _episodes(subject: Subject) -> Episodes:
    if subject.episodes is None or subject.episodes.length == 1:
        raise ValueError(f"{subject.name} was not trained on episodes; its puzzles have no positions")
    return subject.episodes
