"""Take a memory out of a run, or put one into a copy of a run: ``python -m memhrm.transfer --help``."""

from pathlib import Path
from typing import Any

from memhrm.config.console import Parser, run
from memhrm.config.words import values

USAGE = """\
  export run=DIR [NAME=VALUE ...]
      write what the memory starts with, or its bank with lifetime=global, as safetensors
  import from=FILE run=DIR out=DIR2 [NAME=VALUE ...]
      write a copy of a run whose memory starts as the file has it

settings, with their defaults:
  run          (required)  a run directory, of a run with a memory
  checkpoint   last        last | best
  weights      ema         export: ema | raw
  cells        null        export: the cells to write, such as [0,3]; null: all
  out          null        export: the file; null: memory.safetensors in the run directory
                           import: the directory of the copy (required)
  from         (required)  import: the file
  at           null        import: the cells that are replaced, such as [1,4]; null: the first ones
  overwrite    false       replace what is at `out`
  trust        null        memories of your own that the run may use, as package.module.Class

examples:
  python -m memhrm.transfer export run=runs/a out=cells.safetensors cells=[0,3]
  python -m memhrm.transfer import from=cells.safetensors run=runs/b out=runs/b-with-cells

A memory fits where its module, the width of the model and the tokens of each cell are the same. The number of
cells, the rest of the model and the data may differ."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Raises:
        ValueError, OSError: a bad setting, a memory that does not fit, a file that cannot be written.
    """
    parser = Parser(
        prog="python -m memhrm.transfer",
        description="Take a memory out of a run, or put one into a copy of a run.",
        epilog=USAGE,
    )
    commands = {"export": export, "import": import_}
    parser.add_argument("command", choices=commands, help="what to do; see below")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="see below")
    options = parser.parse_args(arguments)
    commands[options.command](values(options.settings))


def export(given: dict[str, Any]) -> None:
    """Write the start of a run's memory, or some of its cells, as a file."""
    from memhrm.config.settings import build
    from memhrm.config.trust import trust
    from memhrm.runs.choice import MemoryExportSettings
    from memhrm.system.files import require_free
    from memhrm.weights.restore import from_run
    from memhrm.weights.transfer import save

    chosen = build(MemoryExportSettings, given, "")
    trust(chosen.trust)
    restored = from_run(Path(chosen.run), chosen.checkpoint, chosen.weights)
    out = Path(chosen.out or Path(chosen.run) / "memory.safetensors")
    require_free("out", out, chosen.overwrite)
    about = save(restored, out, chosen.cells)
    n = about["cells"]
    what = "memory" if n is None else "1 cell" if n == 1 else f"{n} cells"
    print(f"{out}: {what} of {about['name']}, step {about['step']}")


def import_(given: dict[str, Any]) -> None:
    """Write a copy of a run whose memory starts as a file has it."""
    from dataclasses import fields

    from memhrm.config.settings import build, unknown
    from memhrm.config.trust import trust
    from memhrm.runs.choice import MemoryImportSettings
    from memhrm.runs.directory import RunDirectory
    from memhrm.weights.restore import from_run
    from memhrm.weights.transfer import check_free, load, put, write_run

    allowed = ["from", *(field.name for field in fields(MemoryImportSettings))]
    for name in given:
        if name not in allowed:
            raise ValueError(unknown(name, name, allowed))
    if given.get("from") is None:
        raise ValueError("from is missing; give it as from=FILE")
    file = Path(str(given.pop("from")))
    chosen = build(MemoryImportSettings, given, "")
    source, out = RunDirectory(Path(chosen.run)), Path(chosen.out)
    memory = load(file)
    trust(chosen.trust)
    restored = from_run(source.path, chosen.checkpoint)
    check_free(out, source.path, chosen.overwrite)
    cells = put(memory, restored, chosen.at)
    origin = {"command": "import", "from": str(file), "at": cells, "memory": memory.about}
    write_run(out, source, restored, origin)
    theirs, ours = memory.about.get("state_norm"), getattr(restored.run.memory, "state_norm", None)
    if theirs != ours:
        print(f"note: the memory was trained with state_norm={theirs}, this run with {ours}")
    where = f"cells {', '.join(map(str, cells))}" if cells else "memory"
    print(f"{out}: {where} of {chosen.run} replaced by those of {file}; step {restored.step}")


if __name__ == "__main__":
    run(main)
