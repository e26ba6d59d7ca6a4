"""Published weights: translation between the tensor names of HRM's and TRM's state dicts and our names.

Published checkpoints prefix every name with `_orig_mod.model.inner.` or a part of it.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from memhrm.config.settings import require
from memhrm.models.reasoner import Reasoner
from memhrm.models.weights import load_weights

# (our name, published name) as plain text; {} stands for the number of a block.
_NAMES = [
    ("embed.tokens", "embed_tokens.embedding_weight"),
    ("embed.positions", "embed_pos.embedding_weight"),
    ("puzzles.weight", "puzzle_emb.weights"),
    ("lm_head.weight", "lm_head.weight"),
    ("q_head.weight", "q_head.weight"),
    ("q_head.bias", "q_head.bias"),
    ("H_init", "H_init"),
    ("L_init", "L_init"),
]
_BLOCK = [
    ("mixer.attention.qkv.weight", "self_attn.qkv_proj.weight"),
    ("mixer.attention.out.weight", "self_attn.o_proj.weight"),
    ("mixer.mlp.gate_up.weight", "mlp_t.gate_up_proj.weight"),
    ("mixer.mlp.down.weight", "mlp_t.down_proj.weight"),
    ("mlp.gate_up.weight", "mlp.gate_up_proj.weight"),
    ("mlp.down.weight", "mlp.down_proj.weight"),
]
_RULES = _NAMES + [
    (f"{level}_net.blocks.{{}}.{ours}", f"{level}_level.layers.{{}}.{published}")
    for level in "HL"
    for ours, published in _BLOCK
]


def published_name(name: str) -> str:
    """Return the published name of one of our tensors.

    Raises:
        ValueError: the published models have no such tensor; those of a memory, for example.
    """
    require(isinstance(name, str), "the name of a tensor", name, "a text")
    return _translate(name, [(ours, published) for ours, published in _RULES])


def our_name(name: str) -> str:
    """Return our name of a published tensor.

    The prefixes that compiling (`_orig_mod.`) and wrapping (`module.`) add are dropped, wherever in the name
    they stand.

    Raises:
        ValueError: no published HRM or TRM has a tensor of this name.
    """
    require(isinstance(name, str), "the name of a tensor", name, "a text")
    bare = re.sub(r"(^|(?<=\.))(_orig_mod|module)\.", "", name)
    return _translate(re.sub(r"^(model\.)?(inner\.)?", "", bare), [(b, a) for a, b in _RULES])


def _translate(name: str, rules: list[tuple[str, str]]) -> str:
    for source, target in rules:
        match = re.fullmatch(re.escape(source).replace(r"\{\}", r"(\d+)"), name)
        if match:
            return target.format(*match.groups())
    raise ValueError(f"the tensor {name!r} has no counterpart in the published models' naming")


def to_published(model: Reasoner) -> dict[str, Tensor]:
    """Return a model's weights and persistent buffers under their published names.

    Raises:
        ValueError: the published models have no counterpart of a tensor, or of the unit of the MLPs.
    """
    unit = model.settings.unit
    require(unit == "swiglu", "model.unit", unit, "swiglu, the unit of the published models")
    return {published_name(name): tensor for name, tensor in model.state_dict().items()}


def from_published(weights: Mapping[str, Tensor], where: str = "") -> dict[str, Tensor]:
    """Return published weights under our names.

    Args:
        weights: tensors by their published names.
        where: the beginning of every error message.

    Raises:
        ValueError: `weights` is not a mapping from names to tensors, a tensor has no counterpart here, or two
            tensors have the same counterpart; the message names the tensor.
    """
    translated: dict[str, Tensor] = {}
    if not isinstance(weights, Mapping):
        raise ValueError(f"{where}weights is {type(weights).__name__}; allowed: tensors by name")
    for name, tensor in weights.items():
        if not (isinstance(name, str) and isinstance(tensor, Tensor)):
            raise ValueError(
                f"{where}weights has {name!r}, a {type(tensor).__name__}; allowed: tensors by name"
            )
        try:
            ours = our_name(name)
        except ValueError as error:
            raise ValueError(f"{where}{error}") from error
        if ours in translated:
            text = "is in the weights twice, under names that differ by their prefixes"
            raise ValueError(f"{where}{name!r} {text}")
        translated[ours] = tensor
    return translated


def load_published(model: Reasoner, weights: Mapping[str, Tensor]) -> None:
    """Load published weights into a model of the same architecture, in place.

    Args:
        model: the model whose weights are overwritten.
        weights: tensors by their published names.

    Raises:
        ValueError: a tensor is missing, superfluous or of another shape; the message names the tensor.
    """
    load_weights(model, from_published(weights), "the weights", called=published_name)
