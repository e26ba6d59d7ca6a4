"""The settings of a data set: the keys of ``configs/data/*.yaml``, checked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from memhrm.config.settings import advise, build, require
from memhrm.data.checks import shown
from memhrm.data.episodes.maker import Alone, EpisodeMaker
from memhrm.data.episodes.recall import DIGITS, Recall, strings
from memhrm.data.episodes.relabelled import Plan, Relabelled
from memhrm.data.episodes.rules import FAMILIES, MOST_DIGITS
from memhrm.data.examples import Examples
from memhrm.data.maze.generate import Layout, random_mazes
from memhrm.data.maze.task import MOST_SIDE, Maze
from memhrm.data.sudoku.generate import Difficulty, Progress, all_sudokus4, collect, random_sudokus
from memhrm.data.sudoku.task import Sudoku
from memhrm.data.task import Task

MOST_PUZZLES = 10**8  # of a set; more do not fit a memory
# A sudoku with fewer clues has several solutions (side 9: McGuire, Tugemann and Civario, 2014).
FEWEST_CLUES = {4: 4, 6: 8, 9: 17}


@dataclass(frozen=True, kw_only=True)
class Settings(ABC):
    """What all data sets have in common; the names are those of ``configs/data/*.yaml``.

    Attributes:
        name: name of the set, for people and for `python -m memhrm.data`.
        path: folder that holds ``train_file`` and ``test_file``, or, with ``holdout``, one file; null
            generates the set. A leading ``~`` stands for the home folder.
        train_file, test_file: files in ``path``, or absolute paths; without ``path``, where they are not
            called train.csv and test.csv, files in the current folder.
        download: Hugging Face data set that has these files; such a set is not generated.
        train_size, test_size: puzzles to generate, or to draw from the files; null takes all there are.
        holdout: number of training puzzles that take the place of the test puzzles; 0 keeps the latter.
        augment: whether training batches hold random symmetry images of the puzzles.
        seed: seed of the generator and of every draw from the files.
        cache: folder that keeps generated sets; null means $MEMHRM_CACHE, or else ``~/.cache/memhrm``. Where
            it cannot be written, sets are generated every time.
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

    @property
    def in_episodes(self) -> bool:
        """Return whether examples come several in an episode, for what null settings stand for."""
        return isinstance(self, EpisodeSettings)

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, str):
                allowed = f"a text{'' if name == 'name' else ', or null'}, not empty and without NUL"
                require(value != "" and "\0" not in value, f"data.{name}", value, allowed)
            elif name.endswith("_size"):
                wanted = f"a number above 0 and up to {MOST_PUZZLES}, or null"
                require(value is None or 0 < value <= MOST_PUZZLES, f"data.{name}", value, wanted)
            elif type(value) in (int, float):
                require(value >= 0, f"data.{name}", value, "numbers from 0")
        require(self.holdout <= MOST_PUZZLES, "data.holdout", self.holdout, f"numbers up to {MOST_PUZZLES}")

    @property
    def held_out(self) -> int | None:
        """Return the number of test episodes; None where the files tell it."""
        return self.holdout or self.test_size

    def maker(self, task: Task) -> EpisodeMaker:
        """Return what makes episodes of the examples."""
        return Alone(task, augment=self.augment, seed=self.seed)

    @abstractmethod
    def task(self) -> Task:
        """The task of every puzzle of the set."""

    @abstractmethod
    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
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
        cells = self.side**2
        some = self.min_clues is None or self.min_clues < cells
        require(some, "data.min_clues", self.min_clues, f"numbers below {cells}, the cells there are")

    def task(self) -> Sudoku:
        return Sudoku(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
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
        require(1 < self.side <= MOST_SIDE, "data.side", self.side, f"numbers from 2 to {MOST_SIDE}")
        ordered = self.min_walls <= self.max_walls
        require(ordered, "data.min_walls", self.min_walls, "shares up to data.max_walls")
        require(self.max_walls < 1, "data.max_walls", self.max_walls, "shares of the cells below 1")
        require(self.min_length > 0, "data.min_length", self.min_length, "numbers from 1")
        if self.path is None and self.download is None:
            cells = self.side**2
            free = cells - round(self.min_walls * cells)
            allowed = f"shares that leave 2 of {cells} cells free"
            require(free >= 2, "data.min_walls", self.min_walls, allowed)
            allowed = f"numbers below {free}, the free cells that data.min_walls={self.min_walls} leaves"
            require(self.min_length < free, "data.min_length", self.min_length, allowed)

    def task(self) -> Maze:
        return Maze(side=self.side)

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        return collect(self.task(), _known(count), random_mazes(self.task(), self), rng, progress)


@dataclass(frozen=True, kw_only=True)
class EpisodeSettings(Settings):
    """A set whose puzzles come in episodes, under a secret relabelling (`memhrm.data.episodes.episodes`).

    lengths: puzzles of a training episode; several: each for an equal part of the training, in this order.
    test_length: puzzles of a test episode. test_episodes: how many there are.
    rules: any permutation of the digits, or a list of families. The others: as in `Plan`.
    """

    lengths: tuple[int, ...]
    test_length: int
    test_episodes: int
    rules: Literal["any"] | tuple[str, ...] = "any"
    shows: Literal["all", "first", "part"] = "all"
    reveal: int = 1
    revises: bool = False
    favour: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.favour <= 1, "data.favour", self.favour, "0 to 1")
        require(len(self.lengths) > 0 and min(self.lengths) > 0, "data.lengths", list(self.lengths),
                "a list of numbers from 1")  # fmt: skip
        require(self.test_length > 0, "data.test_length", self.test_length, "numbers from 1")
        require(self.test_episodes > 0, "data.test_episodes", self.test_episodes, "numbers from 1")
        if self.rules != "any":
            known = len(self.rules) > 0 and set(self.rules) <= set(FAMILIES)
            require(known and len(set(self.rules)) == len(self.rules), "data.rules", list(self.rules),
                    f"any, or a list of some of {', '.join(FAMILIES)}")  # fmt: skip
        require(
            1 <= self.reveal <= self.digits, "data.reveal", self.reveal, f"numbers from 1 to {self.digits}"
        )
        shortest = min(*self.lengths, self.test_length)
        require(not self.revises or shortest > 1, "data.revises", self.revises,
                "false, with episodes of one puzzle")  # fmt: skip
        useless = self.reveal != 1 and self.shows != "part"
        advise(useless, f"data.reveal={self.reveal} changes nothing with data.shows={self.shows}")

    @property
    @abstractmethod
    def digits(self) -> int:
        """How many digits are relabelled."""

    @property
    def held_out(self) -> int:
        """Return the number of test episodes."""
        return self.test_episodes

    def maker(self, task: Task) -> Relabelled:
        """Return what draws episodes under a secret relabelling."""
        return Relabelled(
            task,
            self.plan(),
            lengths=self.lengths,
            test_length=self.test_length,
            test_episodes=self.test_episodes,
            augment=self.augment,
            seed=self.seed,
        )

    def plan(self) -> Plan:
        families = () if self.rules == "any" else self.rules
        return Plan(digits=self.digits, families=families, shows=self.shows, reveal=self.reveal,
                    revises=self.revises, favour=self.favour)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecallSettings(EpisodeSettings):
    """Strings of `length` digits out of the first `alphabet` ones."""

    kind: Literal["recall"] = "recall"
    alphabet: int
    length: int

    def __post_init__(self) -> None:
        require(2 <= self.alphabet <= len(DIGITS), "data.alphabet", self.alphabet, f"2 to {len(DIGITS)}")
        require(1 <= self.length <= 12, "data.length", self.length, "1 to 12")
        super().__post_init__()
        advise(self.augment, "data.augment changes nothing: relabelling is the symmetry of recall")

    @property
    def digits(self) -> int:
        return self.alphabet

    def task(self) -> Task:
        task = Recall(digits=self.alphabet, length=self.length)
        task.answers = self.digits
        return task

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        return strings(Recall(digits=self.alphabet, length=self.length), count, rng)


@dataclass(frozen=True, kw_only=True)
class RelabelledSudokuSettings(EpisodeSettings, SudokuSettings):
    """Sudokus whose solution is relabelled; `hints` as in `Plan`."""

    kind: Literal["episodes"] = "episodes"  # pyright: ignore[reportIncompatibleVariableOverride]
    hints: float = 0.0

    def __post_init__(self) -> None:
        require(self.side <= MOST_DIGITS, "data.side", self.side, f"4, 6, with kind={self.kind}")
        super().__post_init__()
        require(self.hints <= 1, "data.hints", self.hints, "0 to 1")
        few = self.path is None and self.side > 4 and self.max_clues is not None and self.max_clues < 9
        require(not few, "data.max_clues", self.max_clues, f"null, or 9 and above, with side={self.side}")

    def plan(self) -> Plan:
        return replace(super().plan(), hints=self.hints)

    @property
    def digits(self) -> int:
        return self.side

    def task(self) -> Sudoku:
        task = super().task()
        task.answers = self.digits
        return task


def _known(count: int | None) -> int:
    if count is None:
        raise ValueError("data.train_size is null; a generated set needs the number of puzzles, above 0")
    return count


KINDS: dict[str, type[Settings]] = {
    "sudoku": SudokuSettings,
    "maze": MazeSettings,
    "recall": RecallSettings,
    "episodes": RelabelledSudokuSettings,
}


def parse(values: Mapping[str, Any]) -> Settings:
    """The settings of a ``data`` group.

    Raises:
        ValueError: an unknown or missing key, or a value that is not allowed; names ``data.<key>``.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"data is {shown(values)}; allowed: a group of settings")
    kind = values.get("kind")
    require(isinstance(kind, str) and kind in KINDS, "data.kind", kind, ", ".join(KINDS))
    return build(KINDS[str(kind)], values, "data")
