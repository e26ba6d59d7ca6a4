"""Files of tensors that say what they are: safetensors with a description and a checksum as metadata."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memhrm.config import console
from memhrm.config.settings import require
from memhrm.runs.directory import mapping
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import said_of, whole

LONG = "bank"
"""The part of a description that is kept as a tensor of its bytes: a header has 100 MB at most."""


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], form: str, about: dict[str, Any], used: UsedPuzzles
) -> None:
    """Write safetensors with their format, a description, the puzzles used, and a checksum as metadata.

    Raises:
        OSError: the file cannot be written.
    """
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if about.get(LONG):
        about = dict(about)
        plain[LONG] = torch.from_numpy(np.frombuffer(json.dumps(about.pop(LONG)).encode(), np.uint8).copy())
    metadata = {"format": form, "about": json.dumps(about), "used": used.text()}
    metadata["checksum"] = checksum(plain, metadata)
    try:
        with whole(path) as unfinished:
            unfinished.touch()
            usual = unfinished.stat().st_mode
            save_file(plain, unfinished, metadata=metadata)
            unfinished.chmod(usual)  # It makes files that nobody else can read.
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file that was read and checked: its tensors by name, its metadata, and the long part."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    long: Tensor | None = None

    def about(self, form: str, made_by: str) -> tuple[dict[str, Any], UsedPuzzles]:
        """Return the description that `write_tensors` wrote, and the puzzles that the run has used.

        Args:
            form: the format that the file must have.
            made_by: the command that writes such files, for the message.

        Raises:
            ValueError: the file is of another format, or its description is damaged.
        """
        if self.metadata.get("format") != form:
            found = self.metadata.get("format")
            raise ValueError(
                f"{self.path} has format {found!r}; allowed: {form!r}, as written by `{made_by}`"
            )
        try:
            described = mapping(self.path, json.loads(self.metadata.get("about", "")))
            if self.long is not None:
                described[LONG] = json.loads(self.long.numpy().tobytes())
            with said_of(self.path):
                return described, UsedPuzzles.of_text(self.metadata.get("used", "{}"))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{self.path} is damaged: its description is no JSON ({error})") from error


def read_tensors(path: Path) -> TensorFile:
    """Read a safetensors file.

    Raises:
        ValueError: there is no such file, it is damaged, or it has numbers that are not finite.
    """
    require(isinstance(path, Path), "path", path, "a pathlib.Path")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; allowed: a file of safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except Exception as error:  # A damaged file can make its reader raise anything.
        raise ValueError(f"{path} cannot be opened as safetensors: {console.one_line(error)}") from error
    if "checksum" in metadata and metadata["checksum"] != checksum(tensors, metadata):
        raise ValueError(f"{path} is damaged: its checksum is wrong; make it again")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{path} is of no use: {name} holds numbers that are not finite")
    return TensorFile(path, tensors, metadata, long=tensors.pop(LONG, None))


def checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of the tensors with their names and shapes, and of the other metadata."""
    others = {name: text for name, text in metadata.items() if name != "checksum"}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
