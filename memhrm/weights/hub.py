"""Models on the Hugging Face hub: safetensors and a card; nothing of what is fetched is executed."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memhrm.config import console, extras
from memhrm.config.settings import in_parts, require
from memhrm.system.files import write_text
from memhrm.weights.restore import Restored, save

PREFIX = "hf://"
"""What a name on the hub begins with, as ``hf://owner/name`` or ``hf://owner/name@revision``."""

WEIGHTS = "model.safetensors"


def library() -> Any:
    """Return the library of the hub.

    Raises:
        ValueError: it is not installed.
    """
    return extras.library("huggingface_hub", "hub", "the hub needs an extra")


def fetched(name: str) -> Path:
    """Return the weights of a model on the hub, fetched into the hub's own cache.

    Args:
        name: ``hf://owner/name``, perhaps with ``@revision``.

    Raises:
        ValueError: the name is none, or the file cannot be fetched.
    """
    repo, _, revision = name.removeprefix(PREFIX).partition("@")
    require(in_parts(repo, 2), "path", name, "hf://OWNER/NAME, or with @REVISION")
    hub = library()
    try:
        return Path(hub.hf_hub_download(repo, WEIGHTS, revision=revision or None))
    except Exception as error:  # The hub raises what its HTTP library raises, whichever that is.
        raise ValueError(f"{name} cannot be fetched: {console.one_line(error)}") from None


def write_folder(folder: Path, restored: Restored, card: str) -> None:
    """Write what is shared of a run into a folder: its weights and its card."""
    save(restored, folder / WEIGHTS, shared=True)
    write_text(folder / "README.md", card)


def push(restored: Restored, card: str, repo: str, *, private: bool, message: str) -> str:
    """Put a run's weights and a card on the hub, and return the address of what is there then.

    Args:
        restored: the run's model.
        card: the model card, as Markdown.
        repo: OWNER/NAME; it is made where it is not there.
        private: whether a repository that is made is private.
        message: of the commit.

    Raises:
        ValueError: the hub refuses.
    """
    hub = library()
    with TemporaryDirectory() as folder:
        write_folder(Path(folder), restored, card)
        try:
            api = hub.HfApi()
            api.create_repo(repo, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message))
        except Exception as error:  # As above; a missing token is one of its reasons.
            raise ValueError(f"repo {repo} cannot be written: {console.one_line(error)}") from None
