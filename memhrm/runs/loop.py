"""The life of a run: resume, step, log, evaluate, save, stop; when each happens, not how."""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from memhrm.config.settings import advise
from memhrm.data import Dataset, Episodes
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.depth import over_depth
from memhrm.evaluation.evaluate import evaluate
from memhrm.evaluation.rollout import rollout
from memhrm.models.reasoner import Reasoner, count_parameters
from memhrm.runs import checkpoint
from memhrm.runs.batches import Batches
from memhrm.runs.directory import RunDirectory
from memhrm.runs.held_out import left_to_score, split, used_by
from memhrm.runs.identity import own_code
from memhrm.runs.log import Diverged, IntervalLog, noted, rescue
from memhrm.runs.settings import RunSettings
from memhrm.runs.signals import Interrupted, stop_signals
from memhrm.runs.used import UsedPuzzles, left_out, unused
from memhrm.system.ranks import Ranks
from memhrm.training.carry import Carry
from memhrm.training.step import Learner, train_step

Observer = Callable[[Reasoner], Mapping[str, Any]]
"""Looks at a model during training and says what it sees, by name."""


@dataclass(frozen=True)
class Start:
    """What a run goes on from, beside the learner's state.

    dataset: the run's puzzles, without test puzzles that its weights have seen before it began. used: the
    puzzles that it uses, and those. digest: of its data. validation, test: the puzzles that choose the best
    checkpoint, and those of the result. series: further ones of it (`EpisodeMaker.series`).
    best: score and step of the best checkpoint so far.
    seconds: spent so far. pending: what was noted since the last line of the log.
    """

    dataset: Dataset
    used: UsedPuzzles
    digest: str
    validation: Episodes
    test: Episodes
    series: dict[str, Episodes]
    best: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    pending: Tensor | None = None


def begin(
    run: RunSettings,
    saved: dict[str, Any] | None,
    dataset: Dataset,
    learner: Learner,
    directory: RunDirectory,
    ranks: Ranks,
    seen: UsedPuzzles,
) -> Start:
    """Bring a learner to where the directory's last checkpoint stands, if there is one.

    saved: the content of that checkpoint, which is of this run. seen: the puzzles that the weights had used
        before the run began.

    Raises:
        ValueError: the puzzles are others than those with which the run was begun.
    """
    digest, progress = dataset.digest(), {}
    if saved is not None:
        checkpoint.require_same_puzzles(saved, digest, directory.path)
        checkpoint.restore(learner, ranks, saved, directory.last)
        progress = {"best": saved["best"], "seconds": saved["seconds"], "pending": noted(saved, ranks)}
        used = UsedPuzzles.of_tensors(saved["used"])
        dataset = unused(dataset, used.trained)[0]
    else:
        clean, count = unused(dataset, seen.trained)
        advise(count > 0, left_out(count, len(dataset.test)))
        dataset, used = clean, used_by(run, clean).with_seen(seen)
    series = dataset.episodes.series(left_to_score(run, dataset, used.chosen))
    return Start(dataset, used, digest, *split(run, dataset, used.chosen), series, **progress)


