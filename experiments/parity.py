"""Parity: how far the replayed HRM, TRM and TRM-MLP lie from the records of the published implementations.

python -m experiments.parity --scale cpu
"""

import torch

from experiments.grid.page import Page, Table, scientific
from experiments.grid.results import Row, rests_on
from experiments.grid.run import ROOT
from experiments.grid.scores import by_variant
from experiments.grid.study import Experiment, main
from memhrm.published.replay import SINGLE, SIX, Deviation, replay
from memhrm.runs.directory import environment

NAMES = {"hrm": "HRM", "trm_attention": "TRM, attention", "trm_mlp": "TRM-MLP"}


def measured(scale: str) -> list[Row]:
    """A row per record: the number of its quantities, and the largest deviation of each kind."""
    around = rests_on(environment(torch.device("cpu")))
    return [
        Row(
            task="parity",
            variant=name,
            seed="0",
            **around,
            **_largest(replay(ROOT / f"tests/parity/{file}.npz")),
        )
        for file, name in NAMES.items()
    ]


def _largest(deviations: list[Deviation]) -> dict[str, str]:
    single = [one for one in deviations if one.tolerance == SINGLE]
    kinds = {
        "gradients": [one for one in single if "/grad/" in one.quantity],
        "one_step": [one for one in single if "/grad/" not in one.quantity],
        "six_steps": [one for one in deviations if one.tolerance == SIX],
    }
    worst = {name: f"{max(one.largest for one in some):.1e}" for name, some in kinds.items()}
    outside = sum(not one.within for one in deviations)
    return {"quantities": str(len(deviations)), "outside": str(outside), **worst}


def render(rows: list[Row]) -> Page:
    kinds = {
        "one_step": "one supervision step",
        "gradients": "its gradients",
        "six_steps": "six optimiser steps",
    }
    lines = [
        [
            name,
            one["0"]["quantities"],
            *(scientific(one["0"].number(kind)) for kind in kinds),
            one["0"]["outside"],
        ]
        for name, one in by_variant(rows, "parity").items()
    ]
    page = Page({"": Table(["", "quantities", *kinds.values(), "outside the tolerance"], lines)})
    outside = sum(int(row["outside"]) for row in rows)
    gradients = scientific(max(row.number("gradients") for row in rows))
    page.say("parity", {"gradients": gradients, "outside": f"{outside}"})
    return page


EXPERIMENT = Experiment("parity", __doc__, lambda scale: [], render, measured)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
