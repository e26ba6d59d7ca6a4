"""Parity: how far the replayed HRM, TRM and TRM-MLP lie from the records of the published implementations.

python -m experiments.parity --scale cpu
"""

import pandas as pd
import torch

from experiments.grid.page import Page, Table, scientific
from experiments.grid.results import Variants, frame, provenance
from experiments.grid.run import ROOT
from experiments.grid.study import Study, main
from memhrm.published.replay import SINGLE, SIX, Deviation, replay
from memhrm.runs.directory import environment

NAMES = {"hrm": "HRM", "trm_attention": "TRM, attention", "trm_mlp": "TRM-MLP"}
KINDS = {"one_step": "one supervision step", "gradients": "its gradients", "six_steps": "six optimiser steps"}


def measure(scale: str) -> pd.DataFrame:
    """Return a row for each record."""
    where = provenance(environment(torch.device("cpu")))
    found = {name: replay(ROOT / f"tests/parity/{file}.npz") for file, name in NAMES.items()}
    return frame(
        {"task": "parity", "variant": name, "seed": 0, **where, **_largest(deviations)}
        for name, deviations in found.items()
    )


def _largest(deviations: list[Deviation]) -> dict[str, str]:
    """Return the number of quantities, and the largest deviation of each kind."""
    single = [one for one in deviations if one.tolerance == SINGLE]
    kinds = {
        "gradients": [one for one in single if "/grad/" in one.quantity],
        "one_step": [one for one in single if "/grad/" not in one.quantity],
        "six_steps": [one for one in deviations if one.tolerance == SIX],
    }
    largest = {name: f"{max(one.largest for one in some):.1e}" for name, some in kinds.items()}
    outside = sum(not one.within for one in deviations)
    return {"quantities": str(len(deviations)), "outside": str(outside), **largest}


def render(found: dict[str, Variants]) -> Page:
    """Return the table of the deviations."""
    rows = pd.concat(found["parity"].values(), ignore_index=True)
    largest = rows[list(KINDS)].astype(float)
    cells = pd.concat([rows[["variant", "quantities"]], largest.map(scientific), rows["outside"]], axis=1)
    head = ["", "quantities", *KINDS.values(), "outside the tolerance"]
    page = Page({"": Table(head, cells.to_numpy().tolist())})
    gradients, outside = scientific(max(largest["gradients"])), rows["outside"].astype(int).sum()
    page.add_numbers("parity", {"gradients": gradients, "outside": f"{outside}"})
    return page


STUDY = Study("parity", __doc__, render, measure=measure)

if __name__ == "__main__":
    main(STUDY)
