"""Parity: how far the replayed HRM, TRM and TRM-MLP lie from the records of the published implementations.

python -m experiments.parity --scale cpu
"""

import pandas as pd
import torch

from experiments.grid.page import Page, Table, scientific
from experiments.grid.results import frame, provenance, values
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


def render(rows: pd.DataFrame) -> Page:
    """Return the table of the deviations."""
    head = ["", "quantities", *KINDS.values(), "outside the tolerance"]
    largest = {kind: values(rows, kind) for kind in KINDS}
    lines = zip(
        rows["variant"],
        rows["quantities"],
        *(map(scientific, deviations) for deviations in largest.values()),
        rows["outside"],
    )
    page = Page({"": Table(head, [list(line) for line in lines])})
    outside = int(values(rows, "outside").sum())
    page.add_numbers("parity", {"gradients": scientific(largest["gradients"].max()), "outside": f"{outside}"})
    return page


STUDY = Study("parity", __doc__, render, measure=measure)

if __name__ == "__main__":
    main(STUDY)
