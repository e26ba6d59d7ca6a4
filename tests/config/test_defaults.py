"""What null stands for: the gradient window beside each model and memory, and what the data decide."""

import warnings
from pathlib import Path

import pytest
import torch

from memhrm.config.command import compose, given
from memhrm.config.manual import options
from memhrm.config.settings import SettingWarning
from memhrm.cost.benchmark import Subject
from memhrm.memory.exchange import ExchangeSettings
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings
from memhrm.runs.directory import RunDirectory
from memhrm.runs.identity import check_same, digest
from memhrm.runs.settings import RunSettings, parse
from memhrm.runs.summary import memory_line
from memhrm.train import main
from tiny import TEXTS, train, variations

pytestmark = pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")

PUBLISHED = {"hrm": "one_step"}  # The others: last_cycle.
MEMORIES = [name for name in options("memory") if name != "none"]
LARGE = [
    "model.hidden_size=16",
    "model.num_heads=2",
    "model.expansion=0.5",
    "batch_size=2",
    "compile=false",
    "precision=float32",
    "data.path=anywhere",
]


def run_of(*words: str) -> RunSettings:
    return parse(compose("train", list(words)))


@pytest.mark.parametrize("model", variations(options("model"), 3))
def test_the_gradient_window_is_what_it_was_before_null(model):
    """The values of the files that set it: the model's own without a memory, {cycles: 2} with one."""
    own = PUBLISHED.get(model, "last_cycle")
    assert run_of(f"model={model}").model.gradient_window == own
    assert run_of(f"model={model}", "model.H_cycles=3").model.gradient_window == own
    assert run_of(f"model={model}", "+memory=none").model.gradient_window == own
    for memory in MEMORIES:
        words = f"model={model}", f"+memory={memory}", "model.H_cycles=3"
        assert run_of(*words).model.gradient_window == {"cycles": 2}
    assert run_of(*words[:2], "model.H_cycles=1").model.gradient_window == {"cycles": 1}
    for window, value in (("one_step", "one_step"), ("{cycles:1}", {"cycles": 1})):  # A given one wins.
        run = run_of(*words, f"model.gradient_window={window}")
        assert run.model.gradient_window == value


@pytest.mark.parametrize("name", options("experiment"))
def test_an_experiment_has_its_published_window(name):
    run = run_of(f"experiment={name}", *TEXTS.get(name, ()))
    assert run.model.gradient_window == PUBLISHED.get(name[:3], "whole" if name == "hops" else "last_cycle")


EPISODIC = ("recall", "episodes")
SHORT = {"contexts": ["data.contexts=[2]"], "hops": ["data.hops=[2]", "data.cycles=[2]"]}
RECIPES = [
    pytest.param(name, marks=pytest.mark.thorough) for name in options("experiment") if name not in EPISODIC
]


@pytest.mark.parametrize("memory", options("memory"))
@pytest.mark.parametrize("name", [*EPISODIC, *RECIPES])
def test_every_memory_fits_every_experiment(name, memory):
    """Composed, built, one optimiser step; the recipes smaller than they are."""
    small = (
        [*LARGE, *(["data.side=6"] if "maze" in name else [])]
        if "_" in name
        else ["model.hidden_size=16", "batch_size=2", *SHORT.get(name, ["data.lengths=[2]"])]
    )
    if name in TEXTS:
        small = ["model.hidden_size=16", "batch_size=2", *TEXTS[name]]
    config = compose(
        "train", [f"experiment={name}", f"+memory={memory}", *small, "optim.warmup=0", "threads=1"]
    )
    if memory == "tokens" and config["model"]["mixer"] == "mlp":
        with pytest.raises(
            ValueError, match=r"^model.mixer is 'mlp'; allowed: attention.*; model=trm has it$"
        ):
            Subject(config)
        return
    if memory == "retrieval" and not name.startswith("intent"):
        with pytest.raises(
            ValueError, match=r"^memory is 'retrieval'; allowed: with data that have one label"
        ):
            Subject(config)
        return
    subject = Subject(config)
    before = subject.model.lm_head.weight.clone()
    subject.train_step()
    assert not torch.equal(before, subject.model.lm_head.weight)


