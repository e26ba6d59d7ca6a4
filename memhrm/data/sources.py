"""From settings to a data set: puzzle files, or generated puzzles kept in a cache."""

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memhrm.data.csv_files import read_csv
from memhrm.data.generate import Difficulty, all_sudokus4, collect, random_sudokus
from memhrm.data.maze import Maze
from memhrm.data.maze_generate import Layout, random_mazes
from memhrm.data.puzzle import PuzzleSet, Task, puzzle_set
from memhrm.data.sudoku import Sudoku
from memhrm.settings import build, require

GENERATOR_VERSION = 1  # part of the cache key; raise it when the same settings give other puzzles


@dataclass(frozen=True)
class Dataset:
    """A task with its training and test puzzles."""

    name: str
    task: Task
    train: PuzzleSet
    test: PuzzleSet
    augment: bool  # whether training batches hold random symmetry images


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all data sets have in common; the names are those of ``configs/data/*.yaml``.

    Attributes:
        name: name of the set, for people and for `python -m memhrm.data`.
        path: folder that holds ``train_file`` and ``test_file``; null generates the set.
        download: Hugging Face data set that has these files; such a set is not generated.
        train_size, test_size: puzzles to generate, or to draw from the files; null takes all there are.
        holdout: number of training puzzles that take the place of the test puzzles; 0 keeps those.
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


@dataclass(frozen=True, kw_only=True)
class SudokuSettings(Settings):
    """A sudoku set; the bounds, all inclusive, hold for generated puzzles (see `Difficulty`)."""

    kind: Literal["sudoku"] = "sudoku"
    side: Literal[4, 6, 9]
    min_clues: int | None = None
    max_clues: int | None = None
    min_guesses: int | None = None
    max_guesses: int | None = None

    def task(self) -> Sudoku:
        return Sudoku(side=self.side)

    def generate(self, progress: Progress) -> tuple[PuzzleSet, PuzzleSet]:
        task, rng = self.task(), np.random.default_rng(self.seed)
        difficulty = Difficulty(
            min_clues=self.min_clues,
            max_clues=self.max_clues,
            min_guesses=self.min_guesses,
            max_guesses=self.max_guesses,
        )
        if self.side == 4:
            return _split(all_sudokus4(task, difficulty, rng), self)
        return _split(collect(task, _total(self), random_sudokus(task, difficulty), rng, progress), self)


@dataclass(frozen=True, kw_only=True)
class MazeSettings(Settings):
    """A maze set; the bounds, all inclusive, hold for generated mazes (see `Layout`)."""

    kind: Literal["maze"] = "maze"
    side: int
    min_walls: float = 0.28
    max_walls: float = 0.45
    min_length: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.side > 1, "data.side", self.side, "numbers from 2")
        require(self.max_walls < 1, "data.max_walls", self.max_walls, "shares of the cells below 1")
        require(self.min_walls <= self.max_walls, "data.min_walls", self.min_walls, "shares up to data.max_walls")
        require(self.min_length > 0, "data.min_length", self.min_length, "numbers from 1")

    def task(self) -> Maze:
        return Maze(side=self.side)

    def generate(self, progress: Progress) -> tuple[PuzzleSet, PuzzleSet]:
        layout = Layout(min_walls=self.min_walls, max_walls=self.max_walls, min_length=self.min_length)
        task, rng = self.task(), np.random.default_rng(self.seed)
        return _split(collect(task, _total(self), random_mazes(task, layout), rng, progress), self)
