"""Evaluation on episodes: one puzzle after the other, with feedback in between and a memory that goes on.

The weights stand still, so whatever improves from the first to the last puzzle came through the memory.
n episodes, p puzzles, b batch, s token.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from memhrm.data import Dataset, Episodes, Examples
from memhrm.data.sampler import arrays
from memhrm.evaluation.evaluate import (
    Answers,
    EvaluationSettings,
    answer,
    bound,
    evaluate,
    tally_for,
)
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.models.recursion import State
from memhrm.system.ranks import Ranks
from memhrm.training.supervision import in_precision

Kept = Literal["kept", "reset", "frozen", "shuffled"]
"""What becomes of the memory in an episode: it goes on; starts anew with each puzzle; is never written; or
goes to another row of the batch after each feedback."""


class Moment(NamedTuple):
    """What happened at one puzzle of b episodes: its number from 0, the batch, the state it began with, and
    the answers."""

    puzzle: int
    data: dict[str, Tensor]
    start: State
    answers: Answers


@torch.no_grad()
def walk(
    model: Reasoner,
    episodes: Episodes,
    settings: EvaluationSettings,
    *,
    kept: Kept = "kept",
    first: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[Moment]:
    """Go through b episodes puzzle by puzzle, with the model on its device.

    kept: what becomes of the memory; a difference to "kept" is what it does for the answers. first: the place
    of the first episode among all, of which what is drawn is a function.
    """
    run = in_precision(model, dtype)
    lasting = model.H_module.settings.lifetime == "episode" and kept != "reset"
    if kept == "frozen":
        settings = replace(settings, write=False)
    initial = model.initial_state(len(episodes), dtype)
    memory = initial.memory
    for puzzle in range(episodes.length):
        asked = arrays(episodes.inputs[:, puzzle], episodes.labels[:, puzzle])
        data = {name: torch.from_numpy(array).to(device) for name, array in asked.items()}
        start = initial._replace(memory=memory if lasting else initial.memory)
        places = (first + np.arange(len(episodes))) * episodes.length + puzzle
        answers = answer(model, run, data, settings, start, places)
        yield Moment(puzzle, data, start, answers)
        shown = torch.from_numpy(episodes.feedback[:, puzzle].astype(np.int32)).to(device)
        rows = model.puzzle_rows(data["identifiers"])
        state, _ = run(
            initial._replace(memory=answers.state.memory), shown, rows, Guide(write=settings.write)
        )
        memory = state.memory
        if kept == "shuffled":
            memory = {name: tensor.roll(1, dims=0) for name, tensor in memory.items()}


def evaluate_episodes(
    model: Reasoner,
    dataset: Dataset,
    episodes: Episodes,
    settings: EvaluationSettings,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> dict[str, Any]:
    """Mean scores over the puzzles of the episodes; every rank gets the same.

    Returns what `evaluate` does, `exact_accuracy_by_position` in the episode, and beside it the best
    possible, `optimum_by_position`, and the best possible without memory, `optimum_without_memory`.
    """
    model.eval()
    length = episodes.length
    tally = tally_for(model, dataset.task, settings, positions=length)
    starts = range(0, len(episodes), settings.batch_size)
    for number, start in enumerate(tqdm(starts, desc="evaluate", unit="batch", disable=not progress)):
        if number % ranks.size != ranks.rank:
            continue
        part = episodes.select(slice(start, start + settings.batch_size))
        for moment in walk(model, part, settings, first=start, device=ranks.device, dtype=dtype):
            at = moment.puzzle
            tally.add(part.inputs[:, at], part.labels[:, at], moment.answers, at)
    assert episodes.best is not None
    best, without = episodes.best
    return {
        **tally.means(len(episodes) * length, ranks),
        **bound(settings),
        "optimum_by_position": best.tolist(),
        "optimum_without_memory": without,
        "episodes": len(episodes),
    }


def evaluate_on(
    model: Reasoner,
    dataset: Dataset,
    puzzles: Examples | Episodes,
    settings: EvaluationSettings,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> dict[str, Any]:
    """Mean scores over what the data set holds out, puzzles or episodes."""
    if isinstance(puzzles, Episodes):
        return evaluate_episodes(model, dataset, puzzles, settings, ranks, dtype, progress)
    return evaluate(model, dataset.task, puzzles, settings, ranks, dtype, progress)
