"""A model as tools of a language model's client: an MCP server (Model Context Protocol).

A server has the tools that its model can do. `Limits` bound what one call may ask for. A model on episodes is
taught by `remember`: what it was told is shown to it before each question, until it is forgotten.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from memhrm.config import extras
from memhrm.config.settings import require, require_size
from memhrm.data.text.prose import Prose
from memhrm.runs.bank import keeps_bank
from memhrm.weights.solver import Solver
from memhrm.weights.writing import Manner, write

T = TypeVar("T")
LENGTH = 10_000
"""Characters of a text, at most."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one call may ask for.

    Attributes:
        questions: questions, texts or examples at most.
        steps: supervision steps of an answer at most.
        seconds: how long a call may take.
    """

    questions: int = 256
    steps: int = 256
    seconds: float = 60.0

    def __post_init__(self):
        require_size("questions", self.questions)
        require_size("steps", self.steps)
        require(0 < self.seconds <= 86_400, "seconds", self.seconds, "above 0, up to 86400")


def library() -> Any:
    """Return the SDK of the protocol.

    Raises:
        ValueError: it is not installed.
    """
    return extras.library("mcp.server.mcpserver", "serve", "serving needs an extra, with mcp 2 or above")


@dataclass
class Served:
    """A model that is served.

    Attributes:
        solver: the model.
        limits: what one call may ask for.
        told: what it was told, question and answer, with a model on episodes.
    """

    solver: Solver
    limits: Limits
    told: list[tuple[str, str]] = field(default_factory=list)
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def about(self) -> dict[str, Any]:
        """Return what the model is."""
        solver, task = self.solver, self.solver.task
        sizes = {"parameters": sum(p.numel() for p in solver.model.parameters())}
        found = {
            "task": task.name,
            "memory": solver.model.H_module.settings.name,
            "cells": solver.model.H_module.cells,
            "supervision_steps": solver.halt_max_steps,
            "learns_from_examples": task.learns,
            **sizes,
        }
        for name in ("alphabet", "seq_len"):
            if not task.num_labels and hasattr(task, name):
                found[name] = getattr(task, name)
        if task.num_labels:
            found["categories"] = list(getattr(task, "categories", ()))
        return found

    def solve(self, questions: Sequence[str], steps: int | None) -> list[dict[str, Any]]:
        """Return the answer to each question, how sure the model is, and whether it keeps the rules."""
        self._bounded(questions, steps)
        solver, task = self.solver, self.solver.task
        asked = task.encode(questions)
        shown = solver.shown(self.told)
        solved = solver.answer(asked.inputs, steps, shown, identifiers=asked.identifiers, mask=asked.mask)
        verdict = task.verdict(asked.inputs, solved.tokens)
        found: list[dict[str, Any]] = []
        for row, question in enumerate(questions):
            one: dict[str, Any] = {"question": question, "answer": task.decode_answer(solved.tokens[row])}
            one |= self._sure(solved.q[row])
            if verdict is not None:
                one |= {name: bool(values[row]) for name, values in verdict._asdict().items()}
            found.append(one)
        return found

    def explain(self, question: str, steps: int | None) -> list[dict[str, Any]]:
        """Return every supervision step on a question: its answer, how sure, what moved, and the cells."""
        self._bounded([question], steps)
        return [
            {
                "step": one.step,
                "answer": one.answer,
                **self._sure(one.q),
                "moved": round(one.residual, 4),
                "cells_read": one.read,
                "cells_written": one.written,
            }
            for one in self.solver.follow(question, steps, self.told)
            if one.example is None
        ]

    def classify(self, texts: Sequence[str], top: int) -> list[dict[str, Any]]:
        """Return the most probable categories of each text."""
        self._bounded(texts, None)
        found = self.solver.classify(list(texts), top=top, examples=self.told)
        return [
            {"text": text, "categories": [{"name": name, "probability": share} for name, share in one]}
            for text, one in zip(texts, found)
        ]

    def rests_on(self, text: str, top: int) -> dict[str, Any]:
        """Return the category of a text with the examples of the bank that it rests on."""
        self._bounded([text], None)
        (found,) = self.solver.explain([text], top=top)
        examples = [{"text": a, "category": b, "adds": round(c, 4)} for a, b, c in found.examples]
        return {"category": found.category, "probability": round(found.probability, 4), "examples": examples}

    def remember(self, question: str, answer: str) -> int:
        """Tell the model an example, and return how many it knows now."""
        self._bounded([question, answer], None)
        others = [one for one in self.told if one[0] != question]
        count, most, bank = len(others), self.limits.questions, keeps_bank(self.solver.model)
        require(bank or count < most, "examples", count + 1, f"up to {most}; forget some first")
        self.solver.teach(question, answer, others)
        if bank:
            return sum(map(bool, self.solver.bank))
        self.told = [*others, (question, answer)]
        return len(self.told)

    def forget(self, question: str | None) -> int:
        """Forget an example, or all that were told, and return how many the model knows now.

        Of a bank, which others have made, an example has to be named.
        """
        if keeps_bank(self.solver.model):
            require(question is not None, "question", None, "a text of the bank")
            assert question is not None
            self.solver.forget(question)
            return sum(map(bool, self.solver.bank))
        known = [one for one, _ in self.told]
        require(question is None or question in known, "question", question, f"null, or one of {known}")
        self.told = [one for one in self.told if question is not None and one[0] != question]
        return len(self.told)

    def write(self, prompt: str, length: int) -> str:
        """Return a prompt, its gaps filled in, with so many tokens behind it."""
        require(0 <= length <= LENGTH, "length", length, f"0 to {LENGTH:,}")
        require(len(prompt) <= LENGTH, "prompt", f"{len(prompt):,} characters", f"up to {LENGTH:,}")
        *_, last = write(self.solver, prompt, length, Manner())
        return last.text

    def alone(self, work: Callable[[], T], until: float) -> T:
        """Return what work gives, of which one is done at a time; what was given up by then does no more.

        until: as `time.monotonic` says it.
        """
        with self._alone, self.solver.within(until - time.monotonic()):
            return work()

    def _sure(self, q: float) -> dict[str, float]:
        """Return how sure the model is, where it has learned to tell."""
        return {"sure": round(float(q), 4)} if self.solver.judges else {}

    def _bounded(self, texts: Sequence[str], steps: int | None) -> None:
        most, deepest = self.limits.questions, self.limits.steps
        require(1 <= len(texts) <= most, "questions", f"{len(texts):,} texts", f"1 to {most}")
        longest = max(map(len, texts))
        require(longest <= LENGTH, "questions", f"a text of {longest:,} characters", f"up to {LENGTH:,}")
        require(steps is None or 1 <= steps <= deepest, "steps", steps, f"null, or 1 to {deepest}")


def server(solver: Solver, limits: Limits) -> Any:
    """Return the server of a model, whose tools are those that the model can do.

    Raises:
        ValueError: the SDK is not installed.
    """
    library()
    import anyio
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    served, task = Served(solver, limits), solver.task

    async def done(work: Callable[[], T]) -> T:
        until = time.monotonic() + limits.seconds
        try:
            with anyio.fail_after(limits.seconds):
                return await anyio.to_thread.run_sync(served.alone, work, until, abandon_on_cancel=True)
        except TimeoutError:
            raise ToolError(f"it took longer than {limits.seconds:g} seconds; ask for less") from None
        except ValueError as error:
            raise ToolError(str(error)) from None

    made = MCPServer(
        "memhrm",
        instructions=f"A small recursive network for {task.name}. `about` says how questions are written.",
        log_level="WARNING",
    )

    @made.tool()
    async def about() -> dict[str, Any]:
        """Say what the model is, and how its questions are written."""
        return await done(served.about)

    if task.num_labels:

        @made.tool()
        async def classify(texts: list[str], top: int = 1) -> list[dict[str, Any]]:
            """Classify texts: the most probable categories of each, with their probabilities."""
            return await done(lambda: served.classify(texts, top))

    elif isinstance(task, Prose):

        @made.tool(name="write")
        async def written(prompt: str, length: int = 200) -> str:
            """Write prose behind a prompt; _ in the prompt is a character to be filled in."""
            return await done(lambda: served.write(prompt, length))

    else:

        @made.tool()
        async def solve(questions: list[str], steps: int | None = None) -> list[dict[str, Any]]:
            """Answer questions, after so many supervision steps (null: as in training)."""
            return await done(lambda: served.solve(questions, steps))

        @made.tool()
        async def explain(question: str, steps: int | None = None) -> list[dict[str, Any]]:
            """Answer one question, and say of each supervision step the answer and the memory cells."""
            return await done(lambda: served.explain(question, steps))

    if keeps_bank(solver.model):

        @made.tool(name="explain")
        async def rests_on(text: str, top: int = 3) -> dict[str, Any]:
            """Classify one text, and say which remembered examples the answer rests on."""
            return await done(lambda: served.rests_on(text, top))

        @made.tool(name="forget")
        async def taken_out(question: str) -> int:
            """Forget a text of the bank. Says how many are known."""
            return await done(lambda: served.forget(question))

    elif task.learns:

        @made.tool()
        async def forget(question: str | None = None) -> int:
            """Forget an example; null: all that were taught. Says how many are known."""
            return await done(lambda: served.forget(question))

    if task.learns or keeps_bank(solver.model):

        @made.tool()
        async def remember(question: str, answer: str) -> int:
            """Teach a question (or text) with its answer (or category). Says how many are known."""
            return await done(lambda: served.remember(question, answer))

    return made
