"""Start a run from weights: those of another run, exported ones, or published ones."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memhrm.models.reasoner import Reasoner
from memhrm.models.weights import load_weights
from memhrm.published.weights import from_published
from memhrm.runs import checkpoint
from memhrm.runs.used import UsedPuzzles
from memhrm.system.files import said_of
from memhrm.weights.restore import FORMAT, MADE_BY
from memhrm.weights.tensors import read_tensors


def start_from(model: Reasoner, source: Path) -> UsedPuzzles:
    """Put weights into a model in place; return the puzzles that their run has used, as far as is known.

    source: a run directory (its last checkpoint, averaged weights), a checkpoint, an exported file, or a file
        of published weights (.safetensors, or what torch.save wrote of a state dict). The H-module's weights
        may be missing there: a memory then keeps its random ones. All other weights must be there and fit.

    Raises:
        ValueError: there is nothing of the kind, or it does not fit; the message names the tensor.
    """
    source = source.expanduser()
    weights, used = _weights(source)
    with said_of(f"init is {source}"):
        kept = load_weights(model, weights, "the weights", spare="H_module.")
    new = f"; {len(kept)} of the H-module are new" if kept else ""
    print(f"started from {len(weights)} tensors of {source}{new}", file=sys.stderr)
    return used


def _weights(source: Path) -> tuple[Mapping[str, Tensor], UsedPuzzles]:
    """Return the weights at `source` by our names, and the puzzles that their run has used."""
    file = source / "checkpoints" / "last.pt" if source.is_dir() else source
    if not file.exists():
        raise ValueError(
            f"init is {source}; allowed: a run directory with a checkpoint, or a file of weights"
        )
    if file.suffix == ".safetensors":
        opened = read_tensors(file)
        if opened.metadata.get("format") == FORMAT:
            return opened.tensors, opened.about(FORMAT, MADE_BY)[1]
        published = opened.tensors
    else:
        found = _torch_file(file)
        if "format" in found:
            content = checkpoint.read(file)
            return checkpoint.average_of(content, content["model"]), UsedPuzzles.of_tensors(content["used"])
        published = found
    wrong = next((name for name, tensor in published.items() if not torch.isfinite(tensor).all()), None)
    if wrong is not None:
        raise ValueError(f"init is {source}, whose {wrong} holds numbers that are not finite")
    weights = from_published(published, f"init is {source}: ")
    print(f"note: which puzzles {source} has seen is not known; they are scored like others", file=sys.stderr)
    return weights, UsedPuzzles()


def _torch_file(file: Path) -> Mapping[str, Any]:
    """Return what torch.save wrote: a state dict, perhaps under `model` or `state_dict`; or a checkpoint."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file can make its reader raise anything.
        raise ValueError(
            f"init is {file}, which is damaged, or no file of tensors alone that torch.save wrote"
        ) from error
    if isinstance(found, dict) and "format" not in found:
        found = next(
            (found[name] for name in ("model", "state_dict") if isinstance(found.get(name), dict)), found
        )
        if found and all(isinstance(value, Tensor) for value in found.values()):
            return found
    elif isinstance(found, dict):
        return found
    raise ValueError(f"init is {file}, which holds no weights; allowed: a state dict of tensors by name")
