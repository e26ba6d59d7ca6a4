"""A trained model for use from Python: texts in, answers out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask, task_of
from memhrm.data.arc.variants import draw
from memhrm.data.arc.votes import ATTEMPTS
from memhrm.data.checks import number
from memhrm.data.examples import Examples, no_examples
from memhrm.data.settings import DataSettings
from memhrm.data.task import Task
from memhrm.data.text.few_shot import FewShotIntent
from memhrm.data.text.intent import Intent
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.rollout import Step
from memhrm.evaluation.votes import Ballot
from memhrm.memory.base import Memory
from memhrm.memory.retrieval import Retrieval
from memhrm.models.reasoner import Reasoner
from memhrm.runs.bank import Entry
from memhrm.training.losses import PROBABILITIES
from memhrm.weights.answerer import Answerer, Pairs, Seen, positions

TOGETHER = 16
"""Texts that are read at a time."""
Classified = list[tuple[str, float]]
"""Categories of a text with their probabilities, the most probable first."""


class Explained(NamedTuple):
    """An answer with what it rests on.

    Attributes:
        category: the most probable category.
        probability: its probability.
        examples: texts of the bank with their categories and what each adds to the probability of its own.
    """

    category: str
    probability: float
    examples: list[tuple[str, str, float]]


class Solver(Answerer):
    """A trained model that takes puzzles as text.

    Attributes:
        model: the `Reasoner`.
        task: says what a puzzle is.
        halt_max_steps: supervision steps of a puzzle in training.
        data: the settings of the data that the model was trained on.
        loss: the cross-entropy that it was trained with.
        bank: the labelled texts that its memory reads, in its order; those that were forgotten are None.
        judges: whether it has learned to tell how sure it is, by Q; else Q says nothing.
    """

    task: Task

    def __init__(
        self,
        model: Reasoner,
        task: Task,
        halt_max_steps: int,
        data: DataSettings,
        loss: str = "softmax",
        bank: Sequence[Entry] = (),
        judges: bool = True,
    ):
        super().__init__(model, task, halt_max_steps)
        self.data = data
        self.loss, self.judges = loss, judges
        self.bank: list[Entry | None] = list(bank)
        self._rows: dict[str, list[int]] = {}  # Of each text of the bank.
        for row, entry in enumerate(bank):
            self._rows.setdefault(entry.text, []).append(row)

    def solve(
        self, questions: Sequence[str], steps: int | None = None, examples: Sequence[tuple[str, str]] = ()
    ) -> list[str]:
        """Return answers to questions, after `steps` supervision steps (None: as many as in training).

        examples: of a model trained on episodes, puzzles with their answers, which it is shown first, one
            after the other, as in an episode: without any, it cannot know the episode's rule. Of a model
            trained on hops, symbols with their images, which it is told.

        Raises:
            ValueError: a text has the wrong length or an unknown character, or clues that contradict each
                other; or examples for a model that was not trained on episodes.
        """
        shown = self.shown(examples)
        _require_texts("questions", questions)
        asked = self.task.encode(questions) if questions else no_examples(self.task.seq_len)
        solved = self.answer(asked.inputs, steps, shown, identifiers=asked.identifiers, mask=asked.mask)
        return [self.said(question, answer) for question, answer in zip(questions, solved.tokens)]

    def classify(
        self,
        texts: Sequence[str],
        top: int = 1,
        steps: int | None = None,
        examples: Sequence[tuple[str, str]] = (),
    ) -> list[Classified]:
        """Return the most probable categories of texts.

        Args:
            texts: the texts.
            top: how many categories of each, at most.
            steps: supervision steps of an answer; None: as many as in training.
            examples: texts with their categories, of any name. A model trained on few-shot episodes is told
                them first; for one with a bank they take the place of its bank and of its own categories.

        Returns:
            For each text its categories with their probabilities, the most probable first.

        Raises:
            ValueError: the model classifies nothing, or a text is empty; a model on few-shot episodes has no
                examples, or they have more categories than its episodes; or a model that is neither has some.
        """
        with self._labelled(texts, examples) as (shown, names, first):
            number("top", top, 1)
            if not texts:
                return []
            logits, _ = self._read(self.task.encode(texts), steps, shown)
            return self._most_probable(logits[..., first:], names, top)

    def classify_by_step(
        self,
        text: str,
        top: int = 1,
        steps: int | None = None,
        examples: Sequence[tuple[str, str]] = (),
    ) -> list[Classified]:
        """Return the most probable categories of one text after each supervision step, as `classify`."""
        with self._labelled([text], examples) as (shown, names, first):
            number("top", top, 1)
            followed = self._followed(self.task.encode([text]), steps, shown)
            logits = [step.output.logits[..., first:] for step in followed]
        return [self._most_probable(one, names, top)[0] for one in logits]

    @contextmanager
    def _labelled(
        self, texts: Sequence[str], examples: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[Pairs, list[str], int]]:
        """Have examples for as long as texts are classified: in the place of the bank, where there is one.

        Yields:
            What is shown before the texts, the categories, and how many labels stand before theirs.
        """
        _require_texts("texts", texts)
        allowed = "none, as the training was not on labelled texts"
        require(self.task.num_labels > 0, "texts", len(texts), allowed)
        if isinstance(self.task, FewShotIntent):
            yield *self._numbered(examples), 0
        elif examples and isinstance(self.model.H_module, Retrieval):
            _require_examples(examples)
            assert isinstance(self.task, Intent)
            names = _names(examples)
            told = Intent(self.task.tokens, names).encode(*map(list, zip(*examples)))
            with self.model.H_module.holding(told.inputs, told.labels) as trained:
                yield [], names, trained
        else:
            yield self.shown(examples), self._categories(), 0

    def _numbered(self, examples: Sequence[tuple[str, str]]) -> tuple[Pairs, list[str]]:
        """Return examples with numbers for their categories, in the order of these, and the categories."""
        _require_examples(examples)
        names, most = _names(examples), self.task.num_labels
        allowed = f"1 to {most}, as in the training"
        require(1 <= len(names) <= most, "number of categories in examples", len(names), allowed)
        return self.shown([(text, str(names.index(category) + 1)) for text, category in examples]), names

    def _categories(self) -> list[str]:
        return [self.task.decode_answer(np.array([label + 1])) for label in range(self.task.num_labels)]

    def _most_probable(self, logits: Tensor, names: list[str], top: int) -> list[Classified]:
        """Return the most probable of categories by the logits of texts, (b, 1, C + 1)."""
        found = PROBABILITIES[self.loss](logits[:, 0, 1 : 1 + len(names)]).topk(min(top, len(names)), dim=-1)
        return [
            [(names[place], round(share, 6)) for place, share in zip(places, shares)]
            for places, shares in zip(found.indices.tolist(), found.values.tolist())
        ]

    def _read(self, asked: Examples, steps: int | None, shown: Pairs = ()) -> tuple[Tensor, Memory]:
        """Return the logits and the memory after the last step on texts, after the examples that are shown.

        Texts of about the same length are read together.
        """
        assert asked.mask is not None
        order, found = np.argsort(-asked.mask.sum(axis=1), kind="stable"), []
        for start in range(0, len(order), TOGETHER):
            *_, last = self._followed(asked.select(order[start : start + TOGETHER]), steps, shown)
            found.append(last)
        back = torch.from_numpy(np.argsort(order)).to(self.model.H_init.device)
        memories = [last.state.memory for last in found]
        memory = {name: torch.cat([one[name] for one in memories])[back] for name in memories[0]}
        return torch.cat([last.output.logits for last in found])[back], memory

    def _followed(self, asked: Examples, steps: int | None, shown: Pairs) -> Iterator[Step]:
        """Yield each step on texts, after the examples, and read no further than the longest of them."""
        assert asked.mask is not None
        lengths = (positions(question, self.task.bag).sum() for question, _ in shown)
        model = self.model.shortened(int(max(asked.mask.sum(axis=1).max(), *lengths, 1)))
        width, wide = model.shape.num_tokens, model.shape.num_tokens * model.shape.bag
        inputs, mask = asked.inputs[:, :wide], asked.mask[:, :width]
        cut = [(question[:wide], answer) for question, answer in shown]
        for example, _, step in self._walk(inputs, self._steps(steps), cut, None, mask, model):
            if example is None:
                yield step

    def explain(self, texts: Sequence[str], top: int = 3, steps: int | None = None) -> list[Explained]:
        """Return the category of each text with the examples of the bank that it rests on.

        Args:
            texts: the texts.
            top: how many examples of each, at most.
            steps: supervision steps of an answer; None: as many as in training.

        Raises:
            ValueError: the model has no bank, or a text is empty.
        """
        self._bank()
        number("top", top, 1)
        _require_texts("texts", texts)
        if not texts:
            return []
        logits, memory = self._read(self.task.encode(texts), steps)
        # The probability of an example's category, times the example's part of that logit (equation 32).
        chances, labels = PROBABILITIES[self.loss](logits[:, 0, 1:]), (memory["labels"] - 1).clamp(min=0)
        parts = (memory["match"] - logits[:, 0, 1:].gather(1, labels)).exp()
        shares = chances.gather(1, labels) * parts
        found, answers = memory["found"], self._most_probable(logits, self._categories(), 1)
        explained = []
        for best, places, own in zip(answers, found.tolist(), shares.tolist()):
            rests: list[tuple[str, str, float]] = []
            for place, share in zip(places[:top], own):
                entry = self.bank[place] if share > 0 else None
                if entry is not None:
                    rests.append((entry.text, entry.category, round(share, 6)))
            explained.append(Explained(*best[0], rests))
        return explained

    def remember(self, text: str, category: str) -> None:
        """Put a labelled text into the bank, or give the one that is there this category.

        The next answer knows it. A category that is new is one from now on.

        Raises:
            ValueError: the model has no bank, or the text or the category is empty.
        """
        memory = self._bank()
        _require_text("text", text)
        require(isinstance(category, str) and bool(category.strip()), "category", category, "a name")
        task = self.task
        assert isinstance(task, Intent)
        if category not in task.categories:
            self.task = task = Intent(task.tokens, (*task.categories, category), dropout=task.dropout)
        entry, example = Entry(text, category), task.encode([text], [category])
        rows = self._rows.get(text)
        if rows:
            labels = torch.full((len(rows),), int(example.labels[0, 0]))
            memory.relabel(torch.tensor(rows), labels)
        else:
            memory.add(example.inputs, example.labels)
            rows = self._rows[text] = [len(self.bank)]
            self.bank.append(entry)
        for row in rows:
            self.bank[row] = entry

    def teach(self, question: str, answer: str, told: Sequence[tuple[str, str]] = ()) -> None:
        """Take an example: into the bank; without one, see that it can be shown before a question.

        Args:
            question: the question, or text.
            answer: its answer, or category.
            told: examples that are shown with it.

        Raises:
            ValueError: the model does not learn from examples, or this is none for it.
        """
        if isinstance(self.model.H_module, Retrieval):
            self.remember(question, answer)
        elif isinstance(self.task, FewShotIntent):
            self._numbered([*told, (question, answer)])
        else:
            self.shown([*told, (question, answer)])

    def forget(self, text: str) -> None:
        """Take a text out of the bank.

        Raises:
            ValueError: the model has no bank, or the text is not in it.
        """
        memory = self._bank()
        _require_text("text", text)
        allowed = f"one of the {sum(map(bool, self.bank)):,} texts of the bank"
        require(text in self._rows, "text", text, allowed)
        rows = self._rows.pop(text)
        memory.relabel(torch.tensor(rows), torch.zeros(len(rows), dtype=torch.int64))
        for row in rows:
            self.bank[row] = None

    def _bank(self) -> Retrieval:
        memory, allowed = self.model.H_module, "retrieval: only that has a bank of texts"
        require(isinstance(memory, Retrieval), "memory", memory.settings.name, allowed)
        assert isinstance(memory, Retrieval)
        return memory

    def solve_task(
        self, task: Mapping[str, Any], steps: int | None = None, variants: int | None = None
    ) -> list[list[list[list[int]]]]:
        """Answer the tests of an ARC task by a vote over its variants.

        Args:
            task: as in ARC's files, ``{"train": [{"input": grid, "output": grid}, ...], "test": [...]}``.
            steps: supervision steps of an answer; None: as many as in training.
            variants: the most variants beside the task itself; None: as many as in training.

        Returns:
            For each test up to two grids, as lists of rows, the one of most votes first.

        Raises:
            ValueError: the model was not trained on ARC; it is no task, or too large for the canvas; or the
                model has identifiers and was not trained on the demonstrations (`python -m memhrm.adapt`
                does).
        """
        given = task_of(task, "the task", "given")
        return [[grid.tolist() for grid in one] for one in self.attempts(given, steps, variants)]

    def attempts(
        self, task: ArcTask, steps: int | None = None, variants: int | None = None
    ) -> list[list[np.ndarray]]:
        """Answer the tests of an ARC task, as `solve_task` does one that is given as JSON."""
        data, arc = self.data, self.task
        require(isinstance(data, ArcSettings), "task", task.id, "nothing, without training on ARC")
        assert isinstance(data, ArcSettings) and isinstance(arc, Arc)
        given = arc.checked_task(task, "the task")
        arc.variants[given.key] = draw(given, data.variants, data.seed)
        if variants is not None:
            number("variants", variants, 0)
        evaluation = EvaluationSettings(
            steps=self.halt_max_steps if steps is None else steps,
            write=self.model.H_module.settings.write_in_evaluation,
        )
        ballot = Ballot(self.model, arc, data.maker(arc), evaluation, variants)
        allowed = "one that the model was trained on; `python -m memhrm.adapt` trains on others"
        require(len(ballot.codes(given)) > 0, "task", f"{given.id}, new to the model", allowed)
        (voted,) = ballot.votes([given])
        return [[one.grid for one in found[:ATTEMPTS]] for found in voted.candidates]

    def follow(
        self, question: str, steps: int | None = None, examples: Sequence[tuple[str, str]] = ()
    ) -> list[Seen]:
        """Return every supervision step on a question, and before it those on the examples.

        The arguments are those of `solve`, for one question.

        Raises:
            ValueError: as `solve`.
        """
        shown = self.shown(examples)
        _require_text("question", question)
        asked = self.task.encode([question])
        return [
            self._seen(step, question, asked.inputs, asked.mask, example, told)
            for example, told, step in self._walk(
                asked.inputs, self._steps(steps), shown, asked.identifiers, asked.mask
            )
        ]

    def shown(self, examples: Sequence[tuple[str, str]]) -> Pairs:
        """Return the tokens of examples that are shown before a question.

        Raises:
            ValueError: they are none of this task, or it has none.
        """
        _require_examples(examples)
        allowed = "none, as the training was not on episodes"
        require(not examples or self.task.learns, "examples", list(examples), allowed)
        if not examples:
            return []
        return list(zip(*self.task.pairs(*map(list, zip(*examples)))))


def _require_examples(examples: Sequence[tuple[str, str]]) -> None:
    pairs = isinstance(examples, list | tuple) and all(
        isinstance(one, list | tuple) and len(one) == 2 for one in examples
    )
    require(pairs, "examples", examples, "a list of pairs of texts, question and answer")
    for texts in zip(*examples):
        _require_texts("examples", texts)


def _names(examples: Sequence[tuple[str, str]]) -> list[str]:
    """Return the categories of examples, each once, in their order."""
    return list(dict.fromkeys(category for _, category in examples))


def _require_text(argument: str, text: str) -> None:
    require(isinstance(text, str), argument, text, "a text")


def _require_texts(argument: str, texts: Sequence[str]) -> None:
    listed = isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
    given = texts if isinstance(texts, str) else type(texts).__name__
    arc = "; `solve_task` takes a task of ARC" if isinstance(texts, Mapping) else ""
    require(listed, argument, given, f"a list of texts{arc}")
