"""Weights put into a model: the one check whether they fit."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from memhrm.nn.tables import KeyedTable


def load_weights(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    where: object,
    *,
    spare: str | None = None,
    called: Callable[[str], str] = str,
) -> list[str]:
    """Put weights into a module in place; return the names of those that it keeps.

    Args:
        module: a model, or what wraps one.
        weights: tensors by the names of the module's state.
        where: what the weights come from, for messages.
        spare: prefix of the names that the weights may lack; None: all must be there.
        called: gives the name by which a message calls a tensor.

    Raises:
        ValueError: a tensor is missing, superfluous or of another shape; the message names it.
    """
    state = module.state_dict()
    tables = (name for name, part in module.named_modules() if isinstance(part, KeyedTable))
    keyed = tuple(f"{name}." if name else "" for name in tables)  # They have as many rows as the weights.
    for name, given in weights.items():
        own = state.get(name)
        if own is None:
            raise ValueError(f"{called(name)} is in {where}, but the model has no {name}")
        if not isinstance(given, Tensor):
            raise ValueError(f"{called(name)} in {where} is damaged: it is no tensor")
        fits = given.shape[1:] == own.shape[1:] if name.startswith(keyed) else given.shape == own.shape
        if not fits:
            theirs, ours = tuple(given.shape), tuple(own.shape)
            raise ValueError(f"{called(name)} in {where} has shape {theirs}; the model's {name} has {ours}")
    kept = [name for name in state if name not in weights]
    for name in kept:
        if spare is None or not name.startswith(spare):
            raise ValueError(f"{called(name)} is not in {where}, but the model has {name}")
    module.load_state_dict({**state, **weights})
    return kept
