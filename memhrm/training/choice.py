"""What the commands that start from a finished run can set."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which weights of which run, and where the result goes."""

    run: str
    checkpoint: Literal["last", "best"] = "last"
    weights: Literal["ema", "raw"] = "ema"
    out: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Choice):
    """configs/export.yaml."""


@dataclass(frozen=True, kw_only=True)
class OtherData:
    """Puzzles that take the place of the run's own; null leaves a setting as the run has it."""

    path: str | None = None
    test_file: str | None = None
    test_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Choice):
    """configs/evaluate.yaml."""

    halt_max_steps: int | None = None
    threshold: float | None = None
    write: bool | None = None
    data: OtherData = field(default_factory=OtherData)
    batch_size: int = 256
    precision: Literal["float32", "bfloat16"] | None = None
    device: str = "auto"
    threads: int | None = None
    progress: bool = True
