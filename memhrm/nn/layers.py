"""What the other layers share: truncated normal start, linear maps, means over positions with a mask.

b batch, t position, d width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
"""What is added to a mean square before its root is taken."""


def truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill a tensor from a normal cut at two sigma, widened so that the *truncated* variable has this std."""
    # Variance of a standard normal cut at +-2: 1 - 2*2*pdf(2) / P(|x| < 2).
    mass = math.erf(2 / math.sqrt(2))
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    sigma = std / math.sqrt(1 - 4 * density / mass)
    return nn.init.trunc_normal_(tensor, std=sigma, a=-2 * sigma, b=2 * sigma)


class Linear(nn.Linear):
    """A linear map that starts truncated normal with std 1/sqrt(fan_in) and bias 0."""

    def __init__(self, in_features: int, out_features: int, bias: bool = False):
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Draw the weights."""
        truncated_normal_(self.weight, std=self.in_features**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the map of the input, in the input's precision: (..., in) to (..., out)."""
        # As a rule the weight has this type already. A checkpointed step, though, is computed again during
        # the backward pass, when the weights that were cast for the forward pass are no longer in place.
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of x (b, t, d) over the positions of the mask (b, t), or over all: (b, d)."""
    if mask is None:
        return x.mean(dim=1)
    return torch.where(mask.unsqueeze(-1), x, 0).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def first(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x (b, t, d) at the first position of the mask (b, t), or at position 0: (b, d)."""
    if mask is None:
        return x[:, 0]
    return x.take_along_dim(mask.int().argmax(dim=1)[:, None, None], dim=1).squeeze(1)
