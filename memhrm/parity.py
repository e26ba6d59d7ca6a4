"""python -m memhrm.parity FILE.npz ...: does this package compute what the published HRM and TRM compute?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memhrm.config.command import command
from memhrm.config.settings import Settings, build


@dataclass(frozen=True, kw_only=True)
class ParitySettings(Settings):
    """The settings, which configs/parity.yaml describes."""

    FILE: ClassVar[str] = "parity"

    file: str | tuple[str, ...]
    all: bool


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> int:
    """Replay the records, print how far they lie from what was published; 1 if a tolerance is exceeded."""
    from memhrm.published.replay import replay, worst

    settings = build(ParitySettings, config)
    exceeded = 0
    for path in [settings.file] if isinstance(settings.file, str) else settings.file:
        deviations = replay(Path(path))
        exceeded += sum(not d.within for d in deviations)
        print(f"{Path(path).name}: {len(deviations)} quantities")
        for d in deviations if settings.all else worst(deviations):
            limit = "not judged" if d.tolerance is None else f"{d.tolerance:.0e}"
            print(f"  {d.quantity:<58} {d.largest:10.2e}  {limit:>10}  {'ok' if d.within else 'EXCEEDED'}")
    print("all within tolerance" if not exceeded else f"{exceeded} exceeded their tolerance")
    return int(exceeded > 0)


if __name__ == "__main__":
    command("parity", main, bare="file")
