"""What memory costs: time of a training step and peak memory against k and N, and against the published code.

    python -m experiments.cost --scale cpu

Nothing is trained. All configurations are measured in alternation in one process, so that whatever else the
machine does slows all of them alike; what counts are the ratios to the model without memory.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.grid.page import Page, Table, log2_axis
from experiments.grid.results import Variants, curves, frame, provenance
from experiments.grid.run import Variant
from experiments.grid.study import Study, main
from experiments.grid.tasks import CONTEXT_COSTS, COSTS, REPEAT
from experiments.grid.variants import TWO
from memhrm.config.command import compose
from memhrm.cost.benchmark import measure
from memhrm.report.figures import LIGHT
from memhrm.runs.directory import environment
from memhrm.runs.identity import digest
from memhrm.runs.settings import parse

BASE = "no memory"
MEASURED = ("flops", "train_seconds", "evaluation_seconds", "peak_bytes")
_CELLS = ("+memory=multicell", "memory.placement=augment", TWO)
SIZES = {f"N={n}, k=2": (n, 2) for n in (4, 8, 16, 32, 64)} | {f"N=64, k={k}": (64, k) for k in (1, 4, 8, 16)}
VARIANTS = [
    Variant(BASE, None, (TWO,)),
    Variant("bicross", BASE, ("+memory=bicross", TWO)),
    *(
        Variant(name, BASE, (*_CELLS, f"memory.cells={n}", *([f"k={k}"] if k != 2 else [])))
        for name, (n, k) in SIZES.items()
    ),
    Variant("multicell, replace", BASE, (*_CELLS, "memory.placement=replace")),
    Variant("aggregate, augment", BASE, ("+memory=aggregate", TWO)),
]
FEWEST = "N=8"
BY_CELLS = [
    Variant(f"N={n}", FEWEST, ("+memory=multicell", f"memory.cells={n}", "k=1")) for n in (8, 32, 128)
]
"""On contexts: what more cells cost, of which one is active."""
MEASUREMENTS = {"step": (COSTS, VARIANTS), "contexts": (CONTEXT_COSTS, BY_CELLS)}
"""The settings and the variants of each task."""
PUBLISHED = Table(
    ["training step, ours / published", "float32", "bfloat16", "float32, compiled", "bfloat16, compiled"],
    [
        ["time, TRM, attention", "0.95", "0.72", "0.88", "0.57"],
        ["time, HRM", "0.97", "0.70", "", ""],
        ["peak memory, TRM, attention", "0.88", "0.75", "", ""],
    ],
    "Two CPU threads, width 512, 81 cells, batch 8; medians of the ratios pair by pair (experiments/LOG.md).",
)
"""Measured once, beside the published implementations, which are no part of this package."""


def measure_all(scale: str) -> pd.DataFrame:
    """Return a row for each configuration of each task."""
    return pd.concat([measure_task(task, scale) for task in MEASUREMENTS], ignore_index=True)


def measure_task(task: str, scale: str) -> pd.DataFrame:
    """Return a row for each configuration of a task."""
    shared, variants = MEASUREMENTS[task]
    settings = {variant.name: (*shared[scale], *variant.overrides) for variant in variants}
    configs = {name: compose("train", overrides) for name, overrides in settings.items()}
    where = provenance(environment(torch.device("cpu")))
    return frame(
        {
            "task": task,
            "variant": one.name,
            "seed": 0,
            "settings": " ".join(settings[one.name]),
            "config": digest(parse(config)),
            **where,
            "parameters": one.parameters,
            "flops": float(one.train_flops),
            "train_seconds": list(one.train_seconds),
            "evaluation_seconds": list(one.evaluation_seconds),
            "peak_bytes": one.peak_bytes,
        }
        for one, config in zip(measure(configs, REPEAT[scale]), configs.values())
    )


def render(found: dict[str, Variants]) -> Page:
    """Return the table, the figure, and the comparison with the published code."""
    ratios = against(found["step"], BASE)
    page = Page({"": table(found["step"], ratios, BASE), "published": PUBLISHED})
    page.add_figure("", draw, ratios, size=(6.0, 2.6))
    if on_contexts := found.get("contexts"):
        by_cells = against(on_contexts, FEWEST)
        page.tables["contexts"] = table(on_contexts, by_cells, FEWEST)
        ratios |= {f"contexts/{variant}": one for variant, one in by_cells.items()}
    for variant, one in ratios.items():
        time, memory = np.median(one["train_seconds"]), one["peak_bytes"].item()
        page.add_numbers(f"cost/{variant}", {"time": f"{time:.2f}", "memory": f"{memory:.2f}"})
    return page


def against(found: Variants, base: str) -> dict[str, dict[str, np.ndarray]]:
    """Return every measurement over that of a base, pair by pair, of measurements made beside each other."""
    return {
        variant: {name: curves(one, name)[0] / curves(found[base], name)[0] for name in MEASURED}
        for variant, one in found.items()
    }


def table(found: Variants, ratios: dict[str, dict[str, np.ndarray]], base: str) -> Table:
    """Return a line for each variant with its ratios to a base."""
    head = [f"against {base}", "parameters", "FLOPs", "training step", "from, to", "evaluation step"]
    lines = [
        [
            variant,
            f"{int(found[variant]['parameters'].item()):,}",
            f"{one['flops'].item():.3f}",
            f"{np.median(one['train_seconds']):.2f}",
            f"{one['train_seconds'].min():.2f} to {one['train_seconds'].max():.2f}",
            f"{np.median(one['evaluation_seconds']):.2f}",
            f"{one['peak_bytes'].item():.2f}",
        ]
        for variant, one in ratios.items()
    ]
    return Table([*head, "peak memory"], lines)


def draw(figure: Any, ratios: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw time, peak memory and FLOPs against the number of cells and of active cells."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, letter, fixed in zip(panels, "Nk", ("k=2", "N=64")):
        part = "Nk".index(letter)
        shown = {size[part]: ratios[name] for name, size in SIZES.items() if fixed in name}
        at = sorted(shown)
        for what, name, style in (
            ("time of a training step", "train_seconds", {"marker": "o", "color": LIGHT[0]}),
            ("peak memory of a training step", "peak_bytes", {"marker": "o", "color": LIGHT[1]}),
            ("FLOPs", "flops", {"linestyle": ":", "color": "black"}),
        ):
            axes.plot(at, [np.median(shown[value][name]) for value in at], label=what, **style)
        log2_axis(axes, at)
        axes.set_xlabel(f"{letter} ({fixed})")
        axes.axhline(1.0, color="black", linewidth=0.5)
    panels[0].set_ylabel("against no memory")
    panels[0].legend(fontsize=6.5)


STUDY = Study("cost", __doc__, render, measure=measure_all)

if __name__ == "__main__":
    main(STUDY)
