"""What the log says of an interval of steps, and whether training is still sane."""

import time

import torch
from torch import Tensor

from memhrm.training.carry import Carry
from memhrm.training.losses import widened
from memhrm.training.ranks import Ranks
from memhrm.training.record import RunDirectory
from memhrm.training.run import RunSettings
from memhrm.training.step import Stepped
from memhrm.training.supervision import Supervised


class Diverged(ValueError):
    """The loss is no longer a number."""


class IntervalLog:
    """Sums of what the steps report; they stay on the device until the interval ends."""

    SCORES = ("count", "accuracy", "exact_accuracy", "q_halt_accuracy", "supervision_steps")

    def __init__(self, run: RunSettings, ranks: Ranks, directory: RunDirectory, pending: Tensor | None):
        self.run, self.ranks, self.directory = run, ranks, directory
        self.rows = [] if pending is None else list(pending.to(ranks.device))
        self.lr = 0.0
        self.since = time.monotonic()

    def add(self, stepped: Stepped) -> None:
        """Note one optimiser step; scores count the rows that halted, as published."""
        scores = torch.stack([self._scores(*seen) for seen in stepped.observed]).sum(dim=0)
        losses = [seen.supervised.losses for seen in stepped.observed]
        names = list(losses[0])
        sums = [torch.stack([widened(loss[name].detach()) for loss in losses]).sum() for name in names]
        scalars = torch.stack([widened(stepped.grad_norm), widened(stepped.loss), *sums])
        self.rows.append(torch.cat((scalars, scores)))
        self.names = ["grad_norm", "loss", *(f"{name}_loss" for name in names), *self.SCORES]
        self.lr = stepped.lr

    @staticmethod
    def _scores(done: Supervised, carry: Carry, halted: Tensor) -> Tensor:
        graded = done.graded
        q_right = (done.out.q_halt > 0) == graded.exact
        columns = [torch.ones_like(halted), graded.accuracy, graded.exact, q_right, carry.steps + 1]
        return torch.stack([widened(column * halted).sum() for column in columns])

    def pending(self) -> Tensor:
        """What was noted since the last line; a checkpoint keeps it, so that a resumed line is whole."""
        return self.ranks.total(torch.stack(self.rows)) / self.ranks.size if self.rows else torch.zeros(0)

    def flush(self, step: int, *, write: bool) -> dict[str, str]:
        """Check the losses so far, write a line if asked, and return what the progress bar shows.

        step: the step noted last.

        Raises:
            Diverged: a loss is not finite; the message says at which step.
        """
        table = self.ranks.total(torch.stack(self.rows))
        self._check(table, first=step - len(self.rows) + 1)
        mean = dict(zip(self.names, table.mean(dim=0).tolist()))
        count = max(mean.pop("count"), 1e-9)
        metrics = {name: mean[name] / count for name in self.SCORES if name != "count"}
        metrics |= {name: mean[name] / self.run.batch_size for name in mean if name.endswith("_loss")}
        metrics |= {"loss": mean["loss"], "grad_norm": mean["grad_norm"] / self.ranks.size, "lr": self.lr}
        if write:
            now, examples = time.monotonic(), len(self.rows) * self.run.batch_size * self.run.horizon
            metrics["examples_per_second"] = examples / max(now - self.since, 1e-9)
            if self.ranks.first:
                self.directory.log(step, {f"train/{name}": value for name, value in metrics.items()})
            self.rows, self.since = [], now
        return {"loss": f"{metrics['loss']:.4f}", "exact": f"{metrics['exact_accuracy']:.3f}"}

    def _check(self, table: Tensor, first: int) -> None:
        bad = ~torch.isfinite(table[:, :2]).all(dim=1)
        if bad.any():
            last = self.directory.last
            kept = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint was written yet"
            raise Diverged(
                f"the loss is not a finite number at step {first + int(bad.nonzero()[0])}; {kept}; "
                "lower optim.lr, set optim.clip=1.0 or use precision=float32"
            )
