"""Controls of equal size: what a configuration costs, counted without running it, and the width that matches.

b batch, s token.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from memhrm.config.settings import MOST, require
from memhrm.data.settings import parse as parse_data
from memhrm.models.reasoner import NO_GUIDE, Guide, Reasoner, count_parameters
from memhrm.models.settings import puzzle_shape
from memhrm.runs.settings import parse


@dataclass(frozen=True)
class Cost:
    """The size of a model.

    Attributes:
        parameters: trained numbers.
        flops: floating-point operations of the matrix products of one supervision step, forward, per example.
    """

    parameters: int
    flops: int


def cost(config: Mapping[str, Any]) -> Cost:
    """Return the cost of a run's configuration, counted with tensors that have shapes only."""
    run = parse(config)
    with torch.device("meta"), torch.no_grad():
        shape = puzzle_shape(parse_data(run.data).task())
        model = Reasoner(run.model, shape, run.memory).eval()
        rows = run.batch_size
        inputs = torch.zeros(rows, shape.num_tokens * shape.bag, dtype=torch.int32)
        identifiers = torch.zeros(rows).int()
        guide = Guide(address=torch.zeros(rows, 2).int()) if run.memory.needs_address else NO_GUIDE
        with FlopCounterMode(display=False) as counter:
            model(model.initial_state(rows), inputs, model.puzzle_rows(identifiers), guide)
    return Cost(count_parameters(model), round(counter.get_total_flops() / rows))


def match(
    config: Mapping[str, Any], target: Mapping[str, Any], what: Literal["parameters", "flops"]
) -> tuple[int, Cost]:
    """Return the `model.hidden_size` at which `config` costs nearly what `target` does, and its cost there.

    Widths are multiples of twice the model's heads, so that rotary positions fit, and of the memory's.

    Raises:
        ValueError: even 64 times the target's width costs less than the target.
    """
    wanted, model = getattr(cost(target), what), config["model"]
    unit = math.lcm(2 * int(model["num_heads"]), (config.get("memory") or {}).get("num_heads") or 1)

    def at(units: int) -> Cost:
        return cost({**config, "model": {**model, "hidden_size": units * unit}})

    tokens = model["puzzle_emb_len"] or MOST  # The prefix must hold the numbers of a puzzle.
    low = max(1, math.ceil((model["puzzle_emb_ndim"] or 0) / (tokens * unit)))
    high = low + 1
    limit = 64 * int(target["model"]["hidden_size"]) // unit
    while getattr(at(high), what) < wanted:  # Cost grows with width: double, then halve the interval.
        low, high = high, 2 * high
        require(high <= limit, "target", wanted, f"{what} that a width up to {limit * unit} reaches")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if getattr(at(middle), what) < wanted else (low, middle)
    nearest = min((low, high), key=lambda units: abs(getattr(at(units), what) - wanted))
    return nearest * unit, at(nearest)
