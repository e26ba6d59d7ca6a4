"""The models, memories and controls that the grids compare."""

from collections.abc import Iterable
from dataclasses import replace

from experiments.grid.run import Variant
from experiments.grid.tasks import MAZE, MAZE_HARD, SUDOKU4, SUDOKU6, SUDOKU_EXTREME

ONE_STEP = "model.gradient_window=one_step"
ONE, TWO = "model.gradient_window=last_cycle", "model.gradient_window={cycles:2}"

MODELS = [
    Variant("feed-forward", None, ("model=feedforward",)),
    Variant("recurrent transformer", None, ("model=transformer",)),
    Variant("HRM", None, ("model=hrm",)),
    Variant("HRM, last cycle", None, ("model=hrm", ONE)),
    Variant("HRM, g=2", None, ("model=hrm", TWO)),
    Variant("TRM, one step", None, ("model=trm", ONE_STEP)),
    Variant("TRM", None, ("model=trm",)),
    Variant("TRM, g=2", None, ("model=trm", TWO)),
]
"""Without memory, by gradient window: HRM's own is one step, TRM's the last cycle, that of the memories two
whole H-cycles (g=2)."""

_ATTENTION = ("model.mixer=attention", "model.positions=learned")
MIXED = [
    Variant("HRM, attention", None, ("model=hrm", *_ATTENTION)),
    Variant("TRM, attention", None, ("model=trm", *_ATTENTION)),
]
"""The published models, where all others mix their tokens by an MLP, as TRM-MLP does."""

PLACEMENTS = ("replace", "augment")
MEMORIES = [
    Variant(
        f"{model} + {memory}, {placement}",
        f"{model}, g=2",
        (f"model={model.lower()}", f"+memory={memory}", f"memory.placement={placement}", TWO),
    )
    for model in ("HRM", "TRM")
    for memory in ("bicross", "aggregate", "multicell")
    for placement in PLACEMENTS
]
"""Each memory in each model; the baseline is the same model with the same gradient window."""

CELLS = MEMORIES[-1]


def placed_memories(model: str, placement: str) -> list[Variant]:
    """Return the memories of a model in one place."""
    return [one for one in MEMORIES if one.name.startswith(model) and one.name.endswith(placement)]


CONTROLS = [
    Variant("TRM + carry-add", "TRM, g=2", ("model=trm", "+memory=carry_add", TWO)),
    Variant(f"{CELLS.name}, random cells", "TRM, g=2", (*CELLS.overrides, "memory.selector=random")),
    Variant(f"{CELLS.name}, all cells", "TRM, g=2", (*CELLS.overrides, "memory.selector=all", "k=8")),
]
"""What a memory must beat before its selection, or its being a memory, gets the credit."""

TOKENS = [Variant("TRM + memory tokens", "TRM, g=2", ("model=trm", "+memory=tokens", TWO))]
"""A further control where tokens are mixed by attention."""

_TWICE = ("model.L_layers=2", "model.H_layers=2")


def _width(width: int) -> tuple[str, ...]:
    return (f"model.hidden_size={width}",)


_EQUAL = {
    SUDOKU4: {"HRM": (_TWICE, _width(88)), "TRM": (_width(120), _width(88))},
    SUDOKU6: {"HRM": (_TWICE, _width(80)), "TRM": (_width(120), _width(80))},
    MAZE: {"HRM": (_TWICE, _width(80)), "TRM": (_width(120), _width(80))},
    SUDOKU_EXTREME: {"HRM": (_width(592), _width(576)), "TRM": (_width(832), _width(560))},
    MAZE_HARD: {"HRM": (_width(592), _width(544)), "TRM": (_width(768), _width(544))},
}
"""What gives a model as many parameters, and as many FLOPs, as with bicross after its level, by task.

Where no width fits, since the inner width grows in steps, twice the blocks do."""
EQUAL = ("equal parameters", "equal FLOPs")


_ONE_NET = ("model.L_layers=0", "model.H_layers=1", "model.H_cycles=1", "model.L_cycles=0")
_NO_RECURSION = ("model.H_cycles=1", "model.L_cycles=0", "model.puzzle_emb_len=0")
SIZES = {
    "smoke": {
        "model=hrm": ("model.H_layers=1",),
        "model=transformer": _ONE_NET,
        "model=feedforward": (*_ONE_NET, "halting.halt_max_steps=1"),
    },
    "cpu": {
        "model=hrm": ("model.L_layers=1", "model.H_layers=1"),
        "model=trm": ("model.L_layers=1",),
        "model=transformer": ("model.H_layers=2",),
        "model=feedforward": ("model.H_layers=2",),
    },
    "gpu": {
        "model=hrm": ("model.H_cycles=2", "model.L_cycles=2", "model.puzzle_emb_len=0"),
        "model=transformer": _NO_RECURSION,
        "model=feedforward": (*_NO_RECURSION, "halting.halt_max_steps=1"),
    },
}
"""The size of each model at a scale, where it is not the task's.

cpu: a quarter of HRM's blocks and of the transformer's, half of TRM's.
"""


def equal(task: str, scale: str, models: Iterable[str] = ("HRM", "TRM")) -> list[Variant]:
    """Return the models without memory that are as large, or cost as much, as with one (`_EQUAL`)."""
    plain = {one.name: one for one in sized(MODELS, scale)}
    return [
        plain[f"{model}, g=2"].change(f"{model}, {what}", *settings)
        for model in models
        for what, settings in zip(EQUAL, _EQUAL[task][model])
    ]


def sized(variants: Iterable[Variant], scale: str) -> list[Variant]:
    """Return variants with the size that their models have at a scale.

    The H-net's too where a memory replaces it: it is drawn and left out, so that the rest starts as with it.
    """

    def size(variant: Variant) -> tuple[str, ...]:
        return next((size for model, size in SIZES[scale].items() if model in variant.overrides), ())

    return [replace(one, overrides=(*one.overrides, *size(one))) for one in variants]
