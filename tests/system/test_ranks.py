"""Two processes train as one does: they share a batch, and a checkpoint of either serves the other."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from memhrm.nn.tables import KeyedTable, PuzzleTable
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory
from memhrm.system.ranks import ranks
from memhrm.training.optim import SignSGD
from tiny import TINY, at_step, send, train
from two_ranks import Job, losses, on_two_ranks

SETTINGS = ("optim=adamw", "optim.eps=1e-3", "log_every=1", "halting.halt_exploration_prob=0.5")


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Callable[..., Path]:
    """Makes the run of one process, once per choice of settings."""
    folder = tmp_path_factory.mktemp("one")

    def make(*settings: str) -> Path:
        path = folder / "-".join(["run", *settings]).replace("=", "_")
        assert path.exists() or train(path, *SETTINGS, *settings) == 0
        return path

    return make


def interrupted(path: Path) -> int:
    """Training that is told to stop at step 5; only the second process of two hears it."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("RANK", "1") == "1":
            at_step(patch, 5, send(signal.SIGTERM))
        return train(path, *SETTINGS)


KEYS = torch.tensor([1 << 62, 5, 3, 1 << 40, 9])
IDENTIFIERS = torch.tensor([3, 1, 3, 0, 3, 1, 4, 0])


def table_and_gradients() -> tuple[PuzzleTable, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    table = PuzzleTable(6, 5)
    table.weight.copy_(torch.randn(6, 5, generator=generator))
    return table, torch.randn(8, 5, generator=generator)


def sign_sgd(folder: Path) -> int:
    with ranks("cpu") as me:
        table, gradients = table_and_gradients()
        rows = me.rows(8)
        SignSGD(table, weight_decay=0.1).step(IDENTIFIERS[rows], gradients[rows], 0.01)
        keyed = KeyedTable(5)
        for each in (rows, slice(None)):  # The second step meets keys that have rows already.
            SignSGD(keyed, weight_decay=0.1).step(KEYS[IDENTIFIERS[each]], gradients[each], 0.01)
        torch.save(table.weight, folder / f"table{me.rank}")
        torch.save(keyed.state_dict(), folder / f"keyed{me.rank}")
    return 0


HRM = ("model=hrm", "model.H_layers=1", "+memory=none", "memory.horizon=2", "optim.clip=0.1")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, dict[str, list[str]]]:
    """The folder and the words of two processes that do all that these tests look at."""
    folder = tmp_path_factory.mktemp("two")
    assert interrupted(folder / "one_then_two") == 128 + signal.SIGTERM
    jobs: dict[str, Job] = {
        "trm": (train, (folder / "run_trm", *SETTINGS)),
        "hrm": (train, (folder / "run_hrm", *SETTINGS, *HRM)),
        "begun": (interrupted, (folder / "two_then_one",)),
        "resumed": (train, (folder / "one_then_two", *SETTINGS)),
        "odd": (train, (folder / "run_odd", "batch_size=7")),
        "sign": (sign_sgd, (folder,)),
    }
    return folder, on_two_ranks(folder, jobs)


@pytest.mark.parametrize(("name", "settings"), [("trm", ()), ("hrm", HRM)])
def test_two_processes_have_the_losses_of_one(name, settings, one, two):
    folder, said = two
    assert [text.splitlines()[-1] for text in said[name]] == ["0", "0"]
    found, expected = losses(folder / f"run_{name}"), losses(one(*settings))
    assert len(expected) == 8
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    scores = [RunDirectory(path).summary() for path in (folder / f"run_{name}", one(*settings))]
    assert scores[0] is not None and scores[1] is not None
    assert scores[0]["lm_loss"] == pytest.approx(scores[1]["lm_loss"], rel=1e-6)
    assert scores[0]["accuracy"] == pytest.approx(scores[1]["accuracy"], rel=1e-2)


@pytest.mark.parametrize("order", ["one_then_two", "two_then_one"])
def test_checkpoint_serves_another_number_of_processes(order, one, two):
    folder, said = two
    path = folder / order
    if order == "two_then_one":
        assert [text.splitlines()[-1] for text in said["begun"]] == [str(128 + signal.SIGTERM)] * 2
        assert checkpoint.read(path / "checkpoints/last.pt")["step"] == 5
        assert train(path, *SETTINGS) == 0
    else:
        assert [text.splitlines()[-1] for text in said["resumed"]] == ["0", "0"]
    torch.testing.assert_close(losses(path), losses(one()), rtol=1e-6, atol=1e-9)
    ends = [checkpoint.read(run / "checkpoints/last.pt") for run in (path, one())]
    torch.testing.assert_close(ends[0]["model"], ends[1]["model"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ends[0]["carry"], ends[1]["carry"], rtol=1e-3, atol=1e-4)


def test_batch_that_does_not_divide(two):
    folder, said = two
    assert said["odd"] == ["error: batch_size is 7; allowed: multiples of 2 processes\n2\n"] * 2
    assert not (folder / "run_odd").exists()


def test_sign_sgd_sums_over_processes(two):
    """Row by row: the sign of the sum over all examples of the identifier, wherever they are."""
    folder, said = two
    assert said["sign"] == ["0\n", "0\n"]
    table, gradients = table_and_gradients()
    rows, keyed = table.weight, {}
    for row in (0, 1, 3, 4):
        total = sum(g for g, i in zip(gradients, IDENTIFIERS.tolist()) if i == row)
        assert isinstance(total, torch.Tensor)
        rows[row] = rows[row] - 0.01 * 0.1 * rows[row] - 0.01 * total.sign()
        keyed[int(KEYS[row])] = -0.01 * (2 - 0.01 * 0.1) * total.sign()  # After two such steps from 0.
    for rank in range(2):
        torch.testing.assert_close(torch.load(folder / f"table{rank}"), rows)
        found = torch.load(folder / f"keyed{rank}")
        assert found["keys"].tolist() == sorted(keyed)
        torch.testing.assert_close(found["weight"], torch.stack([keyed[key] for key in sorted(keyed)]))


@pytest.mark.thorough
def test_torchrun(one, tmp_path):
    """The documented way to start several processes: one table, one set of files."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "memhrm.train"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", *launch, *TINY, *SETTINGS, "dir=run"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("exact accuracy") == 1
    torch.testing.assert_close(losses(tmp_path / "run"), losses(one()), rtol=1e-6, atol=1e-9)
