"""The settings of a run, and how its parts are made from them."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from memhrm.config.settings import (
    SettingWarning,
    advise,
    build,
    check_types,
    require,
    require_size,
    require_threads,
)
from memhrm.data import Dataset
from memhrm.data import load as load_data
from memhrm.data.settings import parse as parse_data
from memhrm.memory.base import MemorySettings
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.registry import parse as parse_memory
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import gradient_start
from memhrm.models.settings import ModelSettings, puzzle_shape
from memhrm.runs.used import identities, left_out, unused
from memhrm.runs.wandb import LoggerSettings
from memhrm.system.ranks import Ranks
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.step import Learner
from memhrm.training.supervision import LossSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

FREE = (
    *("dir", "init", "logger", "progress", "log_every", "checkpoint_every", "threads", "compile", "device"),
    *("probe", "probe_every", "eval_batch_size", "model.attention", "model.checkpoint_activations"),
    *("data.path", "data.train_file", "data.test_file", "data.cache"),
)
"""Settings, or groups of them, that may differ when a run is resumed: they change no number but by rounding,
say where the data lie, which are known by their content, or are read at the start only."""

OLD = re.compile(r"[01]\.|2\.(\d|1[01])\.")
"""Versions of PyTorch whose compiled step has other gradients than the plain one (seen with 2.11)."""

USUAL_VALIDATION = 100
"""Held-out puzzles that choose the best checkpoint, unless told; at most half of them."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Everything a training command can set; configs/train.yaml holds the defaults and says what each is."""

    data: dict[str, Any]
    model: ModelSettings
    halting: Halting
    optim: OptimSettings
    loss: LossSettings = field(default_factory=LossSettings)
    logger: LoggerSettings = field(default_factory=LoggerSettings)
    seed: int = 0
    steps: int
    batch_size: int
    memory: MemorySettings = NO_MEMORY
    precision: Literal["float32", "bfloat16"] = "float32"
    eval_every: int = 0
    eval_batch_size: int = 256
    validation_size: int | None = 0
    log_every: int = 10
    checkpoint_every: int = 200
    probe: Literal["none", "light"] = "none"
    probe_every: int = 50
    dir: str | None = None
    init: str | None = None
    device: str = "auto"
    threads: int | None = None
    compile: bool = False
    deterministic: bool = True
    progress: bool = True

    def __post_init__(self):
        check_types(self, "")
        object.__setattr__(self, "model", self.model.beside(self.memory))
        for name, least in (("steps", 1), ("batch_size", 1), ("eval_every", 0), ("eval_batch_size", 1),
                            ("log_every", 1), ("checkpoint_every", 1), ("probe_every", 1)):  # fmt: skip
            require_size(name, getattr(self, name), least)
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        if self.validation_size is not None:
            require_size("validation_size", self.validation_size, 0)
        require_threads(self.threads)
        old = self.compile and OLD.match(torch.__version__)
        allowed = f"false with PyTorch {torch.__version__}, whose compiled step has wrong gradients; or 2.12"
        require(not old, "compile", True, allowed)
        m = self.model
        alone = gradient_start(m.window(), m.H_cycles, 0)[0] == m.H_cycles - 1
        longer = "{cycles: 2} or memory.horizon=2 do" if m.H_cycles > 1 else "memory.horizon=2 does"
        advise(
            isinstance(self.memory, ExchangeSettings) and alone and self.memory.horizon == 1,
            f"with one H-step in model.gradient_window={m.gradient_window} nothing trains the write of the "
            f"memory; {longer}",
        )

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.precision]


def settings(config: Mapping[str, Any]) -> RunSettings:
    """Make the settings of a run from its configuration; what null stands for is filled in.

    `validation_size` alone may stay null: where the number of held-out puzzles is known from files only.

    Raises:
        ValueError: a setting is unknown, missing or out of range.
    """
    require(isinstance(config, Mapping), "the configuration", config, "a group of settings")
    values = dict(config)
    k, memory = values.pop("k", None), values.get("memory")
    if memory is None:
        values.pop("memory", None)
        require(k is None, "k", k, "null, or left out, without a memory")
    else:
        require(isinstance(memory, Mapping), "memory", memory, "a group of settings")
        require(k in (None, memory.get("k")), "k", k, f"memory.k, which is {memory.get('k')}; give k alone")
        values["memory"] = parse_memory(memory)
    if "loss" in values:
        values["loss"] = LossSettings.parse(values["loss"])
    run = build(RunSettings, values, "")
    data = parse_data(run.data)
    validation = run.validation_size
    if validation is None:
        validation = None if data.held_out is None else usual_validation(data.held_out)
    memory = run.memory.within(data.in_episodes)
    return replace(run, memory=memory, validation_size=validation)


