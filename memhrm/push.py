"""python -m memhrm.push run=DIR repo=OWNER/NAME: put a run's weights and a card on the Hugging Face hub.

`memhrm.load("hf://OWNER/NAME")` opens them. The token is that of `hf auth login`, or HF_TOKEN. With
`artifact=ENTITY/PROJECT/NAME` they become an artifact of Weights & Biases, for
`memhrm.load("wandb://ENTITY/PROJECT/NAME")`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import RunSource, command
from memhrm.config.settings import build, in_parts, refuse, require
from memhrm.config.trust import trust


@dataclass(frozen=True, kw_only=True)
class PushSettings(RunSource):
    """The settings, which configs/push.yaml describes."""

    FILE: ClassVar[str] = "push"

    repo: str | None
    private: bool
    message: str
    artifact: str | None
    licence: str | None
    attribution: str | None

    def __post_init__(self):
        super().__post_init__()
        fits = self.repo is None or in_parts(self.repo, 2)
        require(fits, "repo", self.repo, "OWNER/NAME")
        fits = self.artifact is None or in_parts(self.artifact, 2, 3)
        require(fits, "artifact", self.artifact, "PROJECT/NAME or ENTITY/PROJECT/NAME")
        given = [name for name in ("repo", "artifact", "out") if getattr(self, name) is not None]
        allowed = "OWNER/NAME, or artifact=PROJECT/NAME, or out=FILE; one of them"
        require(len(given) == 1, "repo", self.repo, allowed)
        fits = self.licence is None or re.fullmatch(r"[a-z0-9.-]+", self.licence) is not None
        require(fits, "licence", self.licence, "a licence as the hub names it, such as mit or cc-by-4.0")
        refuse(self.private and self.repo is None, "private", True, "without repo")


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, write its card, or send both."""
    from memhrm.report.card import card
    from memhrm.system.files import require_free, write_text
    from memhrm.weights import artifacts, hub
    from memhrm.weights.restore import open_run

    settings = build(PushSettings, config)
    trust(settings.trust)
    run = Path(settings.run)
    said: dict[str, Any] = {"licence": settings.licence, "attribution": settings.attribution}
    if settings.out is not None:
        require_free("out", Path(settings.out), settings.overwrite)
        write_text(Path(settings.out), card(run, run.resolve().name, str(run), **said))
        print(f"written to {settings.out}")
        return
    if settings.artifact is not None:
        restored = open_run(settings)
        text = card(
            run, settings.artifact, f"{artifacts.PREFIX}{settings.artifact}", step=restored.step, **said
        )
        print(artifacts.push(restored, text, settings.artifact, run))
        return
    assert settings.repo is not None
    hub.library()
    restored = open_run(settings)
    text = card(run, settings.repo, f"{hub.PREFIX}{settings.repo}", step=restored.step, **said)
    print(hub.push(restored, text, settings.repo, private=settings.private, message=settings.message))


if __name__ == "__main__":
    command("push", main)
