"""The command of a run gives its settings again."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from memhrm.config.command import compose
from memhrm.config.defaults import CONFIGS
from memhrm.data.sudoku.settings import SudokuSettings
from memhrm.memory.base import MemorySettings
from memhrm.memory.none import NoMemory
from memhrm.runs.recipe import DERIVED, UNSAID, words_of
from memhrm.runs.settings import parse

NEEDED = {"trm_arc1", "trm_arc2", "hrm_arc1", "arc_small", "text", "intent", "intent_episodes"}
"""Recipes whose data are files."""
EXPERIMENTS = sorted({path.stem for path in Path(CONFIGS, "experiment").glob("*.yaml")} - NEEDED)
MORE = {
    "defaults": [],
    "names": ["model.name='a b'", "model.gradient_window={cycles: 2}", "optim.betas=[0.5,0.75]", "seed=3"],
    "cells": ["+memory=multicell", "k=2", "memory.cells=5", "loss.diverse=0.1", "data=maze", "model=hrm"],
    "plain": ["+memory=none", "memory.horizon=2"],
    "bank": ["experiment=intent", "data.path=docs/texts.csv", "data.holdout=12", "+memory=retrieval", "k=3"],
}


@dataclass(frozen=True, kw_only=True)
class OwnSettings(MemorySettings):
    """Settings of a memory of one's own."""

    decay: float


class Own(NoMemory):
    """A memory of one's own."""

    Settings = OwnSettings


@dataclass(frozen=True, kw_only=True)
class OwnData(SudokuSettings):
    """Data of one's own."""

    length: int


OWN = {
    "own classes": [
        *("+memory=none", "memory.name=own", f"memory.module={__name__}.Own", "+memory.decay=0.5"),
        *("data.name=own", f"data.kind={__name__}.OwnData", "+data.length=3"),
    ],
    "own files": [*MORE["cells"], "memory.name=own", "data.name=own"],
}
"""Runs whose files in the groups of the configuration do not come with the package."""


def same(words: list[str]) -> list[str]:
    run = parse(compose("train", words))
    again = words_of(run)
    one, two = (
        {name: value for name, value in config.items() if name not in UNSAID}
        for config in (run.config(), parse(compose("train", again)).config())
    )
    assert one == two
    return again


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_words_of_a_recipe_give_it_again(name):
    assert len(same([f"experiment={name}"])) > 3


@pytest.mark.parametrize("name", [*MORE, *OWN])
def test_the_words_of_a_run_give_it_again_and_no_more_is_said(name):
    again = same({**MORE, **OWN}[name])
    assert name in ("bank", *OWN) or len(again) <= 3 + len(MORE[name])
    assert not any(word.startswith(DERIVED) for word in again)
