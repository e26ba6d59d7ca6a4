"""Runs with fewer cells, and memories that go from one run to another."""

import json
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import memhrm
from experiments.kill import compare
from memhrm import evaluate, export, prune
from memhrm.config import console
from memhrm.config.defaults import defaults
from memhrm.config.settings import SettingWarning
from memhrm.data.loading import load as load_data
from memhrm.memory.multicell import MultiCell
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory
from memhrm.weights.prune import kept_cells
from memhrm.weights.restore import from_run
from tiny import at_step, call, command_line, send, train

OVER = ("overwrite=true",)
SHORT = ("steps=2", "eval_every=0")
CELLS = ("+memory=multicell", "memory.placement=augment", "memory.cells=6", "memory.tokens=2",
         "memory.state_norm=none")  # fmt: skip
MORE = ("model.H_cycles=2", "log_every=4", "optim=adamw", "optim.eps=1e-3")
MAZE = ("data.side=6", "data.train_size=8", "data.min_length=4")
LIVE, DEAD = [0, 2, 3, 5], [1, 4]


def read(run: Path) -> dict[str, Any]:
    return checkpoint.read(run / "checkpoints/last.pt")


def plant(run: Path) -> None:
    """Give the live cells CLS v, -v, w, -w, and the dead ones 0.

    Whatever the query is, v or -v and w or -w have a score above 0, and k=2 of them are selected. They are
    long, so that what a write adds does not turn them; and such that puzzles differ in which they select.
    """
    module, queries = from_run(run).model.H_module, []
    assert isinstance(module, MultiCell)
    content, solver = read(run), memhrm.load(run)
    scorer = solver.model.get_submodule("H_module.store.scorer")
    with scorer.register_forward_hook(lambda _, given, __: queries.append(given[0].squeeze(1))):
        test = load_data(**from_run(run).run.data).test
        solver.solve([solver.task.decode(row) for row in test.inputs])
    wanted = torch.cat(queries) @ scorer.weight[0].detach().T
    _, _, directions = torch.pca_lowrank(wanted, q=3, niter=8)
    middle = wanted.mean(dim=0)
    v, w = (1000 * F.normalize(x - x @ middle / (middle @ middle) * middle, dim=0) for x in directions.T[:2])
    cls = dict(zip(LIVE, (v, -v, w, -w)))
    for cells in (
        content["model"]["H_module.cells_init"],
        content["average"]["module.H_module.cells_init"],
        content["carry"]["memory/cells"],
    ):
        for i in range(6):
            cells[..., i, 0, :] = cls.get(i, torch.zeros(16))
    checkpoint.write(run / "checkpoints/last.pt", content)
    checkpoint.write(run / "checkpoints/best.pt", {**content, "step": 4})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Makes a trained run, once for each set of overrides."""
    made: dict[tuple[str, ...], Path] = {}

    def make(*overrides: str) -> Path:
        if overrides not in made:
            made[overrides] = tmp_path_factory.mktemp("runs") / "run"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SettingWarning)
                assert train(made[overrides], *overrides, *MORE) == 0
        return made[overrides]

    return make


@pytest.fixture(scope="module")
def planted(runs, tmp_path_factory) -> Path:
    """A run of six cells of which two are never selected."""
    run = Path(shutil.copytree(runs(*CELLS), tmp_path_factory.mktemp("planted") / "run"))
    plant(run)
    return run


def run_prune(run: Path, out: Path | None, **settings: Any) -> int:
    """The command's body, with the defaults of its file, but for fewer puzzles."""
    values = {**defaults("prune"), "run": str(run), "out": out and str(out), "puzzles": 8, "progress": False}
    return console.code_of(lambda: prune.main(values | settings))


def run_memory(*words: str) -> int:
    return call("transfer", *words)