def test_the_commands_of_the_readme_train(tmp_path):
    """The headline as it stands there, with nothing but its size made smaller."""
    small = (
        "steps=2 batch_size=2 data.test_episodes=3 data.test_length=2 validation_size=1 threads=1 "
        "progress=false"
    )
    for number, words in enumerate(
        ("experiment=recall +memory=bicross", "experiment=episodes +memory=multicell k=3")
    ):
        more = [*words.split(), *small.split(), "data.lengths=[2]", f"dir={tmp_path / str(number)}"]
        assert main(compose("train", more), given(more)) == 0
        assert RunDirectory(tmp_path / str(number)).config()["model"]["gradient_window"] == {"cycles": 1}


def test_episodes_choose_what_learns_in_them():
    def found(*words: str) -> tuple:
        memory = run_of(*words).memory
        assert isinstance(memory, ExchangeSettings)
        return memory.placement, memory.state_norm, getattr(memory, "shared_cell", None)

    assert found("+memory=bicross") == ("augment", "rms", None)
    assert found("+memory=multicell") == ("augment", "rms", False)
    assert found("+memory=aggregate") == ("augment", "rms", False)
    for memory in ("multicell", "aggregate"):
        assert found("experiment=recall", f"+memory={memory}") == ("augment", "none", True)
        assert found("data=episodes", f"+memory={memory}", "k=1") == ("augment", "none", False)
    assert found("experiment=recall", "+memory=bicross") == ("augment", "none", None)
    explicit = "memory.placement=replace", "memory.state_norm=rms", "memory.shared_cell=false"
    assert found("experiment=recall", "+memory=multicell", *explicit) == ("replace", "rms", False)


def test_a_model_that_is_made_from_python_has_an_explicit_window():
    values = {
        "hidden_size": 16,
        "num_heads": 2,
        "L_layers": 1,
        "H_net": "shared",
        "H_cycles": 2,
        "L_cycles": 2,
    }
    run = run_of("+memory=bicross")
    shape = Subject(compose("train", ["threads=1", "batch_size=1"])).model.shape
    bare = ModelSettings.of(**values)
    assert bare.window() == "last_cycle"
    assert Reasoner(bare, shape).settings.gradient_window == "last_cycle"
    assert Reasoner(bare, shape, run.memory).settings.gradient_window == {"cycles": 2}


def test_resolving_again_changes_nothing_and_names_the_same_run():
    for words in (
        "",
        "+memory=multicell",
        "experiment=recall +memory=bicross",
        "model=hrm +memory=carry_add",
    ):
        once = parse(compose("train", words.split()))
        assert parse(once.config()) == once
        assert None not in (once.model.gradient_window, once.validation_size)
    explicit = run_of("+memory=bicross", "model.gradient_window={cycles:2}")
    implied = run_of("+memory=bicross")
    assert digest(explicit) == digest(implied) != digest(run_of())
    check_same(implied, explicit.config(), Path("here"))  # As a run that was begun before null.


def test_settings_that_change_no_number_are_free_on_resume(tmp_path, capsys):
    base = run_of("data.holdout=20")
    free = ("eval_batch_size=7", "model.checkpoint_activations=true", "data.cache=there",
            "threads=2", "logger=wandb", "logger.mode=offline", "dir=there")  # fmt: skip
    other = run_of("data.holdout=20", *free)
    assert digest(other) == digest(base)
    check_same(other, base.config(), Path("here"))
    started = run_of("data.holdout=20", "init=here")
    assert digest(started) not in (digest(base), digest(run_of("data.holdout=20", "init=there")))
    assert digest(started) == digest(run_of("data.holdout=20", f"init={Path.cwd()}/here"))
    check_same(started, started.config(), Path("here"))
    check_same(base, started.config(), Path("here"))  # It is read at the start only.
    for saved in (base, run_of("data.holdout=20", "init=there")):
        with pytest.raises(ValueError, match=r"^init is .*/here', but the run in here was begun with"):
            check_same(started, saved.config(), Path("here"))
    another = run_of("data.holdout=20", "optim.lr=1")
    assert digest(another) != digest(base)
    with pytest.raises(ValueError, match=r"^optim\.lr is 1\.0, but"):
        check_same(another, base.config(), Path("here"))
    with pytest.raises(ValueError, match=r"^memory\.name is 'none', but"):  # It explains the others.
        check_same(base, run_of("data.holdout=20", "+memory=multicell").config(), Path("here"))
    assert train(tmp_path / "run", "steps=4") == 0
    assert train(tmp_path / "run", "steps=6", "eval_batch_size=5", "model.checkpoint_activations=true") == 0