def usual_validation(held_out: int) -> int:
    """The size of the validation set, unless told, of so many held-out puzzles or episodes."""
    return min(USUAL_VALIDATION, held_out // 2)


def directory(config: Mapping[str, Any]) -> Path:
    """Where a run with this configuration lives: `dir`, or a name that the same command gives again."""
    if config.get("dir"):
        return Path(config["dir"])
    memory = [config["memory"]["name"]] if config.get("memory") else []
    names = [config["data"]["name"], config["model"]["name"], *memory]
    return Path("runs") / "-".join([*names, f"seed{config['seed']}", digest(config)])


def digest(config: Mapping[str, Any]) -> str:
    """A hash of all settings that tell one run from another, and of the files that it reads."""
    fixed: dict[str, Any] = _flat(config, FREE)
    data = config["data"]
    if data.get("path"):
        names = [data["train_file"], *([] if data.get("holdout") else [data["test_file"]])]
        fixed["data"] = [_content(Path(data["path"]).expanduser() / name) for name in names]
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]


def _content(path: Path) -> str:
    """The hash of a file; its name if it cannot be read, which is said when it is needed."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)


def check_same(given: Mapping[str, Any], saved: Mapping[str, Any], where: Path) -> None:
    """Refuse to resume a run with settings that would make it another run.

    More steps are allowed where nothing, as a schedule of the learning rate, depends on their number. A
    setting that did not exist when the run was begun counts as its default, which changes nothing.

    Raises:
        ValueError: a setting differs; the message names it, both values and the way out.
    """
    stages = len(saved["data"].get("lengths", [])) > 1
    free = (*FREE, "steps") if saved["optim"].get("schedule") == "constant" and not stages else FREE
    try:
        old = _flat(_meant(saved), free)
    except ValueError as error:
        raise ValueError(f"another version of memhrm began the run in {where}: {error}") from error
    new = _flat(_meant(given), free)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{name} is {new.get(name)!r}, but the run in {where} was begun with {old.get(name)!r}; "
                "give the old value, or another dir=..."
            )


def _meant(config: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a configuration as they count, with those that it leaves to their defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SettingWarning)
        run = settings(config)
        return {**asdict(run), "loss": run.loss.flat(), "data": asdict(parse_data(run.data))}


def _flat(values: Mapping[str, Any], free: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """Dotted names and values, without those that are free."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if f"{prefix}{name}" in free:
            continue
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, free, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def prepare_machine(run: RunSettings) -> None:
    """Threads, determinism and the seed of this process."""
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    torch.set_flush_denormal(True)
    if run.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads uninitialised memory, and filling it costs.
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 (not typed)
        torch.backends.cudnn.benchmark = False
    torch.manual_seed(run.seed)


def make_dataset(run: RunSettings) -> Dataset:
    """Return the run's puzzles; test puzzles that are training puzzles up to symmetry are left out.

    Of generated sets there are none; files may have some.
    """
    dataset, data = load_data(**run.data), parse_data(run.data)
    if data.path is None and data.train_file == "train.csv":
        return dataset
    clean, count = unused(dataset, identities(dataset.train, dataset.task))
    advise(count > 0, left_out(count, len(dataset.test)))
    return clean


def make_model(run: RunSettings, dataset: Dataset) -> Reasoner:
    """The run's model, on the CPU, started from the run's seed whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return Reasoner(run.model, puzzle_shape(dataset.task), run.memory)


def make_learner(run: RunSettings, model: Reasoner, ranks: Ranks) -> Learner:
    """The run's model under training on this rank's device.

    Raises:
        ValueError: the batch does not divide among the ranks.
    """
    require(
        run.batch_size % ranks.size == 0, "batch_size", run.batch_size, f"multiples of {ranks.size} processes"
    )
    return Learner.build(
        model.to(ranks.device),
        halting=run.halting,
        loss=run.loss,
        optim=run.optim,
        total_steps=run.steps,
        local_batch_size=run.batch_size // ranks.size,
        dtype=run.dtype,
        compile=run.compile,
    )
