"""python -m memhrm.serve run=DIR: offer a model to a language model's client, as an MCP server.

Over stdin and stdout, as such clients start their servers; with http=PORT on this machine's own address. The
tools are those that the model can do: solve, explain, classify, write, remember, forget.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from memhrm.config.command import command
from memhrm.config.settings import Settings, build, require, require_threads


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """The settings, which configs/serve.yaml describes; `run` may be an exported file."""

    FILE: ClassVar[str] = "serve"

    run: str
    http: int | None
    questions: int
    steps: int
    seconds: float
    checkpoint: Literal["last", "best"]
    weights: Literal["ema", "raw"]
    device: str
    threads: int | None
    trust: str | tuple[str, ...] | None

    def __post_init__(self):
        super().__post_init__()
        require(self.http is None or 1 <= self.http <= 65535, "http", self.http, "null, or 1 to 65535")
        require_threads(self.threads)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the model and serve it until the client ends."""
    from memhrm.weights.answers import opened
    from memhrm.weights.server import Limits, library, server

    settings = build(ServeSettings, config)
    limits = Limits(questions=settings.questions, steps=settings.steps, seconds=settings.seconds)
    library()
    made = server(opened(settings), limits)
    if settings.http is None:
        made.run("stdio")
    else:
        made.run("streamable-http", host="127.0.0.1", port=settings.http)


if __name__ == "__main__":
    command("serve", main)
