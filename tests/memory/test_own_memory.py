"""The README's way to a memory of one's own, followed to the letter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memhrm.runs.directory import RunDirectory
from pages import fading
from tiny import TINY

ROOT = Path(__file__).parents[2]


@pytest.mark.thorough
def test_a_memory_of_ones_own_trains_evaluates_and_is_loaded(tmp_path):
    code, config, command = fading()
    assert len(code.splitlines()) + len(config.splitlines()) < 60
    (tmp_path / "fading.py").write_text(code)
    (tmp_path / "my_configs/memory").mkdir(parents=True)
    (tmp_path / "my_configs/memory/fading.yaml").write_text(config)
    words = command.split()
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
    opened = run("-c", "import fading, memhrm; s = memhrm.load('run/model.safetensors')\n"
                 "print(type(s.model.H_module).__name__, s.solve(['1' + '.' * 15]))")  # fmt: skip
    assert opened.startswith("Fading")
    refused = subprocess.run(
        [sys.executable, "-c", "import memhrm; memhrm.load('run/model.safetensors')"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "import fading first in Python" in refused.stderr
