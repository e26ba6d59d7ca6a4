"""Every file in configs/ makes a run that can start, and says each default once."""

import dataclasses
import typing
import warnings
from pathlib import Path

import pytest
import torch
import yaml

from memhrm.config.command import CONFIGS, compose
from memhrm.config.manual import options
from memhrm.config.settings import SettingWarning
from memhrm.cost.benchmark import Subject
from memhrm.data.settings import parse
from memhrm.memory.base import MemorySettings
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.registry import parse as parse_memory
from memhrm.models.settings import ModelSettings
from memhrm.runs.choice import EvaluateSettings, ExportSettings, OtherData
from memhrm.runs.settings import RunSettings, settings
from memhrm.runs.wandb import LoggerSettings
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.supervision import LossSettings

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


@pytest.mark.parametrize("model", options("model"))
@pytest.mark.parametrize("data", options("data"))
def test_every_model_trains_on_every_data_set(model, data):
    before, after = stepped(*TINY, f"model={model}", f"data={data}", "model.H_cycles=1", "optim.warmup=0")
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {"H_init", "L_init", "q_head.weight"}  # The Q-head's weight may well start flat.


@pytest.mark.parametrize("memory", options("memory"))
@pytest.mark.parametrize("model", ["hrm", "trm"])
@pytest.mark.parametrize("placement", ["augment", "replace"])
def test_every_memory_trains_on_every_model(memory, model, placement):
    changes = (f"+memory={memory}", *TINY, f"model={model}", "optim.warmup=0")
    if "placement" in compose("train", changes)["memory"]:
        changes = (*changes, f"memory.placement={placement}")
    elif placement == "replace":
        pytest.skip("a memory without attention of its own has no placement")
    before, after = stepped(*changes)
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {"H_init", "L_init", "q_head.weight"} | {n for n in still if n.endswith("_init")}


@pytest.mark.parametrize("name", options("memory"))
def test_a_memory_file_gives_every_key_of_its_settings_and_their_defaults(name):
    values = compose("train", [f"+memory={name}"])["memory"]
    settings_class = type(parse_memory(values))
    assert set(values) == names(settings_class)
    for field in dataclasses.fields(MemorySettings):
        if field.default is not dataclasses.MISSING:
            assert values[field.name] == field.default
    text = "".join(path.read_text() for path in Path(CONFIGS, "memory").glob("*.yaml"))
    for key, hint in typing.get_type_hints(settings_class).items():
        if typing.get_origin(hint) is typing.Literal:
            line = next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
            assert all(choice in line for choice in typing.get_args(hint)), line


def test_k_is_given_at_the_top():
    for k in (1, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SettingWarning)
            run = settings(compose("train", ["+memory=multicell", f"k={k}"]))
        assert isinstance(run.memory, CellSettings) and run.memory.k == k


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_valid(name):
    run = settings(compose("train", [f"experiment={name}"]))
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
    assert [settings(config).model.window() for config in configs] == [2, 1, "last_cycle"]
    assert torch.equal(one, last)
    assert not torch.equal(two, one)


def names(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def keys(path: str) -> set[str]:
    values = yaml.safe_load(Path(CONFIGS, path).read_text())
    return set(values) - {"defaults", "hydra"}


@pytest.mark.parametrize(
    ("cls", "path"),
    [
        (OptimSettings, "optim/adam_atan2.yaml"),
        (LoggerSettings, "logger/wandb.yaml"),
        (EvaluateSettings, "evaluate.yaml"),
        (ExportSettings, "export.yaml"),
    ],
)
def test_file_and_settings_have_the_same_keys(cls, path):
    assert keys(path) == names(cls)


def test_train_and_settings_have_the_same_keys():
    composed = compose("train", [])
    assert set(composed) == names(RunSettings) - {"memory"}
    assert set(composed["model"]) == names(ModelSettings)
    assert set(composed["halting"]) == names(Halting)
    declared = dict.fromkeys(set(composed["loss"]) - names(LossSettings))
    assert set(composed["loss"]) - set(declared) == names(LossSettings) - {"memory"}
    assert declared.items() <= composed["loss"].items()  # The memory says what null stands for.
    assert set(declared) == {
        "diverse",
        "balance",
        "information",
        "self_sup",
        "policy",
        "entropy",
        "imitation",
    }
    evaluate = compose("evaluate", ["run=x"])
    assert set(evaluate["data"]) == names(OtherData)


GENERATOR = {
    *("min_clues", "max_clues", "min_guesses", "max_guesses"),
    *("min_walls", "max_walls", "min_length", "unique"),
}


@pytest.mark.parametrize("name", options("data"))
def test_data_sets_give_every_key_that_applies(name):
    """A downloaded set has no settings of the generator; a generated one has nothing to download."""
    values = compose("train", [f"data={name}"])["data"]
    cls = type(parse(values))
    downloaded = values.get("download") is not None
    assert set(values) <= names(cls)
    assert names(cls) - set(values) <= (GENERATOR | {"cache"} if downloaded else {"download"})


@pytest.mark.parametrize(
    ("cls", "path"),
    [
        (LossSettings, "train"),
        (EvaluateSettings, "evaluate"),
        (ExportSettings, "export"),
        (OtherData, "evaluate"),
    ],
)
def test_defaults_agree(cls, path):
    """Where both the file and the dataclass have a default, they have the same one."""
    composed = compose(path, [] if path == "train" else ["run=x"])
    values = {LossSettings: "loss", OtherData: "data"}.get(cls)
    given = composed[values] if values else composed
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING and field.name in given:
            assert given[field.name] == field.default, field.name


def test_every_choice_of_a_literal_is_in_a_comment_of_the_file():
    """Whoever reads configs/model/trm.yaml sees all that can be chosen."""
    text = Path(CONFIGS, "model/trm.yaml").read_text()
    for cls in (ModelSettings, Halting):
        for name, hint in typing.get_type_hints(cls).items():
            if typing.get_origin(hint) is typing.Literal:
                line = next(line for line in text.splitlines() if line.strip().startswith(f"{name}:"))
                assert all(choice in line for choice in typing.get_args(hint)), line
