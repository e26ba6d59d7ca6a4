"""A 2-D task of your own, after ARC: coloured grids of several sizes, and a rule for each problem.

An example is a grid and the identifier of its problem; the answer is the grid under the problem's rule. A
turned and recoloured example has another identifier, since the rule looks different there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from memhrm.data import DataSettings, Examples, Task, examples_of

COLOURS = 4
VARIANTS = 8  # four turns, each with the colours as they are and in reverse


class Turning(Task):
    """Grids of up to `side` x `side` cells in the corner of a padded one; token c + 1 is colour c.

    The text form is the identifier and the rows, as in ``3:012/120``.
    """

    def __init__(self, side: int, problems: int) -> None:
        super().__init__(
            name=f"turning{side}",
            seq_len=side * side,
            vocab_size=COLOURS + 1,
            num_identifiers=problems * VARIANTS,
            layout=(side, side),
        )
        self.side = side

    def padded(self, grids: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:
        """Return grids of colours as tokens, (n, t)."""
        tokens = np.zeros((len(grids), self.side, self.side), np.uint8)
        for token, grid in zip(tokens, grids):
            token[: len(grid), : len(grid[0])] = np.asarray(grid) + 1
        return tokens.reshape(len(grids), -1)

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        parts = [text.split(":") for text in questions]
        if any(len(part) != 2 or not part[0].isdigit() for part in parts):
            raise ValueError(f"questions are {questions!r}; allowed: an identifier and rows, as in 3:012/120")
        identifiers = np.array([int(number) for number, _ in parts])
        inputs = self.padded([_cells(rows) for _, rows in parts])
        labels = np.zeros_like(inputs) if answers is None else self.padded([_cells(rows) for rows in answers])
        return examples_of(inputs, labels, mask=inputs > 0, identifiers=identifiers)

    def decode(self, tokens: np.ndarray) -> str:
        cells = "".join("." if token == 0 else str(token - 1) for token in tokens.tolist())
        rows = [cells[start : start + self.side].rstrip(".") for start in range(0, len(cells), self.side)]
        return "/".join(row for row in rows if row)

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        try:
            lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
            outputs = [line.get("output", []) or [[]] for line in lines]
            inputs, labels = (self.padded(grids) for grids in ([line["input"] for line in lines], outputs))
            return examples_of(
                inputs,
                labels,
                mask=inputs > 0,
                identifiers=np.array([line["problem"] * VARIANTS for line in lines]),
                groups=np.array([line["source"] for line in lines]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: no examples can be read ({error})") from error

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        variant = rng.integers(VARIANTS, size=len(examples))

        def image(tokens: np.ndarray) -> np.ndarray:
            grids = tokens.reshape(-1, self.side, self.side)
            turned = np.stack([np.rot90(grid, k % 4) for grid, k in zip(grids, variant)]).reshape(
                tokens.shape
            )
            recoloured = np.where(turned > 0, COLOURS + 1 - turned, 0).astype(tokens.dtype)
            return np.where(variant[:, None] < 4, turned, recoloured)

        inputs = image(examples.inputs)
        return replace(
            examples,
            inputs=inputs,
            labels=image(examples.labels),
            mask=inputs > 0,
            identifiers=examples.identifiers + variant.astype(np.int32),
        )


def _cells(text: str) -> list[list[int]]:
    return [[int(cell) for cell in row] for row in text.split("/")]


@dataclass(frozen=True, kw_only=True)
class TurningSettings(DataSettings):
    """Examples from files with a JSON object a line: problem, source, input, output.

    Attributes:
        side: cells of a row of the padded grid.
        problems: number of problems.
    """

    side: int
    problems: int

    def task(self) -> Turning:
        return Turning(self.side, self.problems)
