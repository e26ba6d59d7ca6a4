"""What a training command comes to: what null stands for, what the user meant, what the user is told."""

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhrm.config.settings import SettingWarning
from memhrm.memory.none import NO_MEMORY
from memhrm.models.recursion import gradient_start
from memhrm.runs.settings import RunSettings, settings
from memhrm.runs.unused import refuse_unused


def resolved(config: Mapping[str, Any], given: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the configuration of a training command with what null stands for, and as the user meant it.

    Sizes of a data set that could be generated are the generator's: with a `data.path` that is given, they
    count only if they are given too. What this returns, resolved again, stays as it is.

    Args:
        config: the configuration as it was composed.
        given: the settings that stood on the command line, as `memhrm.config.command.given` has them.

    Raises:
        ValueError: a setting is unknown, missing or out of range; or it is given and changes nothing.
    """
    values = copy.deepcopy(dict(config))
    data = values.get("data")
    if isinstance(data, dict) and data.get("path") and not data.get("download") and "data.path" in given:
        data |= {name: None for name in ("train_size", "test_size") if f"data.{name}" not in given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SettingWarning)
        run = settings(values)
        refuse_unused(run, values, given)
    if isinstance(data, dict) and data.get("path"):  # So that the run finds its files from any folder.
        data["path"] = str(Path(data["path"]).expanduser().resolve())
    values["model"]["gradient_window"] = run.model.gradient_window
    values["validation_size"] = run.validation_size
    if values.get("memory"):
        values["memory"] |= {name: getattr(run.memory, name) for name in values["memory"]}
    return values


def memory_line(run: RunSettings) -> str | None:
    """Return a line that says what the settings of a memory have come to; None without a memory."""
    memory, model = run.memory, run.model
    if memory.module == NO_MEMORY.module:
        return None
    start = gradient_start(model.window(), model.H_cycles, model.L_cycles)
    cycles = model.H_cycles - start[0]
    reach = f"the last {cycles} of {model.H_cycles} H-cycles" if model.H_cycles > 1 else "the only H-cycle"
    if start[1] > 0:
        reach = f"the last step of {reach}" if cycles > 1 else "the last L-step and H-step"
    horizon = "the whole episode" if memory.horizon == "episode" else f"{memory.horizon} supervision step"
    plural = "s" if isinstance(memory.horizon, int) and memory.horizon > 1 else ""
    parts = [
        *(f"{name} {getattr(memory, name)}" for name in ("placement", "state_norm") if hasattr(memory, name)),
        *(["cell 0 shared"] if getattr(memory, "shared_cell", False) else []),
        f"gradient through {reach}",
        f"horizon {horizon}{plural}",
        f"lifetime {memory.lifetime}",
    ]
    return f"memory {memory.name}: {', '.join(parts)}"
