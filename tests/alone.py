"""H-modules by themselves, without the model around them."""

import torch
from torch import Tensor

from memhrm.memory import registry
from memhrm.memory.base import HModule, HShape
from memhrm.nn import attention as attend

BICROSS = {"name": "bicross", "module": "memhrm.memory.bicross.BiCross", "tokens": 3}
CELLS = {"name": "multicell", "module": "memhrm.memory.multicell.MultiCell", "tokens": 3, "cells": 4, "k": 2}
ADD = {**CELLS, "name": "aggregate", "module": "memhrm.memory.aggregate.Aggregate", "aggregation": "add"}
CONCAT = {**ADD, "aggregation": "concat"}


def module_of(values: dict, seed: int = 0, attention=attend.sdpa, width: int = 8, length: int = 6) -> HModule:
    """An H-module of some width over some positions."""
    torch.manual_seed(seed)
    shape = HShape(width, 2, 1.0, length, "attention", attention)
    return registry.make(registry.parse(values), shape)


def states(rows: int = 3, length: int = 6, width: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    z_H, z_L = torch.randn(2, rows, length, width, generator=generator)
    return z_H, z_L


def level(z_H: Tensor, injection: Tensor) -> Tensor:
    """A transformer level's stand-in."""
    return torch.tanh(z_H + injection)
