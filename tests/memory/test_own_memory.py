"""The README's way to a memory of one's own, followed to the letter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memhrm.config.command import compose
from memhrm.cost.benchmark import peak_memory
from memhrm.runs.directory import RunDirectory
from pages import fading
from tiny import TINY, call, train

ROOT = Path(__file__).parents[2]


SMALL = ("model.hidden_size=16", "model.num_heads=2", "batch_size=8")


def write(folder: Path) -> str:
    """Write the files of README into a folder, and return its command."""
    code, config, command = fading()
    assert len(code.splitlines()) + len(config.splitlines()) < 60
    (folder / "fading.py").write_text(code)
    (folder / "my_configs/memory").mkdir(parents=True)
    (folder / "my_configs/memory/fading.yaml").write_text(config)
    return command


def test_a_memory_of_ones_own_is_measured_and_matched(tmp_path, monkeypatch, capsys):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    own = ("--config-dir", "my_configs", "+memory=fading", "memory.decay=0.5", *SMALL)
    try:
        assert call("bench", *own, "target=+memory=carry_add") == 0, capsys.readouterr().err
    finally:
        sys.modules.pop("fading", None)
    config = compose("train", [*TINY, "+memory=none", "memory.module=fading.Fading", "+memory.decay=0.5"])
    assert peak_memory(config) > 0
    assert "fading" not in sys.modules  # It was another process that looked for it.


FAULTY = """from memhrm.memory.base import HModule

class Faulty(HModule):
    def forward(self, z_H, z_L, memory, context):
        {}
"""
PLACE = "{path}:5"
FAULTS = {
    "raise KeyError('mine')": (1, f"error: in your own {PLACE}:", "KeyError: 'mine'"),
    "context.level(z_H[..., 1:], z_L)": (1, f"error: in your own {PLACE}:", "RuntimeError: The size of ten"),
    "a, b = (z_H,)": (1, f"error: in your own {PLACE}:", "ValueError: not enough values to unpack"),
    "raise ValueError('mine')": (2, f"error: mine ({PLACE})", ""),
    "return z_H": (2, "whose forward returns Tensor; allowed: the three (z_H, memory, trace)", ""),
    "return z_H, memory": (2, "whose forward returns a tuple of 2; allowed: the three", ""),
    "return z_H[:, 1:], memory, {}": (2, "forward returns z_H as (8, 16, 16); allowed: (8, 17, 16)", ""),
    "return z_H, {'m': z_H}, {}": (2, "a memory with {'m': (8, 17, 16)}; allowed: {}, as remember", ""),
    "return z_H, memory, None": (2, "whose forward returns NoneType as its trace; allowed: a dict", ""),
}
"""What a class of one's own may do wrong: the exit code, what is said, and how a traceback begins to end."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_class_of_ones_own_is_told_with_its_place(fault, tmp_path, monkeypatch, capsys):
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY.replace("{}", fault, 1))
    monkeypatch.chdir(tmp_path)
    try:
        code = train(tmp_path / "run", "+memory=none", "memory.module=faulty.Faulty", "steps=1")
    finally:
        sys.modules.pop("faulty", None)
    wanted, said, ended = FAULTS[fault]
    lines = [line for line in capsys.readouterr().err.splitlines() if "generating" not in line and line]
    assert code == wanted and said.replace("{path}", str(path)) in lines[0], lines
    assert lines[-1].startswith(ended) if ended else len(lines) == 1, lines


@pytest.mark.thorough
def test_a_memory_of_ones_own_trains_evaluates_and_is_loaded(tmp_path):
    words = write(tmp_path).split()
    assert words[:3] == ["python", "-m", "memhrm.train"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    tiny = [word for word in TINY if not word.startswith("model=")]
    run("-m", *words[2:], *tiny, "model.H_cycles=2", "dir=run", "memory.decay=0.5")
    assert "fading" in (tmp_path / "run/config.yaml").read_text()
    summary = RunDirectory(tmp_path / "run").summary()
    assert summary is not None and summary["step"] == 8
    trust = ("run=run", "trust=fading.Fading")
    assert "exact accuracy" in run("-m", "memhrm.evaluate", *trust, "progress=false")
    run("-m", "memhrm.export", *trust)
    out = ("model.H_cycles=2", "repeat=1", "out=cost.json")
    assert "peak memory" in run("-m", "memhrm.bench", *words[3:], *SMALL, *out)
    opened = run("-c", "import fading, memhrm; s = memhrm.load('run/model.safetensors')\n"
                 "print(type(s.model.H_module).__name__, s.solve(['1' + '.' * 15]))")  # fmt: skip
    assert opened.startswith("Fading")
    refused = subprocess.run(
        [sys.executable, "-c", "import memhrm; memhrm.load('run/model.safetensors')"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "import fading first in Python" in refused.stderr
