"""What `memhrm.bench` reads and prints: configurations from words, measurements as tables."""

import shlex
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from memhrm.config.command import compose, given
from memhrm.config.trust import trust_own
from memhrm.cost.benchmark import Measured
from memhrm.cost.matching import cost, match
from memhrm.runs.settings import parse
from memhrm.runs.unused_commands import refuse_unmeasured


def words_of(setting: str, text: str) -> list[str]:
    """Return the settings in the text of a setting, as a shell divides it.

    Raises:
        ValueError: a quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{setting} is {text!r}, in which a quote is not closed") from error


def run_config(words: Sequence[str], *, match: bool = False) -> dict[str, Any]:
    """Return the configuration of a training command.

    Args:
        words: the settings as they are typed.
        match: whether the configuration is matched, not measured.

    Raises:
        ValueError: a setting is wrong, or changes nothing of what is measured or matched.
    """
    config = compose("train", words)
    trust_own(config)
    refuse_unmeasured(config, given(words), matched=match)
    return parse(config, given(words)).config()


def compared(results: Sequence[Measured]) -> str:
    """Return measurements as tables, and the ratios of the first to the second, if there are two."""
    tables = ["\n".join(f"{name:<26}{value}" for name, value in one.rows()) for one in results]
    ratios: list[str] = []
    if len(results) == 2:
        first, second = results
        for what in ("train", "evaluation"):
            pairs = zip(getattr(first, f"{what}_seconds"), getattr(second, f"{what}_seconds"))
            found = [a / b for a, b in pairs]
            each = " ".join(f"{ratio:.3f}" for ratio in found)
            ratios.append(f"{what} time, first / second: median {median(found):.3f}, pair by pair {each}")
        ratios.append(f"peak memory, first / second: {first.peak_bytes / second.peak_bytes:.3f}")
    return "\n\n".join([*tables, "\n".join(ratios)])


def matched(words: Sequence[str], target: Sequence[str], what: Literal["parameters", "flops"]) -> str:
    """Return the width at which one configuration costs as much as another, and both costs, as a table."""
    config, wanted = run_config(words, match=True), run_config(target, match=True)
    width, found = match(config, wanted, what)
    lines = [f"{'':<14}{'parameters':>14}{'FLOPs per example and supervision step':>42}"]
    for name, one in (("target", cost(wanted)), ("as given", cost(config)), ("matched", found)):
        lines.append(f"{name:<14}{one.parameters:>14,}{one.flops:>42,}")
    return "\n".join([*lines, "", f"model.hidden_size={width} matches the target's {what}"])
