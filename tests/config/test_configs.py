"""Every file in configs/ makes a run that can start, and says each default once."""

import dataclasses
import importlib
import pkgutil
import re
import typing
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import memhrm
from memhrm.__main__ import COMMANDS
from memhrm.config.command import compose
from memhrm.config.manual import Setting, chosen, options, settings
from memhrm.config.settings import Settings, SettingWarning
from memhrm.cost.benchmark import Subject
from memhrm.data.settings import parse
from memhrm.memory.cell_settings import CellSettings
from memhrm.runs.settings import parse as parse_run
from memhrm.training.supervision import LossSettings
from tiny import TEXTS

TINY = (
    "model.hidden_size=8",
    "model.num_heads=2",
    "model.expansion=0.5",
    "batch_size=2",
    "threads=1",
    "device=cpu",
)
SMALL = (*TINY, "data=sudoku4", "model=trm", "optim.warmup=0", "optim.lr=0.01", "optim.puzzle_lr=0.01")


def weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}


def stepped(*overrides: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights before and after one optimiser step."""
    subject = Subject(compose("train", overrides))
    before = weights(subject)
    subject.train_step()
    after = weights(subject)
    assert all(tensor.isfinite().all() for tensor in after.values())
    return before, after


def pairs(these: list[str], those: list[str]) -> list[Any]:
    """Return all pairs as parameters; those that name nothing for the first time are marked thorough."""
    shift = max(len(these), len(those))
    first = {(these[i % len(these)], those[i % len(those)]) for i in range(shift)}
    return [
        pytest.param(one, other, marks=() if (one, other) in first else pytest.mark.thorough)
        for one in these
        for other in those
    ]


@pytest.mark.parametrize(("model", "data"), pairs(options("model"), options("data")))
def test_every_model_trains_on_every_data_set(model, data):
    few = dict.fromkeys(("sudoku6", "sudoku9"), ("data.train_size=20", "data.test_size=20"))
    given = (few | TEXTS).get(data, ())
    changes = (f"model={model}", f"data={data}", *given, "model.H_cycles=1", "optim.warmup=0")
    before, after = stepped(*TINY, *changes)
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {"H_init", "L_init", "q_head.weight"}  # The Q-head's weight may well start flat.


@pytest.mark.parametrize(("memory", "model"), pairs(options("memory"), ["hrm", "trm"]))
@pytest.mark.parametrize("placement", ["augment", "replace"])
def test_every_memory_trains_on_every_model(memory, model, placement):
    changes = (f"+memory={memory}", *TINY, f"model={model}", "optim.warmup=0")
    if memory == "retrieval":
        changes = (*changes, "data=intent", *TEXTS["intent"])
    if "placement" in compose("train", changes)["memory"]:
        changes = (*changes, f"memory.placement={placement}")
    elif placement == "replace":
        pytest.skip("a memory without attention of its own has no placement")
    before, after = stepped(*changes)
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {"H_init", "L_init", "q_head.weight"} | {n for n in still if n.endswith("_init")}


def test_k_is_given_at_the_top():
    for k in (1, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SettingWarning)
            run = parse_run(compose("train", ["+memory=multicell", f"k={k}"]))
        assert isinstance(run.memory, CellSettings) and run.memory.k == k


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_valid(name):
    run = parse_run(compose("train", [f"experiment={name}", *TEXTS.get(name, ())]))
    assert parse(run.data).task().seq_len > 0
    if name.startswith(("trm", "hrm")):  # A published recipe.
        assert name.startswith(run.model.name)


@pytest.mark.parametrize("name", options("optim"))
def test_every_optimiser_changes_every_weight(name):
    before, after = stepped(*SMALL, f"optim={name}", "model=hrm")
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {"H_init", "L_init", "q_head.weight"}


def test_losses_give_different_steps():
    (_, stablemax), (_, softmax) = (stepped(*SMALL, f"loss.kind={kind}", "optim=adamw", "seed=3")
                                    for kind in ("stablemax", "softmax"))  # fmt: skip
    assert not torch.equal(stablemax["embed.tokens"], softmax["embed.tokens"])


def test_gradient_window_from_the_command_line():
    """{cycles: 1} is last_cycle, and {cycles: 2} reaches further back."""
    forms = ("{cycles:2}", "{cycles:1}", "last_cycle")
    two, one, last = (stepped(*SMALL, "optim=adamw", "optim.eps=1", f"model.gradient_window={form}")[1]
                      ["L_net.blocks.0.mlp.down.weight"] for form in forms)  # fmt: skip
    configs = [compose("train", [f"model.gradient_window={form}"]) for form in forms]
    assert [parse_run(config).model.window() for config in configs] == [2, 1, "last_cycle"]
    assert torch.equal(one, last)
    assert not torch.equal(two, one)


def classes(base: type) -> set[type]:
    """The classes of settings that are built on one."""
    return {base}.union(*map(classes, base.__subclasses__()))


for room in ("memory", "models", "training", "runs", "probes"):  # So that all of them are there.
    for found in pkgutil.iter_modules([str(Path(memhrm.__file__).parent / room)], f"memhrm.{room}."):
        importlib.import_module(found.name)
for door in COMMANDS:
    importlib.import_module(f"memhrm.{door}" if door != "data" else "memhrm.data.__main__")

OWN = sorted((cls for cls in classes(Settings) if cls.__module__.startswith("memhrm.") and cls.FILE), key=str)


def written(cls: type[Settings]) -> dict[str, str]:
    """Return the dotted names of the settings of a class in its files, and their names in the class."""
    names = {}
    for field in dataclasses.fields(cls):
        group = dataclasses.is_dataclass(typing.get_type_hints(cls)[field.name])
        if not group and (cls.__name__, field.name) not in (
            ("RunSettings", "data"),
            ("LossSettings", "memory"),
        ):
            name = {"source": "from"}.get(field.name, field.name)  # Python reserves `from`.
            names[name if name == "k" else f"{cls.GROUP}.{name}".lstrip(".")] = field.name
    return names


def declared(file: str) -> dict[str, Setting]:
    """Return what a file in configs/ declares, with the files that it builds on, by dotted name."""
    found = chosen(*file.split("/")) if "/" in file else settings(f"{file}.yaml")
    return {setting.name: setting for setting in found}


def files(cls: type[Settings]) -> list[str]:
    """Return the files that hold the defaults of a class: its own and those of its bases."""
    return [vars(base)["FILE"] for base in reversed(cls.__mro__) if vars(base).get("FILE")]


@pytest.mark.parametrize("cls", OWN, ids=lambda cls: cls.__name__)
def test_every_setting_has_one_default_and_an_explanation_in_its_file(cls):
    assert [field.name for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING] == []
    found, hints = {}, typing.get_type_hints(cls)
    for file in files(cls):
        found |= {name: one for name, one in declared(file).items() if one.words or name not in found}
    for dotted, name in written(cls).items():
        assert re.search(r"[a-z]{2}", found[dotted].words), f"{dotted} has no word in {cls.FILE}.yaml"
        kinds = typing.get_args(hints[name]) or (hints[name],)
        literals = [one for kind in (hints[name], *kinds) if typing.get_origin(kind) is typing.Literal
                    for one in typing.get_args(kind)]  # fmt: skip
        if dotted != "data.side":  # Not every kind of data has every one.
            assert [one for one in literals if str(one) not in found[dotted].words] == [], dotted


@pytest.mark.parametrize("file", sorted({file for cls in OWN for file in files(cls)}))
def test_no_file_declares_what_no_class_has(file):
    """The losses of memories are the memories' own."""
    known = {dotted for cls in OWN if file in files(cls) for dotted in written(cls)}
    losses = {f"loss.{name}" for name in declared_losses()} if file == "train" else set()
    assert set(declared(file)) - losses <= known


def declared_losses() -> set[str]:
    """Return the names of the losses that the memories of this package have."""
    own = dict.fromkeys(field.name for field in dataclasses.fields(LossSettings))
    return {name.removeprefix("loss.") for name in declared("train") if name.startswith("loss.")} - set(own)


GENERATOR = {
    *("min_clues", "max_clues", "min_guesses", "max_guesses"),
    *("min_walls", "max_walls", "min_length", "unique"),
}


@pytest.mark.parametrize("name", options("data"))
def test_data_sets_give_every_key_that_applies(name):
    """A downloaded set has no settings of the generator; a generated one has nothing to download."""
    values = compose("train", [f"data={name}", *TEXTS.get(name, ())])["data"]
    cls = type(parse(values))
    downloaded = values.get("download") is not None
    names = {field.name for field in dataclasses.fields(cls)}
    assert set(values) <= names
    assert names - set(values) <= (GENERATOR | {"cache"} if downloaded else {"download"})
