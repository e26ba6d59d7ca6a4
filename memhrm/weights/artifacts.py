"""Models as artifacts of Weights & Biases: safetensors and a card, as on the Hugging Face hub."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memhrm.config import console
from memhrm.config.settings import in_parts, require
from memhrm.weights.hub import WEIGHTS, write_folder
from memhrm.weights.restore import Restored

PREFIX = "wandb://"
"""What an artifact's name begins with, as ``wandb://entity/project/name`` or ``wandb://entity/project/name:v2``."""

KIND = "model"
"""What the library calls an artifact that is a model."""


def fetched(name: str) -> Path:
    """Return the weights of an artifact, fetched into the library's cache.

    Args:
        name: ``wandb://entity/project/name``, perhaps with ``:version``.

    Raises:
        ValueError: the name is none, or the artifact cannot be fetched.
    """
    artifact, _, version = name.removeprefix(PREFIX).partition(":")
    version = version or "latest"
    require(in_parts(artifact, 2, 3), "path", name, "wandb://ENTITY/PROJECT/NAME, or with :VERSION")
    try:
        import wandb

        cache: Path = wandb.env.get_cache_dir()  # pyright: ignore[reportAttributeAccessIssue]
        folder = Path(cache, "memhrm", artifact, version)
        found = wandb.Api().artifact(f"{artifact}:{version}", type=KIND)
        found.download(root=folder, path_prefix=WEIGHTS)
    except Exception as error:  # It raises errors of its own and those of its HTTP library.
        raise ValueError(f"{name} cannot be fetched: {console.one_line(error)}") from None
    weights = Path(folder, WEIGHTS)
    require(weights.is_file(), "path", name, f"an artifact with a file {WEIGHTS}")
    return weights


def push(restored: Restored, card: str, name: str, directory: Path) -> str:
    """Log a run's weights and a card as an artifact, and say where it is then.

    Args:
        restored: the run's model.
        card: the model card, as Markdown.
        name: PROJECT/NAME or ENTITY/PROJECT/NAME.
        directory: the run directory, which keeps the library's own files.

    Returns:
        The artifact's address; with WANDB_MODE=offline the folder that `wandb sync` sends.

    Raises:
        ValueError: the library refuses.
    """
    *entity, project, own = name.split("/")
    with TemporaryDirectory() as folder:
        write_folder(Path(folder), restored, card)
        try:
            import wandb

            run: Any = wandb.init(
                project=project,
                entity=entity[0] if entity else None,
                job_type="push",
                dir=directory,
                settings=wandb.Settings(silent=True, console="off", init_timeout=30, login_timeout=10),
            )
            artifact = wandb.Artifact(own, type=KIND)
            artifact.add_dir(folder)
            run.log_artifact(artifact)
            run.finish()
        except Exception as error:  # As above; a missing account is one of its reasons.
            raise ValueError(f"artifact {name} cannot be written: {console.one_line(error)}") from None
    return f"{Path(run.dir).parent}, for `wandb sync`" if run.offline else f"{PREFIX}{name}"
