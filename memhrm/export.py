"""python -m memhrm.export run=DIR: write a run's weights as plain safetensors, for memhrm.load."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import RunSource, command
from memhrm.config.settings import build


@dataclass(frozen=True, kw_only=True)
class ExportSettings(RunSource):
    """The settings, which configs/export.yaml describes."""

    FILE: ClassVar[str] = "export"

    dtype: Literal["float32", "float16"]


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, write its weights."""
    from memhrm.system.files import require_free
    from memhrm.weights.restore import open_run, save

    settings = build(ExportSettings, config)
    restored = open_run(settings)
    out = Path(settings.out or Path(settings.run) / "model.safetensors")
    require_free("out", out, settings.overwrite)
    save(restored, out, settings.dtype)
    print(f"{out}: {settings.weights} weights of step {restored.step}")


if __name__ == "__main__":
    command("export", main)
