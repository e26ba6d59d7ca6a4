"""A memory from outside with a loss, a logged figure and maps of its own, through every command."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from memhrm.config.settings import SettingWarning
from memhrm.export import main as export
from memhrm.probes import attention_maps, open_subject, roll_out
from memhrm.report.run import ProbedRun
from memhrm.report.sections import SECTIONS
from memhrm.report.settings import ReportSettings
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory
from memhrm.train import main
from memhrm.weights.opening import load
from tiny import TINY, command_line

CODE = '''
import torch

from memhrm.memory.base import HModule, Loss
from memhrm.memory.losses import traced
from memhrm.nn.layers import Linear


class Notebook(HModule):
    """z_H' = level(z_H, z_L + W m), m' = m + sum_t a_t z_H'_t; a loss keeps the attention a together."""

    has_maps = True
    logged = ("spread",)

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.give, self.look = Linear(shape.width, shape.width), Linear(shape.width, 1)
        self.remember("line", torch.zeros(shape.width))
        self.losses["focus"] = Loss(traced("spread"), weight=0.25)

    def forward(self, z_H, z_L, memory, context):
        line = memory["line"]
        given = self.give(line.to(z_L.dtype)).unsqueeze(1)
        z_H = context.level(z_H, z_L + given)
        a = self.look(z_H).squeeze(-1).softmax(dim=-1)
        line = line + torch.einsum("bt,btd->bd", a, z_H).to(line.dtype)
        trace = {"spread": -(a * a.clamp(min=1e-9).log()).sum(dim=-1)}
        if context.maps:
            trace["read_map"] = given.norm(dim=-1).unsqueeze(1).expand(-1, 1, z_H.shape[1])
            trace["write_map"] = a.unsqueeze(1)
        return z_H, {"line": line}, trace
'''
CONFIG = """
# @package _global_
defaults: [none, _self_]
memory:
  name: notebook
  module: notebook.Notebook
loss:
  focus: null  # null: 0.25
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the user's two files, in which commands run."""
    (tmp_path / "notebook.py").write_text(CODE)
    (tmp_path / "conf/memory").mkdir(parents=True)
    (tmp_path / "conf/memory/notebook.yaml").write_text(CONFIG.lstrip())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "notebook", raising=False)
    return tmp_path


def train(*words: str) -> int:
    tiny = [*TINY, "log_every=2", "eval_every=0", "model.H_cycles=2", *words]
    return command_line("train", main, "--config-dir", "conf", "+memory=notebook", *tiny)


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()]


def weights(name: str) -> dict[str, torch.Tensor]:
    return torch.load(RunDirectory(Path(name)).last, weights_only=True)["model"]


def test_it_trains_with_its_loss_and_logs_its_figure(here):
    for name, word in (("usual", ()), ("given", ("loss.focus=0.5",)), ("off", ("loss.focus=0",))):
        assert train(f"dir={name}", *word) == 0
    first = {name: lines(name)[0] for name in ("usual", "given", "off")}
    for name, weight in (("usual", 0.25), ("given", 0.5)):
        line = first[name]
        assert 0 < line["train/spread"] <= math.log(17)
        own = weight * line["train/focus_loss"]
        assert line["train/loss"] == pytest.approx(
            line["train/lm_loss"] + 0.5 * line["train/q_halt_loss"] + own
        )
        # The loss is counted once per example, as the figure.
        assert line["train/focus_loss"] == pytest.approx(line["train/spread"])
    assert "train/focus_loss" not in first["off"] and first["off"]["train/spread"] > 0
    states = [
        torch.load(RunDirectory(Path(name)).last, weights_only=True)["model"]
        for name in ("usual", "given", "off")
    ]
    look = [state["H_module.look.weight"] for state in states]
    assert not torch.equal(look[0], look[1]) and not torch.equal(look[0], look[2])


def test_a_loss_that_it_does_not_declare_is_refused_with_those_that_it_does(here, capsys):
    assert train("dir=run", "+loss.fokus=0.5") == 2
    expected = "loss.fokus is 0.5; allowed: 0, since memory=notebook has nothing for it; it has focus"
    assert expected in capsys.readouterr().err
    assert train("dir=run", "loss.focus=-1") == 2
    assert "loss.focus is -1.0; allowed: 0 or above" in capsys.readouterr().err


def test_it_resumes_exports_and_is_probed(here):
    assert train("dir=whole") == 0
    assert train("dir=parts", "steps=4") == 0 and train("dir=parts") == 0
    kept = [
        [{k: v for k, v in line.items() if "second" not in k} for line in lines(name) if "train/loss" in line]
        for name in ("whole", "parts")
    ]
    assert kept[0] == kept[1] and len(kept[0]) == 4
    whole, parts = weights("whole"), weights("parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)

    with open("notebook.py", "a") as file:
        file.write("# Another version.\n")
    with pytest.warns(SettingWarning, match=r"the file of notebook\.Notebook has changed since the run"):
        assert train("dir=parts") == 0
    content = checkpoint.read(RunDirectory(Path("parts")).last)
    del content["code"]  # Of older runs nothing is known.
    checkpoint.write(RunDirectory(Path("parts")).last, content)
    assert train("dir=parts") == 0

    assert command_line("export", export, "run=whole", "trust=notebook.Notebook") == 0
    solver = load("whole/model.safetensors")
    assert type(solver.model.H_module).__name__ == "Notebook"
    assert solver.solve(["1" + "." * 15])

    subject = open_subject("whole")
    met = attention_maps(subject, 1)
    a = met.write[:, 0]
    spread = -(a * np.log(a)).sum(axis=-1)
    np.testing.assert_allclose(spread, roll_out(subject, 2).traces["spread"][1, -1], rtol=1e-4)
    assert met.cells is None and met.read.shape == met.write.shape == (10, 1, 17)
    assert RunDirectory(Path("whole")).config()["memory"]["module"] == "notebook.Notebook"
    shown = SECTIONS["attention"].compute(ProbedRun(0, "whole", subject, ReportSettings.of(), []))
    assert shown["one_cells"].tolist() == [-1] and shown["write"].shape == (1, 4, 4)
