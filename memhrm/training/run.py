"""The settings of a run, and how its parts are made from them."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from memhrm.data import Dataset
from memhrm.data import load as load_data
from memhrm.data.config import parse as parse_data
from memhrm.memory.bicross import ExchangeSettings
from memhrm.memory.choice import parse as parse_memory
from memhrm.memory.h_module import MemorySettings
from memhrm.models.reasoner import NO_MEMORY, ModelSettings, Reasoner, puzzle_shape
from memhrm.models.recursion import gradient_start
from memhrm.settings import SettingWarning, advise, build, require
from memhrm.training.halting import Halting
from memhrm.training.mirror import LoggerSettings
from memhrm.training.optim import OptimSettings
from memhrm.training.ranks import Ranks
from memhrm.training.step import Learner
from memhrm.training.supervision import LossSettings
from memhrm.training.used import identities, left_out, unused

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

FREE = (
    *("dir", "init", "logger", "progress", "log_every", "checkpoint_every", "threads", "compile", "device"),
    *("probe", "probe_every"),
)
"""Settings that may differ when a run is resumed, since they change no number but by rounding."""


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
        for name, least in (("steps", 1), ("batch_size", 1), ("eval_every", 0), ("seed", 0),
                            ("eval_batch_size", 1), ("validation_size", 0), ("log_every", 1),
                            ("checkpoint_every", 1), ("probe_every", 1)):  # fmt: skip
            require((getattr(self, name) or 0) >= least, name, getattr(self, name), f"{least} or above")
        require(self.seed < 2**63, "seed", self.seed, "below 2**63")
        require(self.threads is None or self.threads >= 1, "threads", self.threads, "null, or 1 or above")
        alone = gradient_start(self.model.window(), self.model.H_cycles, 0)[0] == self.model.H_cycles - 1
        advise(
            isinstance(self.memory, ExchangeSettings) and alone and self.memory.horizon == 1,
            f"with one H-step in model.gradient_window={self.model.gradient_window} nothing trains the write "
            "of the memory; {cycles: 2} or memory.horizon=2 do",
        )

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.precision]


def settings(config: Mapping[str, Any]) -> RunSettings:
    """Settings from a resolved configuration.

    Raises:
        ValueError: a setting is unknown, missing or out of range.
    """
    values = dict(config)
    k, memory = values.pop("k", None), values.get("memory")
    if memory is None:
        values.pop("memory", None)
    else:
        require(k in (None, memory.get("k")), "k", k, f"memory.k, which is {memory.get('k')}; give k alone")
        values["memory"] = parse_memory(memory)
    run = build(RunSettings, values, "")
    return replace(run, memory=run.memory.within(parse_data(run.data).episodes() is not None))


def directory(config: Mapping[str, Any]) -> Path:
    """Where a run with this configuration lives: `dir`, or a name that the same command gives again."""
    if config.get("dir"):
        return Path(config["dir"])
    memory = [config["memory"]["name"]] if config.get("memory") else []
    names = [config["data"]["name"], config["model"]["name"], *memory]
    return Path("runs") / "-".join([*names, f"seed{config['seed']}", digest(config)])


def digest(config: Mapping[str, Any]) -> str:
    """A hash of all settings that tell one run from another."""
    fixed = {name: value for name, value in config.items() if name not in FREE}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]


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
        return {**asdict(run), "data": asdict(parse_data(run.data))}


def _flat(values: Mapping[str, Any], free: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if not prefix and name in free:
            continue
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, (), f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
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
    dataset = load_data(**run.data)
    if run.data.get("path") is None:
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
