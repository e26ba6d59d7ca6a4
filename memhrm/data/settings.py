"""The settings that all data sets have in common; those of a kind lie in its ``settings.py``."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from memhrm.config.settings import Settings, build, require
from memhrm.config.trust import Classes
from memhrm.data.checks import shown
from memhrm.data.collect import Progress
from memhrm.data.episodes.maker import Alone, EpisodeMaker
from memhrm.data.examples import Examples
from memhrm.data.task import Task

Part = Literal["train", "test"]

USUAL = {"train_file": "train.csv", "test_file": "test.csv"}
"""The names that files in ``path`` have, unless others are given."""

MOST_PUZZLES = 10**8
"""The largest size of a set; a larger one does not fit into memory."""


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings, ABC):
    """What all data sets have in common; the names are those of ``configs/data/*.yaml``.

    A data set of your own is a subclass with `task` and, unless its examples come from files alone (which the
    task reads, `Task.read`), `generate`. The setting ``data.kind`` names the class as package.module.Class.

    Attributes:
        kind: sudoku, maze, recall, episodes, contexts, hops, arc, arc_rules, intent, intent_episodes,
            text, or the class of these settings.
        name: name of the set in messages, and of its YAML file.
        path: folder that holds ``train_file`` and ``test_file``, or, with ``holdout``, one file; null
            generates the set. A leading ``~`` stands for the home folder.
        train_file: file of the training examples in ``path``, or an absolute path; without ``path``, unless
            it is train.csv, a file in the current folder.
        test_file: file of the test examples, likewise.
        download: Hugging Face data set that has these files; such a set is not generated.
        train_size: training examples to generate, or to draw from the file; null takes all there are.
        test_size: test examples, likewise.
        holdout: number of training examples that take the place of the test examples; 0 keeps the latter.
        augment: whether training batches hold random variants of the examples (`Task.augment`); with kind
            episodes, those of the test too.
        seed: seed of the generator and of every draw from the files.
        cache: folder that keeps generated sets; null means $MEMHRM_CACHE, or else ``~/.cache/memhrm``. Where
            it cannot be written, sets are generated every time.
    """

    FILE: ClassVar[str] = "data/_common"
    GROUP: ClassVar[str] = "data"

    has_addresses: ClassVar[bool] = False
    """Whether examples have contexts and cues with numbers (`Episodes.address`)."""

    in_order: ClassVar[bool] = False
    """Whether a decoder may say the answer token by token: what it is told of it is no leak."""

    own_file: ClassVar[str | None] = None
    """Name of the one file of all examples that `path` is, or holds; None: each part has a file."""

    written_by: ClassVar[tuple[str, ...]] = ()
    """The settings on which that file depends as `write` writes it; none: it writes none."""

    kind: str
    name: str
    path: str | None
    train_file: str
    test_file: str
    download: str | None
    train_size: int | None
    test_size: int | None
    holdout: int
    augment: bool
    seed: int
    cache: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
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
    def in_files(self) -> bool:
        """Return whether the examples are read from files."""
        if self.path is not None or self.own_file is not None:
            return self.path is not None
        tested = self.test_file != USUAL["test_file"] or self.holdout > 0
        return tested and self.train_file != USUAL["train_file"]

    @property
    def in_episodes(self) -> bool:
        """Return whether examples come several in an episode, for what null settings stand for."""
        return False

    @property
    def stages(self) -> int:
        """Return the number of parts of the training, which have different episodes."""
        return 1

    @property
    def held_out(self) -> int | None:
        """Return the number of test episodes; None where the files tell it."""
        return self.holdout or self.test_size

    def maker(self, task: Task) -> EpisodeMaker:
        """Return what makes episodes of the examples."""
        return Alone(task, augment=self.augment, seed=self.seed)

    @abstractmethod
    def task(self) -> Task:
        """Return the task of the set."""

    def read(self, task: Task, place: Path, part: Part) -> Examples:
        """Return the examples of a file, which are one part of the set.

        Args:
            task: their task.
            place: the file.
            part: which part is wanted; a file of both holds more.

        Raises:
            ValueError: the file cannot be read, or holds something else; the message names it.
        """
        return task.require(task.read(place))

    def completed(self, task: Task, found: Examples, folder: Path, part: Part) -> Examples:
        """Return a part of the set once the parts are apart: all that was read of it, or fewer, or more.

        Args:
            task: their task.
            found: the examples that were read, without those of the other part.
            folder: where the files are.
            part: which part it is.

        Raises:
            ValueError: a file beside them cannot be read, or holds something else; the message names it.
        """
        return found

    def elsewhere(self) -> dict[str, Any]:
        """Return the settings that are others where `path` is not that of the run; none here."""
        return {}

    def write(self, path: Path) -> str:
        """Write the one file (`own_file`) of what `path` holds, and return what was written, in words.

        Raises:
            ValueError: `path` is null, or holds something else.
        """
        raise ValueError(f"{self.name} has no file of its own; give another NAME")

    def split(self) -> tuple[Examples, Examples] | None:
        """Return training and test examples of a set that is not split at random; None: it is."""
        return None

    def generate(self, count: int | None, rng: np.random.Generator, progress: Progress) -> Examples:
        """Return generated examples in random order, no two of them variants of one another.

        Args:
            count: how many; None for all, where all can be listed.
            rng: the source of randomness.
            progress: called with the numbers of examples made and wanted.

        Raises:
            ValueError: the set cannot be generated, or has not so many examples.
        """
        raise ValueError(
            f"data.path is null, and {self.name} cannot be generated; give files, as data.path=DIR"
        )

    def generated_by(self) -> dict[str, Any]:
        """Return the settings that change what is generated: the key of the cache."""
        unused = ("name", "path", "train_file", "test_file", "download", "augment", "cache")
        return {name: value for name, value in asdict(self).items() if name not in unused}


@dataclass(frozen=True, kw_only=True)
class DrawnSettings(DataSettings, ABC):
    """What data sets have in common whose test episodes are drawn (`memhrm.data.episodes.drawn`).

    Attributes:
        test_episodes: number of test episodes.
    """

    FILE: ClassVar[str] = ""

    test_episodes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.test_episodes > 0, "data.test_episodes", self.test_episodes, "numbers from 1")

    @property
    def in_episodes(self) -> bool:
        """Return True."""
        return True

    @property
    def held_out(self) -> int:
        """Return the number of test episodes."""
        return self.test_episodes


def field_names(*classes: type[Any]) -> set[str]:
    """Return the names of the settings of these classes."""
    return {field.name for one in classes for field in fields(one)}


KINDS = Classes(
    "data.kind",
    DataSettings,
    {
        "sudoku": "memhrm.data.sudoku.settings.SudokuSettings",
        "maze": "memhrm.data.maze.settings.MazeSettings",
        "recall": "memhrm.data.episodes.settings.RecallSettings",
        "episodes": "memhrm.data.episodes.settings.RelabelledSudokuSettings",
        "contexts": "memhrm.data.episodes.context_settings.ContextSettings",
        "hops": "memhrm.data.episodes.hops_settings.HopsSettings",
        "arc": "memhrm.data.arc.settings.ArcSettings",
        "arc_rules": "memhrm.data.arc.rule_settings.ArcRulesSettings",
        "intent": "memhrm.data.text.settings.IntentSettings",
        "intent_episodes": "memhrm.data.text.settings.FewShotSettings",
        "text": "memhrm.data.text.prose_settings.ProseSettings",
    },
    "sudoku, maze, recall, episodes, contexts, hops, arc, arc_rules, intent, intent_episodes, text, or the "
    "class of a data set's settings, as package.module.Class",
)
"""What a data set can be."""


def parse(values: Mapping[str, Any]) -> DataSettings:
    """Return the settings of a ``data`` group, of the class that its ``kind`` names.

    Raises:
        ValueError: an unknown or missing key, or a value that is not allowed; names ``data.<key>``.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"data is {shown(values)}; allowed: a group of settings")
    return build(KINDS.find(values.get("kind")), values)
