"""The settings of a run: parsed once, with everything that they leave open resolved."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from memhrm.config.settings import (
    Settings,
    SettingWarning,
    advise,
    build,
    require,
    require_size,
    require_threads,
)
from memhrm.data.settings import USUAL
from memhrm.data.settings import parse as parse_data
from memhrm.memory.base import MemorySettings
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.registry import parse as parse_memory
from memhrm.memory.retrieval import RetrievalSettings
from memhrm.models.recursion import gradient_start
from memhrm.models.settings import ModelSettings
from memhrm.runs.unused import refuse_unused
from memhrm.runs.wandb import LoggerSettings
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.supervision import LossSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

OLD = re.compile(r"[01]\.|2\.(\d|1[01])\.")
"""Versions of PyTorch whose compiled step has other gradients than the plain one (seen with 2.11)."""

USUAL_VALIDATION = 100
"""Held-out puzzles that choose the best checkpoint, unless told; at most half of them."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Everything a training command can set; configs/train.yaml says what each is.

    What is null because it depends on other settings is resolved here: all of the memory and the gradient
    window, and `validation_size` where the number of held-out puzzles is known without reading files.
    """

    FILE: ClassVar[str] = "train"

    data: dict[str, Any]
    model: ModelSettings
    halting: Halting
    optim: OptimSettings
    loss: LossSettings
    logger: LoggerSettings
    memory: MemorySettings
    seed: int
    steps: int
    batch_size: int
    noise: float
    precision: Literal["float32", "bfloat16"]
    eval_every: int
    eval_batch_size: int
    validation_size: int | None
    log_every: int
    checkpoint_every: int
    probe: Literal["none", "light"]
    probe_every: int
    dir: str | None
    init: str | None
    device: str
    threads: int | None
    compile: bool
    deterministic: bool
    progress: bool

    def __post_init__(self):
        super().__post_init__()
        self._resolve()
        self._require_cycles()
        for name, least in (("steps", 1), ("batch_size", 1), ("eval_every", 0), ("eval_batch_size", 1),
                            ("log_every", 1), ("checkpoint_every", 1), ("probe_every", 1)):  # fmt: skip
            require_size(name, getattr(self, name), least)
        require(self.seed >= 0, "seed", self.seed, "0 or above")
        require(self.noise >= 0, "noise", self.noise, "0 or above")
        if self.validation_size is not None:
            require_size("validation_size", self.validation_size, 0)
        require_threads(self.threads)
        old = self.compile and OLD.match(torch.__version__)
        allowed = f"false with PyTorch {torch.__version__}, whose compiled step has wrong gradients; or 2.12"
        require(not old, "compile", True, allowed)
        whole = self.loss.returns == "step" or self.memory.horizon == "episode"
        require(whole, "loss.returns", self.loss.returns, "step without memory.horizon=episode")
        allowed = "false with model.puzzle_emb_ndim=0: without a puzzle table nothing would learn"
        require(not self.optim.freeze or self.model.puzzle_width() > 0, "optim.freeze", True, allowed)
        m, memory = self.model, self.memory
        once = m.H_cycles * self.halting.halt_max_steps == 1 and not parse_data(self.data).in_episodes
        never_read = once and memory.lifetime != "global"
        writes = memory.module != NO_MEMORY.module and not isinstance(memory, RetrievalSettings)
        advise(
            never_read and writes,
            "with model.H_cycles=1 and halting.halt_max_steps=1 the memory is never read after it was "
            "written: an example has one H-step, and the next one a new memory",
        )
        alone = gradient_start(m.window(), m.H_cycles, 0)[0] == m.H_cycles - 1
        longer = "{cycles: 2} or memory.horizon=2 do" if m.H_cycles > 1 else "memory.horizon=2 does"
        advise(
            isinstance(memory, ExchangeSettings) and alone and memory.horizon == 1 and not never_read,
            f"with one H-step in model.gradient_window={m.gradient_window} nothing trains the write of the "
            f"memory; {longer}",
        )
        cut = gradient_start(m.window(), m.H_cycles, m.L_cycles)[0] > 0 and memory.horizon == 1
        advise(
            cut and isinstance(memory, CellSettings) and memory.learns_once,
            "with memory.hold=example cells are chosen at the first H-step of an example, which lies before "
            f"model.gradient_window={m.gradient_window}: nothing trains the scorer; memory.hold=feedback, "
            "model.gradient_window=whole or memory.horizon=2 do",
        )

    def _require_cycles(self) -> None:
        """Refuse more H-cycles in a part of the training than the model has."""
        given, most = self.data.get("cycles"), self.model.H_cycles
        allowed = f"numbers up to model.H_cycles={most}"
        require(not given or max(given) <= most, "data.cycles", given and list(given), allowed)

    def _resolve(self) -> None:
        """Put values in the place of null where other settings decide them."""
        data, size, memory = parse_data(self.data), self.validation_size, self.memory
        if memory.needs_address:
            allowed = f"others with data={data.name}, whose examples have no contexts with numbers"
            require(data.has_addresses, "memory.selector", getattr(memory, "selector", None), allowed)
        layers, allowed = self.model.decoder_layers, "0 with data={}; a decoder is for data=text"
        require(layers == 0 or data.in_order, "model.decoder_layers", layers, allowed.format(data.name))
        if size is None and data.held_out is not None:
            size = usual_validation(data.held_out)
        for name, value in (
            ("data", asdict(data)),
            ("model", self.model.beside(memory)),
            ("memory", memory.within(data.in_episodes, data.has_addresses)),
            ("validation_size", size),
        ):
            object.__setattr__(self, name, value)

    @property
    def generated(self) -> bool:
        """Whether the data are made, not read from files."""
        return not parse_data(self.data).in_files

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the model computes."""
        return DTYPES[self.precision]

    def config(self) -> dict[str, Any]:
        """Return the settings as plain data, as a run directory keeps them; `parse` reads them back.

        The path of `init` holds in any folder.
        """
        values = _plain({**asdict(self), "loss": self.loss.flat()})
        values["init"] = self.init and str(Path(self.init).expanduser().resolve())
        if "k" in values["memory"]:
            values["k"] = values["memory"].pop("k")
        return values


