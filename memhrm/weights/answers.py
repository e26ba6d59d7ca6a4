"""Answer a file of puzzles with a trained model.

n puzzles, t tokens of one.
"""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from memhrm.config.settings import require
from memhrm.data import Task, read_puzzles, read_questions
from memhrm.memory.choice import trust
from memhrm.system.ranks import choose_device
from memhrm.weights.solver import Solver, load

HEADER = ["question", "answer", "keeps_givens", "keeps_rules", "q"]


@dataclass(frozen=True)
class Answers:
    """Answers to the puzzles of a file.

    Attributes:
        task: what a puzzle is.
        questions: tokens of the questions, (n, t).
        labels: tokens of the answers in the file, (n, t); 0 where it has none.
        tokens: tokens of the model's answers, (n, t).
        q: how sure the model is of each, (n,).
    """

    task: Task
    questions: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray
    q: np.ndarray

    def table(self) -> str:
        """Return the answers as CSV, one line a puzzle."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEADER)
        verdict, yes = self.task.verdict(self.questions, self.tokens), ("no", "yes")
        for question, answer, givens, rules, q in zip(self.questions, self.tokens, *verdict, self.q):
            row = [self.task.decode(question), self.task.decode(answer), yes[int(givens)], yes[int(rules)]]
            writer.writerow([*row, f"{q:.4f}"])
        return text.getvalue()

    def verdict(self) -> str:
        """Say how many answers can be right and, where the file has answers, how many agree."""
        verdict = self.task.verdict(self.questions, self.tokens)
        possible, known = (
            int((verdict.keeps_givens & verdict.keeps_rules).sum()),
            (self.labels > 0).all(axis=1),
        )
        text = f"{possible:,} of {len(self.tokens):,} answers keep the givens and the rules"
        if not known.any():
            return text
        agree = int((self.labels == self.tokens).all(axis=1).sum())
        return f"{text}; {agree:,} are those of the file, which has {int(known.sum()):,}"


def opened(settings: Any) -> Solver:
    """Return the model that the settings of `memhrm.solve` name, on its device."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    trust(settings.trust)
    device = choose_device(settings.device)
    return load(settings.run, settings.checkpoint, settings.weights).to(device)


def answers_to(solver: Solver, settings: Any) -> Answers:
    """Answer the file that the settings of `memhrm.solve` name.

    Raises:
        ValueError: the file, or that with the examples, is missing or wrong; or examples were given for a
            model that was not trained on episodes.
    """
    task, examples = solver.task, []
    if settings.examples is not None:
        require(task.answers > 0, "examples", settings.examples, "null, as the training was not on episodes")
        shown = read_puzzles(Path(settings.examples), task)
        examples = list(zip(shown.inputs, shown.labels))
    questions = read_questions(Path(settings.file), task)
    starts = range(0, len(questions.inputs), settings.batch_size)
    parts = [
        solver.answer(
            questions.inputs[start : start + settings.batch_size], settings.halt_max_steps, examples
        )
        for start in tqdm(starts, desc="solve", unit="batch", disable=not settings.progress)
    ]
    tokens, q = np.concatenate([part.tokens for part in parts]), np.concatenate([part.q for part in parts])
    return Answers(task, questions.inputs, questions.labels, tokens, q)
