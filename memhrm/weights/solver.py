"""A trained model for use from Python: texts in, answers out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memhrm.config import console
from memhrm.config.settings import MOST_STEPS, build, require
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask, task_of
from memhrm.data.arc.variants import draw
from memhrm.data.arc.votes import ATTEMPTS
from memhrm.data.checks import number
from memhrm.data.episodes.episodes import pair
from memhrm.data.examples import Examples, no_examples
from memhrm.data.sampler import arrays
from memhrm.data.settings import DataSettings, parse
from memhrm.data.task import Task
from memhrm.data.text.intent import Intent
from memhrm.data.text.prose import MASK
from memhrm.evaluation.answers import EvaluationSettings, tensors
from memhrm.evaluation.in_order import in_order
from memhrm.evaluation.restarts import relative_change
from memhrm.evaluation.rollout import Step, rollout
from memhrm.evaluation.votes import Ballot
from memhrm.memory.base import Memory
from memhrm.memory.registry import parse as parse_memory
from memhrm.memory.retrieval import Retrieval
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, PuzzleShape
from memhrm.models.weights import load_weights
from memhrm.runs.bank import Entry, fill, keeps_bank
from memhrm.system.files import said_of
from memhrm.training.losses import PROBABILITIES
from memhrm.weights import artifacts, hub
from memhrm.weights.restore import FORMAT, MADE_BY, from_run
from memhrm.weights.tensors import read_tensors
from memhrm.weights.zoo import path_of

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


TOGETHER = 16
"""Texts that are read at a time."""


class Solved(NamedTuple):
    """What a model answers to n puzzles.

    tokens: (n, s) int32. q: sigmoid(q_halt), how sure the model is that the answer is right, (n,) float32.
    """

    tokens: np.ndarray
    q: np.ndarray


class Seen(NamedTuple):
    """What is seen of one supervision step on a question, or on an example that is shown before it.

    Attributes:
        example: number of the example, from 0; None: it is the question itself.
        told: whether the step tells the example's answer.
        step: its number among those on the question or example, from 1.
        answer: the answer after the step, as text; empty where something is told.
        tokens: the answer, (l,) int32.
        q: sigmoid(q_halt), how sure the model is that it is right.
        residual: |z_H' - z_H| / |z_H|.
        read: the cells that each H-step reads; empty without cells.
        written: those that it writes.
    """

    example: int | None
    told: bool
    step: int
    answer: str
    tokens: np.ndarray
    q: float
    residual: float
    read: list[list[int]]
    written: list[list[int]]


class Solver:
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
        self.model = model
        self.bank: list[Entry | None] = list(bank)
        self.loss, self.judges = loss, judges
        self.task = task
        self.halt_max_steps = halt_max_steps
        self.data = data

    def to(self, device: str | torch.device) -> "Solver":
        """Move the solver to another device, and return it.

        Raises:
            ValueError: PyTorch finds no such device on this machine.
        """
        try:
            self.model.to(torch.device(device))
        except Exception as error:  # PyTorch raises many kinds.
            raise ValueError(
                f"device is {device!r}, which is not to be had: {console.one_line(error)}"
            ) from error
        return self

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
        shown = self._shown(examples)
        _require_texts("questions", questions)
        asked = self.task.encode(questions) if questions else no_examples(self.task.seq_len)
        solved = self.answer(asked.inputs, steps, shown, identifiers=asked.identifiers, mask=asked.mask)
        return [self.task.decode_answer(answer) for answer in solved.tokens]

    def classify(self, texts: Sequence[str], top: int = 1, steps: int | None = None) -> list[Classified]:
        """Return the most probable categories of texts.

        Args:
            texts: the texts.
            top: how many categories of each.
            steps: supervision steps of an answer; None: as many as in training.

        Returns:
            For each text its categories with their probabilities, the most probable first.

        Raises:
            ValueError: the model classifies nothing, or a text is empty.
        """
        labels = self.task.num_labels
        require(labels > 0, "texts", len(texts), "none, as the training was not on labelled texts")
        number("top", top, 1, labels)
        _require_texts("texts", texts)
        if not texts:
            return []
        return self._most_probable(self._read(self.task.encode(texts), steps)[0], top)

    def _most_probable(self, logits: Tensor, top: int) -> list[Classified]:
        """Return the most probable categories by the logits of texts, (b, 1, C + 1)."""
        found = PROBABILITIES[self.loss](logits[:, 0, 1:]).topk(top, dim=-1)
        names = [self.task.decode_answer(np.array([label])) for label in range(1, logits.shape[-1])]
        return [
            [(names[place], round(share, 6)) for place, share in zip(places, shares)]
            for places, shares in zip(found.indices.tolist(), found.values.tolist())
        ]

    def _steps(self, steps: int | None) -> int:
        """Return the supervision steps of an answer; None stands for as many as in training."""
        return self.halt_max_steps if steps is None else number("steps", steps, 1, MOST_STEPS)

    def last_step(self, inputs: np.ndarray, steps: int | None = None, mask: np.ndarray | None = None) -> Step:
        """Return the last supervision step on tokens (n, s), as `answer` takes them."""
        memory = self.model.initial_state(len(inputs)).memory
        return self._run(inputs, memory, self._steps(steps), mask=mask)

    def _read(self, asked: Examples, steps: int | None) -> tuple[Tensor, Memory]:
        """Return the logits and the memory after the last step on texts.

        Texts of about the same length are read together, no further than the longest of them.
        """
        assert asked.mask is not None
        steps, lengths = self._steps(steps), asked.mask.sum(axis=1)
        order, found = np.argsort(-lengths, kind="stable"), []
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            model = self.model.shortened(int(lengths[rows[0]]))
            part, width = asked.select(rows), model.shape.num_tokens
            assert part.mask is not None
            found.append(
                self._run(
                    part.inputs[:, : width * model.shape.bag],
                    model.initial_state(len(rows)).memory,
                    steps,
                    mask=part.mask[:, :width],
                    model=model,
                )
            )
        back = torch.from_numpy(np.argsort(order)).to(self.model.H_init.device)
        memories = [last.state.memory for last in found]
        memory = {name: torch.cat([one[name] for one in memories])[back] for name in memories[0]}
        return torch.cat([last.output.logits for last in found])[back], memory

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
        # What an example adds to the probability of its category, as a share of the whole.
        shares = (memory["match"] - logits[:, 0, 1:].logsumexp(-1, keepdim=True)).exp()
        found, answers = memory["found"], self._most_probable(logits, 1)
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
        _require_texts("text", [text])
        require(isinstance(category, str) and bool(category.strip()), "category", category, "a name")
        task = self.task
        assert isinstance(task, Intent)
        if category not in task.categories:
            self.task = task = Intent(task.tokens, (*task.categories, category), dropout=task.dropout)
        entry, example = Entry(text, category), task.encode([text], [category])
        rows = self._places(text)
        if rows:
            labels = torch.full((len(rows),), int(example.labels[0, 0]))
            memory.relabel(torch.tensor(rows), labels)
        else:
            memory.add(example.inputs, example.labels)
            self.bank.append(entry)
        for row in rows:
            self.bank[row] = entry

    def forget(self, text: str) -> None:
        """Take a text out of the bank.

        Raises:
            ValueError: the model has no bank, or the text is not in it.
        """
        memory, rows = self._bank(), self._places(text)
        require(bool(rows), "text", text, f"one of the {sum(map(bool, self.bank)):,} texts of the bank")
        memory.relabel(torch.tensor(rows), torch.zeros(len(rows), dtype=torch.int64))
        for row in rows:
            self.bank[row] = None

    def _places(self, text: str) -> list[int]:
        return [row for row, entry in enumerate(self.bank) if entry is not None and entry.text == text]

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
        evaluation = EvaluationSettings(
            steps=self.halt_max_steps if steps is None else steps,
            write=self.model.H_module.settings.write_in_evaluation,
        )
        ballot = Ballot(self.model, arc, data.maker(arc), evaluation, variants)
        allowed = "one that the model was trained on; `python -m memhrm.adapt` trains on others"
        require(len(ballot.codes(given)) > 0, "task", f"{given.id}, new to the model", allowed)
        (voted,) = ballot.votes([given])
        return [[one.grid for one in found[:ATTEMPTS]] for found in voted.candidates]

    @torch.no_grad()
    def answer(
        self,
        inputs: np.ndarray,
        steps: int | None = None,
        examples: Sequence[tuple[np.ndarray, np.ndarray]] = (),
        *,
        identifiers: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Solved:
        """Answer n puzzles given as tokens, (n, s), as `solve` does those that are given as text.

        examples: pairs of tokens of a question and its answer, (s,) each. identifiers: (n,); None: 0. mask:
            (n, s) bool, False at padding; None: nothing is padded.
        """
        steps = self._steps(steps)
        inputs = self.task.checked("inputs", inputs)
        allowed = "a list of pairs of tokens, question and answer"
        require(isinstance(examples, list | tuple), "examples", examples, allowed)
        allowed = "none, as the training was not on episodes"
        require(not len(examples) or self.task.answers > 0, "examples", len(examples), allowed)
        if not len(inputs):
            return Solved(np.zeros((0, self.task.label_len), np.int32), np.zeros(0, np.float32))
        *_, (_, _, last) = self._walk(inputs, steps, examples, identifiers, mask)
        q = torch.sigmoid(last.output.q_halt.float()).cpu().numpy()
        return Solved(self._said(last, inputs, mask).int().cpu().numpy(), q)

    def follow(
        self, question: str, steps: int | None = None, examples: Sequence[tuple[str, str]] = ()
    ) -> list[Seen]:
        """Return every supervision step on a question, and before it those on the examples.

        The arguments are those of `solve`, for one question.

        Raises:
            ValueError: as `solve`.
        """
        shown = self._shown(examples)
        _require_texts("question", [question])
        asked = self.task.encode([question])
        return [
            self._seen(step, asked.inputs, asked.mask, example, told)
            for example, told, step in self._walk(
                asked.inputs, self._steps(steps), shown, asked.identifiers, asked.mask
            )
        ]

    def _seen(
        self, step: Step, inputs: np.ndarray, mask: np.ndarray | None, example: int | None, told: bool
    ) -> Seen:
        """Return what is seen of a supervision step on one question."""
        tokens = self._said(step, inputs, mask)[0].int().cpu().numpy()
        traces = step.output.traces

        def cells(*names: str) -> list[list[int]]:
            name = next((one for one in names if traces and one in traces[0]), None)
            return [] if name is None else [trace[name][0].tolist() for trace in traces]

        module = self.model.H_module.settings
        writes = module.write_in_evaluation and (told or module.write_when == "always")
        return Seen(
            example=example,
            told=told,
            step=1 if told else step.number,
            answer="" if told else self.task.decode_answer(tokens),
            tokens=tokens,
            q=float(torch.sigmoid(step.output.q_halt[0].float())),
            residual=float(relative_change(step.before.z_H, step.state.z_H)[0]),
            read=cells("read_cells", "indices"),
            written=cells("written_cells", "indices") if writes else [],
        )

    def _said(self, last: Step, inputs: np.ndarray, mask: np.ndarray | None) -> Tensor:
        """Return the answers after a supervision step on tokens (n, s), (n, l)."""
        answers = last.output.logits.argmax(dim=-1)
        if self.model.decoder is None:
            return answers
        asked = torch.from_numpy(np.asarray(inputs)).to(answers.device)
        present = None if mask is None else torch.from_numpy(np.asarray(mask)).to(answers.device)
        return in_order(self.model, last.state.z_H, asked, asked == MASK, present)

    def _walk(
        self,
        inputs: np.ndarray,
        steps: int,
        examples: Sequence[tuple[np.ndarray, np.ndarray]],
        identifiers: np.ndarray | None,
        mask: np.ndarray | None,
    ) -> Iterator[tuple[int | None, bool, Step]]:
        """Yield each supervision step on examples and then on tokens (n, s).

        With it goes the number of the example, None for the question itself, and whether it tells something.
        """
        memory = start = self.model.initial_state(len(inputs)).memory
        for number_of, (asked, told) in enumerate(examples):
            shown = np.repeat(pair(self.task, asked, told)[None], len(inputs), axis=0)
            asks = self.task.asks
            if asks:
                for step in self._each(np.repeat(asked[None], len(inputs), axis=0), memory, steps):
                    yield number_of, False, step
                    memory = step.state.memory
            present = None if asks else shown > 0
            for step in self._each(shown, memory, 1, done=steps, told=True, feedback=asks, mask=present):
                yield number_of, True, step
                memory = step.state.memory
            if self.model.H_module.settings.lifetime != "episode":  # As in evaluation.
                memory = start
        for step in self._each(inputs, memory, steps, identifiers=identifiers, mask=mask):
            yield None, False, step

    def _shown(self, examples: Sequence[tuple[str, str]]) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = isinstance(examples, list | tuple) and all(
            isinstance(one, list | tuple) and len(one) == 2 for one in examples
        )
        require(pairs, "examples", examples, "a list of pairs of texts, question and answer")
        allowed = "none, as the training was not on episodes"
        require(not examples or self.task.answers > 0, "examples", list(examples), allowed)
        if not examples:
            return []
        questions, answers = ([pair[i] for pair in examples] for i in range(2))
        for texts in (questions, answers):
            _require_texts("examples", texts)
        return list(zip(*self.task.pairs(questions, answers)))

    def _run(self, *args: Any, **named: Any) -> Step:
        """Return the last supervision step of those that `_each` yields."""
        *_, last = self._each(*args, **named)
        return last

    def _each(
        self,
        tokens: np.ndarray,
        memory: Memory,
        supervision_steps: int,
        *,
        done: int = 0,
        feedback: bool = False,
        told: bool = False,
        identifiers: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        model: Reasoner | None = None,
    ) -> Iterator[Step]:
        """Yield the supervision steps on tokens (n, s) that begin with this memory."""
        model = self.model if model is None else model
        batch = tensors(arrays(tokens, tokens, identifiers, mask=mask), model.H_init.device)
        state = model.initial_state(len(tokens))._replace(memory=memory)
        write = model.H_module.settings.write_in_evaluation
        return rollout(
            model, batch, state, supervision_steps, done=done, write=write, told=told, feedback=feedback
        )


def _require_texts(argument: str, texts: Sequence[str]) -> None:
    listed = isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
    given = texts if isinstance(texts, str) else type(texts).__name__
    require(listed, argument, given, "a list of texts")


def located(path: str | Path) -> Path:
    """Return where the weights are that `load` is given; of those elsewhere, once they are fetched."""
    for elsewhere in (hub, artifacts):
        if isinstance(path, str) and path.startswith(elsewhere.PREFIX):
            return elsewhere.fetched(path)
    place = Path(path).expanduser()
    bare = isinstance(path, str) and re.fullmatch(r"[\w-]+", path) is not None
    return path_of(str(path)) if bare and not place.exists() else place


def load(
    path: str | Path,
    checkpoint: Literal["last", "best"] = "last",
    weights: Literal["ema", "raw"] = "ema",
) -> Solver:
    """Open exported weights (`python -m memhrm.export run=DIR`), or a run directory, for use from Python.

    A path that begins with hf:// is a model on the Hugging Face hub, as hf://OWNER/NAME, one with wandb:// an
    artifact of Weights & Biases, as wandb://ENTITY/PROJECT/NAME; they are fetched. A name without folders
    that is no file here is that of a model that comes with the package. Nothing in the file or the directory
    is executed. A memory of your own must be imported before.

    checkpoint, weights: of a run directory, as in `from_run`.

    Raises:
        ValueError: there is no such file; it was not exported by memhrm, or is damaged; or its memory is a
            class that is not in this process.
    """
    named = isinstance(path, str | Path) and "\0" not in str(path)
    require(named, "path", path, "a file or a folder, as text or pathlib.Path")
    require(checkpoint in ("last", "best"), "checkpoint", checkpoint, "last, best")
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    path = located(path)
    if path.is_dir():
        restored = from_run(path, checkpoint, weights)
        data = parse(restored.run.data)
        run = restored.run
        steps, loss = run.halting.halt_max_steps, run.loss.kind
        return Solver(restored.model, data.task(), steps, data, loss, restored.bank, run.loss.judges)
    allowed = "what is usual, since an exported file holds one set of weights"
    require(checkpoint == "last", "checkpoint", checkpoint, allowed)
    require(weights == "ema", "weights", weights, allowed)
    file = read_tensors(path)
    about, _ = file.about(FORMAT, MADE_BY)
    missing = [name for name in ("model", "memory", "shape", "data", "halt_max_steps") if name not in about]
    if missing:
        raise ValueError(f"{path} is incomplete: its description has no {missing[0]!r}")
    with said_of(path):
        model = Reasoner(
            build(ModelSettings, about["model"]),
            build(PuzzleShape, about["shape"], "shape"),
            parse_memory(about["memory"]),
        )
        data = parse(about["data"])
        number("halt_max_steps", about["halt_max_steps"], 1)
    load_weights(model, file.tensors, path)
    trained = about.get("config", {}).get("loss", {})
    loss, judges = trained.get("kind", "softmax"), trained.get("q_halt", 1) > 0
    require(loss in PROBABILITIES, "loss.kind", loss, ", ".join(PROBABILITIES))
    entries = [Entry(*one) for one in about.get("bank", ())]
    if keeps_bank(model):
        fill(model, data.task(), entries)
    return Solver(model.eval(), data.task(), about["halt_max_steps"], data, loss, entries, judges)
