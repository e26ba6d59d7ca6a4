"""What memory costs: time of a training step and peak memory against k and N, and against the published code.

    python -m experiments.cost --scale cpu

Nothing is trained. All configurations are measured in alternation in one process, so that what else the
machine does falls on all of them alike; what counts are the ratios to the model without memory.
"""

from typing import Any

import numpy as np
import torch

from experiments.experiment import Experiment, main
from experiments.render import Page, Table
from experiments.results import Row, rests_on
from experiments.scores import by_variant
from experiments.tasks import COSTS, REPEAT
from experiments.variants import TWO
from memhrm.config.command import compose
from memhrm.cost.benchmark import measure
from memhrm.report.figures import LIGHT
from memhrm.runs.directory import environment
from memhrm.runs.identity import digest
from memhrm.runs.settings import parse

CELLS = f"+memory=multicell memory.placement=augment {TWO}"
BASE = "no memory"
VARIANTS = {
    BASE: TWO,
    "bicross": f"+memory=bicross {TWO}",
    **{f"N={n}, k=2": f"{CELLS} memory.cells={n}" for n in (4, 8, 16, 32, 64)},
    **{f"N=64, k={k}": f"{CELLS} memory.cells=64 k={k}" for k in (1, 4, 8, 16)},
    "multicell, replace": f"{CELLS} memory.placement=replace",
    "aggregate, augment": f"+memory=aggregate {TWO}",
}
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


def measured(scale: str) -> list[Row]:
    """A row per configuration."""
    common = COSTS[scale].split()
    configs = {name: compose("train", [*common, *words.split()]) for name, words in VARIANTS.items()}
    around = rests_on(environment(torch.device("cpu")))
    rows = []
    for one, config in zip(measure(configs, REPEAT[scale]), configs.values()):
        rows.append(
            Row(
                task="step",
                variant=one.name,
                seed="0",
                settings=" ".join([*common, *VARIANTS[one.name].split()]),
                config=digest(parse(config)),
                **around,
                parameters=str(one.parameters),
                flops=f"{one.train_flops:.6g}",
                train_seconds=" ".join(f"{value:.6g}" for value in one.train_seconds),
                evaluation_seconds=" ".join(f"{value:.6g}" for value in one.evaluation_seconds),
                peak_bytes=str(one.peak_bytes),
            )
        )
    return rows


def render(rows: list[Row]) -> Page:
    found = {variant: one["0"] for variant, one in by_variant(rows, "step").items()}
    page = Page({"": table(found), "published": PUBLISHED})
    page.figure("", lambda figure: draw(figure, found), 6.0, 2.6)
    for variant, one in found.items():
        time = np.median(ratios(one, found[BASE], "train_seconds"))
        memory = ratios(one, found[BASE], "peak_bytes")[0]
        page.say(f"cost/{variant}", {"time": f"{time:.2f}", "memory": f"{memory:.2f}"})
    return page


def ratios(one: Row, base: Row, name: str) -> np.ndarray:
    """Pair by pair, of measurements made beside each other."""
    return np.array(one.numbers(name)) / np.array(base.numbers(name))


def table(found: dict[str, Row]) -> Table:
    base = found[BASE]
    lines = []
    for variant, one in found.items():
        time = ratios(one, base, "train_seconds")
        lines.append(
            [
                variant,
                f"{int(one.number('parameters')):,}",
                f"{one.number('flops') / base.number('flops'):.3f}",
                f"{np.median(time):.2f}",
                f"{time.min():.2f} to {time.max():.2f}",
                f"{np.median(ratios(one, base, 'evaluation_seconds')):.2f}",
                f"{one.number('peak_bytes') / base.number('peak_bytes'):.2f}",
            ]
        )
    head = [
        "against no memory",
        "parameters",
        "FLOPs",
        "training step",
        "from, to",
        "evaluation step",
        "peak memory",
    ]
    return Table(head, lines)


def draw(figure: Any, found: dict[str, Row]) -> None:
    base = found[BASE]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, letter, fixed in zip(panels, "Nk", ("k=2", "N=64")):
        shown = {
            _value(name, letter): one for name, one in found.items() if fixed in name and f"{letter}=" in name
        }
        at = sorted(shown)
        for what, name, colour in (
            ("time", "train_seconds", LIGHT[0]),
            ("peak memory", "peak_bytes", LIGHT[1]),
        ):
            values = [np.median(ratios(shown[value], base, name)) for value in at]
            axes.plot(at, values, "o-", color=colour, label=f"{what} of a training step")
        axes.plot(
            at,
            [shown[value].number("flops") / base.number("flops") for value in at],
            ":",
            color="black",
            label="FLOPs",
        )
        axes.set_xscale("log", base=2, subs=[])
        axes.set_xticks(at, map(str, at))
        axes.set_xlabel(f"{letter} ({fixed})")
        axes.axhline(1.0, color="black", linewidth=0.5)
    panels[0].set_ylabel("against no memory")
    panels[0].legend(fontsize=6.5)


def _value(name: str, letter: str) -> int:
    return int(dict(part.split("=") for part in name.split(", "))[letter])


EXPERIMENT = Experiment("cost", __doc__, lambda scale: [], render, measured)

if __name__ == "__main__":
    from memhrm.config import console

    console.run(lambda: main(EXPERIMENT))
