"""python -m memhrm.train: train a model on puzzles, and resume what was interrupted."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memhrm.config import command

if TYPE_CHECKING:
    from memhrm.data import Dataset
    from memhrm.training.loop import Observer
    from memhrm.training.run import RunSettings


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> int:
    """One run: settings, parts, loop, result. Returns the exit code."""
    from memhrm.training import run as parts
    from memhrm.training.loop import Interrupted, train
    from memhrm.training.mirror import open_mirror
    from memhrm.training.ranks import ranks
    from memhrm.training.record import RunDirectory, environment
    from memhrm.training.report import finished, table

    run = parts.settings(config)
    path = parts.directory(config)
    with ranks(run.device) as me:
        parts.prepare_machine(run)
        directory = RunDirectory(path)
        if directory.last.exists():  # Before the first checkpoint there is nothing to keep.
            parts.check_same(config, directory.config(), path)
            if finished(directory, run.steps):
                if me.first:
                    print(f"already finished; to train again, remove {path} or give another dir=...")
                    print(table(directory.summary() or {}, path))
                return 0
        if not me.first:  # The first generates a set that is not there yet, the others find it.
            me.wait()
        dataset = parts.make_dataset(run)
        if me.first:
            me.wait()
        learner = parts.make_learner(run, parts.make_model(run, dataset), me)
        if me.first:
            directory.mirror = open_mirror(run.logger, path, config)
            directory.begin(config, environment(me.device))
        try:
            summary = train(run, config, dataset, learner, directory, me, observer(run, dataset))
        except Interrupted as stop:
            if me.first:
                again = shlex.join(["python", "-m", "memhrm.train", *sys.argv[1:]])
                print(f"stopped at step {stop.step}, saved in {path}; to go on: {again}", file=sys.stderr)
            return 128 + stop.signal_number
        finally:
            if directory.mirror is not None:
                directory.mirror.close()
        if me.first:
            print(table(summary, path))
            draw(summary, path)
    return 0


def draw(summary: dict[str, Any], path: Path) -> None:
    """Write the accuracy-by-position figure of an episodic run. Does nothing if matplotlib is not
    installed."""
    if "exact_accuracy_by_position" not in summary or find_spec("matplotlib") is None:
        return
    from memhrm.probes.sections.episodes import of_summaries

    text = of_summaries("episodes", {path.resolve().name: summary}).file()
    (path / "episodes.svg").write_text(text, encoding="utf-8")


def observer(run: "RunSettings", dataset: "Dataset") -> "Observer | None":
    """What looks at the model during training, on held-out puzzles."""
    if run.probe == "none":
        return None
    from memhrm.probes.light import light
    from memhrm.probes.subject import subject_of
    from memhrm.training.loop import split

    validation, test = split(run, dataset)
    puzzles = validation if len(validation) else test
    return lambda model: light(subject_of(model, run, dataset, puzzles, name="in training"))


if __name__ == "__main__":
    command("train", main)
