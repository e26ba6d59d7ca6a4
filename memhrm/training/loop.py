"""The life of a run: resume, step, log, evaluate, save, stop; when each happens, not how."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from memhrm.data import Dataset, Episodes, PuzzleSet
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.training import checkpoint
from memhrm.training.batches import Batches
from memhrm.training.episodes import evaluate_on
from memhrm.training.evaluation import EvaluationSettings
from memhrm.training.interval import IntervalLog
from memhrm.training.ranks import Ranks
from memhrm.training.record import RunDirectory
from memhrm.training.run import RunSettings, check_same
from memhrm.training.step import Learner, train_step

Observer = Callable[[Reasoner], Mapping[str, Any]]
"""Looks at a model during training and says what it sees, by name."""


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""

    def __init__(self, step: int, signal_number: int):
        super().__init__(f"stopped at step {step}")
        self.step = step
        self.signal_number = signal_number


class StoppedAtOnce(KeyboardInterrupt):
    """A second Ctrl-C came before the run had saved its state."""


def train(
    run: RunSettings,
    config: dict[str, Any],
    dataset: Dataset,
    learner: Learner,
    directory: RunDirectory,
    ranks: Ranks,
    observe: Observer | None = None,
) -> dict[str, Any]:
    """Train from where the directory's last checkpoint stands to the end, then evaluate.

    observe: is shown the averaged model every `probe_every` steps; what it says is logged as probe/...

    Returns the summary: the scores on the test puzzles, steps, parameters and seconds.

    Raises:
        Interrupted: one of STOP_SIGNALS came; the state is saved.
        StoppedAtOnce: SIGINT came a second time; the message says what is saved.
        Diverged: the loss is NaN or infinite; the last good checkpoint is kept.
    """
    started, best, seconds, pending = time.monotonic(), {}, 0.0, None
    if directory.last.exists():
        content = checkpoint.read(directory.last)
        check_same(config, content["config"], directory.last)
        checkpoint.restore(learner, ranks, content)
        best, seconds, pending = content["best"], content["seconds"], content["pending"]
    if ranks.first:
        directory.rewind(learner.step)

    validation, test = split(run, dataset)
    batches = Batches(run, dataset, ranks, learner.model.H_module.noise_size)
    log = IntervalLog(run, ranks, directory, pending, batches.span)
    bar = tqdm(total=run.steps, initial=learner.step, unit="step", disable=not (run.progress and ranks.first))
    saved = learner.step  # By the last checkpoint; 0 without one.

    def save(*, is_best: bool = False) -> None:
        nonlocal saved
        progress = {"best": best, "seconds": seconds + time.monotonic() - started, "pending": log.pending()}
        content = checkpoint.snapshot(learner, ranks, config, progress)
        if ranks.first:
            checkpoint.write(directory.last, content)
        saved = learner.step
        if ranks.first and is_best:
            checkpoint.write(directory.best, content)

    learner.model.train()
    with stop_signals(lambda: saved) as asked, bar:
        while learner.step < run.steps:
            stepped = train_step(learner, *batches.take(learner.step))
            log.add(stepped)
            step, end = learner.step, learner.step == run.steps
            stop = ranks.any(bool(asked))
            look = len(validation) > 0 and run.eval_every > 0 and (step % run.eval_every == 0 or end)

            if step % run.log_every == 0 or end or stop or look or step % run.checkpoint_every == 0:
                shown = log.flush(step, write=step % run.log_every == 0 or end)
                bar.update(step - bar.n)
                bar.set_postfix(shown)
            is_best = False
            if look:
                scores = evaluate_average(run, learner, dataset, validation, ranks)
                is_best = scores["exact_accuracy"] >= best.get("exact_accuracy", -1.0)
                if is_best:
                    best = {"exact_accuracy": scores["exact_accuracy"], "step": step}
                if ranks.first:
                    directory.log(step, {f"validation/{name}": value for name, value in scores.items()})
            if observe is not None and ranks.first and (step % run.probe_every == 0 or end):
                seen = observe(averaged(learner))
                directory.log(step, {f"probe/{name}": value for name, value in seen.items()})
            if is_best or end or stop or step % run.checkpoint_every == 0:
                save(is_best=is_best)
            if stop and not end:
                raise Interrupted(step, asked[0] if asked else signal.SIGTERM)

    scores = evaluate_average(run, learner, dataset, test, ranks, progress=run.progress and ranks.first)
    summary = {
        **scores,
        "step": learner.step,
        "parameters": count_parameters(learner.model),
        "seconds": round(seconds + time.monotonic() - started, 1),
        "best": best,
    }
    if ranks.first:
        directory.log(learner.step, {f"test/{name}": value for name, value in scores.items()})
        directory.summarise(summary)
    return summary


def split(run: RunSettings, dataset: Dataset) -> tuple[PuzzleSet | Episodes, PuzzleSet | Episodes]:
    """Puzzles, or episodes, for choosing the best checkpoint, and others for the result.

    Raises:
        ValueError: validation would leave nothing to test on.
    """
    held_out = dataset.held_out()
    count = len(held_out) - run.validation_size
    if count < 1:
        what = "puzzles" if dataset.episodes is None else "episodes"
        raise ValueError(
            f"validation_size is {run.validation_size}; allowed: 0 to {len(held_out) - 1}, "
            f"below the number of held-out {what}"
        )
    return held_out.select(slice(count, None)), held_out.select(slice(0, count))


def evaluation_settings(run: RunSettings, batch_size: int) -> EvaluationSettings:
    """How a run evaluates: as it trains, every row to the last step."""
    return EvaluationSettings(
        steps=run.halting.halt_max_steps,
        batch_size=batch_size,
        loss=run.loss.kind,
        write=run.memory.write_in_evaluation,
    )


def averaged(learner: Learner) -> Reasoner:
    """The model with the moving average of the weights."""
    average = learner.average.module
    assert isinstance(average, Reasoner)
    return average


def evaluate_average(
    run: RunSettings,
    learner: Learner,
    dataset: Dataset,
    puzzles: PuzzleSet | Episodes,
    ranks: Ranks,
    progress: bool = False,
) -> dict[str, Any]:
    """Scores of the averaged weights, every row to the last step, as published."""
    settings = evaluation_settings(run, run.eval_batch_size)
    return evaluate_on(averaged(learner), dataset, puzzles, settings, ranks, run.dtype, progress)


STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)
]
"""Ctrl-C; the end of a job; a terminal that is closed; the warning that Slurm gives before a job's end."""


@contextmanager
def stop_signals(saved: Callable[[], int] = lambda: 0) -> Iterator[list[int]]:
    """Catch STOP_SIGNALS; the list holds those that came. A second one of the same kind acts at once.

    SIGHUP stays ignored where it is ignored (nohup).

    saved: the step of the last checkpoint, 0 without one; for the message of a second Ctrl-C.

    Raises:
        StoppedAtOnce: SIGINT came a second time.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Only that one can be told.
        yield asked
        return
    before: dict[int, Any] = {int(number): signal.getsignal(number) for number in STOP_SIGNALS}
    ignored = [number for number in before if number != signal.SIGINT and before[number] == signal.SIG_IGN]
    for number in [*ignored, *(number for number in before if before[number] is None)]:
        before.pop(number, None)  # None: set by code that is not Python, which cannot be put back.

    def ask(number: int, _frame: Any) -> None:
        signal.signal(number, before[number])
        asked.append(number)

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked
    except KeyboardInterrupt as error:
        step = saved()
        kept = f"nothing after step {step} was saved" if step else "nothing was saved"
        raise StoppedAtOnce(f"stopped at once; {kept}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
