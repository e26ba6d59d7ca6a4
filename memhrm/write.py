"""python -m memhrm.write run=DIR prompt="...": write prose by refinement.

What is masked is filled in over some steps, what the model is surest of first. Gaps in the prompt, written _,
are filled in; then the text goes on for `length` tokens. The terminal shows each step.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import RunSource, command
from memhrm.config.settings import build, require_threads


@dataclass(frozen=True, kw_only=True)
class WriteSettings(RunSource):
    """The settings, which configs/write.yaml describes; `run` may be an exported file."""

    FILE: ClassVar[str] = "write"

    prompt: str
    length: int
    steps: int
    halt_max_steps: int | None
    temperature: float
    order: Literal["confidence", "left"] | None
    seed: int
    device: str
    threads: int | None
    show: bool

    def __post_init__(self):
        super().__post_init__()
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the model, write, show each step."""
    from memhrm.system.files import require_free, write_text
    from memhrm.weights.answers import opened
    from memhrm.weights.writing import Manner, write

    settings = build(WriteSettings, config)
    manner = Manner(
        steps=settings.steps,
        halt_max_steps=settings.halt_max_steps,
        temperature=settings.temperature,
        order=settings.order,
        seed=settings.seed,
    )
    out = None if settings.out is None else Path(settings.out)
    if out is not None:
        require_free("out", out, settings.overwrite)
    text = ""
    for now in write(opened(settings), settings.prompt, settings.length, manner):
        text = now.text
        if settings.show:
            print(f"{text}\n--- {now.left} left of this window", file=sys.stderr)
    if out is None:
        print(text)
    else:
        write_text(out, text)
        print(f"written to {out}")


if __name__ == "__main__":
    command("write", main)