def test_files_are_known_by_their_content(tmp_path):
    digests = {}
    for folder, text in (("a", "1"), ("copy", "1"), ("b", "2")):
        (tmp_path / folder).mkdir()
        for name in ("train.csv", "test.csv"):
            (tmp_path / folder / name).write_text(text)
        digests[folder] = digest(run_of(f"data.path={tmp_path / folder}"))
    assert digests["a"] == digests["copy"] != digests["b"]


def test_files_of_any_kind_are_known_by_their_content(tmp_path):
    """Those that are read, each once: a test file does not count beside a holdout."""
    task = '{"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[1]], "output": [[%s]]}]}'
    texts = "text,category\nalpha,a\nbeta,%s\ngamma,c\n"
    digests: dict[str, list[str]] = {}
    for folder, text in (("a", "1"), ("copy", "1"), ("b", "2")):
        place = tmp_path / folder
        (place / "training").mkdir(parents=True)
        (place / "training/one.json").write_text(task % text)
        (place / "book.txt").write_text(text * 99)
        (place / "texts.csv").write_text(texts % text)
        (place / "test.csv").write_text(folder)
        words = {
            "prose": ("data=text", f"data.path={place}/book.txt", "data.vocabulary=x", "data.length=8"),
            "arc": ("data=arc", f"data.path={place}"),
            "one file": ("data=intent", f"data.path={place}/texts.csv", "data.holdout=1"),
            "held out": (f"data.path={place}", "data.train_file=texts.csv", "data.holdout=1"),
            "no folder": (f"data.train_file={place}/book.txt", f"data.test_file={place}/texts.csv"),
        }
        for name, of_name in words.items():
            digests.setdefault(name, []).append(digest(run_of(*of_name)))
    for name, (one, copy, other) in digests.items():
        assert one == copy != other, name


def test_a_line_says_what_the_memory_came_to():
    assert memory_line(run_of()) is None
    assert memory_line(run_of("+memory=none")) is None
    assert memory_line(run_of("experiment=recall", "+memory=multicell")) == (
        "memory multicell: placement augment, state_norm none, cell 0 shared, "
        "gradient through the only H-cycle, horizon the whole episode, lifetime episode"
    )
    said = memory_line(run_of("+memory=carry_add", "memory.horizon=3", "model.H_cycles=4"))
    assert said == (
        "memory carry_add: gradient through the last 2 of 4 H-cycles, "
        "horizon 3 supervision steps, lifetime example"
    )
    assert "the last L-step and H-step" in str(
        memory_line(run_of("+memory=bicross", "model.gradient_window=one_step"))
    )


def test_one_cycle_is_warned_of_with_what_helps():
    with pytest.warns(SettingWarning, match=r"; memory\.horizon=2 does$"):
        run_of("+memory=bicross", "model.H_cycles=1")
    with pytest.warns(SettingWarning, match=r"; {cycles: 2} or memory\.horizon=2 do$"):
        run_of("+memory=bicross", "model.gradient_window=last_cycle")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_of("+memory=bicross")
        run_of("experiment=recall", "+memory=bicross")


@pytest.mark.parametrize("memory", ["bicross", "carry_add"])
def test_a_memory_that_is_not_read_again_is_warned_of(memory):
    once = f"+memory={memory}", "model.H_cycles=1", "halting.halt_max_steps=1"
    for more in ((), ("memory.horizon=2",)):
        with pytest.warns(SettingWarning, match="is never read after it was written") as warned:
            run_of(*once, *more)
        assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_of(*once[:1], "model.H_cycles=1", "memory.horizon=2")
        run_of(*once, "memory.lifetime=global", "memory.horizon=2")
        run_of("+memory=none", *once[1:])
