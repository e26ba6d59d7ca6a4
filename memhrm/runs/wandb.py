"""Weights & Biases as a mirror of the run directory; imported only with logger=wandb."""

import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from memhrm.config.settings import Settings
from memhrm.runs.directory import Mirror


@dataclass(frozen=True, kw_only=True)
class LoggerSettings(Settings):
    """Settings of the logger.

    Attributes:
        name: none or wandb.
        project: wandb's project.
        entity: wandb's entity, a user or a team; None: the account's default.
        mode: wandb's mode; None: that of the environment variable WANDB_MODE, otherwise online.
    """

    FILE: ClassVar[str] = "logger/wandb"
    GROUP: ClassVar[str] = "logger"

    name: Literal["none", "wandb"]
    project: str
    entity: str | None
    mode: Literal["online", "offline", "disabled"] | None


def open_mirror(settings: LoggerSettings, run_directory: Path, config: Mapping[str, Any]) -> Mirror | None:
    """Return the mirror of a run, or None with logger=none or where wandb cannot start.

    Args:
        settings: the logger's settings.
        run_directory: the directory to mirror; wandb's own files go there too.
        config: the run's resolved configuration.
    """
    if settings.name == "none":
        return None
    try:
        return WandbMirror(settings, run_directory, config)
    except Exception as error:  # No account, network or package: training goes on.
        _warn("cannot start", error)
        return None


class WandbMirror:
    """A mirror that sends metrics to wandb and gives up, with one line on stderr, at the first failure.

    Args:
        settings: the logger's settings.
        run_directory: the directory to mirror; wandb's own files go there too.
        config: the run's resolved configuration.
    """

    def __init__(self, settings: LoggerSettings, run_directory: Path, config: Mapping[str, Any]):
        import wandb

        run_directory.mkdir(parents=True, exist_ok=True)
        identifier = run_directory / "wandb_id"
        if not identifier.exists():
            identifier.write_text(secrets.token_hex(4))
        self._run: Any = wandb.init(
            project=settings.project,
            entity=settings.entity,
            mode=settings.mode,
            dir=run_directory,
            name=run_directory.name,
            id=identifier.read_text().strip(),
            resume="allow",
            config=yaml.safe_load(yaml.safe_dump(dict(config))),
            settings=wandb.Settings(silent=True, console="off", init_timeout=30, login_timeout=10),
        )

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Send the metrics of an optimiser step."""
        self._try(lambda: self._run.log(dict(metrics), step=step))

    def summarise(self, summary: Mapping[str, Any]) -> None:
        """Send the final result."""
        self._try(lambda: self._run.summary.update(dict(summary)))

    def close(self) -> None:
        """Finish the wandb run."""
        self._try(lambda: self._run.finish())

    def _try(self, action: Callable[[], Any]) -> None:
        if self._run is None:
            return
        try:
            action()
        except Exception as error:
            self._run = None
            _warn("stopped", error)


def _warn(what: str, error: Exception) -> None:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    print(f"wandb {what} ({reason}); training goes on, the run directory holds everything", file=sys.stderr)
