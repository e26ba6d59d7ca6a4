"""Scores of answers, summed over batches and ranks.

b batch, s token, N cells.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.data.task import Task
from memhrm.evaluation.restarts import Answers
from memhrm.memory.usage import describe, own_entropy
from memhrm.system.ranks import Ranks


class Tally:
    """Sums of scores in float64, whose means are the same on every rank.

    Attributes:
        sums: the scores, by name.
        by_step: exact answers after each supervision step.
        by_position: exact answers at each example of an episode.
        cells: sums over the selections of the memory's cells.
    """

    def __init__(
        self, task: Task, *, steps: int, single: bool, cells: int, H_cycles: int, positions: int = 1
    ):
        """Begin at zero.

        Args:
            task: what grades the answers.
            steps: the most supervision steps of an example.
            single: whether to count how often a single restart is exact.
            cells: cells of the model's memory.
            H_cycles: H-steps of a supervision step.
            positions: examples of an episode.
        """
        self.task, self.H_cycles = task, H_cycles
        own = ["steps", "lm_loss", "q_halt_accuracy"] + (["exact_accuracy_single"] if single else [])
        inputs, labels = (np.zeros((0, length), np.int32) for length in (task.seq_len, task.label_len))
        names = sorted([*task.score(inputs, labels, labels), *own])
        self.sums = dict.fromkeys(names, 0.0)
        self.by_step, self.by_position = np.zeros(steps), np.zeros(positions)
        self.cells = torch.zeros(1 + cells, dtype=torch.float64)

    def add(self, inputs: np.ndarray, labels: np.ndarray, answers: Answers, position: int = 0) -> None:
        """Add b answers to examples with these tokens, (b, s), at `position`, from 0, of their episodes."""
        tokens = answers.tokens.cpu().numpy()
        scores = self.task.score(inputs, labels, tokens) | _own_scores(answers)
        for name in self.sums:
            self.sums[name] += float(np.sum(scores[name]))
        self.by_step += answers.exact_by_step.sum(dim=0).cpu().numpy()
        self.by_position[position] += answers.exact.sum().item()
        if len(self.cells) > 1:
            self.cells = self.cells + _cell_sums(answers, self.H_cycles)

    def means(self, puzzles: int, ranks: Ranks) -> dict[str, Any]:
        """Return means over all puzzles that the ranks counted together, the same on every rank.

        Returns the scores by name, `exact_accuracy_by_step`, in episodes `exact_accuracy_by_position`, with
        cells `cells` (`memhrm.memory.usage.describe`), and the number of `puzzles`.
        """
        parts = [list(self.sums.values()), self.by_step, self.by_position, self.cells]
        totals = torch.cat([torch.as_tensor(part, dtype=torch.float64) for part in parts])
        if ranks.size > 1:
            totals = ranks.total(totals.to(ranks.device)).cpu()
        own, steps, positions, cells = totals.split([len(part) for part in parts])
        count = max(puzzles, 1)
        found: dict[str, Any] = dict(zip(self.sums, (own / count).tolist()))
        found["exact_accuracy_by_step"] = (steps / count).tolist()
        if len(positions) > 1:
            found["exact_accuracy_by_position"] = (positions / (count / len(positions))).tolist()
        if len(cells) > 1:
            used = (cells / count).tolist()
            found["cells"] = describe(used[1:], used[0])
        return found | {"puzzles": puzzles}


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
