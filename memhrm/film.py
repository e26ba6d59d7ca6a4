"""python -m memhrm.film run=DIR PUZZLE out=x.gif: a film of an answer that forms, step by step.

What has changed since the step before is yellow, what is wrong is red and struck out. Below stand Q, how sure
the model is, by how much z_H moved, and the memory cells: full where they are read, with a ring where they
are written. Of a run on episodes, `examples` is a file of puzzles with answers that are shown first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import RunSource, command
from memhrm.config.settings import MOST_STEPS, build, require, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class FilmSettings(RunSource):
    """The settings, which configs/film.yaml describes; `run` may be an exported file."""

    FILE: ClassVar[str] = "film"

    puzzle: str
    examples: str | None
    halt_max_steps: int | None
    seconds: float
    device: str
    threads: int | None

    def __post_init__(self):
        super().__post_init__()
        if self.halt_max_steps is not None:
            require_size("halt_max_steps", self.halt_max_steps, most=MOST_STEPS)
        require(0.02 <= self.seconds <= 60, "seconds", self.seconds, "0.02 to 60")
        require(self.out is not None, "out", None, "a file, as out=film.gif")
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the model, follow its answer, draw each step."""
    from memhrm.report.film import film
    from memhrm.report.gif import animated, pillow
    from memhrm.system.files import require_free, whole
    from memhrm.weights.answers import opened, shown_examples

    settings = build(FilmSettings, config)
    assert settings.out is not None
    pillow()
    require_free("out", Path(settings.out), settings.overwrite)
    solver = opened(settings)
    examples = [] if settings.examples is None else shown_examples(solver, Path(settings.examples))
    pictures = film(solver, settings.puzzle, examples, settings.halt_max_steps)
    with whole(Path(settings.out)) as unfinished:
        unfinished.write_bytes(animated(pictures, settings.seconds))
    print(f"written to {settings.out}: {len(pictures)} pictures")


if __name__ == "__main__":
    command("film", main, bare="puzzle")
