"""Scores of answers, summed over batches and ranks.

n episodes, p examples of each, b batch, s token, N cells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.data.episodes.episodes import Facet
from memhrm.data.task import Task
from memhrm.evaluation.restarts import Answers
from memhrm.memory.usage import describe, own_entropy
from memhrm.system.ranks import Ranks


class Tally:
    """Sums of scores in float64, whose means are the same on every rank.

    Attributes:
        sums: the scores, by name.
        by_step: exact answers after each supervision step.
        exact: whether the answer to each example of each episode is exact, (n, p).
        cells: sums over the selections of the memory's cells.
        single: of each example with one label, the label, the prediction and its confidence, (3, n, p). One
            without a label belongs to no category: nothing else is said of it.
    """

    def __init__(
        self, task: Task, shape: tuple[int, int], *, steps: int, single: bool, cells: int, H_cycles: int
    ):
        """Begin at zero.

        Args:
            task: what grades the answers.
            shape: how many episodes there are, and examples of each that are answered, n and p.
            steps: the most supervision steps of an example.
            single: whether to count how often a single restart is exact.
            cells: cells of the model's memory.
            H_cycles: H-steps of a supervision step.
        """
        self.task, self.H_cycles = task, H_cycles
        own = ["steps", "lm_loss", "q_halt_accuracy"] + (["exact_accuracy_single"] if single else [])
        inputs, labels = (np.zeros((0, length), np.int32) for length in (task.seq_len, task.label_len))
        names = sorted([*task.score(inputs, labels, labels), *own])
        self.sums = dict.fromkeys(names, 0.0)
        self.by_step, self.exact = np.zeros(steps), np.zeros(shape)
        self.single = np.zeros((3, *shape) if task.num_labels else (3, 0, 0))
        self.cells = torch.zeros(1 + cells, dtype=torch.float64)

    def add(
        self, inputs: np.ndarray, labels: np.ndarray, answers: Answers, first: int = 0, position: int = 0
    ) -> None:
        """Add b answers.

        Args:
            inputs: tokens of the questions, (b, s).
            labels: those of the right answers.
            answers: the answers.
            first: the number of the first example's episode among all; the others follow.
            position: the examples' place among those of their episodes that are answered, from 0.
        """
        tokens = answers.tokens.cpu().numpy()
        scores = self.task.score(inputs, labels, tokens) | _own_scores(answers)
        counts = np.ones(len(tokens), bool)
        if self.task.num_labels:
            counts = labels[:, 0] > 0
            said = labels[:, 0].clip(min=0), tokens[:, 0], answers.confidence.cpu().numpy()
            self.single[:, first : first + len(tokens), position] = said
        for name in self.sums:
            self.sums[name] += float(np.sum(np.where(counts, scores[name], 0)))
        self.by_step += answers.exact_by_step.sum(dim=0).cpu().numpy()
        self.exact[first : first + len(tokens), position] = answers.exact.cpu().numpy()
        if len(self.cells) > 1:
            self.cells = self.cells + _cell_sums(answers, self.H_cycles)

    def means(self, ranks: Ranks, facets: Mapping[str, Facet]) -> dict[str, Any]:
        """Return means over all puzzles that the ranks counted together, the same on every rank.

        Args:
            ranks: the processes that share the work.
            facets: properties of the examples that are answered.

        Returns:
            The scores by name, `exact_accuracy_by_step`, in episodes `exact_accuracy_by_position` and, for
            each facet, `exact_accuracy_by_FACET`, with cells `cells` (`memhrm.memory.usage.describe`), and
            the number of `puzzles`.
        """
        arrays = self.by_step, self.exact.ravel(), self.single.ravel()
        parts = [list(self.sums.values()), *arrays, self.cells]
        totals = torch.cat([torch.as_tensor(part, dtype=torch.float64) for part in parts])
        if ranks.size > 1:
            totals = ranks.total(totals.to(ranks.device)).cpu()
        own, steps, exact, single, cells = totals.split([len(part) for part in parts])
        labels, predictions, confidence = single.view(3, -1).numpy()
        graded = int((labels > 0).sum()) if self.task.num_labels else self.exact.size
        count = max(graded, 1)
        found: dict[str, Any] = dict(zip(self.sums, (own / count).tolist()))
        found["exact_accuracy_by_step"] = (steps / count).tolist()
        exact = exact.view(self.exact.shape).numpy()
        if exact.shape[1] > 1:
            found["exact_accuracy_by_position"] = (exact.sum(axis=0) / max(len(exact), 1)).tolist()
        for name, facet in facets.items():
            found[f"exact_accuracy_by_{name}"] = facet.means(exact)
        if len(cells) > 1:
            used = (cells / max(self.exact.size, 1)).tolist()  # Examples without a label use cells too.
            found["cells"] = describe(used[1:], used[0])
        if self.task.num_labels:
            found |= self.task.report(labels.astype(np.int64), predictions.astype(np.int64), confidence)
        return found | {"puzzles": graded}


def _own_scores(answers: Answers) -> dict[str, np.ndarray]:
    """Return the scores of the answers that do not come from their task, (b,) each."""
    scores = {
        "steps": answers.steps,
        "lm_loss": answers.lm_loss.double(),
        "q_halt_accuracy": (answers.q_halt > 0) == answers.exact,
        "exact_accuracy_single": answers.exact_share,
    }
    return {name: values.cpu().numpy() for name, values in scores.items()}


def _cell_sums(answers: Answers, H_cycles: int) -> Tensor:
    """Return sums over rows of the entropy of a row's selections and of its usage of the cells, (1 + N,)."""
    shares = answers.selected / (answers.steps * H_cycles).unsqueeze(1)
    return torch.cat((own_entropy(answers.selected).sum().view(1), shares.sum(dim=0))).cpu()
