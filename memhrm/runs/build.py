"""The parts of a run, made from its settings."""

import os

import numpy as np
import torch

from memhrm.config.settings import advise, require
from memhrm.data import Dataset
from memhrm.data import load as load_data
from memhrm.data.settings import KINDS
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.runs.settings import RunSettings
from memhrm.runs.used import identities, left_out, unused
from memhrm.system.ranks import Ranks
from memhrm.training.step import Learner


def prepare_machine(run: RunSettings) -> None:
    """Set the threads, the determinism and the seed of this process."""
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    torch.set_flush_denormal(True)
    if run.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads uninitialised memory, and filling it costs.
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 (not typed)
        torch.backends.cudnn.benchmark = False
    torch.manual_seed(run.seed)


def make_dataset(run: RunSettings) -> Dataset:
    """Return the run's puzzles; test puzzles that are training puzzles up to symmetry are left out.

    Of sets that this package generates there are none; files may have some, and sets of the user's own.
    """
    dataset = load_data(**run.data)
    clean, count = untrained(run, dataset)
    advise(count > 0, left_out(count, len(dataset.test)))
    return clean


def untrained(run: RunSettings, dataset: Dataset) -> tuple[Dataset, int]:
    """Return the run's puzzles without test puzzles that are training puzzles too, and their number."""
    if run.generated and run.data["kind"] in KINDS.own:
        return dataset, 0
    return unused(dataset, identities(dataset.train, dataset.task))


def make_model(run: RunSettings, dataset: Dataset) -> Reasoner:
    """Return the run's model, on the CPU, started from the run's seed whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = Reasoner(run.model, puzzle_shape(dataset.task), run.memory)
    train = dataset.train
    model.H_module.learn_from(train.inputs, train.labels, train.groups)
    return model


def make_learner(run: RunSettings, model: Reasoner, ranks: Ranks, dataset: Dataset | None = None) -> Learner:
    """Return the run's model under training on this rank's device.

    Args:
        run: the settings of the run.
        model: its model.
        ranks: the processes that share the work.
        dataset: its data, on whose labels the weights of labels depend; None: all count the same.

    Raises:
        ValueError: the batch does not divide among the ranks, or the labels can have no weights.
    """
    require(
        run.batch_size % ranks.size == 0, "batch_size", run.batch_size, f"multiples of {ranks.size} processes"
    )
    return Learner.build(
        model.to(ranks.device),
        halting=run.halting,
        loss=run.loss,
        optim=run.optim,
        total_steps=run.steps,
        local_batch_size=run.batch_size // ranks.size,
        dtype=run.dtype,
        compile=run.compile,
        label_weights=None if dataset is None else label_weights(run, dataset, ranks),
    )


def label_weights(run: RunSettings, dataset: Dataset, ranks: Ranks) -> torch.Tensor | None:
    """Return the factors on the losses of the labels that the settings ask for, (C + 1,); None: all are 1.

    A label's is the mean number of its examples over its own number, so that their mean over examples is 1.

    Raises:
        ValueError: the examples have more than one label each, or none.
    """
    if run.loss.class_weights == "none":
        return None
    allowed = f"none with data={dataset.name}, whose examples have a label at each token"
    require(dataset.task.num_labels > 0, "loss.class_weights", run.loss.class_weights, allowed)
    counts = np.bincount(dataset.train.labels[:, 0], minlength=dataset.task.num_labels + 1)
    there = counts > 0
    there[0] = False
    allowed = f"none with data={dataset.name}, whose examples have no label before they stand in an episode"
    require(bool(there.any()), "loss.class_weights", run.loss.class_weights, allowed)
    mean = counts[there].mean()
    return torch.from_numpy(np.where(there, mean / counts.clip(min=1), 0)).float().to(ranks.device)