def answers(run: Path) -> tuple[list[str], Tensor]:
    """The answers to the held-out puzzles, and the logits after all steps."""
    solver, restored = memhrm.load(run), from_run(run)
    test = load_data(**restored.run.data).test
    texts = solver.solve([solver.task.decode(row) for row in test.inputs])
    model, inputs = restored.model, torch.from_numpy(test.inputs.astype("int32"))
    state, out = model.initial_state(len(inputs)), None
    with torch.no_grad():
        for _ in range(restored.run.halting.halt_max_steps):
            rows = model.puzzle_rows(torch.zeros(len(inputs), dtype=torch.int32))
            state, out = model(state, inputs, rows)
    assert out is not None
    return texts, out.logits


def error(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0].removeprefix("error: ")


def files(run: Path) -> dict[Path, bytes]:
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


# Pruning.


def test_cells_that_are_never_selected_change_no_answer(planted, tmp_path, capsys):
    """0 % against 100 % of the selections, measured; then every answer and score, of both runs."""
    run, out = planted, tmp_path / "out"
    before = files(run)
    assert run_prune(run, out, keep=1.0, puzzles=64) == 0
    said = capsys.readouterr().out
    table = [line.split() for line in said.splitlines() if line.strip()[:1].isdigit() and "%" in line][:6]
    assert [int(line[0]) for line in table if line[-1] == "kept"] == LIVE
    assert [(int(i), usage, fate) for i, usage, _, fate in table if int(i) in DEAD] == [
        (1, "0.00%", "dropped"),
        (4, "0.00%", "dropped"),
    ]
    assert sum(float(line[1][:-1]) for line in table) == pytest.approx(200, abs=0.05)  # k = 2 at each H-step.
    assert f"written to {out}" in said and "10 validation puzzles" in said
    assert files(run) == before

    (texts, logits), (texts_pruned, logits_pruned) = answers(run), answers(out)
    assert len(texts) == 20 and len(set(texts)) > 1
    assert texts_pruned == texts
    torch.testing.assert_close(logits_pruned, logits, rtol=0, atol=1e-6)

    scores = []
    for path in (run, out):
        assert command_line("evaluate", evaluate.main, f"run={path}", f"out={tmp_path}/s.json", *OVER) == 0
        scores.append(json.loads((tmp_path / "s.json").read_text()))
    usage, pruned_usage = (s["cells"].pop("usage") for s in scores)
    assert pruned_usage == [usage[i] for i in LIVE]
    for name in ("exact_accuracy", "accuracy", "q_halt_accuracy", "exact_accuracy_by_step", "puzzles"):
        assert scores[0][name] == scores[1][name]
    assert scores[0]["lm_loss"] == pytest.approx(scores[1]["lm_loss"], abs=1e-6)


def test_dropping_a_cell_that_is_used_changes_answers(planted, tmp_path):
    run, out = planted, tmp_path / "out"
    assert run_prune(run, out, keep=[1, 2, 3, 4, 5]) == 0
    difference = (answers(out)[1] - answers(run)[1]).abs()
    assert difference.max() > 1e-3
    origin = json.loads((out / "origin.json").read_text())
    assert origin["validation"]["before"]["lm_loss"] != origin["validation"]["after"]["lm_loss"]


@pytest.mark.parametrize("which", ["last", "best"])
def test_pruned_checkpoint_is_the_old_one_less_cells(which, planted, tmp_path):
    """Tensor by tensor; everything else is as it was, but for what spoke of the other model."""
    run, out = planted, tmp_path / "out"
    assert run_prune(run, out, keep=[5, 0], checkpoint=which) == 0
    old, new = checkpoint.read(run / f"checkpoints/{which}.pt"), read(out)
    for part, prefix in (("model", ""), ("average", "module.")):
        for name, tensor in old[part].items():
            cut = name in (f"{prefix}H_module.cells_init", f"{prefix}H_module.usage_init")
            assert torch.equal(new[part][name], tensor[[0, 5]] if cut else tensor), name
        assert list(new[part]) == list(old[part])
    for name, tensor in old["carry"].items():
        cut = name.startswith("memory/")
        assert torch.equal(new["carry"][name], tensor[:, [0, 5]] if cut else tensor), name
    assert compare(old["optimisers"], new["optimisers"], "optimisers") == []
    assert compare(old["random"], new["random"], "random") == []
    assert new["step"] == {"last": 8, "best": 4}[which]

    config = yaml.safe_load((out / "config.yaml").read_text())
    expected = {**old["config"], "dir": str(out), "memory": {**old["config"]["memory"], "cells": 2}}
    assert config == new["config"] == expected
    # What is written claims no result: no summary, no best, no scores on the test puzzles, no later lines.
    assert sorted(map(str, files(out))) == [
        "checkpoints/last.pt",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "origin.json",
    ]
    assert new["best"] == {} and old["best"] != {}
    lines = RunDirectory(out).metrics()
    assert lines == [
        line
        for line in RunDirectory(run).metrics()
        if line["step"] <= new["step"] and not any(name.startswith("test/") for name in line)
    ]
    origin = json.loads((out / "origin.json").read_text())
    assert (origin["run"], origin["kept"], origin["step"]) == (str(run), [0, 5], new["step"])


