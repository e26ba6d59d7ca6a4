"""python -m memhrm.transfer export|import ...: take a memory out of a run, or put one into a copy of a run.

A memory fits where its module, the width of the model and the tokens of each cell are the same. The number of
cells, the rest of the model and the data may differ.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import RunSource, command
from memhrm.config.settings import build, refuse


@dataclass(frozen=True, kw_only=True)
class TransferSettings(RunSource):
    """The settings, which configs/transfer.yaml describes; `source` is `from` there."""

    FILE: ClassVar[str] = "transfer"

    direction: Literal["export", "import"]
    cells: tuple[int, ...] | None
    source: str | None
    at: tuple[int, ...] | None


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Export or import a memory."""
    values = {"source" if name == "from" else name: value for name, value in config.items()}
    settings = build(TransferSettings, values)  # Python reserves `from`.
    exports = settings.direction == "export"
    for name, own in (("cells", exports), ("weights", exports), ("from", not exports), ("at", not exports)):
        refuse(name in given and not own, name, config.get(name), f"with {settings.direction}")
    (_export if exports else _import)(settings)


def _export(settings: TransferSettings) -> None:
    from memhrm.system.files import require_free
    from memhrm.weights.restore import open_run
    from memhrm.weights.transfer import save

    restored = open_run(settings)
    out = Path(settings.out or Path(settings.run) / "memory.safetensors")
    require_free("out", out, settings.overwrite)
    print(f"{out}: {save(restored, out, settings.cells)}")


def _import(settings: TransferSettings) -> None:
    from memhrm.runs.directory import RunDirectory
    from memhrm.weights.restore import open_run
    from memhrm.weights.transfer import check_free, load, put, write_run

    for name, value in (("from", settings.source), ("out", settings.out)):
        if value is None:
            raise ValueError(f"{name} is missing; give it as {name}=...")
    source, out = RunDirectory(Path(settings.run)), Path(settings.out or "")
    memory = load(Path(settings.source or ""))
    restored = open_run(settings)
    check_free(out, source.path, settings.overwrite)
    cells = put(memory, restored, settings.at)
    origin = {"command": "import", "from": str(memory.path), "at": cells, "memory": memory.about}
    write_run(out, source, restored, origin)
    print(f"{out}: {memory.taken_into(restored, cells)}")


if __name__ == "__main__":
    command("transfer", main, bare="direction")
