"""python -m memhrm.export run=DIR: write a run's weights as plain safetensors, for memhrm.load."""

from pathlib import Path
from typing import Any

from memhrm.config.command import command


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, write its weights."""
    from memhrm.config.settings import build
    from memhrm.config.trust import trust
    from memhrm.runs.choice import ExportSettings
    from memhrm.system.files import require_free
    from memhrm.weights.restore import from_run, save

    chosen = build(ExportSettings, config, "")
    trust(chosen.trust)
    restored = from_run(Path(chosen.run), chosen.checkpoint, chosen.weights)
    out = Path(chosen.out or Path(chosen.run) / "model.safetensors")
    require_free("out", out, chosen.overwrite)
    save(restored, out)
    print(f"{out}: {chosen.weights} weights of step {restored.step}")


if __name__ == "__main__":
    command("export", main)