def test_training_goes_on_as_with_the_cells_that_were_never_selected(planted, tmp_path):
    """Four steps more of both runs give the same weights, carry and log."""
    run = Path(shutil.copytree(planted, tmp_path / "run"))
    out = tmp_path / "out"
    assert run_prune(run, out, keep=4, puzzles=64) == 0
    assert train(run, *CELLS, *MORE, "steps=12") == 0
    assert train(out, *CELLS, *MORE, "memory.cells=4", "steps=12") == 0

    old, new = read(run), read(out)
    for name, tensor in old["model"].items():
        tensor = tensor[LIVE] if name in ("H_module.cells_init", "H_module.usage_init") else tensor
        torch.testing.assert_close(new["model"][name], tensor, rtol=1e-4, atol=1e-5)
    usage = old["carry"]["memory/usage"]
    assert usage[:, DEAD].max() < usage[:, LIVE].max()
    torch.testing.assert_close(new["carry"]["memory/usage"], usage[:, LIVE])
    torch.testing.assert_close(new["carry"]["z_H"], old["carry"]["z_H"], rtol=1e-3, atol=1e-4)
    lines = [{line["step"]: line for line in RunDirectory(path).metrics() if "train/usage" in line}
             for path in (run, out)]  # fmt: skip
    assert lines[0].keys() == lines[1].keys() == {4, 8, 12}
    assert lines[1][12]["train/usage"] == [lines[0][12]["train/usage"][i] for i in LIVE]
    assert lines[1][12]["train/loss"] == pytest.approx(lines[0][12]["train/loss"], rel=1e-4)
    summary = RunDirectory(out).summary()
    assert summary is not None and summary["step"] == 12
    assert (out / "checkpoints/best.pt").exists()


def test_run_that_was_stopped_within_an_interval(tmp_path, monkeypatch):
    """What its log had noted has a column per cell, and is dropped; training goes on to the end."""
    run, out = tmp_path / "run", tmp_path / "out"
    at_step(monkeypatch, 6, send(signal.SIGTERM))
    assert train(run, *CELLS, *MORE) == 128 + signal.SIGTERM
    assert len(read(run)["pending"]) == 2
    assert run_prune(run, out, keep=3) == 0
    assert train(out, *CELLS, *MORE, "memory.cells=3") == 0
    (line,) = [line for line in RunDirectory(out).metrics() if line["step"] == 8 and "train/usage" in line]
    assert len(line["train/usage"]) == 3 and sum(line["train/usage"]) == pytest.approx(2, abs=1e-5)


def test_pruned_run_is_evaluated_by_the_training_command_and_exported(planted, tmp_path):
    """The same number of steps: nothing is trained, and the summary is that of the pruned model."""
    run, out = planted, tmp_path / "out"
    assert run_prune(run, out, keep=2) == 0
    assert command_line("export", export.main, f"run={out}", f"out={tmp_path}/w.safetensors") == 0
    loaded = memhrm.load(tmp_path / "w.safetensors").model
    assert loaded.H_module.cells == 2
    assert compare(loaded.state_dict(), from_run(out).model.state_dict(), "") == []

    assert command_line("evaluate", evaluate.main, f"run={out}", f"out={tmp_path}/s.json", *OVER) == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    weights = read(out)["model"]
    assert train(out, *CELLS, *MORE, "memory.cells=2") == 0
    assert compare(weights, read(out)["model"], "") == []
    summary = RunDirectory(out).summary()
    assert summary is not None and summary["lm_loss"] == scores["lm_loss"]


