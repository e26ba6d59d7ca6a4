"""Weights out of a run, into a file, back again; and the published names, both ways."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import memhrm
from conftest import SHAPE, model_settings
from memhrm import evaluate, export
from memhrm.models.reasoner import Reasoner
from memhrm.published.weights import load_published, our_name, published_name, to_published
from memhrm.runs import checkpoint
from memhrm.weights.restore import FORMAT, MADE_BY, from_run, save
from memhrm.weights.tensors import read_tensors, write_tensors
from tiny import command_line, train

QUESTIONS = ["1...3..1..3..1..", "................"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "run"
    assert train(path, "optim.lr=0.02", "optim.ema=0.9") == 0
    return path


def answers(model: Reasoner, inputs: torch.Tensor, steps: int) -> torch.Tensor:
    """Logits after some supervision steps, computed as plainly as can be."""
    assert model.puzzles is not None
    state = model.initial_state(len(inputs))
    rows = model.puzzles.weight[torch.zeros(len(inputs), dtype=torch.long)]
    with torch.no_grad():
        for _ in range(steps):
            state, out = model(state, inputs, rows)
    return out.logits


@pytest.mark.parametrize(("weights", "key"), [("ema", "average"), ("raw", "model")])
def test_export_holds_the_chosen_weights(weights, key, run, tmp_path, capsys):
    out = tmp_path / "folder" / "weights.safetensors"
    assert command_line("export", export.main, f"run={run}", f"out={out}", f"weights={weights}") == 0
    assert capsys.readouterr().out == f"{out}: {weights} weights of step 8\n"

    (tmp_path / "usual").touch()
    assert out.stat().st_mode == (tmp_path / "usual").stat().st_mode  # Others may read it.
    stored = checkpoint.read(run / "checkpoints/last.pt")[key]
    loaded = memhrm.load(out).model.state_dict()
    assert all(torch.equal(tensor, stored[f"module.{name}" if key == "average" else name])
               for name, tensor in loaded.items())  # fmt: skip


def test_half_the_size_holds_the_weights_rounded(run, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    for out, dtype in ((whole, "float32"), (half, "float16")):
        assert command_line("export", export.main, f"run={run}", f"out={out}", f"dtype={dtype}") == 0
    stored, exact = read_tensors(half).tensors, read_tensors(whole).tensors
    assert sum(map(tensor_bytes, stored.values())) < 0.51 * sum(map(tensor_bytes, exact.values()))
    loaded = memhrm.load(half).model.state_dict()
    for name, tensor in exact.items():
        assert loaded[name].dtype == tensor.dtype, name
        assert torch.equal(loaded[name], tensor.to(stored[name].dtype).to(tensor.dtype)), name
    assert memhrm.load(half).solve(QUESTIONS) == memhrm.load(whole).solve(QUESTIONS)


def test_numbers_too_large_for_half_the_size_are_said(run, tmp_path):
    restored = from_run(run)
    with torch.no_grad():
        restored.model.lm_head.weight[0, 0] = 1e6
    said = "dtype is 'float16'; allowed: float32, since lm_head.weight holds numbers too large for float16"
    with pytest.raises(ValueError, match=re.escape(said)):
        save(restored, tmp_path / "no.safetensors", "float16")
    assert not (tmp_path / "no.safetensors").exists()


def tensor_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor's numbers."""
    return tensor.numel() * tensor.element_size()


def test_ema_and_raw_answer_differently(run):
    inputs = torch.randint(1, 5, (4, 16), dtype=torch.int32)
    ema, raw = (answers(from_run(run, "last", kind).model, inputs, 2) for kind in ("ema", "raw"))
    assert (ema - raw).abs().max() > 1e-3


def test_loaded_model_answers_as_the_run(run, tmp_path):
    """The file and the run directory give the same solver, and `solve` the argmax after all steps."""
    assert command_line("export", export.main, f"run={run}", f"out={tmp_path}/w.safetensors") == 0
    solver = memhrm.load(tmp_path / "w.safetensors")
    inputs = torch.from_numpy(solver.task.tokens("question", QUESTIONS)).int()
    expected = answers(from_run(run).model, inputs, 3)
    assert torch.equal(answers(solver.model, inputs, 3), expected)

    texts = ["".join(".1234"[token - 1] for token in row) for row in expected.argmax(dim=-1).tolist()]
    assert solver.solve(QUESTIONS) == texts
    assert memhrm.load(run).solve(QUESTIONS) == texts
    assert solver.solve(QUESTIONS[1:]) == texts[1:]


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (QUESTIONS[0], "allowed: a list of texts"),
        (["123"], "question has 3 characters; sudoku4 has 16"),
        (["x" * 16], "question has 'x' at character 1"),
    ],
)
def test_wrong_question(questions, message, run):
    with pytest.raises(ValueError, match=message):
        memhrm.load(run).solve(questions)


