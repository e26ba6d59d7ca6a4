"""Refuse settings that were given and change nothing, for the commands beside training."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from memhrm.config.settings import refuse
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.settings import parse as parse_data
from memhrm.memory.none import NO_MEMORY
from memhrm.runs.settings import RunSettings
from memhrm.runs.unused import value_of

NOT_MEASURED = (
    *("steps", "noise", "validation_size", "eval_every", "eval_batch_size", "log_every", "checkpoint_every"),
    *("probe", "probe_every", "dir", "init", "progress"),
    *("data.path", "data.train_file", "data.test_file", "data.cache"),
    *("data.train_size", "data.test_size", "data.holdout", "data.seed", "data.augment", "data.test_length"),
    *("data.test_episodes", "data.test_contexts", "data.curve", "data.order", "data.test_order", "data.asks"),
    *("data.covers", "data.held_out_cues", "data.held_out_rules"),
)
"""Settings of a training command that no measurement of `memhrm.bench` depends on, beside the logger's."""

MATCHED = ("model", "memory", "data", "k", "batch_size")
"""Settings and groups that a count of parameters or FLOPs depends on."""


def refuse_unused_evaluation(settings: Any, run: RunSettings, given: Collection[str]) -> None:
    """Refuse settings of `memhrm.evaluate` that were given and are not used beside the others.

    Args:
        settings: those of the command.
        run: the settings of the evaluated run.
        given: the dotted names of the settings that were given.

    Raises:
        ValueError: one of them changes nothing; the message names it, its value and what it stands beside.
    """
    data = parse_data(run.data)
    steps = run.halting.halt_max_steps if settings.halt_max_steps is None else settings.halt_max_steps
    alike = "test_length" not in run.data
    own = settings.data.path is None and settings.data.test_file is None
    rules = (
        ("select", settings.restarts == 1, "with restarts=1: there is one answer"),
        ("seed", settings.noise == 0, "with noise=0"),
        ("write", run.memory.module == NO_MEMORY.module, "with a run without memory"),
        ("threshold", steps == 1, "with halt_max_steps=1"),
        ("sure", settings.threshold is None, "with threshold=null"),
        *(
            (f"data.{name}", not data.in_episodes, "with a run that has no episodes")
            for name in ("test_length", "test_contexts", "test_episodes")
        ),
        ("votes", not isinstance(data, ArcSettings), f"with data={data.name}, on which nothing votes"),
        ("data.test_length", alike, f"with data={data.name}, whose episodes have no length to choose"),
        ("data.test_contexts", "test_contexts" not in run.data, f"with data={data.name}, without contexts"),
        ("data.test_size", own and data.holdout > 0, f"with a run that has data.holdout={data.holdout}"),
    )
    for name, unused, beside in rules:
        value = getattr(settings.data, name.removeprefix("data.")) if "." in name else getattr(settings, name)
        refuse(unused and name in given and value is not None, name, value, beside)


def refuse_unused_probe(how: Any, subjects: Sequence[Any], given: Collection[str]) -> None:
    """Refuse settings of `memhrm.probe` that were given and are not used beside the others.

    Args:
        how: the settings of the command, `memhrm.probe.ProbeSettings`.
        subjects: what is looked at, `memhrm.probes.subject.Subject`s.
        given: the dotted names of the settings that were given.

    Raises:
        ValueError: as `refuse_unused_evaluation`.
    """
    memories = [subject.model.H_module for subject in subjects]
    untaught = not any(subject.judges for subject in subjects)
    rules = (
        ("restarts", untaught, "with runs whose Q-head was not taught"),
        ("noise", untaught, "with runs whose Q-head was not taught: nothing is started again"),
        ("noise", how.restarts == 1 and how.noise > 0, "with restarts=1: the first runs without"),
        ("causal_puzzles", not any(memory.writes for memory in memories), "with runs that write no memory"),
        ("shuffles", not any(memory.cells for memory in memories), "with runs without memory cells"),
    )
    for name, unused, beside in rules:
        refuse(unused and name in given, name, getattr(how, name), beside)


def refuse_unmeasured(config: dict[str, Any], given: Iterable[str], *, matched: bool = False) -> None:
    """Refuse settings of `memhrm.bench` that change nothing of what it measures, or matches.

    Args:
        config: the configuration, for the values.
        given: the dotted names of the settings that were given.
        matched: whether the command looks for a width, which depends on sizes alone.

    Raises:
        ValueError: as `refuse_unused_evaluation`.
    """
    for name in sorted(given):
        group = name.partition(".")[0]
        unused = name in NOT_MEASURED or group == "logger" or (matched and group not in MATCHED)
        what = "with target: parameters and FLOPs do not depend on it" if matched else (
            "of what is measured: steps on random puzzles of the right shape"
        )  # fmt: skip
        refuse(unused, name, value_of(config, name), what)
