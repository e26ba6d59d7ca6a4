"""What goes wrong is said in one line that names the setting, what was given and what is allowed."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from memhrm import evaluate, export
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory
from tiny import TINY, at_step, command_line, poison, said, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run, to be copied."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert train(path) == 0
    return path


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A private copy of a finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


SETTINGS = {
    "modle=trm": ["modle is unknown", "did you mean model?"],
    "batchsize=3": ["batchsize is unknown", "did you mean batch_size?", "batch_size, checkpoint_every"],
    "model.hiden_size=3": ["model.hiden_size is unknown", "did you mean hidden_size?"],
    "model.hidden_size.x=1": ["model.hidden_size.x is unknown", "has no settings of its own"],
    "+unknown=1": ["unknown is unknown", "allowed: batch_size"],
    "+model.unknown=1": ["model.unknown is unknown", "allowed: H_cycles"],
    "model=trn": ["model=trn is unknown", "did you mean trm?", "hrm"],
    "data=sudoku5": ["data=sudoku5 is unknown; did you mean sudoku", "allowed: arc, arc2, "],
    "optim=adam": ["optim=adam is unknown", "muon"],
    "logger=tensorboard": ["logger=tensorboard is unknown", "none, wandb"],
    "model.num_heads=3": ["model.num_heads is 3", "with model.hidden_size=16: 1, 2, 4, 8"],
    "model.num_heads=16": ["model.num_heads is 16", "model.hidden_size=16: 1, 2, 4, 8"],
    "model.hidden_size=wide": ["model.hidden_size is 'wide'", "a whole number"],
    "steps=1.5": ["steps is 1.5", "a whole number"],
    "steps=???": ["steps is missing", "steps=..."],
    "halting=3": ["halting is 3", "a group of settings"],
    "batch_size=0": ["batch_size is 0", "1 or above"],
    "seed=-1": ["seed is -1", "0 or above"],
    "seed=99999999999999999999": ["seed is 99999999999999999999", "below 2**63"],
    "halting.threshold=2": ["halting.threshold is 2.0", "between 0 and 1"],
    "optim.lr=nan": ["optim.lr is nan", "a finite number"],
    "optim.ema=1": ["optim.ema is 1", "0 to below 1"],
    "loss.kind=hinge": ["loss.kind is 'hinge'", "stablemax, softmax"],
    "model.gradient_window={cycles:2}": ["model.gradient_window is {'cycles': 2}", "from 1 to H_cycles=1"],
    "validation_size=20": ["validation_size is 20", "0 to 19"],
    "data.side=5": ["data.side is 5", "4, 6, 9"],
    "data=sudoku_extreme": ["data.path is null", "memhrm.data download sudoku_extreme", "data.path=DIR"],
    "data.path=nowhere": ["nowhere/train.csv: no such file"],
    "k=2": ["k is a setting of memories with cells", "+memory=multicell"],
    "memory.tokens=3": ["no memory is chosen", "+memory=NAME", "multicell"],
    "+memory=multicel": ["memory=multicel is unknown", "did you mean multicell?"],
    "+memory=multicell k=0": ["k is 0", "1 to memory.cells=8"],
    "+memory=multicell k=9": ["k is 9", "1 to memory.cells=8"],
    "+memory=bicross k=2": ["k is a setting of memories with cells"],
    "+memory=multicell k=1 memory.shared_cell=true": ["k is 1", "2 or above with memory.shared_cell=true"],
    "+memory=multicell memory.k=3": ["memory.k is unknown", "give k=..."],
    "+memory=multicell memory.tokns=3": ["memory.tokns is unknown", "did you mean tokens?"],
    "+memory=multicell memory.selector=best": ["memory.selector is 'best'", "topk, policy, random"],
    "+memory=multicell memory.num_heads=3": ["memory.num_heads is 3", "divisors of model.hidden_size=16"],
    "+memory=multicell memory.module=no.Such": ["memory.module is 'no.Such'", "cannot be imported"],
    "+memory=multicell memory.module=memhrm.config.settings.SettingWarning": [
        "is no HModule in /",
        "memhrm/config/settings.py",
    ],
    "+memory=multicell memory.lifetime=ever": ["memory.lifetime is 'ever'", "example, episode, global"],
    "+memory=bicross memory.horizon=0": ["memory.horizon is 0", "1 or above"],
    "+memory=bicross loss.balance=1": ["loss.balance is 1", "memory=bicross has nothing for it"],
    "+memory=tokens model=trm_mlp": ["model.mixer is 'mlp'", "attention"],
    "device=tpu": ["device is 'tpu'", "auto, cpu"],
}


@pytest.mark.parametrize("override", SETTINGS)
def test_setting_is_refused_by_name(override, tmp_path, capsys):
    memory = ["model.H_cycles=2"] if "+memory" in override else []
    assert train(tmp_path / "run", *memory, *override.split()) == 2
    message = said(capsys)
    assert [part for part in SETTINGS[override] if part not in message] == [], message


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without CUDA")
@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("device=cuda", ["device is 'cuda'", "auto, cpu"]),
        ("model.attention=xformers", ["attention=xformers needs a CUDA device", "attention=sdpa"]),
    ],
)
def test_cuda_is_named_where_there_is_none(override, parts, tmp_path, capsys):
    assert train(tmp_path / "run", override) == 2
    message = said(capsys)
    assert all(part in message for part in parts), message


def test_compiling_is_refused_where_its_gradients_are_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    assert train(tmp_path / "run", "compile=true") == 2
    assert said(capsys).startswith("compile is True; allowed: false with PyTorch 2.11.0")


def test_refused_start_leaves_the_directory_free(tmp_path, capsys):
    """The corrected command may use the same directory."""
    assert train(tmp_path / "run", "validation_size=20") == 2
    assert train(tmp_path / "run", "validation_size=5") == 0


def test_csv_row_is_named_by_file_and_line(tmp_path, capsys):
    header, row = "source,question,answer,rating\n", "x,1234341221434321,1234341221434321,\n"
    (tmp_path / "test.csv").write_text(header + row)
    (tmp_path / "train.csv").write_text(header + row + "x,1234,1234341221434321,\n")
    assert train(tmp_path / "run", f"data.path={tmp_path}") == 2
    assert said(capsys) == f"{tmp_path}/train.csv:3: question has 4 characters; sudoku4 has 16"


def test_command_line_itself(tmp_path):
    """The real process: one line on stderr, nothing on stdout, exit code 2."""
    command = [sys.executable, "-m", "memhrm.train", *TINY, "dir=run", "model.hiden_size=3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: model.hiden_size is unknown; did you mean hidden_size?")
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "body"), [("evaluate", evaluate.main), ("export", export.main)])
def test_run_is_missing_or_no_run(name, body, tmp_path, capsys):
    assert command_line(name, body) == 2
    assert said(capsys) == "run is missing; give it as run=..."
    assert command_line(name, body, f"run={tmp_path}") == 2
    assert said(capsys) == f"{tmp_path} holds no run (no config.yaml in it)"
    assert command_line(name, body, f"run={tmp_path}", "wieghts=raw") == 2
    assert said(capsys).startswith("wieghts is unknown; did you mean weights?")


def test_export_that_cannot_write(run, capsys):
    (run / "file").touch()
    assert command_line("export", export.main, f"run={run}", f"out={run}/checkpoints") == 2
    assert f"{run}/checkpoints" in said(capsys)


def test_sweep_stops_at_a_signal_and_goes_on_after_an_error(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for code, runs in ((130, [1]), (2, [1, 2, 3])):
        seen = []

        def body(config, _given, seen=seen, code=code):
            seen.append(config["seed"])
            return code

        assert command_line("train", body, "-m", "seed=1,2,3") == code
        assert seen == runs


def test_checkpoint_of_another_model(run, tmp_path, capsys):
    assert train(tmp_path / "other", "model.hidden_size=32") == 0
    shutil.copy(tmp_path / "other/checkpoints/last.pt", run / "checkpoints/last.pt")
    (run / "summary.json").unlink()
    capsys.readouterr()
    assert train(run) == 2
    message = said(capsys)
    assert message.startswith(
        f"model.hidden_size is 16, but the run in {run}/checkpoints/last.pt was begun with 32"
    )


@pytest.mark.parametrize("share", [0, 1e-5, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_checkpoint_cut_short(share, run, capsys):
    (run / "summary.json").unlink()
    last = run / "checkpoints/last.pt"
    os.truncate(last, int(share * last.stat().st_size))
    assert train(run) == 2
    assert said(capsys).startswith(f"{last} is damaged or not a checkpoint")
    assert command_line("evaluate", evaluate.main, f"run={run}") == 2
    assert said(capsys).startswith(f"{last} is damaged or not a checkpoint")


def test_checkpoint_of_another_format(run, capsys, monkeypatch):
    (run / "summary.json").unlink()
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    assert train(run) == 2
    assert said(capsys).endswith(
        "has checkpoint format 4, which another version of memhrm wrote; this one reads format 99: use that "
        "version, or train again in another dir=..."
    )


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("seed=1", ["seed is 1,", "begun with 0"]),
        ("optim.lr=0.5", ["optim.lr is 0.5,", "begun with 0.0"]),
        ("model.mixer=mlp", ["model.mixer is 'mlp'", "begun with 'attention'"]),
        ("data.augment=false", ["data.augment is False", "begun with True"]),
    ],
)
def test_resume_with_another_setting(change, parts, run, capsys):
    before = (run / "config.yaml").read_bytes()
    assert train(run, change) == 2
    message = said(capsys)
    assert all(part in message for part in [*parts, str(run), "another folder"]), message
    assert (run / "config.yaml").read_bytes() == before


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, capsys, monkeypatch):
    """The second checkpoint goes to /dev/full, where every write fails as on a full disk."""
    full = iter([False, True])

    def opened(path, mode):
        return open("/dev/full" if next(full) else path, mode)

    monkeypatch.setattr(checkpoint, "open", opened, raising=False)
    assert train(tmp_path / "run", "checkpoint_every=3", "eval_every=0") == 2
    message = said(capsys)
    assert os.strerror(errno.ENOSPC) in message
    assert "the previous last.pt is kept" in message and "free some space" in message
    assert checkpoint.read(tmp_path / "run/checkpoints/last.pt")["step"] == 3
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["last.pt"]

    monkeypatch.undo()
    assert train(tmp_path / "run", "checkpoint_every=3", "eval_every=0") == 0


def test_metrics_on_a_full_disk(tmp_path):
    directory = RunDirectory(tmp_path)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*metrics\.jsonl"):
        directory.log(1, {"train/loss": 0.0})


@pytest.mark.parametrize("every", ["log_every=1", "log_every=100", "log_every=5"])
def test_diverged_run_names_the_step_and_keeps_the_last_good_checkpoint(every, tmp_path, capsys, monkeypatch):
    """A look at the validation puzzles at step 6 must not save what broke at step 5."""
    at_step(monkeypatch, 5, poison)
    assert train(tmp_path / "run", every, "checkpoint_every=3", "eval_every=6") == 2
    message = said(capsys)
    assert "the loss is not a finite number at step 5;" in message
    last = tmp_path / "run/checkpoints/last.pt"
    assert f"the last good checkpoint is {last}" in message
    content = checkpoint.read(last)
    assert content["step"] == 3
    assert all(tensor.isfinite().all() for tensor in content["model"].values())


def test_diverged_before_any_checkpoint(tmp_path, capsys):
    """A learning rate beyond float32's range; a lower one may then use the same directory."""
    assert train(tmp_path / "run", "optim.lr=1e30", "optim=adamw") == 2
    message = said(capsys)
    assert "the loss is not a finite number at step" in message
    assert "no checkpoint was written yet" in message and "lower optim.lr" in message
    assert train(tmp_path / "run", "optim=adamw") == 0


def test_a_reader_that_has_seen_enough_is_no_error():
    talk = "from memhrm.config.console import run; run(lambda: print('x' * 1_000_000))"
    command = f'{sys.executable} -c "{talk}" | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")
