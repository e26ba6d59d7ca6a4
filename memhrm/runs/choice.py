"""What the commands that start from a finished run can set."""

from dataclasses import dataclass, field
from typing import Literal

from memhrm.config.settings import MOST_STEPS, require, require_size, require_threads
from memhrm.evaluation.restarts import Select


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which weights of which run, and where the result goes.

    trust: classes of memories of your own that the run may use, package.module.Class each: they are imported.
    overwrite: whether what is at `out` may be replaced.
    """

    run: str
    checkpoint: Literal["last", "best"] = "last"
    weights: Literal["ema", "raw"] = "ema"
    trust: str | tuple[str, ...] | None = None
    out: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Choice):
    """configs/export.yaml."""


@dataclass(frozen=True, kw_only=True)
class OtherData:
    """Puzzles that take the place of the run's own; null leaves a setting as the run has it.

    test_length, test_episodes: of a run on episodes.
    """

    path: str | None = None
    test_file: str | None = None
    test_size: int | None = None
    test_length: int | None = None
    test_episodes: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Choice):
    """configs/evaluate.yaml."""

    halt_max_steps: int | None = None
    threshold: float | None = None
    write: bool | None = None
    restarts: int = 1
    noise: float = 0.0
    select: Select = "q"
    seed: int = 0
    data: OtherData = field(default_factory=OtherData)
    batch_size: int = 256
    precision: Literal["float32", "bfloat16"] | None = None
    device: str = "auto"
    threads: int | None = None
    progress: bool = True


@dataclass(frozen=True, kw_only=True)
class SolveSettings(Choice):
    """configs/solve.yaml, which says what each is; `run` may be an exported file."""

    file: str
    examples: str | None = None
    halt_max_steps: int | None = None
    batch_size: int = 256
    device: str = "auto"
    threads: int | None = None
    progress: bool = True

    def __post_init__(self):
        if self.halt_max_steps is not None:
            require_size("halt_max_steps", self.halt_max_steps, most=MOST_STEPS)
        require_size("batch_size", self.batch_size)
        require_threads(self.threads)


@dataclass(frozen=True, kw_only=True)
class PruneSettings(Choice):
    """configs/prune.yaml. keep: how many cells, which share of the selections, or which cells."""

    keep: int | float | tuple[int, ...]
    puzzles: int = 512
    batch_size: int = 256
    device: str = "auto"
    threads: int | None = None
    progress: bool = True

    def __post_init__(self):
        require(self.puzzles >= 1, "puzzles", self.puzzles, "1 or above")


@dataclass(frozen=True, kw_only=True)
class MemoryExportSettings(Choice):
    """`python -m memhrm.transfer export`. cells: which ones, in this order; null: all."""

    cells: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class MemoryImportSettings:
    """`python -m memhrm.transfer import`, beside `from`. at: the cells of the run that are replaced, in the
    order of the file's; null: the first ones."""

    run: str
    out: str
    checkpoint: Literal["last", "best"] = "last"
    trust: str | tuple[str, ...] | None = None
    at: tuple[int, ...] | None = None
    overwrite: bool = False
