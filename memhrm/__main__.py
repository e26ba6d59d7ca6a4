"""memhrm COMMAND ...: run a command; the same as python -m memhrm.COMMAND ..."""

import runpy
import sys
from typing import NoReturn

from memhrm.config import console
from memhrm.config.settings import unknown

COMMANDS = {
    "train": "train a model on puzzles; the same command again goes on where it stopped",
    "evaluate": "score a run on its held-out puzzles, or on others",
    "solve": "answer a file of puzzles that need not have answers",
    "write": "write prose by refinement, and fill in gaps",
    "play": "edit a question in a page on this machine, and see its answer form",
    "film": "film how an answer forms, as an animated GIF",
    "probe": "look inside trained models: numbers, figures and a report",
    "compare": "show finished runs side by side",
    "export": "write a run's weights as safetensors, for memhrm.load",
    "push": "put a run's weights, with a model card, on the Hugging Face hub or into wandb",
    "models": "list the small models that come with the package",
    "serve": "offer a model to a language model's client, as an MCP server",
    "prune": "drop the memory cells that are used least, and see the cost",
    "transfer": "take a memory out of a run, or put one into a copy of a run",
    "data": "build, inspect, convert and download data sets",
    "adapt": "train identifiers for new ARC tasks on their demonstrations",
    "bank": "edit the labelled texts that a run's memory reads, without training",
    "arc": "score a submission to ARC",
    "bench": "measure what a configuration costs; find the width at which two cost the same",
    "completion": "make a shell complete commands and settings",
    "parity": "check that this package computes what the published HRM and TRM compute",
}
"""Each module of memhrm that is a command, and what it is for."""


def main() -> NoReturn:
    """Run the command that the first word names, and exit with its code."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        console.run(lambda: print(overview()))
    name = words[0]
    if name not in COMMANDS:
        console.run(lambda: _refuse(name))
    sys.argv = [sys.argv[0], *words[1:]]
    runpy.run_module(f"memhrm.{name}", run_name="__main__", alter_sys=True)
    sys.exit(0)


def _refuse(name: str) -> NoReturn:
    raise ValueError(unknown(f"the command {name!r}", name, COMMANDS))


def overview() -> str:
    """Return the help: every command with a line."""
    lines = "\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items())
    return (
        "memhrm COMMAND [NAME=VALUE ...]: recursive reasoning with memory\n\n"
        f"{lines}\n\n"
        "memhrm COMMAND --help says what a command can be given. python -m memhrm.COMMAND is the same.\n\n"
        "To begin with:\n"
        "  memhrm train dir=runs/first\n"
        "  memhrm evaluate run=runs/first"
    )


if __name__ == "__main__":
    main()
