"""Runs that are told to end save their state where they can, and say so truthfully where they cannot."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memhrm.config import console
from memhrm.runs import checkpoint, loop
from memhrm.runs.signals import stop_signals
from tiny import at_step, command_line, send, train

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signal_ends_a_run_saved(name, tmp_path, monkeypatch, capsys):
    number = signal.Signals[name]
    at_step(monkeypatch, 5, send(number))
    assert train(tmp_path / "run") == 128 + number
    assert checkpoint.read(tmp_path / "run/checkpoints/last.pt")["step"] == 5
    assert "stopped at step 5, saved in" in capsys.readouterr().err
    assert train(tmp_path / "run") == 0


@pytest.mark.parametrize("validating", [False, True])
def test_signal_in_the_last_step_or_its_validation(validating, tmp_path, monkeypatch):
    """The run ends saved, so that a sweep goes no further, and is scored when it is called again."""
    evaluate = loop.evaluate

    def told(*args):
        monkeypatch.setattr(loop, "evaluate", evaluate)
        signal.raise_signal(signal.SIGTERM)
        return evaluate(*args)

    short = ("steps=2", "eval_every=2")
    if validating:
        monkeypatch.setattr(loop, "evaluate", told)
    else:
        at_step(monkeypatch, 2, send(signal.SIGTERM))
    assert train(tmp_path / "run", *short) == 128 + signal.SIGTERM
    assert checkpoint.read(tmp_path / "run/checkpoints/last.pt")["step"] == 2
    assert not (tmp_path / "run/summary.json").exists()
    assert train(tmp_path / "run", *short) == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_signal_that_comes_twice_lets_the_run_save(name, tmp_path, monkeypatch):
    """As from a manager of jobs, which tells every process, and from torchrun, which sends it on."""
    number, ended = signal.Signals[name], []

    def twice(_learner):
        signal.raise_signal(number)
        signal.raise_signal(number)

    at_step(monkeypatch, 5, twice)
    before = signal.signal(number, lambda *_: ended.append(number))
    try:
        assert train(tmp_path / "run") == 128 + number
    finally:
        signal.signal(number, before)
    assert ended == [] and checkpoint.read(tmp_path / "run/checkpoints/last.pt")["step"] == 5


def test_hangup_that_is_ignored_stays_ignored(tmp_path, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        at_step(monkeypatch, 5, send(signal.SIGHUP))
        assert train(tmp_path / "run") == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_every_handler_is_put_back():
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1
    before = [signal.getsignal(number) for number in numbers]
    with stop_signals():
        assert not any(signal.getsignal(number) in before for number in numbers)
    assert [signal.getsignal(number) for number in numbers] == before


def test_training_in_another_thread(tmp_path):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(train(tmp_path / "run", "steps=1", "eval_every=0")))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize(
    ("step", "every", "said"),
    [(3, 100, "nothing was saved"), (6, 4, "nothing after step 4 was saved")],
)
def test_second_interrupt_says_what_is_saved(step, every, said, tmp_path, monkeypatch, capsys):
    def twice(_learner):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, step, twice)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert train(tmp_path / "run", f"checkpoint_every={every}", "eval_every=0") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith(f"stopped at once; {said}\n")
    last = tmp_path / "run/checkpoints/last.pt"
    assert (checkpoint.read(last)["step"] if last.exists() else 0) == (4 if every == 4 else 0)


def test_job_of_a_sweep_that_fails_is_named(capsys):
    def body(config, _given):
        if config["seed"] == 2:
            raise ValueError("it is two")
        if config["seed"] == 3:
            raise KeyError("of ours")

    assert command_line("train", body, "steps=7", "-m", "model=hrm,trm", "seed=1,2") == 2
    assert capsys.readouterr().err == (
        "error: in the job model=hrm seed=2: it is two\nerror: in the job model=trm seed=2: it is two\n"
    )
    assert command_line("train", body, "-m", "seed=2,3,4") == 2
    err = capsys.readouterr().err
    assert "error: in the job seed=2: it is two\nerror: in the job seed=3: " in err
    assert "KeyError: 'of ours'" in err and "Error executing job" not in err
    assert command_line("train", body, "seed=2") == 2
    assert capsys.readouterr().err == "error: it is two\n"
    assert command_line("train", body, "seed=3") == 1
    err = capsys.readouterr().err
    assert err.count("Traceback") == 1 and "Error executing job" not in err


LACKS = {
    "a small machine": (MemoryError("Unable to allocate 3.1 GiB"), "out of memory (for 3.1 GiB); use a"),
    "the CPU": (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 6442450944 bytes."),
        "out of memory (for 6.0 GiB); use a smaller batch_size",
    ),
    "CUDA": (
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 20.00 MiB"),
        "out of memory (for 20.00 MiB); use a smaller batch_size",
    ),
    "a compiler": (
        type("InvalidCxxCompiler", (RuntimeError,), {})("No working C++ compiler found in CXX"),
        "compile=true needs a working C++ compiler",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LACKS)
def test_what_the_machine_lacks_is_one_line(what, capsys):
    error, said = LACKS[what]

    def fail():
        raise error

    def wrapped():
        try:
            fail()
        except Exception as inner:
            raise RuntimeError("backend failed") from inner

    for body in (fail, wrapped):
        assert console.code_of(body) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: {said}") and err.count("\n") == 1, err


def test_other_errors_are_ours(capsys):
    for error in (RuntimeError("shapes do not match"), KeyError("out of memory"), TypeError("x")):

        def fail(error=error):
            raise error

        with pytest.raises(type(error)):
            console.code_of(fail)


def test_model_that_does_not_fit(tmp_path):
    """A real one, under a limit."""
    room = 600 * 2**20
    code = (
        "import resource, runpy, sys, torch\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {room}, used + {room}))\n"
        "runpy.run_module('memhrm.train', run_name='__main__', alter_sys=True)"
    )
    words = ["model.hidden_size=51200", "threads=1", "progress=false", "device=cpu", f"dir={tmp_path}/run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and re.match(
        r"error: out of memory \(for [\d.]+ GiB\); use a smaller", last
    ), last
    assert "Traceback" not in done.stderr


@pytest.mark.thorough
def test_no_compiler(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": str(tmp_path),
                   "CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}  # fmt: skip
    words = ["compile=true", "threads=1", "progress=false", "device=cpu", "model.hidden_size=16", "steps=1",
             f"dir={tmp_path}/run"]  # fmt: skip
    command = [sys.executable, "-m", "memhrm.train", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: compile=true needs a working C++ compiler")
    assert "Traceback" not in done.stderr
