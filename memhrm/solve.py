"""python -m memhrm.solve run=DIR FILE: answer a file of puzzles that need not have answers.

FILE is CSV with a column question (or puzzle, or quizzes), .sdm, .sdk or .ss, or has a puzzle a line; for a
task of your own, a file that it reads. Each puzzle is answered by a line of CSV: the question, the answer,
whether the answer keeps the givens and whether it keeps the rules (where the task can tell), and Q, how sure
the model is that it is right. Of ARC, FILE is JSON of tasks, and the answers are those of a vote, as Kaggle
takes them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import RunSource, command
from memhrm.config.settings import MOST_STEPS, build, refuse, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class SolveSettings(RunSource):
    """The settings, which configs/solve.yaml describes; `run` may be an exported file."""

    FILE: ClassVar[str] = "solve"

    file: str
    examples: str | None
    halt_max_steps: int | None
    batch_size: int
    device: str
    threads: int | None
    progress: bool

    def __post_init__(self):
        super().__post_init__()
        if self.halt_max_steps is not None:
            require_size("halt_max_steps", self.halt_max_steps, most=MOST_STEPS)
        require_size("batch_size", self.batch_size)
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Read the puzzles, answer them, say what the answers are worth."""
    from memhrm.system.files import require_free, write_text
    from memhrm.weights.answers import answers_to, opened_with_used

    settings = build(SolveSettings, config)
    if settings.out is not None:
        require_free("out", Path(settings.out), settings.overwrite)
    for name in sorted(given & {"checkpoint", "weights"}):
        refuse(not Path(settings.run).is_dir(), name, config[name], "with an exported file")
    solver, used = opened_with_used(settings)
    answers = answers_to(solver, settings, used)
    if settings.out is None:
        print(answers.table(), end="")
    print(answers.verdict(), file=sys.stderr)
    if settings.out is not None:
        write_text(Path(settings.out), answers.table())
        print(f"written to {settings.out}")


if __name__ == "__main__":
    command("solve", main, bare="file")
