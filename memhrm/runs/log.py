"""The training log: the metrics of an interval of steps, and a check that training has not diverged."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from memhrm.data.sampler import IGNORE
from memhrm.memory.base import HModule
from memhrm.memory.usage import describe, own_entropy, selected
from memhrm.runs.agreement import later_visits, sees_episodes
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import RunSettings
from memhrm.system.ranks import Ranks
from memhrm.training.losses import widened
from memhrm.training.step import Observed, Stepped
from memhrm.training.supervision import Supervised


class Diverged(ValueError):
    """The loss, or an output of the model, is not a finite number."""


class IntervalLog:
    """Sums of the values that the steps report; they stay on the device until the interval ends.

    Args:
        run: the settings of the run.
        ranks: the processes of the run.
        directory: the directory whose metrics are written.
        pending: this process's part of the values that were noted before a resumed run was interrupted, as
            `noted` returns it.
        span: returns the supervision steps of the optimiser step that follows so many finished ones.
        module: the memory, of whose traced values some are logged (`HModule.logged`).
    """

    SCORES = ("count", "accuracy", "exact_accuracy", "q_halt_accuracy", "supervision_steps")

    def __init__(
        self,
        run: RunSettings,
        ranks: Ranks,
        directory: RunDirectory,
        pending: Tensor | None,
        span: Callable[[int], int],
        module: HModule,
    ):
        self.run, self.ranks, self.directory, self.span = run, ranks, directory, span
        self.module, self.logged = module, module.logged
        self.rows = [] if pending is None else list(pending.to(ranks.device))
        self.earlier = len(self.rows)  # Rows that took none of the time since `since`.
        self.lr = 0.0
        self.precision = widened(torch.zeros((), device=ranks.device)).dtype
        self.since = time.monotonic()

    def add(self, stepped: Stepped) -> None:
        """Add the values of one optimiser step; scores count the rows that halted, as published."""
        wide = self.precision
        columns = {"grad_norm": stepped.grad_norm.to(wide), "loss": stepped.loss.to(wide)}
        for seen in stepped.observed:
            sums = {f"{name}_loss": loss.detach() for name, loss in seen.supervised.losses.items()}
            for name, value in (sums | self._scores(seen) | self._memory(seen.supervised)).items():
                value = value.to(wide)
                columns[name] = columns[name] + value if name in columns else value
        if "address" in stepped.observed[0].carry.data and sees_episodes(self.module):
            columns |= {k: v.to(wide) for k, v in later_visits(stepped.observed, self.module).items()}
        self.layout = {name: value.numel() for name, value in columns.items()}
        self.rows.append(torch.cat([value.flatten() for value in columns.values()]))
        self.lr = stepped.lr

    def _scores(self, seen: Observed) -> dict[str, Tensor]:
        done, carry, halted, _ = seen
        graded = done.graded
        q_right = (done.out.q_halt > 0) == graded.exact
        halted = halted & (carry.data["labels"] != IGNORE).any(dim=-1)  # Feedback has no labels.
        columns = [torch.ones_like(halted), graded.accuracy, graded.exact, q_right, carry.steps + 1]
        return {
            name: (column * halted).to(self.precision).sum() for name, column in zip(self.SCORES, columns)
        }

    def _memory(self, done: Supervised) -> dict[str, Tensor]:
        """Return sums over the examples, means over the H-steps, of what the memory traced."""
        traces = done.out.traces
        sums = {}
        for name in self.logged:
            if name not in traces[0]:
                raise ValueError(f"the memory logs {name!r}, which is not in the trace of its H-step")
            sums[name] = torch.stack([trace[name].detach() for trace in traces]).mean(dim=0).sum()
        if done.reward is not None:
            sums["reward"] = done.reward.sum()
        if "indices" in traces[0]:
            counts = selected(traces)
            sums["own_entropy"] = own_entropy(counts).sum()
            sums["usage"] = counts.sum(dim=0) / len(traces)
        return sums

    def pending(self) -> Tensor:
        """Return the values since the last line, the mean over the processes.

        A checkpoint keeps them, so that the next line is complete.
        """
        return self.ranks.total(torch.stack(self.rows)) / self.ranks.size if self.rows else torch.zeros(0)

    def flush(self, step: int, *, write: bool) -> dict[str, str]:
        """Check the losses so far, write a line if asked, and return what the progress bar shows.

        Args:
            step: the optimiser step that was added last.
            write: write a line of metrics and begin a new interval.

        Returns:
            Short texts by their names.

        Raises:
            Diverged: a loss is not finite; the message says at which step.
        """
        table = self.ranks.total(torch.stack(self.rows))
        self._check(table, first=step - len(self.rows) + 1)
        parts = table.mean(dim=0).split(list(self.layout.values()))
        cells = dict(zip(self.layout, (part.tolist() for part in parts)))
        mean = {name: values[0] for name, values in cells.items() if len(values) == 1}
        finished = mean.pop("count")
        count = max(finished, 1e-9)
        spans = [self.span(done) for done in range(step - len(self.rows), step)]
        examples = self.run.batch_size * sum(spans) / len(spans)  # Per optimiser step, once per supervision.
        metrics: dict[str, Any] = {name: mean[name] / count for name in self.SCORES if name != "count"}
        metrics |= {name: mean[name] / self.run.batch_size for name in mean if name.endswith("_loss")}
        metrics["puzzles"] = round(finished * len(self.rows))
        metrics |= {"loss": mean["loss"], "grad_norm": mean["grad_norm"] / self.ranks.size, "lr": self.lr}
        metrics |= {name: mean[name] / examples for name in (*self.logged, "reward") if name in mean}
        if mean.get("later_visits"):
            metrics["agreement"] = mean["agreement"] / mean["later_visits"]
        if "own_entropy" in mean:
            usage = [value / examples for value in cells["usage"]]
            metrics |= describe(usage, mean["own_entropy"] / examples)
        if write:
            now = time.monotonic()
            timed = self.run.batch_size * sum(spans[self.earlier :])
            metrics["examples_per_second"] = timed / max(now - self.since, 1e-9)
            if self.ranks.first:
                self.directory.log(step, {f"train/{name}": value for name, value in metrics.items()})
            self.rows, self.earlier, self.since = [], 0, now
        return {"loss": f"{metrics['loss']:.4f}", "exact": f"{metrics['exact_accuracy']:.3f}"}

    def _check(self, table: Tensor, first: int) -> None:
        bad = ~torch.isfinite(table[:, :2]).all(dim=1)
        if bad.any():
            step = first + int(bad.nonzero()[0])
            raise Diverged(f"the loss is not a finite number at step {step}; {rescue(self.directory)}")


def noted(saved: Mapping[str, Any], ranks: Ranks) -> Tensor | None:
    """Return this process's part of what a checkpoint keeps for the next line of the log.

    Args:
        saved: the checkpoint, of any number of processes; one that does not tell it is taken to have as many.
        ranks: the processes that go on from it.
    """
    pending, share = saved["pending"], saved.get("processes", ranks.size) / ranks.size
    if pending is None or not len(pending):
        return pending
    return torch.cat([pending[:, :1], share * pending[:, 1:]], dim=1)  # All have one gradient, and its norm.


def rescue(directory: RunDirectory) -> str:
    """Return the advice, for a message, on what to do when the training of a run has diverged."""
    calmer = "a lower optim.lr, optim.clip=1.0 or precision=float32"
    if not directory.last.exists():
        return f"no checkpoint was written yet; give {calmer}"
    return (
        f"the last good checkpoint is {directory.last}; to go on from its weights in a new run, give "
        f"init={directory.path}, another dir=..., and {calmer}"
    )
