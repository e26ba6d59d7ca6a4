"""The variants of the grids, by name: what each is called in the tables, and its settings."""

ONE, TWO = "model.gradient_window=last_cycle", "model.gradient_window={cycles:2}"

MODELS = {
    "feed-forward": "model=feedforward",
    "recurrent transformer": "model=transformer",
    "HRM": "model=hrm",
    "HRM, g=2": f"model=hrm {TWO}",
    "TRM": "model=trm",
    "TRM, g=2": f"model=trm {TWO}",
}
"""Without memory; g is the number of H-cycles in the gradient window, 2 being that of the memories."""

MIXED = {
    "HRM, attention": "model=hrm model.mixer=attention model.positions=learned",
    "TRM, attention": "model=trm model.mixer=attention model.positions=learned",
}
"""Where the others mix their tokens by an MLP, as TRM-MLP does: the published ones, by attention."""

MEMORIES = {
    f"{model} + {memory}, {placement}": f"model={model.lower()} +memory={memory} "
    f"memory.placement={placement} {TWO}"
    for model in ("HRM", "TRM")
    for memory in ("bicross", "aggregate", "multicell")
    for placement in ("replace", "augment")
}

_CELLS = MEMORIES["TRM + multicell, augment"]
CONTROLS = {
    "TRM + carry-add": f"model=trm +memory=carry_add {TWO}",
    "TRM + multicell, augment, random cells": f"{_CELLS} memory.selector=random",
    "TRM + multicell, augment, all cells": f"{_CELLS} memory.selector=all k=8",
}
"""What a memory must beat before its selection, or its being a memory, can have credit."""

TOKENS = {"TRM + memory tokens": f"model=trm +memory=tokens {TWO}"}
"""One more control, where tokens are mixed by attention."""

BASELINES = {
    **{name: f"{name[:3]}, g=2" for name in MEMORIES},
    **dict.fromkeys([*CONTROLS, *TOKENS], "TRM, g=2"),
}
"""What each is compared with, seed by seed: the same model with the same gradient window."""

WINDOWS = {name: name.partition(",")[0] for name in MODELS if name.endswith("g=2")}
"""What a gradient window of two cycles changes by itself, without a memory."""

SIZES = {
    "smoke": {
        "hrm": "model.H_layers=1",
        "transformer": "model.L_layers=0 model.H_layers=1 model.H_cycles=1 model.L_cycles=0",
        "feedforward": "model.L_layers=0 model.H_layers=1 model.H_cycles=1 model.L_cycles=0 "
        "halting.halt_max_steps=1",
    },
    "cpu": {
        "hrm": "model.L_layers=1 model.H_layers=1",
        "trm": "model.L_layers=1",
        "transformer": "model.H_layers=2",
        "feedforward": "model.H_layers=2",
    },
    "gpu": {
        "hrm": "model.H_cycles=2 model.L_cycles=2 model.puzzle_emb_len=0",
        "transformer": "model.H_cycles=1 model.L_cycles=0 model.puzzle_emb_len=0",
        "feedforward": "model.H_cycles=1 model.L_cycles=0 model.puzzle_emb_len=0 halting.halt_max_steps=1",
    },
}
"""What a model's size is at a scale, where it is not the task's. cpu: a quarter of HRM's
blocks and of the transformer's, half of TRM's."""


def sized(variants: dict[str, str], scale: str) -> dict[str, str]:
    """The settings with their model's size at a scale."""
    return {name: f"{words} {_size(words, scale)}" for name, words in variants.items()}


def _size(words: str, scale: str) -> str:
    """The size of the model; a memory in the H-net's place leaves no layers to it."""
    size = SIZES[scale].get(_model(words), "").split()
    replaced = "memory.placement=replace" in words
    return " ".join(word for word in size if not (replaced and word.startswith("model.H_layers=")))


def _model(words: str) -> str:
    return next(word.removeprefix("model=") for word in words.split() if word.startswith("model="))