def parse(config: Mapping[str, Any], given: frozenset[str] = frozenset()) -> RunSettings:
    """Return the settings of a run from its configuration: a composed one, or that of a run directory.

    The sizes in the file of a data set are those of its generator: with a `data.path` that is given, or a
    `data.train_file` without a path, they count only if they are given too.

    Args:
        config: the configuration as plain data.
        given: the settings that stood on the command line, as `memhrm.config.command.given` returns them.

    Raises:
        ValueError: a setting is unknown, missing or out of range; or it was given and changes nothing.
    """
    require(isinstance(config, Mapping), "the configuration", config, "a group of settings")
    values = dict(config)
    if isinstance(values.get("data"), Mapping):
        values["data"] = _with_files(values["data"], given)
    top = {"k": values.pop("k")} if "k" in values else {}
    with warnings.catch_warnings(record=True) as caught:  # A refusal says all there is to say.
        warnings.simplefilter("always")
        values["loss"] = LossSettings.parse(values.get("loss", {}))
        values["memory"] = _memory(top, values.get("memory"))
        run = build(RunSettings, values)
        refuse_unused(run, config, given)
    for text in dict.fromkeys(str(one.message) for one in caught if one.category is SettingWarning):
        advise(True, text)
    return run


def _memory(top: Mapping[str, Any], values: Any) -> MemorySettings:
    """Return the settings of the memory, to which the setting `k` of the top level belongs."""
    if values is None:
        k = top.get("k")
        require(k is None, "k", k, "null, or left out, without a memory")
        return NO_MEMORY
    require(isinstance(values, Mapping), "memory", values, "a group of settings")
    for name, value in top.items():
        own = values.get(name, value)
        require(own == value, name, value, f"memory.{name}, which is {own}; give {name} alone")
    return parse_memory({**values, **top})


def _with_files(data: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Return the settings of the data with the sizes that count and paths that hold in any folder."""
    values = dict(data)
    placed = "data.path" if values.get("path") else "data.train_file"
    if placed in given and not values.get("download"):
        values |= {name: None for name in ("train_size", "test_size") if f"data.{name}" not in given}
    alone = () if values.get("path") else [name for name, usual in USUAL.items() if values.get(name) != usual]
    for name in ("path", *alone):
        if isinstance(values.get(name), str) and values[name]:
            values[name] = str(Path(values[name]).expanduser().resolve())
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def usual_validation(held_out: int) -> int:
    """Return the size of the validation set, unless told, of so many held-out puzzles or episodes."""
    return min(USUAL_VALIDATION, held_out // 2)
