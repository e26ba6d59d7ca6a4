"""Evaluation: the scores of a model on episodes it was not trained on, without gradient.

The weights stand still, so whatever improves from the first to the last example of an episode came through
the memory. An example that stands alone is an episode of length one.
n episodes, p examples of each, b batch, s token.
"""

from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from memhrm.config.settings import advise
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.episodes.maker import EpisodeMaker
from memhrm.data.task import Task
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.metrics import Tally
from memhrm.models.reasoner import Reasoner
from memhrm.system.ranks import Ranks


@torch.no_grad()
def evaluate(
    model: Reasoner,
    task: Task,
    episodes: Episodes,
    settings: EvaluationSettings,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
    maker: EpisodeMaker | None = None,
) -> dict[str, Any]:
    """Return the mean scores of the final answers to all examples; every process gets the same.

    Args:
        model: the model.
        task: what grades the answers.
        episodes: the examples.
        settings: how they are answered.
        ranks: the processes that share the work.
        dtype: the precision of the computation.
        progress: whether a bar is shown.
        maker: what made the episodes, for figures of its own (`EpisodeMaker.figures`).

    Returns:
        The task's scores (exact_accuracy, accuracy, ...); `lm_loss`; `q_halt_accuracy`, whether
        sigmoid(q_halt) exceeds 1/2 where the answer is exact; `steps`, the supervision steps used;
        `exact_accuracy_by_step`; and the number of `puzzles`. With several restarts all of these are of the
        chosen answers, `exact_accuracy_single` is the mean over all, and `upper_bound` marks a choice that
        saw the labels. In episodes of more than one example also the number of `episodes`,
        `exact_accuracy_by_position`, the best possible with memory, `optimum_by_position`, and without,
        `optimum_without_memory`, and for each of their facets `exact_accuracy_by_FACET` and
        `optimum_by_FACET`, which say the mean for each value that occurs. A best possible that is not known
        is left out.
    """
    model.eval()
    answered = episodes.answered
    unknown = not (episodes.labels[:, answered] > 0).any()
    advise(unknown, "no puzzle of the test has an answer that is known: the accuracies say nothing")
    tally = Tally(
        task,
        (len(episodes), len(answered)),
        steps=settings.steps,
        single=settings.restarts > 1,
        cells=model.H_module.cells,
        H_cycles=settings.H_cycles or model.settings.H_cycles,
    )
    starts = range(0, len(episodes), settings.batch_size)
    for number, first in enumerate(tqdm(starts, desc="evaluate", unit="batch", disable=not progress)):
        if number % ranks.size != ranks.rank:
            continue
        part = episodes.select(slice(first, first + settings.batch_size))
        moments = walk(model, part, settings, task=task, first=first, device=ranks.device, dtype=dtype)
        for position, moment in enumerate(moments):
            at = moment.at
            tally.add(part.inputs[:, at], part.labels[:, at], moment.answers, first, position)
    facets = {name: facet.at(answered) for name, facet in episodes.facets.items()}
    scores = tally.means(ranks, facets)
    if settings.restarts > 1 and settings.select == "oracle":
        scores["upper_bound"] = True
    if episodes.length > 1:
        scores["episodes"] = len(episodes)
        if not np.isnan(blind := episodes.optimum_without_memory):
            scores["optimum_without_memory"] = blind
        if not np.isnan(optimum := episodes.optimum).any():
            scores["optimum_by_position"] = optimum.tolist()
            for name, facet in facets.items():
                scores[f"optimum_by_{name}"] = facet.means(episodes.best[:, answered])
    return scores | (maker.figures(scores, cells=model.H_module.cells) if maker is not None else {})
