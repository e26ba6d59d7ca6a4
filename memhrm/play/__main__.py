"""python -m memhrm.play: a page on this machine in which one edits a question and sees its answer form.

It offers the small models that come with the package, and `runs`. A Sudoku, a maze or a task of ARC is edited
square by square; a model on episodes is told examples; a text is classified. Nothing leaves this machine.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from memhrm.config.command import command
from memhrm.config.settings import MOST_STEPS, Settings, build, refuse, require, require_size, require_threads


@dataclass(frozen=True, kw_only=True)
class PlaySettings(Settings):
    """The settings, which configs/play.yaml describes."""

    FILE: ClassVar[str] = "play"

    runs: tuple[str, ...]
    host: str
    port: int | None
    browser: bool
    steps: int
    space: str | None
    device: str
    threads: int | None
    trust: str | tuple[str, ...] | None

    def __post_init__(self):
        super().__post_init__()
        require(self.port is None or 1 <= self.port <= 65535, "port", self.port, "null, or 1 to 65535")
        require_size("steps", self.steps, most=MOST_STEPS)
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Serve the page until it is stopped, or write the folder of a Space."""
    settings = build(PlaySettings, config)
    if settings.space is not None:
        refuse(
            settings.trust is not None, "trust", settings.trust, "with space, which holds memhrm's code alone"
        )
        from memhrm.play.space import write_space

        write_space(settings.space, settings.runs)
        return
    from memhrm.play.offered import offered
    from memhrm.play.page import launch, library, page
    from memhrm.play.worker import Worker

    turns = Worker(settings.runs, settings.steps, settings.device, settings.threads, settings.trust)
    library()  # Beside PyTorch, which comes there.
    if settings.runs or settings.trust or settings.device != "cpu":
        turns.wait()  # What is wrong with them is said before there is a page.
    built = page(list(offered(settings.runs)), turns.take, most_steps=settings.steps)
    launch(built, host=settings.host, port=settings.port, show=settings.browser)


if __name__ == "__main__":
    command("play", main)
