"""The pieces of a block: truncated normal start, linear maps, SwiGLU, the table of rotary positions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.nn.fused import EPS, PART, silu_gate, swiglu


def truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill with a normal cut at two sigma, widened so that the *truncated* variable has this std."""
    # Variance of a standard normal cut at +-2: 1 - 2*2*pdf(2) / P(|x| < 2).
    mass = math.erf(2 / math.sqrt(2))
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    sigma = std / math.sqrt(1 - 4 * density / mass)
    return nn.init.trunc_normal_(tensor, std=sigma, a=-2 * sigma, b=2 * sigma)


def inner_width(width: int, expansion: float) -> int:
    """Inner width of a SwiGLU: two thirds of the expansion, rounded up to a multiple of 256."""
    return -(-round(expansion * width * 2 / 3) // 256) * 256


class Linear(nn.Linear):
    """A linear map that starts truncated normal with std 1/sqrt(fan_in) and bias 0."""

    def __init__(self, in_features: int, out_features: int, bias: bool = False):
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        truncated_normal_(self.weight, std=self.in_features**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        # As a rule the weight has this type already. A checkpointed step, though, is computed again during
        # the backward pass, when the weights that were cast for the forward pass are no longer in place.
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)); (..., width) to (..., width). Shazeer 2020, arXiv 2002.05202.

    normed: down(sigmoid(gate(x)) * rms(gate(x) * up(x))) instead, whose size does not grow with the weights';
        large steps of Muon need it. Dillon 2026, arXiv 2601.19085.
    """

    def __init__(self, width: int, expansion: float, normed: bool = False):
        super().__init__()
        inner = inner_width(width, expansion)
        self.gate_up = Linear(width, 2 * inner)
        self.down = Linear(inner, width)
        self.normed = normed

    def forward(self, x: Tensor) -> Tensor:
        if self.by_parts(x):
            return self._swiglu(x.reshape(-1, x.shape[-1])).view_as(x)
        gate_up = self.gate_up(x)
        return self.down(normed_gate(gate_up) if self.normed else silu_gate(gate_up))

    def across(self, x: Tensor) -> Tensor:
        """The same along the last dimension but one: (b, width, d) to (b, width, d)."""
        return self._swiglu(x) if self.by_parts(x) else self(x.transpose(1, 2)).transpose(1, 2)

    def by_parts(self, x: Tensor) -> bool:
        """Whether `swiglu` computes this unit: on the CPU, if the weights stay in the cache beside a part."""
        return x.device.type == "cpu" and not self.normed and 2 * self.gate_up.weight.nbytes <= PART

    def _swiglu(self, x: Tensor) -> Tensor:
        return swiglu(x, self.gate_up.weight.to(x.dtype), self.down.weight.to(x.dtype))


def normed_gate(gate_up: Tensor) -> Tensor:
    """sigmoid(gate) * rms(gate * up) for gate and up side by side, (..., 2 f) to (..., f)."""
    gate, up = gate_up.chunk(2, dim=-1)
    product = gate * up
    return torch.sigmoid(gate) * F.rms_norm(product, product.shape[-1:], eps=EPS)


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


def rotary_table(length: int, head_width: int, theta: float = 10000.0) -> Tensor:
    """Cosines and signed sines of rotary positions, (2, length, 1, head_width). Su et al., arXiv 2104.09864.

    Half-rotation form: channel i turns with channel i + head_width / 2. The first half of the sines is
    negative.
    """
    frequency = theta ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), frequency).unsqueeze(1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack((torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)))