def train(
    run: RunSettings,
    learner: Learner,
    directory: RunDirectory,
    ranks: Ranks,
    start: Start,
    observe: Observer | None = None,
) -> dict[str, Any]:
    """Train from where the directory's last checkpoint stands to the end, then evaluate.

    start: the state to go on from, as `begin` gives it. observe: is shown the averaged model every
        `probe_every` steps; what it says is logged as probe/...

    Returns the summary: the scores on the test puzzles, steps, parameters and seconds.

    Raises:
        Interrupted: one of STOP_SIGNALS came; the state is saved.
        StoppedAtOnce: SIGINT came a second time; the message says what is saved.
        Diverged: the loss or the weights are not finite; the last good checkpoint is kept.
    """
    dataset, best, seconds, started = start.dataset, start.best, start.seconds, time.monotonic()
    if ranks.first:
        directory.rewind(learner.step)

    validation, test = start.validation, start.test
    batches = Batches(run, dataset, ranks, learner.model.H_module.noise_size)
    log = IntervalLog(run, ranks, directory, start.pending, batches.span, learner.model.H_module)
    bar = tqdm(total=run.steps, initial=learner.step, unit="step", disable=not (run.progress and ranks.first))
    code = own_code(run)  # As it was imported, even if the file is edited meanwhile.
    saved = learner.step  # By the last checkpoint; 0 without one.

    def save(*, is_best: bool = False) -> None:
        nonlocal saved
        require_sane(learner, run.dtype, directory, ranks)
        progress = {"best": best, "seconds": seconds + time.monotonic() - started, "pending": log.pending()}
        progress |= {"used": start.used.tensors(), "data": start.digest, "processes": ranks.size}
        progress |= {"code": code}
        content = checkpoint.snapshot(learner, ranks, run.config(), progress)
        if ranks.first and is_best:  # First, since last.pt says which step is the best.
            checkpoint.write(directory.best, content)
        if ranks.first:
            checkpoint.write(directory.last, content)
        saved = learner.step

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
            if stop or (end and ranks.any(bool(asked))):  # One may have come during the last validation.
                raise Interrupted(step, asked[0] if asked else signal.SIGTERM, ranks.first)

    shown = run.progress and ranks.first
    scores = evaluate_average(run, learner, dataset, test, ranks, shown)
    series = {
        name: evaluate_average(run, learner, dataset, one, ranks, shown) for name, one in start.series.items()
    }

    def score(settings: EvaluationSettings) -> dict[str, Any]:
        return evaluate_average(run, learner, dataset, test, ranks, shown, settings)

    own = evaluation_settings(run, run.eval_batch_size)
    summary = {
        **scores,
        **({"series": series} if series else {}),
        **over_depth(score, own, run.model.H_cycles, dataset.episodes.depths),
        "step": learner.step,
        "parameters": count_parameters(learner.model),
        "seconds": round(seconds + time.monotonic() - started, 1),
        "best": best,
    }
    if ranks.first:
        directory.log(learner.step, {f"test/{name}": value for name, value in scores.items()})
    return summary


def evaluation_settings(run: RunSettings, batch_size: int) -> EvaluationSettings:
    """How a run evaluates: as it trains, every row to the last step."""
    return EvaluationSettings(
        steps=run.halting.halt_max_steps,
        batch_size=batch_size,
        loss=run.loss.kind,
        write=run.memory.write_in_evaluation,
    )


@torch.no_grad()
def require_sane(learner: Learner, dtype: torch.dtype, directory: RunDirectory, ranks: Ranks) -> None:
    """Refuse to save weights with which nothing can be computed, so that the last checkpoint is good.

    The loss that a step reports is of the weights before the step; those after it are tried here, on the
    examples that the learner holds. Nothing of the learner changes.

    Raises:
        Diverged: a weight, or what the model computes with them, is not finite.
    """
    assert learner.carry is not None
    carry, weights = learner.carry, [*learner.model.parameters(), *learner.average.parameters()]
    sane = all(bool(torch.isfinite(weight).all()) for weight in weights)
    if sane:
        devices = [ranks.device] if ranks.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # A memory may draw; training must not notice.
            sane = all(bool(torch.isfinite(values).all()) for values in _tried(learner, carry, dtype))
    if ranks.any(not sane):
        raise Diverged(f"the weights are of no use any more after step {learner.step}; {rescue(directory)}")


def _tried(learner: Learner, carry: Carry, dtype: torch.dtype) -> list[Tensor]:
    """All that the model computes for the examples of the carry, from the initial state."""
    (step,) = rollout(learner.model, carry.data, learner.initial, 1, dtype=dtype)
    return [step.state.z_H, step.output.logits, step.output.q_halt, *step.state.memory.values()]


def averaged(learner: Learner) -> Reasoner:
    """Return the model with the moving average of the weights."""
    average = learner.average.module
    assert isinstance(average, Reasoner)
    return average


def evaluate_average(
    run: RunSettings,
    learner: Learner,
    dataset: Dataset,
    episodes: Episodes,
    ranks: Ranks,
    progress: bool = False,
    settings: EvaluationSettings | None = None,
) -> dict[str, Any]:
    """Scores of the averaged weights; unless told otherwise every row to the last step, as published."""
    settings = settings or evaluation_settings(run, run.eval_batch_size)
    model, maker = averaged(learner), dataset.episodes
    return evaluate(model, dataset.task, episodes, settings, ranks, run.dtype, progress, maker)
