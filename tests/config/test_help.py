"""Every command says what it is for, what can be set and how to begin, before PyTorch or Hydra is there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from memhrm.__main__ import COMMANDS, overview
from memhrm.config.command import compose, manual

ROOT = Path(__file__).parents[2]
HYDRA = [name for name in COMMANDS if Path(manual.CONFIGS, f"{name}.yaml").exists()]


def memhrm(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run `python -m WORDS` and list on stderr what was imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "110"}
    command = [sys.executable, "-X", "importtime", "-m", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_for_what_and_how_without_heavy_imports(name, tmp_path):
    done = memhrm(f"memhrm.{name}", "run=x", "--help", cwd=tmp_path)
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert done.returncode == 0 and imported, done.stderr
    assert not imported & {"torch", "hydra", "omegaconf", "yaml"}
    assert f"python -m memhrm.{name}" in done.stdout
    assert re.search(r"^[Ee]xamples?\b.*:\n  python -m memhrm\.", done.stdout, re.MULTILINE)
    assert max(map(len, done.stdout.splitlines())) <= 125
    assert "Powered by Hydra" not in done.stdout and list(tmp_path.iterdir()) == []
    if name not in HYDRA:
        for flag in re.findall(r"^  (-\S+)", done.stdout, re.MULTILINE):
            assert re.search(rf"^  {re.escape(flag)}.*\n? +[a-z]", done.stdout, re.MULTILINE), flag


def leaves(values: dict, prefix: str = "") -> dict:
    """The settings of a configuration that are no groups of others, by dotted name."""
    found = {}
    for name, value in values.items():
        inner = isinstance(value, dict) and "cycles" not in value
        found |= leaves(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


CHOICES = (
    "", "+memory=aggregate logger=wandb", "data=maze model=hrm", "data=recall optim=muon",
    "data=episodes +memory=tokens model=feedforward", "experiment=contexts", "experiment=episodes optim=muon",
    "experiment=trm_arc2",
)  # fmt: skip
PAGES = [*((name, []) for name in HYDRA if name != "train"), *(("train", words.split()) for words in CHOICES)]


@pytest.mark.parametrize(("name", "words"), PAGES)
def test_every_setting_has_its_default_and_a_word(name, words):
    shown = {setting.name: setting for setting in manual.everything(name, words)}
    for setting in shown.values():
        assert re.search(r"[a-z]{2}", setting.words), f"{setting.name} has no word in configs/"
    composed = leaves(compose(name, words, whole=False))
    assert set(shown) == set(composed)
    page = manual.page(name, "Purpose.", words)
    for key, value in composed.items():
        assert re.search(rf"^  {re.escape(key)} ", page, re.MULTILINE), key
        if not isinstance(value, str) and "${" not in shown[key].default:
            read = yaml.safe_load(shown[key].default)
            assert read == value or float(read) == value, key  # YAML 1.1 takes 4e-3 for a text.


def test_train_shows_every_group_and_its_options():
    page = manual.page("train", "Purpose.")
    for folder in Path(manual.CONFIGS).iterdir():
        for option in manual.options(folder.name) if folder.is_dir() else []:
            assert re.search(rf"^  {folder.name}={option} +\w", page, re.MULTILINE)
    assert all(part in page for part in ("-m ", "--cfg job", "experiment=recall"))


def test_list_of_commands():
    """All of them, each once, with what the command itself says it is."""
    package = ROOT / "memhrm"
    files = [*package.glob("*.py"), *package.glob("*/__main__.py")]
    found = {(file.parent if file.name == "__main__.py" else file.with_suffix("")).name
             for file in files if 'if __name__ == "__main__":' in file.read_text()}  # fmt: skip
    assert found - {"memhrm", "measure"} == set(COMMANDS)  # measure is a part of bench.
    assert all(f"  {name:<10} {what}" in overview() for name, what in COMMANDS.items())
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"memhrm": "memhrm.__main__:main"}


def test_memhrm_runs_commands_and_keeps_their_exit_codes(tmp_path):
    for words in ([], ["--help"]):
        done = memhrm("memhrm", *words)
        assert done.returncode == 0 and done.stdout == f"{overview()}\n"
        assert not re.search(r"\| +(torch|hydra|numpy|yaml)$", done.stderr, re.MULTILINE)
    for words, said in (
        (["trian"], "error: the command 'trian' is unknown; did you mean train? allowed: adapt, arc,"),
        (["train", "stps=3"], "error: stps is unknown; did you mean steps?"),
        (["data", "inspct"], "error: the command 'inspct' is unknown; did you mean inspect?"),
    ):
        done = memhrm("memhrm", *words, cwd=tmp_path)
        last = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
        assert done.returncode == 2 and done.stdout == ""
        assert len(last) == 1 and last[0].startswith(said), last
    assert memhrm("memhrm", "data", "--help").stdout == memhrm("memhrm.data", "--help").stdout
