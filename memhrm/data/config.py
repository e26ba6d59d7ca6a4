"""The settings of a data set: the keys of ``configs/data/*.yaml``, checked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from memhrm.data.generate import Difficulty, Progress, all_sudokus4, collect, random_sudokus
from memhrm.data.maze import Maze
from memhrm.data.maze_generate import Layout, random_mazes
from memhrm.data.puzzle import PuzzleSet, Task
from memhrm.data.sudoku import Sudoku
from memhrm.settings import build, require

# A sudoku with fewer clues has several solutions (side 9: McGuire, Tugemann and Civario, 2014).
FEWEST_CLUES = {4: 4, 6: 8, 9: 17}


@dataclass(frozen=True, kw_only=True)
class Settings(ABC):
    """What all data sets have in common; the names are those of ``configs/data/*.yaml``.

    Attributes:
        name: name of the set, for people and for `python -m memhrm.data`.
        path: folder that holds ``train_file`` and ``test_file``; null generates the set.
        download: Hugging Face data set that has these files; such a set is not generated.
        train_size, test_size: puzzles to generate, or to draw from the files; null takes all there are.
        holdout: number of training puzzles that take the place of the test puzzles; 0 keeps the latter.
        augment: whether training batches hold random symmetry images of the puzzles.
        seed: seed of the generator and of every draw from the files.
        cache: folder that keeps generated sets; null means $MEMHRM_CACHE, or else ``~/.cache/memhrm``.
    """

    name: str
    path: str | None = None
    train_file: str = "train.csv"
    test_file: str = "test.csv"
    download: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    holdout: int = 0
    augment: bool = True
    seed: int = 0
    cache: str | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name.endswith("_size"):
                require(value is None or value > 0, f"data.{name}", value, "a number above 0, or null")
            elif type(value) in (int, float):
                require(value >= 0, f"data.{name}", value, "numbers from 0")

    @abstractmethod
    def task(self) -> Task:
        """The task of every puzzle of the set."""

    @abstractmethod
    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> PuzzleSet:
        """``count`` puzzles in random order, no two symmetric; None for all, where they can be listed."""


@dataclass(frozen=True, kw_only=True)
class SudokuSettings(Difficulty, Settings):
    """A sudoku set; generated puzzles keep the bounds of `Difficulty`. All 4x4 sudokus are known."""

    kind: Literal["sudoku"] = "sudoku"
    side: Literal[4, 6, 9]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high in (
            ("clues", self.min_clues, self.max_clues),
            ("guesses", self.min_guesses, self.max_guesses),
        ):
            ordered = low is None or high is None or low <= high
            require(ordered, f"data.min_{name}", low, f"numbers up to data.max_{name}, which is {high}")
        fewest = FEWEST_CLUES[self.side]
        enough = self.max_clues is None or self.max_clues >= fewest
        require(enough, "data.max_clues", self.max_clues, f"numbers from {fewest}")

    def task(self) -> Sudoku:
        return Sudoku(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> PuzzleSet:
        if self.side != 4:
            return collect(self.task(), _known(count), random_sudokus(self.task(), self), rng, progress)
        puzzles = all_sudokus4(self.task(), self, rng)
        if count is not None and count > len(puzzles):
            raise ValueError(
                f"data.train_size, test_size and holdout ask for {count} puzzles; "
                f"up to symmetry there are {len(puzzles)} 4x4 sudokus within the bounds"
            )
        puzzles = puzzles.select(slice(count))
        progress(len(puzzles), len(puzzles))
        return puzzles


@dataclass(frozen=True, kw_only=True)
class MazeSettings(Layout, Settings):
    """A maze set; generated mazes keep the bounds of `Layout`."""

    kind: Literal["maze"] = "maze"
    side: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.side > 1, "data.side", self.side, "numbers from 2")
        ordered = self.min_walls <= self.max_walls
        require(ordered, "data.min_walls", self.min_walls, "shares up to data.max_walls")
        require(self.max_walls < 1, "data.max_walls", self.max_walls, "shares of the cells below 1")
        require(self.min_length > 0, "data.min_length", self.min_length, "numbers from 1")

    def task(self) -> Maze:
        return Maze(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> PuzzleSet:
        return collect(self.task(), _known(count), random_mazes(self.task(), self), rng, progress)


def _known(count: int | None) -> int:
    if count is None:
        raise ValueError("data.train_size is null; a generated set needs the number of puzzles, above 0")
    return count


KINDS: dict[str, type[Settings]] = {"sudoku": SudokuSettings, "maze": MazeSettings}


def parse(values: Mapping[str, Any]) -> Settings:
    """The settings of a ``data`` group.

    Raises:
        ValueError: an unknown or missing key, or a value that is not allowed; names ``data.<key>``.
    """
    kind = values.get("kind")
    require(kind in KINDS, "data.kind", kind, ", ".join(KINDS))
    return build(KINDS[str(kind)], values, "data")
