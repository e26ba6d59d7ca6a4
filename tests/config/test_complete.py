"""Completion of a command line: what there is, and nothing else; in real shells, where they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memhrm.__main__ import COMMANDS
from memhrm.completion import SCRIPTS, answer
from memhrm.config import manual
from memhrm.config.complete import SECOND
from memhrm.config.defaults import CONFIGS
from tiny import call

CASES = {
    "memhrm tr": ["train", "transfer"],
    "memhrm nothing": [],
    "memhrm train model=tr": ["model=transformer", "model=trm", "model=trm_mlp"],
    "memhrm train mem": ["+memory="],
    "memhrm train +memory=multicell  memory.sel": ["memory.selector=", "memory.self_attention="],
    "memhrm train halting.rule=": [
        "halting.rule=sigmoid",
        "halting.rule=q_learning",
        "halting.rule=confidence",
    ],
    "memhrm train experiment=contexts data.con": ["data.contexts="],
    "memhrm train experiment=contexts data=sudoku4 data.con": [],
    "memhrm bench model.mix": ["model.mixer="],
    "memhrm bench experiment=rec": ["experiment=recall"],
    "memhrm bench match=": ["match=parameters", "match=flops"],
    "memhrm train progress=": ["progress=false", "progress=true"],
    "memhrm train seed=": [],
    "memhrm nothing se": [],
    " memhrm data in": ["inspect"],
    "memhrm film puz": ["puzzle="],
}


@pytest.mark.parametrize("line", CASES)
def test_a_line_is_completed(line):
    assert answer("zsh", line) == CASES[line]


def test_every_command_and_setting_is_offered():
    assert answer("fish", "memhrm ") == list(COMMANDS)
    for file in Path(CONFIGS).glob("*.yaml"):
        if file.stem in COMMANDS and file.stem not in SECOND:
            offered = answer("fish", f"memhrm {file.stem} ")
            assert {f"{name}=" for name in manual.names(file.stem)} <= set(offered)


def test_bash_takes_what_is_behind_the_equals_sign():
    assert answer("bash", "memhrm train model=trm") == ["trm", "trm_mlp"]


def test_the_command_prints_scripts_and_candidates(capsys):
    for shell, script in SCRIPTS.items():
        assert call("completion", shell) == 0
        assert capsys.readouterr().out == script
    assert call("completion", "zsh", "--line", "memhrm fi") == 0
    assert capsys.readouterr().out == "film\n"
    assert call("completion", "tcsh") == 2
    assert "allowed: bash, fish, zsh" in capsys.readouterr().err.replace("zsh, fish", "fish, zsh")


SHELLS = {
    "bash": 'source <("$PYTHON" -m memhrm completion bash); COMP_LINE="memhrm train model=trm"; '
    'COMP_POINT=${#COMP_LINE}; _memhrm 2>/dev/null; echo "${COMPREPLY[@]}"',
    "zsh": "compdef() { }; compadd() { shift 3; print -r -- $@ }; "
    'BUFFER="cd x && A=1 memhrm train model=trm"; CURSOR=$#BUFFER; '
    "words=(memhrm train model=trm); CURRENT=3; "
    'eval "$("$PYTHON" -m memhrm completion zsh)"; _memhrm',
    "fish": '"$PYTHON" -m memhrm completion fish | source; complete -C "memhrm train model=trm"',
}
SAID = {"bash": "trm trm_mlp", "zsh": "model=trm model=trm_mlp", "fish": "model=trm\nmodel=trm_mlp"}


@pytest.mark.thorough
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    command = tmp_path / "memhrm"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m memhrm "$@"\n')
    command.chmod(0o755)
    root = str(Path(__file__).parents[2])
    own = {"PYTHON": sys.executable, "PYTHONPATH": root, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, "-c", SHELLS[shell]], env={**os.environ, **own}, capture_output=True, text=True
    )
    assert done.stdout.strip() == SAID[shell], done.stderr
