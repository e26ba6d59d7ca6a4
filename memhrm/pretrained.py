"""Trained weights: out of a run, into a file of their own, and back for use from Python."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memhrm import console
from memhrm.data.checks import number
from memhrm.data.config import parse
from memhrm.data.episodes import pair
from memhrm.data.puzzle import Task
from memhrm.files import said_of, whole
from memhrm.memory.choice import parse as parse_memory
from memhrm.models.reasoner import Guide, ModelSettings, Output, PuzzleShape, Reasoner, puzzle_shape
from memhrm.models.recursion import State
from memhrm.settings import build, require
from memhrm.training.checkpoint import average_of, load_weights, read
from memhrm.training.held_out import used_by
from memhrm.training.record import RunDirectory, mapping
from memhrm.training.run import RunSettings, make_dataset, settings
from memhrm.training.used import UsedPuzzles

FORMAT = "memhrm 2"


@dataclass(frozen=True)
class Restored:
    """A trained model with the settings of its run, the content of the checkpoint that it comes from, and the
    puzzles that its run has used."""

    model: Reasoner
    run: RunSettings
    content: dict[str, Any]
    used: UsedPuzzles

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the run."""
        return self.content["config"]

    @property
    def step(self) -> int:
        """The optimiser steps that the weights have had."""
        return self.content["step"]


def from_run(
    path: Path, which: Literal["last", "best"] = "last", weights: Literal["ema", "raw"] = "ema"
) -> Restored:
    """Return the model of a run directory's checkpoint, on the CPU.

    weights: the moving average, or the weights as trained.

    Raises:
        ValueError: the directory holds no run; the checkpoint is missing or damaged; or the run's memory is a
            class that is neither memhrm's nor in this process already.
    """
    return from_checkpoint(checkpoint_of(path, which), weights)


def checkpoint_of(path: Path, which: Literal["last", "best"] = "last") -> Path:
    """Return where a run has its checkpoint.

    Raises:
        ValueError: the directory holds no run.
    """
    directory = RunDirectory(path)
    directory.config()  # Says so if this is no run.
    return directory.best if which == "best" else directory.last


def from_checkpoint(path: Path, weights: Literal["ema", "raw"] = "ema") -> Restored:
    """Return the model of a checkpoint, on the CPU; as `from_run`."""
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    content = read(path)
    with said_of(path):
        run = settings(content["config"])
        model = Reasoner(run.model, puzzle_shape(parse(run.data).task()), run.memory)
        used = used_puzzles(content)
    found = content["model"]
    if weights == "ema":
        found = average_of(content, model.state_dict())
    load_weights(model, found, path)
    return Restored(model.eval(), run, content, used)


def used_puzzles(content: Mapping[str, Any]) -> UsedPuzzles:
    """Return which puzzles the run of a checkpoint has used.

    A checkpoint of format 2 does not say so: they are taken from the run's data, which must still be there.
    """
    if "used" in content:
        return UsedPuzzles.of_tensors(content["used"])
    run = settings(content["config"])
    return used_by(run, make_dataset(run))


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
    write_tensors(path, restored.model.state_dict(), FORMAT, about, restored.used)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], form: str, about: dict[str, Any], used: UsedPuzzles
) -> None:
    """Write safetensors with metadata: the name of their format, a description, the puzzles that their run
    has used, and a checksum.

    Raises:
        OSError: the file cannot be written.
    """
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"format": form, "about": json.dumps(about), "used": used.text()}
    metadata["checksum"] = _checksum(plain, metadata)
    try:
        with whole(path) as unfinished:
            save_file(plain, unfinished, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def open_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata, checked.

    Raises:
        ValueError: there is no such file, it is damaged, or it has numbers that are not finite.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; allowed: a file of safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except Exception as error:  # A damaged file can make its reader raise anything.
        raise ValueError(f"{path} cannot be opened as safetensors: {console.one_line(error)}") from error
    if metadata.get("checksum", _checksum(tensors, metadata)) != _checksum(tensors, metadata):
        raise ValueError(f"{path} is damaged: its checksum is wrong; make it again")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{path} is of no use: {name} holds numbers that are not finite")
    return tensors, metadata


def read_tensors(
    path: Path, form: str, made_by: str
) -> tuple[dict[str, Tensor], dict[str, Any], UsedPuzzles]:
    """Return the tensors of a file that `write_tensors` wrote, checked, its description, and the puzzles that
    its run has used, as far as it says so.

    made_by: the command that writes such files, for the message.

    Raises:
        ValueError: there is no such file; it is of another kind, damaged, or has numbers that are not finite.
    """
    tensors, metadata = open_tensors(path)
    if metadata.get("format") != form:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}; allowed: {form!r}, as written by `{made_by}`"
        )
    try:
        about = mapping(path, json.loads(metadata.get("about", "")))
        with said_of(path):
            return tensors, about, UsedPuzzles.of_text(metadata.get("used", "{}"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its description is no JSON ({error})") from error


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of the tensors, with their names and shapes, and of the metadata beside it."""
    others = {name: text for name, text in metadata.items() if name != "checksum"}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
        except (RuntimeError, TypeError, AssertionError) as error:
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
        whole = steps is None or (isinstance(steps, int) and not isinstance(steps, bool) and steps >= 1)
        require(whole, "steps", steps, "None, or a whole number, 1 or above")
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
    require(isinstance(path, str | Path), "path", path, "a file or a folder, as text or pathlib.Path")
    require(checkpoint in ("last", "best"), "checkpoint", checkpoint, "last, best")
    require(weights in ("ema", "raw"), "weights", weights, "ema, raw")
    path = Path(path).expanduser()
    if path.is_dir():
        restored = from_run(path, checkpoint, weights)
        return Solver(restored.model, parse(restored.run.data).task(), restored.run.halting.halt_max_steps)
    tensors, about, _ = read_tensors(path, FORMAT, "python -m memhrm.export")
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
    load_weights(model, tensors, path)
    return Solver(model.eval(), task, about["halt_max_steps"])
