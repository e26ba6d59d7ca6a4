"""The life of a run from its settings to its result: begun or resumed, trained, summarised."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from memhrm.config.settings import require
from memhrm.data import Dataset, Episodes
from memhrm.models.reasoner import Reasoner
from memhrm.runs import checkpoint
from memhrm.runs.bank import keeps_bank, of_examples, write_bank
from memhrm.runs.build import make_dataset, make_learner, make_model, prepare_machine
from memhrm.runs.directory import RunDirectory, environment
from memhrm.runs.identity import advise_of_code, check_same, continued
from memhrm.runs.loop import Observer, begin, train
from memhrm.runs.settings import RunSettings
from memhrm.runs.summary import finished, headline, memory_line, table
from memhrm.runs.used import UsedPuzzles
from memhrm.runs.wandb import open_mirror
from memhrm.system.files import require_writable
from memhrm.system.ranks import Ranks
from memhrm.system.ranks import ranks as joined

Initial = Callable[[Reasoner, Path], UsedPuzzles]
"""Puts the weights at a path into a new model; returns the puzzles that they have seen."""

Watch = Callable[[RunSettings, Dataset, Episodes], Observer | None]
"""Makes what looks at the model during training, on puzzles that the run does not train on."""


def train_run(run: RunSettings, path: Path, initial: Initial, watch: Watch) -> dict[str, Any] | None:
    """Train a run in its directory to the end, from where it stopped if it was begun there.

    Args:
        run: the settings.
        path: the run's directory.
        initial: how a new run starts from weights.
        watch: how a run is observed.

    Returns:
        The result, if this process is the first and the run was not finished before.

    Raises:
        ValueError: the directory holds something else, or another run; or settings and data do not fit.
        Interrupted: a signal asked the run to stop; its state is saved.
    """
    with joined(run.device) as ranks:
        prepare_machine(run)
        directory = RunDirectory(path)
        directory.require_own()
        if ranks.any(finished(directory, run.steps)):  # Without the lock: the disk may be one to read only.
            _tell(run, directory, _saved(run, directory), ranks)
            return None
        require_writable("dir", path)
        with directory.claimed() if ranks.first else nullcontext():
            ranks.wait()  # From here on nobody else writes what is read.
            saved = _saved(run, directory)
            if finished(directory, run.steps):
                _tell(run, directory, saved, ranks)
                return None
            dataset = _dataset(run, ranks)
            model = make_model(run, dataset)
            seen = UsedPuzzles()
            if saved is not None:
                run = continued(run, saved["config"])
            elif run.init is not None:
                seen = initial(model, Path(run.init))
            learner = make_learner(run, model, ranks, dataset)
            start = begin(run, saved, dataset, learner, directory, ranks, seen)
            if ranks.first:
                directory.mirror = open_mirror(run.logger, path, run.config())
                directory.begin(run.config(), environment(ranks.device), learner.step)
                if keeps_bank(model) and saved is None:
                    write_bank(path, of_examples(dataset.task, dataset.train))
                about = (headline(run, dataset, model, learner.step, path), memory_line(run))
                print("\n".join(filter(None, about)), flush=True)
            try:
                watched = start.validation if len(start.validation) else start.test
                observe = watch(run, start.dataset, watched)
                summary = train(run, learner, directory, ranks, start, observe)
                if not ranks.first:
                    return None
                print(table(summary, path))  # First: what is computed is said, even on a full disk.
                directory.summarise(summary)
                return summary
            finally:
                if directory.mirror is not None:
                    directory.mirror.close()


def _saved(run: RunSettings, directory: RunDirectory) -> dict[str, Any] | None:
    """Return the directory's last checkpoint, which must be of this run; None before there is one."""
    if not directory.last.exists():
        return None  # There is nothing to keep.
    saved = checkpoint.read(directory.last)
    directory.config()  # Says so if it is damaged.
    check_same(run, saved["config"], directory.last)
    advise_of_code(run, saved.get("code", {}), directory.path)
    allowed = f"{saved['step']} or more, which the run in {directory.path} has done; or give another folder"
    require(run.steps >= saved["step"], "steps", run.steps, allowed)
    return saved


def _tell(run: RunSettings, directory: RunDirectory, saved: Mapping[str, Any] | None, ranks: Ranks) -> None:
    """Say the result of a finished run."""
    if saved is not None and not run.generated:  # Files may have changed since.
        checkpoint.require_same_puzzles(saved, make_dataset(run).digest(), directory.path)
    if ranks.first:
        print(f"already finished; to train again, remove {directory.path} or give another folder")
        print(table(directory.summary() or {}, directory.path))


def _dataset(run: RunSettings, ranks: Ranks) -> Dataset:
    """Return the run's puzzles: the first process generates a set that is missing, the others find it."""
    if not ranks.first:
        ranks.wait()
    dataset = make_dataset(run)
    if ranks.first:
        ranks.wait()
    return dataset
