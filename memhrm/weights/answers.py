"""Answer a file of puzzles with a trained model.

n puzzles, t tokens of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from memhrm.config.settings import require
from memhrm.config.trust import trust
from memhrm.data import Task
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.files import read_shown
from memhrm.data.score import score
from memhrm.data.text.few_shot import FewShotIntent
from memhrm.data.text.files import read_labelled
from memhrm.data.text.intent import Intent
from memhrm.runs.bank import keeps_bank
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import to_csv
from memhrm.system.ranks import choose_device
from memhrm.weights.arc_answers import ArcAnswers, answers_to_tasks
from memhrm.weights.opening import load_with_used
from memhrm.weights.solver import Solver


@dataclass(frozen=True)
class Answers:
    """Answers to the puzzles of a file.

    Attributes:
        task: what a puzzle is.
        questions: tokens of the questions, (n, t).
        labels: tokens of the answers in the file, (n, t); 0 where it has none.
        tokens: tokens of the model's answers, (n, t).
        q: how sure the model is of each, (n,); None: it has not learned to tell.
    """

    task: Task
    questions: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray
    q: np.ndarray | None

    def table(self) -> str:
        """Return the answers as CSV, one line a puzzle."""
        verdict = self.task.verdict(self.questions, self.tokens)
        known = {} if verdict is None else verdict._asdict()
        rows = []
        for row, (question, answer) in enumerate(zip(self.questions, self.tokens)):
            judged = ["yes" if values[row] else "no" for values in known.values()]
            sure = [] if self.q is None else [f"{self.q[row]:.4f}"]
            rows.append([self.task.decode(question), self.task.decode_answer(answer), *judged, *sure])
        return to_csv(["question", "answer", *known, *([] if self.q is None else ["q"])], rows)

    def verdict(self) -> str:
        """Say how many answers can be right and, where the file has answers, how many agree."""
        verdict = self.task.verdict(self.questions, self.tokens)
        text = (
            f"{len(self.tokens):,} answers; {self.task.name} cannot tell by its rules whether they are right"
        )
        if verdict is not None:
            possible = int((verdict.keeps_givens & verdict.keeps_rules).sum())
            text = f"{possible:,} of {len(self.tokens):,} answers keep the givens and the rules"
        known = int((self.labels > 0).any(axis=1).sum())
        if not known:
            return text
        agree = int(score(self.labels > 0, self.tokens, self.labels).exact.sum())
        return f"{text}; {agree:,} are those of the file, which has {known:,}"


@dataclass(frozen=True)
class TextAnswers:
    """Categories of texts.

    Attributes:
        texts: the texts.
        right: their categories in the file; empty where it has none, or one that the model does not know.
        found: the most probable category of each, with its probability.
    """

    texts: Sequence[str]
    right: Sequence[str]
    found: Sequence[tuple[str, float]]

    def table(self) -> str:
        """Return the answers as CSV, one record a text."""
        rows = ([one, *found] for one, found in zip(self.texts, self.found))
        return to_csv(["text", "category", "probability"], rows)

    def verdict(self) -> str:
        """Say how many answers there are and, where the file has categories, how many agree."""
        known = sum(map(bool, self.right))
        agree = sum(one == found for one, (found, _) in zip(self.right, self.found))
        count = f"{len(self.texts):,} texts classified"
        return f"{count}; {agree:,} as in the file, which has the category of {known:,}" if known else count


def opened(settings: Any) -> Solver:
    """Return the model that the settings of `memhrm.solve` name, on its device."""
    return opened_with_used(settings)[0]


def opened_with_used(settings: Any) -> tuple[Solver, UsedPuzzles]:
    """Return the model that `opened` returns, and the puzzles that its run has used."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    trust(settings.trust)
    device = choose_device(settings.device)
    solver, used = load_with_used(settings.run, settings.checkpoint, settings.weights)
    return solver.to(device), used


def shown_examples(solver: Solver, path: Path) -> list[tuple[str, str]]:
    """Return the puzzles of a file with their answers, as text, which a model on episodes is shown first.

    Raises:
        ValueError: the file is missing or wrong, or the model was not trained on episodes.
    """
    task = solver.task
    require(task.learns, "examples", str(path), "null, as the training was not on episodes")
    return _with_categories(path) if isinstance(task, FewShotIntent) else read_shown(path, task)


def _with_categories(path: Path) -> list[tuple[str, str]]:
    """Return the texts of a file with their categories."""
    return [(one.text, one.category) for one in read_labelled(path)]


def answers_to(solver: Solver, settings: Any, used: UsedPuzzles) -> Answers | ArcAnswers | TextAnswers:
    """Answer the file that the settings of `memhrm.solve` name.

    Args:
        solver: the model.
        settings: the settings.
        used: the puzzles that its run has used; tests of ARC among them are answered, but do not count.

    Raises:
        ValueError: the file, or that with the examples, is missing or wrong; examples were given for a model
            that was not trained on episodes and has no bank; or tasks of ARC are too large for the canvas, or
            new to the model.
    """
    if isinstance(solver.data, ArcSettings):
        return answers_to_tasks(solver, settings, used)
    if isinstance(solver.task, Intent | FewShotIntent):
        return _to_texts(solver, settings)
    task, path = solver.task, settings.examples
    examples = [] if path is None else solver.shown(shown_examples(solver, Path(path)))
    questions = task.require(task.read(Path(settings.file), solve=False))
    starts = range(0, len(questions), settings.batch_size)
    batches = (questions.select(slice(start, start + settings.batch_size)) for start in starts)
    bar = tqdm(batches, total=len(starts), desc="solve", unit="batch", disable=not settings.progress)
    parts = [
        solver.answer(
            batch.inputs, settings.halt_max_steps, examples, identifiers=batch.identifiers, mask=batch.mask
        )
        for batch in bar
    ]
    tokens, q = np.concatenate([part.tokens for part in parts]), np.concatenate([part.q for part in parts])
    return Answers(task, questions.inputs, questions.labels, tokens, q if solver.judges else None)


def _to_texts(solver: Solver, settings: Any) -> TextAnswers:
    task, path, size = solver.task, Path(settings.file), settings.batch_size
    if settings.examples is None:
        examples = []
    elif keeps_bank(solver.model):
        examples = _with_categories(Path(settings.examples))
    else:
        examples = shown_examples(solver, Path(settings.examples))
    assert isinstance(task, Intent | FewShotIntent)
    known = {category for _, category in examples} or set(task.categories)
    records = read_labelled(path, required=False)
    texts = [one.text for one in records]
    right = [one.category if one.category in known else "" for one in records]
    starts = tqdm(range(0, len(texts), size), desc="solve", unit="batch", disable=not settings.progress)
    found = [
        one[0]
        for at in starts
        for one in solver.classify(texts[at : at + size], steps=settings.halt_max_steps, examples=examples)
    ]
    return TextAnswers(texts, right, found)
