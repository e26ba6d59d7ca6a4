"""A model that is told the answers: it looks up what a slow version of everything says."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made_arc import canvas_slowly, turned_slowly
from memhrm.data.arc.tasks import ArcTask
from memhrm.data.arc.variants import identifiers_of, variants_of
from memhrm.models.reasoner import Output, Reasoner
from memhrm.models.recursion import State

Key = tuple[Any, bytes]


class Told(Reasoner):
    """A reasoner whose answers are those of a table; what is not in it is answered by nothing.

    Its keys are an identifier and a question, or what was told last and a question.
    """

    table: dict[Key, np.ndarray]

    def known(self, first: int, last: int) -> Tensor | None:
        """No table of keys: all variants that are listed."""
        return None

    def puzzle_rows(self, identifiers: Tensor) -> Tensor:
        """The identifiers themselves."""
        return identifiers

    def initial_state(self, batch_size: int, dtype: torch.dtype = torch.float32) -> State:
        """A memory for what is told."""
        state = super().initial_state(batch_size, dtype)
        told = torch.zeros(batch_size, self.shape.num_tokens, dtype=torch.int32)
        return state._replace(memory={"told": told})

    def forward(self, state, inputs, puzzle_rows, guide=None, mask=None):
        """Look the answers up, or remember what is told."""
        logits = torch.zeros(*inputs.shape, self.shape.vocab_size)
        if guide.told:
            state = state._replace(memory={"told": inputs})
        else:
            for row, question in enumerate(inputs.numpy()):
                last = state.memory["told"][row].numpy()
                clue = last.astype(np.int64).tobytes() if last.any() else int(puzzle_rows[row])
                answer = self.table.get((clue, question.astype(np.int64).tobytes()))
                if answer is not None:
                    logits[row, torch.arange(len(question)), torch.from_numpy(answer)] = 1.0
        q = torch.zeros(len(inputs))
        return state, Output(logits, q, q, [])


def answers(
    tasks: Iterable[ArcTask], codes: dict[int, np.ndarray], side: int, strict: bool
) -> dict[Key, np.ndarray]:
    """The table of the answers to the tests of tasks in the variants of each, by the task's key."""
    table: dict[Key, np.ndarray] = {}
    for task in tasks:
        for code, symmetry, colours in zip(codes[task.key].tolist(), *variants_of(codes[task.key])):

            def tokens(grid, s=symmetry, c=colours) -> np.ndarray:
                return canvas_slowly(c[turned_slowly(grid, s)], side).ravel()

            clues: list[Any] = [int(identifiers_of(task.key, code))]
            if strict:  # Any of the demonstrations, each cell of it one token.
                clues = [
                    (12 + 12 * tokens(pair.input) + tokens(pair.output)).astype(np.int64).tobytes()
                    for pair in task.demonstrations
                ]
            for pair in task.tests:
                for clue in clues:
                    table[clue, tokens(pair.input).astype(np.int64).tobytes()] = tokens(pair.output)
    return table
