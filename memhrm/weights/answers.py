"""Answer a file of puzzles with a trained model; of ARC's tasks, put their tests to the vote.

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
from memhrm.data.arc.tasks import ArcTask, read_tasks
from memhrm.data.arc.votes import submission
from memhrm.data.files import read_shown
from memhrm.data.score import score
from memhrm.data.text.few_shot import FewShotIntent
from memhrm.data.text.files import read_labelled
from memhrm.data.text.intent import Intent
from memhrm.runs.bank import keeps_bank
from memhrm.system.files import to_csv, to_json
from memhrm.system.ranks import choose_device
from memhrm.weights.opening import load
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
class ArcAnswers:
    """Answers to the tests of ARC tasks.

    Attributes:
        tasks: the tasks.
        attempts: for each up to two grids for each of its tests, the best first.
    """

    tasks: Sequence[ArcTask]
    attempts: Sequence[Sequence[Sequence[np.ndarray]]]

    def table(self) -> str:
        """Return the answers as JSON, as Kaggle takes them."""
        return to_json(submission({task.id: tests for task, tests in zip(self.tasks, self.attempts)})) + "\n"

    def verdict(self) -> str:
        """Say how many answers there are and, where the file has the right ones, how many agree."""
        tests = sum(len(task.tests) for task in self.tasks)
        solved = known = 0
        for task, attempts in zip(self.tasks, self.attempts):
            for pair, tried in zip(task.tests, attempts):
                known += pair.output is not None
                solved += any(pair.output is not None and np.array_equal(one, pair.output) for one in tried)
        text = f"two answers to each of {tests:,} tests of {len(self.tasks):,} tasks"
        return f"{text}; {solved:,} are solved of the {known:,} whose outputs the file has" if known else text


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
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    trust(settings.trust)
    device = choose_device(settings.device)
    return load(settings.run, settings.checkpoint, settings.weights).to(device)


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


def answers_to(solver: Solver, settings: Any) -> Answers | ArcAnswers | TextAnswers:
    """Answer the file that the settings of `memhrm.solve` name.

    Raises:
        ValueError: the file, or that with the examples, is missing or wrong; or examples were given for a
            model that was not trained on episodes and has no bank.
    """
    if isinstance(solver.data, ArcSettings):
        return _to_tasks(solver, settings)
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
    if isinstance(task, Intent) and not examples:
        given = task.read(path, solve=False)
        texts, right = given.sources.tolist(), [task.decode_answer(labels) for labels in given.labels]
    else:
        records, known = read_labelled(path, required=False), {category for _, category in examples}
        texts = [one.text for one in records]
        right = [one.category if one.category in known else "" for one in records]
    starts = tqdm(range(0, len(texts), size), desc="solve", unit="batch", disable=not settings.progress)
    found = [
        one[0]
        for at in starts
        for one in solver.classify(texts[at : at + size], steps=settings.halt_max_steps, examples=examples)
    ]
    return TextAnswers(texts, right, found)


def _to_tasks(solver: Solver, settings: Any) -> ArcAnswers:
    allowed = "null, as a task of ARC has its examples with it"
    require(settings.examples is None, "examples", settings.examples, allowed)
    tasks = read_tasks(Path(settings.file))
    bar = tqdm(tasks, desc="solve", unit="task", disable=not settings.progress)
    return ArcAnswers(tasks, [solver.attempts(task, settings.halt_max_steps) for task in bar])
