"""Take a memory out of a run, or put one into a copy of a run: ``python -m memhrm.memory --help``."""

import argparse
from pathlib import Path
from typing import Any

from memhrm.console import run

USAGE = """\
  export run=DIR [out=FILE] [cells=[0,3]]
      write what the memory starts with, or its bank with lifetime=global, as safetensors;
      out: DIR/memory.safetensors unless given; also checkpoint=last|best weights=ema|raw
  import from=FILE run=DIR out=DIR2 [at=[1,4]]
      write a copy of a run whose memory starts as the file has it; at: the cells that are replaced, the first
      ones unless given; also checkpoint=last|best, and overwrite=true to replace the run in DIR2

A memory fits where its module, the width of the model and the tokens of each cell are the same. The number of
cells, the rest of the model and the data may differ."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Raises:
        ValueError, OSError: a bad setting, a memory that does not fit, a file that cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="python -m memhrm.memory",
        description="Take a memory out of a run, or put one into a copy of a run.",
        epilog=USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = {"export": export, "import": import_}
    parser.add_argument("command", choices=commands, help="what to do; see below")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="see below")
    options = parser.parse_args(arguments)
    commands[options.command](_values(options.settings))


def _values(settings: list[str]) -> dict[str, Any]:
    from omegaconf import OmegaConf  # The help text should not wait for it.

    for setting in settings:
        if "=" not in setting:
            raise ValueError(f"{setting!r} is not of the form key=value")
    values = OmegaConf.to_container(OmegaConf.from_dotlist(settings))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def export(values: dict[str, Any]) -> None:
    """Write the start of a run's memory, or some of its cells, as a file."""
    from memhrm.files import require_free
    from memhrm.memory.choice import trust
    from memhrm.pretrained import from_run
    from memhrm.settings import build
    from memhrm.training.choice import MemoryExportSettings
    from memhrm.transplant import save

    chosen = build(MemoryExportSettings, values, "")
    trust(chosen.trust)
    restored = from_run(Path(chosen.run), chosen.checkpoint, chosen.weights)
    out = Path(chosen.out or Path(chosen.run) / "memory.safetensors")
    require_free("out", out, chosen.overwrite)
    about = save(restored, out, chosen.cells)
    n = about["cells"]
    what = "memory" if n is None else "1 cell" if n == 1 else f"{n} cells"
    print(f"{out}: {what} of {about['name']}, step {about['step']}")


def import_(values: dict[str, Any]) -> None:
    """Write a copy of a run whose memory starts as a file has it."""
    from dataclasses import fields

    from memhrm.memory.choice import trust
    from memhrm.pretrained import from_run
    from memhrm.settings import build, unknown
    from memhrm.training.choice import MemoryImportSettings
    from memhrm.training.record import RunDirectory
    from memhrm.transplant import check_free, load, put, write_run

    allowed = ["from", *(field.name for field in fields(MemoryImportSettings))]
    for name in values:
        if name not in allowed:
            raise ValueError(unknown(name, name, allowed))
    if "from" not in values:
        raise ValueError("from is missing; give it as from=FILE")
    file = Path(str(values.pop("from")))
    chosen = build(MemoryImportSettings, values, "")
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
