"""Say masked tokens one after the other, from left to right, with a model that has a decoder.

b batch, s token, t position, d width, v vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from memhrm.models.reasoner import Reasoner

Choose = Callable[[Tensor], Tensor]
"""Logits of one token (b, v) to the token that is said, (b,)."""


def most_probable(logits: Tensor) -> Tensor:
    """Return the most probable token of each row, (b,)."""
    return logits.argmax(dim=-1)


@torch.no_grad()
def in_order(
    model: Reasoner,
    z_H: Tensor,
    tokens: Tensor,
    masked: Tensor,
    mask: Tensor | None = None,
    choose: Choose = most_probable,
) -> Tensor:
    """Return tokens in which those that are masked have been said, each with all before it known.

    Args:
        model: a model with a decoder.
        z_H: the state after the last supervision step, (b, t, d).
        tokens: (b, s).
        masked: which of them are said, (b, s) bool.
        mask: the tokens that are no padding, (b, s); None: all.
        choose: chooses a token.
    """
    known = tokens.clone()
    for place in masked.any(dim=0).nonzero().flatten().tolist():
        said = choose(model.logits(z_H, known, mask)[:, place]).to(known.dtype)
        known[:, place] = torch.where(masked[:, place], said, known[:, place])
    return known