def test_scores_that_are_shown_are_those_of_the_run_that_is_written(runs, tmp_path):
    """Without validation puzzles they are those of the test puzzles, which the evaluation command takes."""
    run, out = runs(*CELLS, "validation_size=0", *SHORT), tmp_path / "out"
    assert run_prune(run, out, keep=[3, 4]) == 0
    shown = json.loads((out / "origin.json").read_text())["test"]
    for path, when in ((run, "before"), (out, "after")):
        assert command_line("evaluate", evaluate.main, f"run={path}", f"out={tmp_path}/s.json", *OVER) == 0
        scores = json.loads((tmp_path / "s.json").read_text())
        del scores["settings"], scores["left_out"]
        assert shown[when] == scores
    assert shown["before"]["lm_loss"] != shown["after"]["lm_loss"]


KINDS = {
    "all": (("memory.selector=all", "k=6"), 2, [0, 1], 2),
    "shared": (("memory.shared_cell=true", "memory.gate=all"), [4], [0, 4], 2),
    "random": (("memory.selector=random", "memory.gate=all"), [1, 2, 5], [1, 2, 5], 2),
    "global": (("memory.lifetime=global", "memory.decay=0.1"), [1, 2, 5], [1, 2, 5], 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cells_can_be_pruned_and_trained_on(kind, runs, tmp_path):
    changes, keep, kept, k = KINDS[kind]
    run, out = runs(*CELLS, *changes, *SHORT), tmp_path / "out"
    assert run_prune(run, out, keep=keep) == 0
    before, after = (from_run(path).model.H_module for path in (run, out))
    assert isinstance(after, MultiCell)
    assert (after.cells, after.settings.k, after.settings.active) == (len(kept), k, 2)
    for name, start in after.starts().items():
        assert torch.equal(start, before.starts()[name][kept])
    again = (*CELLS, *changes, *SHORT, *MORE, f"memory.cells={len(kept)}", f"k={k}", "steps=4")
    assert train(out, *again) == 0


@pytest.mark.parametrize(
    ("keep", "always", "kept"),
    [
        (2, 0, [1, 3]),
        (3, 0, [1, 2, 3]),
        (5, 0, [0, 1, 2, 3, 4]),
        (2, 1, [0, 3]),
        ((4, 0), 0, [0, 4]),
        ((4, 2), 1, [0, 2, 4]),
        (0.3, 0, [3]),  # 0.9 of 2.0 is 45 %
        (0.45, 0, [3]),
        (0.46, 0, [1, 3]),  # 75 %
        (0.75, 0, [1, 3]),
        (0.76, 0, [1, 2, 3]),  # 90 %; 2 and 4 have as much as each other, and 2 comes first
        (0.95, 0, [0, 1, 2, 3, 4][1:]),
        (1.0, 0, [1, 2, 3, 4]),  # 0 was never selected
        (0.5, 1, [0, 1, 3]),
        (1e-9, 2, [0, 1]),
    ],
)
def test_forms_of_keep(keep, always, kept):
    assert kept_cells([0.0, 0.6, 0.25, 0.9, 0.25], keep, always) == kept


def test_share_of_usage_is_the_smallest_that_reaches_it():
    """Against all subsets."""
    from itertools import combinations

    usage = [0.31, 0.02, 0.55, 0.4, 0.12, 0.6]
    for share in (0.05, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999, 1.0):
        sizes = [
            n for n in range(1, 7) for cells in combinations(usage, n) if sum(cells) >= share * 2.0 - 1e-9
        ]
        kept = kept_cells(usage, share)
        assert len(kept) == min(sizes) and sum(usage[i] for i in kept) >= share * 2.0 - 1e-9


REFUSED = [
    ("keep", 1, "keep is 1; allowed: a count from k=2 to memory.cells=6, a share"),
    ("keep", 7, "keep is 7; allowed: a count from k=2 to memory.cells=6"),
    ("keep", 0, "keep is 0; allowed: a count from k=2"),
    ("keep", -1, "keep is -1; allowed: a count from k=2"),
    ("keep", 0.0, "keep is 0.0; allowed: a count of cells, a share above 0 and up to 1.0"),
    ("keep", 1.5, "keep is 1.5; allowed: a count of cells, a share above 0 and up to 1.0"),
    ("keep", float("nan"), "keep is nan; allowed: a whole number or a finite number or a list"),
    ("keep", 0.05, "keep is 0.05; allowed: what keeps k=2 cells or more, not 1"),
    ("keep", [0, 6], "keep is [0, 6]; allowed: cells 0 to 5, each at most once"),
    ("keep", [-1, 2], "keep is [-1, 2]; allowed: cells 0 to 5"),
    ("keep", [2, 2], "keep is [2, 2]; allowed: cells 0 to 5, each at most once"),
    ("keep", [], "keep is []; allowed: cells 0 to 5"),
    ("keep", [3], "keep is [3]; allowed: k=2 cells or more"),
    ("keep", [0.5, 1], "keep is [0.5, 1]; allowed: a whole number or a finite number or a list"),
    ("keep", True, "keep is True; allowed: a whole number"),
    ("keep", "most", "keep is 'most'; allowed: a whole number"),
    ("kep", 3, "kep is unknown; did you mean keep?"),
    ("puzzles", 0, "puzzles is 0; allowed: 1 or above"),
]


@pytest.mark.parametrize(("setting", "value", "message"), REFUSED)
def test_prune_refuses(setting, value, message, planted, tmp_path, capsys):
    assert run_prune(planted, tmp_path / "out", **{"keep": 3, setting: value}) == 2
    assert error(capsys).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_prune_without_cells_or_keep(runs, tmp_path, capsys):
    run = runs("+memory=bicross")
    assert run_prune(run, tmp_path / "out", keep=2) == 2
    assert error(capsys) == "run is 'one with memory=bicross'; allowed: a run of a memory with cells"
    assert command_line("prune", prune.main, f"run={run}") == 2
    assert error(capsys) == "keep is missing; give it as keep=..."


def test_what_is_in_the_way(planted, tmp_path, capsys, monkeypatch):
    """Only a run is replaced, only if asked, and only by a whole one."""
    run = Path(shutil.copytree(planted, tmp_path / "runs/run"))
    out = tmp_path / "runs/run-pruned"
    for same in (run, run / ".", run / "..", tmp_path):
        assert run_prune(run, same, keep=3, overwrite=True) == 2
        assert "allowed: a directory that is not that of the run, nor above it" in error(capsys)

    quick = ("progress=false", "puzzles=8")
    assert command_line("prune", prune.main, f"run={run}/", "keep=[0,1,2,3,4]", *quick) == 0
    assert from_run(out).model.H_module.cells == 5
    assert (out / "checkpoints/last.pt").exists()
    (out / "summary.json").write_text("{}")
    (out / "checkpoints/best.pt").write_text("old")
    capsys.readouterr()
    before = files(out)
    assert run_prune(run, out, keep=3) == 2
    assert "allowed: a directory that does not exist yet, or overwrite=true" in error(capsys)

    def full(*_):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", full)
        assert run_prune(run, out, keep=3, overwrite=True) == 2
    assert error(capsys) == "no space"
    assert files(out) == before
    assert sorted(path.name for path in out.parent.iterdir()) == ["run", "run-pruned"]

    assert run_prune(run, out, keep=3, overwrite=True) == 0
    assert from_run(out).model.H_module.cells == 3
    assert not (out / "summary.json").exists() and not (out / "checkpoints/best.pt").exists()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("the only copy")
    assert run_prune(run, tmp_path / "mine", keep=3, overwrite=True) == 2
    assert "overwrite=true replaces nothing else" in error(capsys)
    (tmp_path / "mine/config.yaml").write_text("mine: 1\n")
    assert run_prune(run, tmp_path / "mine", keep=3, overwrite=True) == 2
    assert "overwrite=true replaces nothing else" in error(capsys)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_run_of_a_run_remembers_both(planted, tmp_path):
    run, first, second = planted, tmp_path / "first", tmp_path / "second"
    assert run_prune(run, first, keep=4, puzzles=64) == 0
    assert run_prune(first, second, keep=[1, 3]) == 0
    origin = json.loads((second / "origin.json").read_text())
    assert (origin["run"], origin["kept"]) == (str(first), [1, 3])
    assert (origin["origin"]["run"], origin["origin"]["kept"]) == (str(run), LIVE)
    assert torch.equal(
        read(second)["model"]["H_module.cells_init"], read(run)["model"]["H_module.cells_init"][[2, 5]]
    )


# Exporting and importing.


def starts(run: Path, part: str = "average") -> dict[str, Tensor]:
    """What the memory starts with, by its names."""
    prefix = {"average": "module.H_module.", "model": "H_module."}[part]
    content = read(run)[part]
    return {
        name.removeprefix(prefix).removesuffix("_init"): tensor
        for name, tensor in content.items()
        if name.startswith(prefix) and name.endswith("_init")
    }


def about(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    assert metadata["format"] == "memhrm memory 2"
    return json.loads(metadata["about"])


MEMORIES = {
    "multicell": CELLS,
    "global": (*CELLS, "memory.lifetime=global"),
    "bicross": ("+memory=bicross",),
}


@pytest.mark.parametrize("kind", MEMORIES)
def test_round_trip_is_bit_equal(kind, runs, tmp_path):
    """Into a run of another seed; what is not the memory's start is as it was."""
    run, other = runs(*MEMORIES[kind]), runs(*MEMORIES[kind], "seed=1", *SHORT)
    file, out, again = tmp_path / "m.safetensors", tmp_path / "out", tmp_path / "again.safetensors"
    assert run_memory("export", f"run={run}", f"out={file}") == 0
    tensors = load_file(file)
    assert tensors.keys() == starts(run).keys() and len(tensors) >= 1
    assert all(torch.equal(tensors[name], start) for name, start in starts(run).items())

    before = files(other)
    assert run_memory("import", f"from={file}", f"run={other}", f"out={out}") == 0
    assert files(other) == before
    for part in ("average", "model"):
        assert all(torch.equal(tensors[name], start) for name, start in starts(out, part).items())
    assert not all(torch.equal(tensors[name], start) for name, start in starts(other).items())
    old, new = read(other), read(out)
    for part, prefix in (("model", ""), ("average", "module.")):
        kept = [name for name in old[part] if not (name.startswith(f"{prefix}H_module.") and "_init" in name)]
        assert compare({n: old[part][n] for n in kept}, {n: new[part][n] for n in kept}, part) == []
    assert compare(old["carry"], new["carry"], "carry") == []
    assert new["config"] == {**old["config"], "dir": str(out)}
    assert run_memory("export", f"run={out}", f"out={again}") == 0
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in load_file(again).items())
    assert {**about(again), "step": 8} == about(file)


def test_description(planted, tmp_path, capsys):
    run, file = planted, tmp_path / "m.safetensors"
    assert run_memory("export", f"run={run}", f"out={file}", "cells=[3,0]") == 0
    assert capsys.readouterr().out == f"{file}: 2 cells of multicell, step 8\n"
    assert about(file) == {
        "module": "memhrm.memory.multicell.MultiCell",
        "name": "multicell",
        "width": 16,
        "tokens": 2,
        "cells": 2,
        "of_cells": [3, 0],
        "lifetime": "example",
        "state_norm": "none",
        "step": 8,
        "data": "sudoku4",
        "model": "trm",
    }
    assert all(torch.equal(tensor, starts(run)[name][[3, 0]]) for name, tensor in load_file(file).items())


def test_export_takes_the_average_unless_told(tmp_path, runs):
    run = Path(shutil.copytree(runs(*CELLS), tmp_path / "run"))
    content = read(run)
    content["model"]["H_module.cells_init"] += 1
    checkpoint.write(run / "checkpoints/last.pt", content)
    for weights, part in (("ema", "average"), ("raw", "model")):
        assert run_memory("export", f"run={run}", f"weights={weights}", *OVER) == 0
        assert torch.equal(load_file(run / "memory.safetensors")["cells"], starts(run, part)["cells"])


@pytest.mark.parametrize("at", [None, [4, 1, 2], [0, 2, 1], [7, 6, 5]])
def test_cells_go_where_they_are_sent(at, runs, tmp_path):
    """Three cells, out of order, into a run of another model, other data and another number of cells; cell by
    cell."""
    other = runs("+memory=multicell", "memory.cells=8", "memory.tokens=2", "memory.state_norm=none",
                 "model=trm_mlp", "data=maze", *MAZE, *SHORT)  # fmt: skip
    run, file, out = runs(*CELLS), tmp_path / "m.safetensors", tmp_path / "out"
    assert run_memory("export", f"run={run}", f"out={file}", "cells=[5,0,3]") == 0
    where = [] if at is None else [f"at={at}"]
    assert run_memory("import", f"from={file}", f"run={other}", f"out={out}", *where) == 0
    target = [0, 1, 2] if at is None else at
    for name in ("cells", "usage"):
        given, old, new = starts(run)[name], starts(other)[name], starts(out)[name]
        for i in range(8):
            expected = given[[5, 0, 3][target.index(i)]] if i in target else old[i]
            assert torch.equal(new[i], expected), (name, i)


def test_answers_follow_the_imported_memory_and_rows_take_it_with_their_next_example(planted, runs, tmp_path):
    run, other = planted, runs(*CELLS)
    file, out, hand = tmp_path / "m.safetensors", tmp_path / "out", from_run(other)
    assert run_memory("export", f"run={run}", f"out={file}") == 0
    assert run_memory("import", f"from={file}", f"run={other}", f"out={out}") == 0
    hand.model.H_module.get_buffer("cells_init").copy_(starts(run)["cells"])
    hand.model.H_module.get_buffer("usage_init").copy_(starts(run)["usage"])
    assert compare(hand.model.state_dict(), from_run(out).model.state_dict(), "") == []
    assert (answers(out)[1] - answers(other)[1]).abs().max() > 1e-3

    # Rows have three supervision steps for an example: in the ninth they end it, with the tenth they begin
    # another, and with it have the cells of the file; the dead ones then stay as they are.
    old, dead = read(out)["carry"], starts(run)["cells"][DEAD]
    assert (old["steps"] == 2).all() and not old["halted"].any()
    for step, fresh in ((9, False), (10, True)):
        assert train(out, *CELLS, *MORE, f"steps={step}") == 0
        same = (read(out)["carry"]["memory/cells"][:, DEAD] == dead).flatten(1).all(dim=1)
        assert same.tolist() == [fresh] * 8


def test_import_refuses(runs, tmp_path, capsys):
    """What does not fit is named, and nothing is written."""
    run, file, out = runs(*CELLS), tmp_path / "m.safetensors", tmp_path / "out"
    assert run_memory("export", f"run={run}", f"out={file}") == 0
    capsys.readouterr()

    def refused(target: Path, message: str, *settings: str, source: Path = file) -> None:
        assert run_memory("import", f"from={source}", f"run={target}", f"out={out}", *settings) == 2
        assert message in error(capsys)
        assert not out.exists()

    start = f"from is '{file}'; allowed: "
    refused(runs(*CELLS, "model.hidden_size=24", *SHORT), f"{start}a memory with width=24, not 16")
    refused(
        runs("+memory=multicell", "memory.cells=8", "memory.tokens=3", *SHORT),
        f"{start}a memory with tokens=3, not 2",
    )
    refused(
        runs("+memory=bicross"), f"{start}a memory with module=memhrm.memory.bicross.BiCross, not memhrm."
    )
    refused(
        runs("+memory=multicell", "memory.cells=4", "memory.tokens=2", *SHORT),
        f"{start}up to memory.cells=4 cells, not 6",
    )
    refused(runs(*SHORT), "run is 'one with memory=none'")
    refused(run, "at is [0, 1]; allowed: as many cells as the file has, 6", "at=[0,1]")
    refused(run, "at is [0, 1, 2, 3, 4, 6]; allowed: cells 0 to 5", "at=[0,1,2,3,4,6]")
    refused(run, "at is [0, 1, 2, 3, 4, 4]; allowed: cells 0 to 5, each at most once", "at=[0,1,2,3,4,4]")
    refused(run, "att is unknown; did you mean at?", "att=[1]")
    refused(run, "cannot be opened as safetensors", source=tmp_path / "nothing")
    save_file({"cells": torch.zeros(1)}, tmp_path / "foreign")
    refused(run, "has format None; allowed: 'memhrm memory 2'", source=tmp_path / "foreign")
    assert command_line("export", export.main, f"run={run}", f"out={tmp_path}/w") == 0
    capsys.readouterr()
    refused(run, "has format 'memhrm 3'; allowed: 'memhrm memory 2'", source=tmp_path / "w")
    tensors = load_file(file)
    with safe_open(file, framework="pt") as opened:
        metadata = {name: text for name, text in opened.metadata().items() if name != "checksum"}
    save_file({**tensors, "cells": tensors["cells"][:, :2].clone()}, tmp_path / "cut", metadata=metadata)
    refused(run, "allowed: tensors of shapes", source=tmp_path / "cut")

    assert run_memory("import", f"from={file}", f"run={run}", f"out={run}", "overwrite=true") == 2
    assert "not that of the run" in error(capsys)
    assert run_memory("import", f"run={run}", f"out={out}") == 2
    assert error(capsys) == "from is missing; give it as from=..."
    assert run_memory("import", f"from={file}", f"out={out}") == 2
    assert error(capsys) == "run is missing; give it as run=..."


def test_export_refuses(runs, tmp_path, capsys):
    cases = [
        (runs(*CELLS), "cells=[0,6]", "cells is [0, 6]; allowed: cells 0 to 5, each at most once"),
        (runs(*CELLS), "cells=[]", "cells is []; allowed: cells 0 to 5"),
        (runs(*CELLS), "cells=2", "cells is 2; allowed: a list or null"),
        (runs("+memory=bicross"), "cells=[0]", "null, since memory=bicross has no cells"),
        (runs(*SHORT), "checkpoint=last", "allowed: a run whose memory has something to start with"),
        (tmp_path, "checkpoint=last", "holds no run"),
        (runs(*CELLS), "cells", "direction is 'cells'; allowed: export, import"),
    ]
    for run, setting, message in cases:
        assert run_memory("export", f"run={run}", f"out={tmp_path}/m", setting) == 2
        assert message in error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_import_of_one_memory_whole(runs, tmp_path, capsys):
    run, file = runs("+memory=bicross"), tmp_path / "m"
    assert run_memory("export", f"run={run}", f"out={file}") == 0
    capsys.readouterr()
    assert run_memory("import", f"from={file}", f"run={run}", f"out={tmp_path}/out", "at=[0]") == 2
    assert "at is (0,); allowed: null, since memory=bicross has no cells" in error(capsys)


def test_another_norm_is_mentioned(runs, tmp_path, capsys):
    run, other, file = runs(*CELLS), runs(*CELLS, "memory.state_norm=rms", *SHORT), tmp_path / "m"
    assert run_memory("export", f"run={run}", f"out={file}") == 0
    assert run_memory("import", f"from={file}", f"run={other}", f"out={tmp_path}/out") == 0
    note = "; note that the memory was trained with state_norm=none, this run with rms"
    assert note in capsys.readouterr().out
