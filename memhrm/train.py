"""python -m memhrm.train: train a model on puzzles, and resume what was interrupted."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memhrm.config.command import command

if TYPE_CHECKING:
    from memhrm.data import Dataset, Episodes
    from memhrm.runs.loop import Observer
    from memhrm.runs.settings import RunSettings


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> int:
    """Train a run, or go on with it; return 128 and the number of the signal if one stopped it."""
    from memhrm.config.trust import trust_own
    from memhrm.runs.identity import directory
    from memhrm.runs.settings import parse
    from memhrm.runs.signals import Interrupted
    from memhrm.runs.train import train_run
    from memhrm.weights.initial import start_from

    trust_own(config)
    run = parse(config, given)
    path = directory(run)
    try:
        summary = train_run(run, path, start_from, observer)
    except Interrupted as stop:
        if stop.first:
            again = shlex.join(["python", "-m", "memhrm.train", *sys.argv[1:]])
            print(f"stopped at step {stop.step}, saved in {path}; to go on: {again}", file=sys.stderr)
        return 128 + stop.signal_number
    if summary and "exact_accuracy_by_position" in summary:
        draw(summary, path)
    return 0


def draw(summary: dict[str, Any], path: Path) -> None:
    """Write the figure of an episodic run: of contexts held, of hops, else of accuracy by position."""
    try:
        from memhrm.report.sections.episodes import drawing
    except ImportError as error:
        print(f"no figure: {error.name} is not installed; install it with pip install 'memhrm[probe]'")
        return
    from memhrm.system.files import write_text

    drawn = drawing({path.resolve().name: summary})
    write_text(path / f"{drawn.name}.svg", drawn.file())


def observer(run: "RunSettings", dataset: "Dataset", puzzles: "Episodes") -> "Observer | None":
    """Return what looks at the model during training, on held-out puzzles."""
    if run.probe == "none":
        return None
    from memhrm.probes.monitor import monitor_numbers
    from memhrm.probes.subject import subject_of

    return lambda model: monitor_numbers(subject_of(model, run, dataset, puzzles, name="in training"))


if __name__ == "__main__":
    command("train", main)