def test_best_checkpoint_is_exported(run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    content = checkpoint.read(copy / "checkpoints/best.pt")
    checkpoint.write(copy / "checkpoints/best.pt", {**content, "step": 77})
    assert [from_run(copy, which).step for which in ("last", "best")] == [8, 77]


def test_evaluate_repeats_the_scores_of_training(run, tmp_path):
    out = tmp_path / "scores.json"
    assert command_line("evaluate", evaluate.main, f"run={run}", f"out={out}", "progress=false") == 0
    again, summary = json.loads(out.read_text()), json.loads((run / "summary.json").read_text())
    assert again["puzzles"] == 10
    assert {name: again[name] for name in ("lm_loss", "accuracy", "exact_accuracy", "q_halt_accuracy")} == {
        name: summary[name] for name in ("lm_loss", "accuracy", "exact_accuracy", "q_halt_accuracy")
    }


def test_wrong_file(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(ValueError, match=r"w\.safetensors cannot be opened as safetensors"):
        memhrm.load(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"w\.safetensors cannot be opened as safetensors"):
        memhrm.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(
        ValueError, match=r"has format None; allowed: 'memhrm 3', as written by `python -m memhrm.export`"
    ):
        memhrm.load(path)


@pytest.mark.parametrize(
    "name, damage, message",
    [
        ("config", None, "config is None; allowed: settings"),
        ("config", {"loss": 1}, "config is .*; allowed: settings, with those of the loss"),
        ("config", {"loss": {"kind": []}}, "loss.kind is .*; allowed: stablemax, softmax"),
        ("config", {"loss": {"q_halt": "x"}}, "loss.q_halt is 'x'; allowed: a number"),
        ("bank", 3, "bank is 3; allowed: pairs"),
        ("bank", [["a"]], "bank is .*; allowed: pairs of a text and its category"),
    ],
)
def test_a_description_that_says_something_odd_is_refused(name, damage, message, run, tmp_path):
    save(from_run(run), tmp_path / "odd.safetensors")
    file = read_tensors(tmp_path / "odd.safetensors")
    about, used = file.about(FORMAT, MADE_BY)
    write_tensors(tmp_path / "odd.safetensors", file.tensors, FORMAT, about | {name: damage}, used)
    with pytest.raises(ValueError, match=rf"odd\.safetensors: {message}"):
        memhrm.load(tmp_path / "odd.safetensors")


SLOTS = [
    {"H_net": "own", "H_layers": 2, "positions": "learned"},
    {"mixer": "mlp", "positions": "none"},
    {"puzzle_emb_ndim": 0},
]


@pytest.mark.parametrize("changes", SLOTS)
def test_published_names_round_trip(changes, tiny_model):
    source, target = tiny_model(0, **changes), tiny_model(1, **changes)
    published = {f"_orig_mod.model.inner.{name}": tensor for name, tensor in to_published(source).items()}
    assert len(published) == len(source.state_dict())
    load_published(target, published)
    assert all(torch.equal(tensor, target.state_dict()[name]) for name, tensor in source.state_dict().items())
    assert all(our_name(published_name(name)) == name for name in source.state_dict())


def test_published_weights_that_do_not_fit_are_named(tiny_model):
    model = tiny_model()
    weights = {name: torch.zeros_like(tensor) for name, tensor in to_published(model).items()}
    name = "L_level.layers.0.mlp.down_proj.weight"
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}

    without = {key: tensor for key, tensor in weights.items() if key != name}
    with pytest.raises(ValueError, match=f"{name} is not in the weights"):
        load_published(model, without)
    with pytest.raises(ValueError, match=r"H_level\.layers\.1.mlp.down_proj.weight is in the weights, but"):
        load_published(model, {**weights, "H_level.layers.1.mlp.down_proj.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=rf"{name} in .* has shape \(2, 3\); the model's .* has \(16, 256\)"):
        load_published(model, {**weights, name: torch.zeros(2, 3)})
    with pytest.raises(ValueError, match=r"'memory\.slots' has no counterpart"):
        load_published(model, {**weights, "memory.slots": torch.zeros(1)})
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_weights_with_another_unit_are_not_the_published_models():
    model = Reasoner(model_settings(unit="normed"), SHAPE)
    with pytest.raises(ValueError, match=r"model\.unit is 'normed'; allowed: swiglu"):
        to_published(model)
