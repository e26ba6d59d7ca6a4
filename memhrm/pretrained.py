"""Trained weights: out of a run, into a file of their own, and back for use from Python."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memhrm.data.config import parse
from memhrm.data.episodes import pair
from memhrm.data.puzzle import Task
from memhrm.memory.choice import parse as parse_memory
from memhrm.models.reasoner import Guide, ModelSettings, Output, PuzzleShape, Reasoner, puzzle_shape
from memhrm.models.recursion import State
from memhrm.settings import build
from memhrm.training import checkpoint
from memhrm.training.record import RunDirectory
from memhrm.training.run import RunSettings, settings

FORMAT = "memhrm 2"


@dataclass(frozen=True)
class Restored:
    """A trained model with the settings of its run and the optimiser step it comes from."""

    model: Reasoner
    run: RunSettings
    config: dict[str, Any]
    step: int


def from_run(
    path: Path, which: Literal["last", "best"] = "last", weights: Literal["ema", "raw"] = "ema"
) -> Restored:
    """The model of a run directory's checkpoint, on the CPU.

    weights: the moving average, or the weights as trained.

    Raises:
        ValueError: the directory holds no run, or the checkpoint is missing or broken.
    """
    directory = RunDirectory(path)
    directory.config()  # Says so if this is no run.
    content = checkpoint.read(directory.best if which == "best" else directory.last)
    run = settings(content["config"])
    model = Reasoner(run.model, puzzle_shape(parse(run.data).task()), run.memory)
    if weights == "raw":
        model.load_state_dict(content["model"])
    else:
        average = {name.removeprefix("module."): value for name, value in content["average"].items()}
        model.load_state_dict({name: average[name] for name in model.state_dict()})
    return Restored(model.eval(), run, content["config"], content["step"])


def save(restored: Restored, path: Path) -> None:
    """Write plain safetensors weights with all that is needed to use them, as metadata.

    Raises:
        OSError: the file cannot be written.
    """
    about = {
        "model": asdict(restored.model.settings),
        "memory": asdict(restored.run.memory),
        "shape": asdict(restored.model.shape),
        "data": restored.run.data,
        "halt_max_steps": restored.run.halting.halt_max_steps,
        "step": restored.step,
        "config": restored.config,
    }
    write_tensors(path, restored.model.state_dict(), FORMAT, about)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], form: str, about: dict[str, Any]) -> None:
    """Write safetensors with the name of their format and a description as metadata.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, path, metadata={"format": form, "about": json.dumps(about)})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


class Solver:
    """A trained model that takes puzzles as text. `model` is the `Reasoner`, `task` says what a puzzle is."""

    def __init__(self, model: Reasoner, task: Task, halt_max_steps: int):
        self.model = model
        self.task = task
        self.halt_max_steps = halt_max_steps

    def to(self, device: str | torch.device) -> "Solver":
        """The same solver on another device."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def solve(
        self, questions: Sequence[str], steps: int | None = None, examples: Sequence[tuple[str, str]] = ()
    ) -> list[str]:
        """Answers to questions, after `steps` supervision steps (null: as many as in training).

        examples: of a model trained on episodes, puzzles with their answers, which it is shown first, one
            after the other, as in an episode: without any, it cannot know the episode's rule.

        Raises:
            ValueError: a text has the wrong length or an unknown character; or examples for a model that was
                not trained on episodes.
        """
        if isinstance(questions, str):
            raise ValueError(f"questions is the text {questions[:20]!r}; allowed: a list of texts")
        if examples and not self.task.answers:
            raise ValueError(
                f"examples is {list(examples)}; allowed: none, as the training was not on episodes"
            )
        initial, steps = self.model.initial_state(len(questions)), steps or self.halt_max_steps
        memory = initial.memory
        for question, answer in examples:
            asked, told = self._tokens("question", [question]), self._tokens("answer", [answer])
            for tokens, count in ((asked, steps), (pair(self.task, asked, told), 1)):
                repeated = np.repeat(tokens, len(questions), axis=0)
                memory = self._run(initial._replace(memory=memory), repeated, count)[0].memory
            if self.model.H_module.settings.lifetime != "episode":  # As evaluation has it.
                memory = initial.memory
        _, out = self._run(initial._replace(memory=memory), self._tokens("question", questions), steps)
        return [self.task.decode(answer) for answer in out.logits.argmax(dim=-1).cpu().numpy()]

    def _tokens(self, what: str, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.task.tokens(what, [text])[0] for text in texts])

    def _run(self, state: State, tokens: np.ndarray, steps: int) -> tuple[State, Output]:
        inputs = torch.from_numpy(tokens.astype(np.int32)).to(state.z_H.device)
        rows = self.model.puzzle_rows(torch.zeros(len(inputs), dtype=torch.int32, device=inputs.device))
        guide, out = Guide(write=self.model.H_module.settings.write_in_evaluation), None
        for _ in range(steps):
            state, out = self.model(state, inputs, rows, guide)
        assert out is not None
        return state, out


def load(path: str | Path) -> Solver:
    """Open exported weights (`python -m memhrm.export run=DIR`), or a run directory, for use from Python.

    Raises:
        ValueError: there is no such file, or it was not exported by memhrm.
    """
    path = Path(path)
    if path.is_dir():
        restored = from_run(path)
        return Solver(restored.model, parse(restored.run.data).task(), restored.run.halting.halt_max_steps)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} was not exported by this version of memhrm (format {metadata.get('format')!r}; "
                    f"expected {FORMAT!r})"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be opened as safetensors weights: {error}") from error
    about = json.loads(metadata["about"])
    memory = parse_memory(about["memory"], trusted=False)
    model = Reasoner(build(ModelSettings, about["model"], "model"), PuzzleShape(**about["shape"]), memory)
    model.load_state_dict(tensors)
    return Solver(model.eval(), parse(about["data"]).task(), about["halt_max_steps"])
