"""Set up all tests: one thread, a private cache, and fixtures for small models and batches."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # Before PyTorch is imported; commands that tests start have it too.

import copy
import functools
import signal

import hydra
import pytest
import torch
from omegaconf import DictConfig

from memhrm.data.sampler import schedule
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, PuzzleShape

torch.set_num_threads(1)

if hasattr(signal, "SIGHUP"):  # Under nohup it is ignored, here and in the runs that tests start.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


_compose = hydra.compose


@functools.cache
def _composed(name: str, overrides: tuple[str, ...]) -> DictConfig:
    return _compose(config_name=name, overrides=list(overrides))


def compose_once(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose as Hydra does, each list of words once: nearly half of those of the tests are repetitions."""
    if any("searchpath" in word for word in overrides):  # A folder of the test, whose files may change.
        return _compose(config_name=config_name, overrides=overrides)
    return copy.deepcopy(_composed(config_name, tuple(overrides)))


hydra.compose = compose_once


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run the tests marked thorough too")


FIRST = {"test_ranks.py", "test_report.py", "test_page.py", "test_snippets.py", "test_prose.py"}
"""Files whose tests share what takes seconds to make. They come first: a process that is done takes over the
last tests of another, and both would have to make it."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests marked thorough, which are variations of other tests, unless --thorough is given."""
    items.sort(key=lambda item: item.path.name not in FIRST)
    if config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Put generated puzzles into a folder of this test session, so that no test reads an older cache."""
    os.environ["MEMHRM_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "memhrm-cache")


def model_settings(**changes) -> ModelSettings:
    """Return the settings of a tiny TRM, overridden by `changes`."""
    values = {
        "hidden_size": 16,
        "num_heads": 2,
        "L_layers": 1,
        "H_net": "shared",
        "H_cycles": 2,
        "L_cycles": 2,
        "gradient_window": "last_cycle",
        "expansion": 1.0,
        "puzzle_emb_len": 2,
    }
    return ModelSettings.of(**{**values, **changes})


SHAPE = PuzzleShape(vocab_size=6, num_tokens=16, num_identifiers=3, layout=(4, 4))


@pytest.fixture
def tiny_model():
    """Return a function that makes a tiny reasoner whose heads, too, have random weights."""

    def make(seed: int = 0, **changes) -> Reasoner:
        torch.manual_seed(seed)
        model = Reasoner(model_settings(**changes), SHAPE)
        torch.nn.init.normal_(model.q_head.weight, std=0.1)
        if model.puzzles is not None:
            torch.nn.init.normal_(model.puzzles.weight, std=0.1)
        return model

    return make


@pytest.fixture
def batch():
    """Return a function that makes random batches for the tiny reasoner."""

    def make(seed: int = 0, rows: int = 4) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)

        def draw(high: int, *size: int) -> torch.Tensor:
            return torch.randint(0, high, size, generator=generator, dtype=torch.int32)

        return {
            "inputs": draw(SHAPE.vocab_size, rows, SHAPE.num_tokens),
            "labels": draw(SHAPE.vocab_size, rows, SHAPE.num_tokens),
            "identifiers": draw(SHAPE.num_identifiers, rows),
            **{name: torch.from_numpy(flags) for name, flags in schedule(rows).items()},
        }

    return make
