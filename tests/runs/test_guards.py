"""Nothing of a user's is lost or mixed up, and nothing broken is used."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import memhrm
from experiments.kill import compare
from memhrm import evaluate, export, prune, solve
from memhrm.data import __main__ as data
from memhrm.published.weights import to_published
from memhrm.runs import checkpoint
from memhrm.runs import train as runs_train
from memhrm.runs.directory import RunDirectory, locked
from memhrm.system import files
from memhrm.weights.restore import from_run
from tiny import TINY, at_step, call, command_line, send, train

ROOT = Path(__file__).parents[2]
CELLS = ("+memory=multicell", "model.H_cycles=2", "memory.cells=4", "memory.tokens=2")
QUIET = "progress=false"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "run"
    assert train(path, *CELLS) == 0
    assert command_line("export", export.main, f"run={path}") == 0
    assert call("transfer", "export", f"run={path}") == 0
    return path


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def error(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def flip(path: Path, count: int, seed: int = 0) -> None:
    """Flip a bit at random places."""
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    for place in rng.sample(range(len(content)), count):
        content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def replace(run: Path, which: str = "last", **parts) -> None:
    content = checkpoint.read(run / "checkpoints/last.pt")
    checkpoint.write(run / f"checkpoints/{which}.pt", {**content, **parts})


OPENERS = {
    "evaluate": lambda run: command_line("evaluate", evaluate.main, f"run={run}", "out=s.json", QUIET),
    "export": lambda run: command_line("export", export.main, f"run={run}", "out=w.safetensors"),
    "prune": lambda run: command_line("prune", prune.main, f"run={run}", "keep=2", "out=small", QUIET),
    "transfer export": lambda run: code(["export", f"run={run}", "out=m.safetensors"]),
    "transfer import": lambda run: code(
        ["import", f"from={run}/memory.safetensors", f"run={run}", "out=new"]
    ),
    "train, resumed": lambda run: train(run, *CELLS, "steps=9"),
    "train, init": lambda run: train(Path("new"), *CELLS, f"init={run}"),
    "solve": lambda run: command_line("solve", solve.main, f"run={run}", "file=p.txt", QUIET),
}


def code(words: list[str]) -> int:
    return call("transfer", *words)


@pytest.mark.parametrize("way", OPENERS)
@pytest.mark.parametrize("what", ["rot", "nan", "part", "shape"])
def test_a_broken_checkpoint_is_refused_by_every_command(way, what, run, tmp_path, monkeypatch, capsys):
    last = run / "checkpoints/last.pt"
    content = checkpoint.read(last)
    if what == "rot":
        flip(last, 4000)
    if what == "nan":
        average = {**content["average"]}
        average["module.lm_head.weight"] = torch.full_like(average["module.lm_head.weight"], torch.nan)
        replace(run, average=average)
    if what == "part":
        checkpoint.write(last, {name: value for name, value in content.items() if name != "average"})
    if what == "shape":
        name = "lm_head.weight"
        parts = {"model": {**content["model"], name: torch.zeros(3, 3)},
                 "average": {**content["average"], f"module.{name}": torch.zeros(3, 3)}}  # fmt: skip
        replace(run, **parts)
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("1" + "." * 15 + "\n")
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    assert OPENERS[way](run) == 2
    assert str(last) in error(capsys) or way == "train, init"
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.name != ".lock"] == []


@pytest.mark.parametrize("seed", range(4))
def test_any_single_flipped_bit_is_seen_or_changes_nothing(seed, finished, tmp_path):
    """A checkpoint and exported files are read as they were written, or not at all."""
    for name in ("checkpoints/last.pt", "model.safetensors", "memory.safetensors"):
        path = tmp_path / Path(name).name
        shutil.copy(finished / name, path)
        flip(path, 1, seed)
        try:
            if path.suffix == ".pt":
                found, whole = (checkpoint.read(file) for file in (path, finished / name))
            elif path.stem == "model":
                found, whole = (memhrm.load(file).model.state_dict() for file in (path, finished / name))
            else:
                from memhrm.weights.transfer import load

                found, whole = (load(file).tensors for file in (path, finished / name))
        except ValueError as refused:
            assert str(path) in str(refused)
            continue
        assert not compare(found, whole, "")


def test_exported_weights_that_are_not_finite_are_refused(finished, tmp_path):
    tensors = load_file(finished / "model.safetensors")
    tensors["lm_head.weight"][0, 0] = torch.inf
    save_file(tensors, tmp_path / "w.safetensors", metadata={"format": "memhrm 2", "about": "{}"})
    with pytest.raises(ValueError, match=r"lm_head\.weight holds numbers that are not finite"):
        memhrm.load(tmp_path / "w.safetensors")


def test_a_run_that_diverges_in_its_only_step_says_so(tmp_path, capsys):
    path = tmp_path / "run"
    assert train(path, "steps=1", "optim.lr=1e19", "optim.warmup=0", "eval_every=0", "validation_size=0") == 2
    assert "the weights are of no use any more after step 1" in error(capsys)
    assert not (path / "checkpoints").exists() and not (path / "summary.json").exists()


def test_a_diverged_run_keeps_a_good_checkpoint_and_is_rescued_by_init(tmp_path, monkeypatch, capsys):
    """The test follows the advice of the message to the letter, with a lower learning rate."""

    def explode(learner):
        with torch.no_grad():
            for weight in learner.model.parameters():
                weight.mul_(1e28)

    path = tmp_path / "run"
    at_step(monkeypatch, 7, explode)
    assert train(path, "checkpoint_every=1") == 2
    said = error(capsys)
    assert f"the last good checkpoint is {path}/checkpoints/last.pt" in said and f"init={path}" in said
    good = checkpoint.read(path / "checkpoints/last.pt")
    assert good["step"] == 6 and max(w.abs().max().item() for w in good["model"].values()) < 100
    assert train(tmp_path / "new", f"init={path}", "optim.lr=1e-5", "optim.clip=1.0", "steps=1") == 0
    new = checkpoint.read(tmp_path / "new/checkpoints/last.pt")["model"]
    averaged = from_run(path).model.state_dict()
    assert max((new[name] - averaged[name]).abs().max().item() for name in averaged) < 1e-2


def test_metrics_are_strict_json(run):
    texts = [*(run / "metrics.jsonl").read_text().splitlines(), (run / "summary.json").read_text()]
    for text in texts:
        json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert files.to_json({"a": [float("nan"), 1.5]}) == '{"a": [null, 1.5]}'


# Two processes, and other people's files.


def test_two_trainings_do_not_share_a_directory(tmp_path, capsys):
    command = [sys.executable, "-m", "memhrm.train", *TINY, "steps=100000", "dir=run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    said = (tmp_path / "said.txt").open("w+")
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=said, stdout=said)
    try:
        for _ in range(600):
            if (tmp_path / "run/metrics.jsonl").exists():
                break
            time.sleep(0.1)
        # Else the next line would train to the end.
        assert (tmp_path / "run/metrics.jsonl").exists() and first.poll() is None, said.seek(0) or said.read()
        assert train(tmp_path / "run", "steps=100000") == 2
        assert "is in use: another process writes there" in error(capsys)
    finally:
        first.send_signal(signal.SIGKILL)  # The lock ends with the process.
        first.wait()
        said.close()
    assert train(tmp_path / "run", "optim.lr=0.5", "steps=100000") == 2
    assert "optim.lr" in error(capsys)
    with locked(tmp_path / "run"):
        pass


def test_a_run_that_another_process_has_finished_meanwhile_is_not_overwritten(tmp_path, monkeypatch, capsys):
    path = tmp_path / "run"

    def meanwhile(*_):
        monkeypatch.undo()
        assert train(path, "steps=1") == 0
        (path / "notes").write_bytes((path / "summary.json").read_bytes())

    monkeypatch.setattr(runs_train, "require_writable", meanwhile)
    assert train(path, "steps=1") == 0
    assert "already finished" in capsys.readouterr().out
    assert (path / "notes").read_bytes() == (path / "summary.json").read_bytes()


def test_a_finished_run_is_said_where_nothing_can_be_written(run, monkeypatch, capsys):
    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    assert train(run, *CELLS) == 0
    assert "already finished" in capsys.readouterr().out


def test_a_directory_in_use_is_not_replaced(run, tmp_path, capsys):
    out = Path(shutil.copytree(run, tmp_path / "out"))
    with locked(out):
        words = (f"run={run}", "keep=2", f"out={out}", "overwrite=true", QUIET)
        assert command_line("prune", prune.main, *words) == 2
    assert "is in use" in error(capsys)
    assert from_run(out).model.H_module.cells == 4


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "metrics.jsonl", "environment.json"])
def test_files_of_others_are_kept(name, tmp_path, capsys):
    (tmp_path / name).write_text('{"mine": 1}')
    assert train(tmp_path) == 2
    assert f"whose {name} was not written by memhrm" in error(capsys)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"mine": 1}'


@pytest.mark.parametrize("changes", [(), ("optim.lr=0.5",), ("steps=9",)])
def test_a_result_without_its_checkpoints_is_kept(changes, run, capsys):
    shutil.rmtree(run / "checkpoints")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    capsys.readouterr()
    assert train(run, *CELLS, *changes) == 2
    assert "which has the result of a run whose last.pt is gone; to train there again, remove" in error(
        capsys
    )
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_run_that_ended_while_it_began_begins_again(tmp_path, monkeypatch, capsys):
    """The environment was written, the settings were not."""

    def killed(self, config, environment, step):
        files.write_json(self.path / "environment.json", environment)
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "begin", killed)
        assert train(tmp_path / "run") == 2
    assert [path.name for path in (tmp_path / "run").iterdir() if path.suffix] == ["environment.json"]
    assert train(tmp_path / "run", "steps=1") == 0


def test_a_new_run_has_no_best_checkpoint_of_one_that_was_killed(run, capsys):
    for name in ("checkpoints/last.pt", "summary.json"):
        (run / name).unlink()
    assert (run / "checkpoints/best.pt").exists()
    assert train(run, *CELLS, "eval_every=0", "steps=1") == 0
    assert not (run / "checkpoints/best.pt").exists()
    capsys.readouterr()


def test_a_folder_with_other_files_is_fine(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert train(tmp_path, "steps=1") == 0 and (tmp_path / "notes.txt").read_text() == "mine"


def test_a_refused_start_leaves_no_folder(tmp_path, capsys):
    assert train(tmp_path / "run", "validation_size=20") == 2
    assert list(tmp_path.iterdir()) == []
    capsys.readouterr()


WRITERS = {
    "evaluate": lambda run, out, *more: command_line(
        "evaluate", evaluate.main, f"run={run}", f"out={out}", QUIET, *more
    ),
    "export": lambda run, out, *more: command_line("export", export.main, f"run={run}", f"out={out}", *more),
    "transfer export": lambda run, out, *more: code(["export", f"run={run}", f"out={out}", *more]),
    "solve": lambda run, out, *more: command_line(
        "solve", solve.main, f"run={run}", f"file={run}/p.txt", f"out={out}", QUIET, *more
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_replaced_only_when_told(name, run, tmp_path, capsys):
    (run / "p.txt").write_text("1" + "." * 15 + "\n")
    out = tmp_path / "out.file"
    out.write_text("mine")
    assert WRITERS[name](run, out) == 2
    assert "overwrite=true" in error(capsys) and out.read_text() == "mine"
    assert WRITERS[name](run, out, "overwrite=true") == 0
    assert out.read_bytes() != b"mine"
    out = tmp_path / "file" / "below"
    (tmp_path / "file").write_text("a file, no folder")
    capsys.readouterr()
    assert WRITERS[name](run, out) == 2
    assert str(out) in error(capsys)


def test_the_same_evaluation_replaces_its_own_result_another_asks(run, capsys):
    assert WRITERS["evaluate"](run, run / "metrics.json") == 0
    assert WRITERS["evaluate"](run, run / "metrics.json") == 0
    assert WRITERS["evaluate"](run, run / "metrics.json", "halt_max_steps=2") == 2
    assert "overwrite=true" in capsys.readouterr().err


def test_scores_are_said_when_they_cannot_be_written(run, monkeypatch, capsys):
    """The disk fills up while the scores are computed; no empty file is left behind."""

    def full(self, *_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    capsys.readouterr()
    assert WRITERS["evaluate"](run, run / "scores.json") == 2
    captured = capsys.readouterr()
    assert "exact accuracy" in captured.out
    assert "No space left on device" in captured.err and "scores.json" in captured.err
    assert not [path for path in run.iterdir() if "scores" in path.name]


def test_the_result_of_training_is_said_when_it_cannot_be_written(tmp_path, monkeypatch, capsys):
    def full(self, summary):
        raise OSError(errno.ENOSPC, "No space left on device", "summary.json")

    monkeypatch.setattr(RunDirectory, "summarise", full)
    assert train(tmp_path / "run") == 2
    captured = capsys.readouterr()
    assert "exact accuracy" in captured.out and "summary.json" in captured.err


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_slurm_and_a_closed_terminal_end_a_run_saved(number, tmp_path, monkeypatch, capsys):
    at_step(monkeypatch, 5, send(number))
    assert train(tmp_path / "run") == 128 + number
    assert checkpoint.read(tmp_path / "run/checkpoints/last.pt")["step"] == 5
    assert "saved in" in capsys.readouterr().err


# Data are identified by their content.


def test_a_run_goes_on_with_the_same_puzzles_wherever_they_lie(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data.main(["build", "sudoku4", "out=one", "train_size=40", "test_size=20"])
    words = ("data.test_size=null", "validation_size=4", "eval_every=0")
    assert train(tmp_path / "run", *words, "data.path=one", "steps=2") == 0
    elsewhere = tmp_path / "folder" / "two"
    shutil.copytree("one", elsewhere)
    for step, path in enumerate((elsewhere, "one/", "./one", tmp_path / "one"), start=3):
        assert train(tmp_path / "run", *words, f"data.path={path}", f"steps={step}") == 0, path
    monkeypatch.chdir(elsewhere)  # The run finds its files from any folder.
    assert command_line("evaluate", evaluate.main, f"run={tmp_path}/run", QUIET) == 0
    lines = (elsewhere / "train.csv").read_text().splitlines(keepends=True)
    (elsewhere / "train.csv").write_text("".join(lines[:11]))
    capsys.readouterr()
    assert train(tmp_path / "run", *words, f"data.path={elsewhere}", "steps=9") == 2
    assert "a hash of the puzzles" in error(capsys)


# init


def test_init_from_published_weights(finished, tmp_path, capsys):
    """The state dict has the prefixes of compiling and wrapping at any place in its names."""
    assert train(tmp_path / "run", "steps=1") == 0
    model = from_run(tmp_path / "run").model
    names = {name: f"module._orig_mod.model.inner.{name}" for name in to_published(model)}
    deep = {name: name.replace(".layers.", "._orig_mod.layers.") for name in names}
    for number, naming in enumerate((names, deep)):
        weights = {naming[name]: tensor.clone() for name, tensor in to_published(model).items()}
        torch.save(weights, tmp_path / f"{number}.pt")
        capsys.readouterr()
        assert train(tmp_path / f"new{number}", f"init={tmp_path}/{number}.pt", "optim.lr=0.0", "steps=1",
                     "optim.weight_decay=0") == 0  # fmt: skip
        assert "is not known" in capsys.readouterr().err
        new = checkpoint.read(tmp_path / f"new{number}/checkpoints/last.pt")["model"]
        table = "puzzles.weight"  # Sign-SGD changes it at any learning rate.
        assert all(torch.equal(new[k], v) for k, v in model.state_dict().items() if k != table)


def test_init_gives_a_memory_the_weights_around_it(tmp_path, capsys):
    assert train(tmp_path / "run", "model.H_cycles=2", "steps=1") == 0
    assert train(tmp_path / "new", *CELLS, f"init={tmp_path}/run", "steps=1") == 0
    assert "of the H-module are new" in capsys.readouterr().err
    assert train(tmp_path / "new", *CELLS, f"init={tmp_path}/nowhere", "steps=1") == 2
    assert "nowhere', but the run in" in error(capsys)
    assert train(tmp_path / "new", *CELLS, "steps=2") == 0  # What it was begun from stays known.
    assert RunDirectory(tmp_path / "new").config()["init"] == str(tmp_path / "run")


@pytest.mark.parametrize("source", ["nowhere", "text.pt", "empty", "other"])
def test_init_that_does_not_fit_is_refused(source, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("text.pt").write_text("no weights")
    Path("empty").mkdir()
    given = finished if source == "other" else source
    assert train(tmp_path / "run", "model.hidden_size=32", f"init={given}") == 2
    said = error(capsys)
    assert said.startswith(f"error: init is {given}")
    assert not (tmp_path / "run").exists()


# solve


def follows_the_rules(grid: str) -> bool:
    """Whether each row, column and box of a 4x4 grid holds all digits."""
    cells = np.array(list(grid)).reshape(4, 4)
    boxes = cells.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    return all(sorted(unit) == list("1234") for unit in (*cells, *cells.T, *boxes))


def test_solve_answers_and_judges(run, tmp_path, capsys):
    questions = ["1" + "." * 15, "12343412....4321", "." * 16]
    (tmp_path / "p.txt").write_text("\n".join(questions) + "\n")
    capsys.readouterr()
    assert command_line("solve", solve.main, f"run={run}", f"file={tmp_path}/p.txt", QUIET) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "question,answer,keeps_givens,keeps_rules,q"
    solver = memhrm.load(run)
    for question, line in zip(questions, lines[1:], strict=True):
        asked, answer, givens, rules, q = line.split(",")
        assert asked == question and answer == solver.solve([question])[0]
        assert givens == ("yes" if all(g in (".", a) for g, a in zip(question, answer)) else "no")
        assert rules == ("yes" if follows_the_rules(answer) else "no")
        assert 0 <= float(q) <= 1
    assert "of 3 answers keep the givens and the rules" in captured.err


def test_solver_from_python_refuses_what_is_no_puzzle(run):
    solver = memhrm.load(run)
    assert solver.solve([]) == []
    for wrong in (
        lambda: solver.solve(["1" + "." * 15], steps=-1),
        lambda: solver.solve(["1" + "." * 15], steps=0),
        lambda: solver.solve(["1" + "." * 15], steps=1.5),
        lambda: solver.solve(["1" + "." * 15], steps=True),
        lambda: solver.solve(3),
        lambda: solver.solve([3]),
        lambda: solver.solve(None),
        lambda: solver.solve("1" + "." * 15),
        lambda: solver.solve(["11" + "." * 14]),
        lambda: solver.solve(["1" * 15]),
        lambda: solver.solve(["1" + "." * 15], examples=[("1", "2")]),
        lambda: solver.solve(["1" + "." * 15], examples=3),
        lambda: solver.to("tpu"),
        lambda: memhrm.load(3),
        lambda: memhrm.load(""),
    ):
        with pytest.raises(ValueError):
            wrong()


# Broken files beside the checkpoint.


BROKEN = (b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b"a:\n\t- b: c: d")


@pytest.mark.parametrize(
    ("name", "content"),
    [*(("summary.json", one) for one in BROKEN), ("config.yaml", BROKEN[3]), ("environment.json", BROKEN[3])],
)
def test_a_broken_file_of_a_run_is_named(name, content, run, capsys):
    (run / name).write_bytes(content)
    capsys.readouterr()
    assert train(run, *CELLS) == 2
    said = capsys.readouterr().err
    assert name in said and said.count("\n") == 1, said


def test_runs_that_are_being_extended_are_not_compared(run, capsys):
    """The result is that of the earlier end, and the weights go on."""
    assert call("compare", str(run)) == 0
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("\nsteps: 8\n", "\nsteps: 12\n"))
    capsys.readouterr()
    assert call("compare", str(run)) == 2
    assert "is not finished; run its training command again to resume it" in error(capsys)


def test_compare_and_bench_know_where_to_write_before_they_work(run, tmp_path, capsys):
    taken = tmp_path / "taken.svg"
    taken.write_text("mine")
    for words in (["compare", str(run), f"figure={taken}"], ["bench", f"out={taken}"]):
        assert call(*words) == 2
        assert "overwrite=true" in capsys.readouterr().err
    assert taken.read_text() == "mine"
