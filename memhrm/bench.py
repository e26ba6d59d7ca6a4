"""python -m memhrm.bench [NAME=VALUE ...]: measure what a configuration costs, or match it.

Takes every setting of memhrm.train. With vs=... a second configuration is measured in alternation with the
first; its settings are added to those of the first. With target=... nothing is measured: it finds the
width at which the first configuration has as many parameters, or FLOPs, as the target: a fair control.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import command
from memhrm.config.settings import Settings, build, refuse, require_size


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """The settings, which configs/bench.yaml describes."""

    FILE: ClassVar[str] = "bench"

    settings: tuple[str, ...]
    vs: str | None
    repeat: int
    target: str | None
    match: Literal["parameters", "flops"]
    out: str | None
    overwrite: bool

    def __post_init__(self):
        super().__post_init__()
        require_size("repeat", self.repeat)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Measure one configuration or two, or match one to another."""
    from memhrm.cost.benchmark import measure
    from memhrm.cost.commands import compared, matched, run_config, words_of
    from memhrm.system.files import require_free, write_json

    settings = build(BenchSettings, config)
    first, target = settings.settings, settings.target
    for name in sorted(given & {"vs", "repeat", "out"} if target else given & {"match"}):
        refuse(True, name, config[name], "with target" if target else "without target")
    if target is not None:
        print(matched(first, words_of("target", target), settings.match))
        return
    refuse(settings.overwrite and settings.out is None, "overwrite", True, "without out")
    if settings.out is not None:
        require_free("out", Path(settings.out), settings.overwrite)
    configs = {" ".join(first) or "defaults": run_config(first)}
    if settings.vs is not None:
        configs[f"with {settings.vs}"] = run_config([*first, *words_of("vs", settings.vs)])
    results = measure(configs, settings.repeat)
    print(compared(results))
    if settings.out is not None:
        write_json(Path(settings.out), [vars(result) for result in results])


if __name__ == "__main__":
    command("bench", main, rest="settings")
