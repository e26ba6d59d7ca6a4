"""A trained model for use from Python: texts in, answers out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from memhrm.config import console
from memhrm.config.settings import MOST_STEPS, build, require
from memhrm.data.checks import number
from memhrm.data.episodes.episodes import pair
from memhrm.data.settings import parse
from memhrm.data.task import Task
from memhrm.memory.choice import parse as parse_memory
from memhrm.models.reasoner import Guide, ModelSettings, Output, PuzzleShape, Reasoner
from memhrm.models.recursion import State
from memhrm.models.weights import load_weights
from memhrm.system.files import said_of
from memhrm.weights.restore import FORMAT, MADE_BY, from_run
from memhrm.weights.tensors import read_tensors


class Solved(NamedTuple):
    """What a model answers to n puzzles.

    tokens: (n, t) int32. q: sigmoid(q_halt), how sure the model is that the answer is right, (n,) float32.
    """

    tokens: np.ndarray
    q: np.ndarray


class Solver:
    """A trained model that takes puzzles as text. `model` is the `Reasoner`, `task` says what a puzzle is."""

    def __init__(self, model: Reasoner, task: Task, halt_max_steps: int):
        self.model = model
        self.task = task
        self.halt_max_steps = halt_max_steps

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
            after the other, as in an episode: without any, it cannot know the episode's rule.

        Raises:
            ValueError: a text has the wrong length or an unknown character, or clues that contradict each
                other; or examples for a model that was not trained on episodes.
        """
        shown = self._shown(examples)
        solved = self.answer(self._tokens("questions", "question", questions), steps, shown)
        return [self.task.decode(answer) for answer in solved.tokens]

    @torch.no_grad()
    def answer(
        self,
        inputs: np.ndarray,
        steps: int | None = None,
        examples: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    ) -> Solved:
        """Answer n puzzles given as tokens, (n, t), as `solve` does those that are given as text.

        examples: pairs of tokens of a question and its answer, (t,) each.
        """
        if steps is not None:
            number("steps", steps, 1, MOST_STEPS)
        inputs = self.task.grids("inputs", inputs)
        allowed = "a list of pairs of tokens, question and answer"
        require(isinstance(examples, list | tuple), "examples", examples, allowed)
        allowed = "none, as the training was not on episodes"
        require(not len(examples) or self.task.answers > 0, "examples", len(examples), allowed)
        if not len(inputs):
            return Solved(np.zeros((0, self.task.seq_len), np.int32), np.zeros(0, np.float32))
        initial, steps = self.model.initial_state(len(inputs)), steps or self.halt_max_steps
        memory = initial.memory
        for asked, told in examples:
            for tokens, count in ((asked, steps), (pair(self.task, asked, told), 1)):
                repeated = np.repeat(tokens[None], len(inputs), axis=0)
                memory = self._run(initial._replace(memory=memory), repeated, count)[0].memory
            if self.model.H_module.settings.lifetime != "episode":  # As evaluation has it.
                memory = initial.memory
        _, out = self._run(initial._replace(memory=memory), inputs, steps)
        answers = out.logits.argmax(dim=-1).int().cpu().numpy()
        return Solved(answers, torch.sigmoid(out.q_halt.float()).cpu().numpy())

    def _shown(self, examples: Sequence[tuple[str, str]]) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = isinstance(examples, list | tuple) and all(
            isinstance(one, list | tuple) and len(one) == 2 for one in examples
        )
        require(pairs, "examples", examples, "a list of pairs of texts, question and answer")
        allowed = "none, as the training was not on episodes"
        require(not examples or self.task.answers > 0, "examples", list(examples), allowed)
        if not examples:
            return []
        asked = self._tokens("examples", "question", [question for question, _ in examples])
        told = self._tokens("examples", "answer", [answer for _, answer in examples])
        return list(zip(asked, told))

    def _tokens(self, argument: str, field: str, texts: Sequence[str]) -> np.ndarray:
        listed = isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
        require(
            listed, argument, texts if isinstance(texts, str) else type(texts).__name__, "a list of texts"
        )
        tokens = [self.task.tokens(field, [text])[0] for text in texts]
        if not tokens:
            return np.zeros((0, self.task.seq_len), np.int32)
        if field == "question":
            self.task.check_questions(np.stack(tokens))
        return np.stack(tokens)

    def _run(self, state: State, tokens: np.ndarray, steps: int) -> tuple[State, Output]:
        inputs = torch.from_numpy(tokens.astype(np.int32)).to(state.z_H.device)
        rows = self.model.puzzle_rows(torch.zeros(len(inputs), dtype=torch.int32, device=inputs.device))
        guide, out = Guide(write=self.model.H_module.settings.write_in_evaluation), None
        for _ in range(steps):
            state, out = self.model(state, inputs, rows, guide)
        assert out is not None
        return state, out


def load(
    path: str | Path,
    checkpoint: Literal["last", "best"] = "last",
    weights: Literal["ema", "raw"] = "ema",
) -> Solver:
    """Open exported weights (`python -m memhrm.export run=DIR`), or a run directory, for use from Python.

    Nothing in the file or the directory is executed. A memory of your own must be imported before.

    checkpoint, weights: of a run directory, as in `from_run`.

    Raises:
        ValueError: there is no such file; it was not exported by memhrm, or is damaged; or its memory is a
            class that is not in this process.
    """
    named = isinstance(path, str | Path) and "\0" not in str(path)
    require(named, "path", path, "a file or a folder, as text or pathlib.Path")
    require(checkpoint in ("last", "best"), "checkpoint", checkpoint, "last, best")
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    path = Path(path).expanduser()
    if path.is_dir():
        restored = from_run(path, checkpoint, weights)
        return Solver(restored.model, parse(restored.run.data).task(), restored.run.halting.halt_max_steps)
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
            build(ModelSettings, about["model"], "model"),
            build(PuzzleShape, about["shape"], "shape"),
            parse_memory(about["memory"]),
        )
        task = parse(about["data"]).task()
        number("halt_max_steps", about["halt_max_steps"], 1)
    load_weights(model, file.tensors, path)
    return Solver(model.eval(), task, about["halt_max_steps"])
