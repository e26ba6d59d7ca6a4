"""python -m memhrm.train: train a model on puzzles, and resume what was interrupted."""

import shlex
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memhrm.config.command import command

if TYPE_CHECKING:
    from memhrm.data import Dataset
    from memhrm.runs.loop import Observer
    from memhrm.runs.settings import RunSettings


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> int:
    """One run: settings, parts, loop, result. Returns the exit code."""
    from memhrm.config.trust import trust_own
    from memhrm.runs import checkpoint
    from memhrm.runs import settings as parts
    from memhrm.runs.directory import RunDirectory, environment
    from memhrm.runs.loop import Interrupted, begin, train
    from memhrm.runs.resolve import memory_line, resolved
    from memhrm.runs.summary import finished, headline, table
    from memhrm.runs.wandb import open_mirror
    from memhrm.system.files import require_writable
    from memhrm.system.ranks import ranks
    from memhrm.weights.initial import initial_weights

    trust_own(config)
    config = resolved(config, given)
    run = parts.settings(config)
    path = parts.directory(config)
    with ranks(run.device) as me:
        parts.prepare_machine(run)
        directory = RunDirectory(path)
        directory.require_own()
        if directory.last.exists():  # Before the first checkpoint there is nothing to keep.
            parts.check_same(config, directory.config(), path)
            if finished(directory, run.steps):
                if run.data.get("path"):  # Files may have changed since.
                    digest = parts.make_dataset(run).digest()
                    checkpoint.require_same_puzzles(checkpoint.read(directory.last), digest, path)
                if me.first:
                    print(f"already finished; to train again, remove {path} or give another dir=...")
                    print(table(directory.summary() or {}, path))
                return 0
        require_writable("dir", path)
        if not me.first:  # The first generates a set that is not there yet, the others find it.
            me.wait()
        dataset = parts.make_dataset(run)
        if me.first:
            me.wait()
        model = parts.make_model(run, dataset)
        with directory.claimed() if me.first else nullcontext():
            seen = initial_weights(model, run, directory)
            learner = parts.make_learner(run, model, me)
            start = begin(run, config, dataset, learner, directory, me, seen)
            if me.first:
                directory.mirror = open_mirror(run.logger, path, config)
                directory.begin(config, environment(me.device))
                about = (headline(run, dataset, model, learner.step, path), memory_line(run))
                print("\n".join(filter(None, about)), flush=True)
            try:
                looks = observer(run, start.dataset)
                summary = train(run, config, learner, directory, me, start, looks)
                if me.first:
                    print(table(summary, path))  # First: what is computed is said, even on a full disk.
                    directory.summarise(summary)
                    draw(summary, path)
            except Interrupted as stop:
                if me.first:
                    again = shlex.join(["python", "-m", "memhrm.train", *sys.argv[1:]])
                    print(f"stopped at step {stop.step}, saved in {path}; to go on: {again}", file=sys.stderr)
                return 128 + stop.signal_number
            finally:
                if directory.mirror is not None:
                    directory.mirror.close()
    return 0


def draw(summary: dict[str, Any], path: Path) -> None:
    """Write the accuracy-by-position figure of an episodic run; do nothing if matplotlib is not installed."""
    if "exact_accuracy_by_position" not in summary or find_spec("matplotlib") is None:
        return
    from memhrm.report.sections.episodes import of_summaries
    from memhrm.system.files import write_text

    write_text(path / "episodes.svg", of_summaries("episodes", {path.resolve().name: summary}).file())


def observer(run: "RunSettings", dataset: "Dataset") -> "Observer | None":
    """What looks at the model during training, on held-out puzzles."""
    if run.probe == "none":
        return None
    from memhrm.probes.light import light
    from memhrm.probes.subject import subject_of
    from memhrm.runs.held_out import split

    validation, test = split(run, dataset)
    puzzles = validation if len(validation) else test
    return lambda model: light(subject_of(model, run, dataset, puzzles, name="in training"))


if __name__ == "__main__":
    command("train", main)
