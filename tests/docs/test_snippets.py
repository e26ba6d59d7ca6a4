"""Every command and snippet of README and docs/ runs: page by page, in order, at small scale.

Each page is followed in a folder of its own, in which `make demo` has been run, at small scale too. `SMALL`
says what is added to a command so that it takes a second, `ELSEWHERE` what does not run here and why. A block
that neither fits fails.
"""

import csv
import importlib
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from glob import glob
from pathlib import Path

import numpy as np
import pytest

import made_arc
from memhrm.__main__ import COMMANDS
from memhrm.data import Sudoku, load
from memhrm.data.arc.tasks import json_of
from pages import PAGES, ROOT, Block, blocks
from tiny import write_set

MODEL = "model.hidden_size=16 model.expansion=1.0 batch_size=4 threads=1 device=cpu"
RUN = f"{MODEL} optim.warmup=0 checkpoint_every=50 precision=float32 compile=false progress=false"
DIGITS = "data.test_size=20 validation_size=10 eval_every=1"
EPISODES = "data.lengths=[2] data.test_episodes=4 data.test_length=3 validation_size=1"
CONTEXTS = "data.contexts=[2] data.test_contexts=2 data.curve=[3] data.test_episodes=4"

SMALL = {
    "train": [
        (r"", RUN),
        (r"^experiment=(recall|episodes)", EPISODES),
        (r"^experiment=hops", "data.test_episodes=4 data.test_depths=[1,2] validation_size=1"),
        (r"^experiment=contexts", CONTEXTS),
        (r"^(?!experiment=intent_ep).*data\.path=(?!puzzles/arc)", "validation_size=4 eval_every=1"),
        (r"^experiment=text", "data.length=32"),
        (r"^experiment=intent", "data.buckets=500 data.length=20"),
        (
            r"^experiment=intent_episodes",
            "data.ways=[2] data.test_ways=[2] data.held_out_categories=0.5 data.shots=1 data.questions=2 "
            "data.test_episodes=6",
        ),
        (r"puzzles/arc", "data.variants=1 batch_size=40"),
        (r"^experiment=arc_rules", "data.side=4 data.test_episodes=4 validation_size=1"),
        (r"_extreme", "data.train_size=null"),
        (r"^data=maze$", "data.train_size=12 data.test_size=8 validation_size=4 eval_every=1"),
        (r"^(?!.*(data=|data\.|experiment=))", DIGITS),
    ],
    "adapt": [(r"", "steps=4 variants=1 threads=1 progress=false")],
    "evaluate": [(r"", "batch_size=16 threads=1 progress=false"), (r"recall", "data.test_length=4")],
    "solve": [(r"", "threads=1 progress=false")],
    "write": [(r"", "threads=1 steps=2")],
    "probe": [
        (r"", "puzzles=8 few_puzzles=4 causal_puzzles=4 depth=1 shuffles=5"),
        (r"^(?!.*runs/demo)", "restarts=2"),  # Episodes train no Q by which to choose.
        (r"", "threads=1 progress=false"),
    ],
    "prune": [(r"", "puzzles=8 threads=1 progress=false")],
    "bench": [(r"^(?!.*target=)", f"{MODEL} repeat=1")],
    "film": [(r"", "threads=1")],
    "data": [(r"^(build|inspect) (maze|sudoku[69])", "train_size=12 test_size=8")],
}
"""By command: patterns, and the words that are added to a command line in which one is found."""

STEPS = 150
"""Of a training, so many optimiser steps become one, and never more than two are made."""

ELSEWHERE = {
    r"make( (demo|test|lint|types|tables|paper|docs))+": "parts of .ci/run; the demo's commands run here",
    r"bash \.ci/run": "what calls these tests",
    r"pip install .*": "installs; .ci/run installs the wheel elsewhere",
    r"python -m memhrm\.data download .*": "needs the network",
    r"git clone .*": "needs the network",
    r"docker build .*": "needs the network",
    r"python -m memhrm\.serve .*": "ends with its client; tests/weights/test_server.py has clients",
    r"(python -m memhrm\.|memhrm )play( (?!space=).*)?": "ends when it is stopped; tests/play has a browser",
    r"python -m memhrm\.push .* repo=.*": "needs the network; tests/weights/test_hub.py has a hub of its own",
    r"python -m memhrm\.push .* artifact=.*": "needs an account; as tests/weights/test_artifacts.py",
    r"python -m experiments\.\w+ --scale gpu .*": "needs a SLURM cluster",
}
"""Commands that do not run here, as patterns of the whole line, and why."""


def small(name: str, words: list[str]) -> list[str]:
    """Return the words of a command of memhrm with those that make it small in place of its own."""
    line = " ".join(words)
    fitting = [more.split() for pattern, more in SMALL.get(name, ()) if re.search(pattern, line)]
    added = [word for more in fitting for word in more]
    keys = {word.partition("=")[0] for word in added if "=" in word}
    kept = []
    for word in words:
        key, equals, value = word.partition("=")
        if name == "train" and key == "steps":
            kept.append(f"steps={max(1, min(2, int(value) // STEPS))}")
        elif not equals or key not in keys:
            kept.append(word)
    if name == "train" and not any(word.startswith("steps=") for word in kept):
        kept.append("steps=2")
    return [*kept, *added]


def run_module(module: str, words: list[str]) -> None:
    """Run python -m MODULE WORDS in this process."""
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirect_stderr(told):
        warnings.simplefilter("ignore")
        patch.setattr(sys, "argv", [module, *words])
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            assert not ended.code, f"exit code {ended.code}, {told.getvalue().strip()} ({' '.join(words)})"


def run_command(words: list[str]) -> None:
    """Run one command of a page in the current folder, at small scale.

    Raises:
        AssertionError: it fails, or nothing here knows how to run it.
    """
    line = " ".join(words)
    if any(re.fullmatch(pattern, line) for pattern in ELSEWHERE):
        assert_known(words)
        return
    if words[:2] == ["docker", "run"]:
        run_command(words[words.index("memhrm") :])
        return
    if words[:2] == ["mkdir", "-p"]:
        Path(words[2]).mkdir(parents=True, exist_ok=True)
        return
    if words[0] == "torchrun":
        name = words[words.index("-m") + 1].removeprefix("memhrm.")
        more = small(name, words[words.index("-m") + 2 :])
        two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        subprocess.run([*two, "-m", f"memhrm.{name}", *more], check=True)
        return
    if words[:2] == ["python", "-m"]:
        package, _, name = words[2].partition(".")
        rest = [one for word in words[3:] for one in (sorted(glob(word)) if "*" in word else [word])]
    else:
        package, name, rest = words[0], words[1], words[2:]
    if package == "memhrm" and name in COMMANDS:
        asks = {"--help", "--cfg"} & {*rest}
        run_module(f"memhrm.{name}", rest if asks else small(name, rest))
    elif package == "experiments":
        only = ["--scale", "smoke", "--seeds", "0", "--only", "TRM", "--out", "out", "--runs", "runs/grid"]
        run_module(words[2], [*(word for word in rest if word == "--tables"), *only])
    else:
        raise AssertionError("nothing here knows how to run it: add it to SMALL or ELSEWHERE")


def assert_known(words: list[str]) -> None:
    """Check what can be checked of a command that does not run here: targets, and extras."""
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {*words[1:]} <= {*targets}
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        wanted = re.findall(r"\[(\w+)\]", words[-1])
        assert words[-1].startswith(".") and {*wanted} <= {*extras}
    elif words[:2] == ["python", "-m"]:
        importlib.import_module(words[2])


def run_block(block: Block) -> None:
    if block.title:
        path = Path(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    elif block.language == "bash":
        for words in block.commands():
            try:
                run_command(words)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{block.place}: {' '.join(words)}: {error}") from error
    elif block.language == "python":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(block.text, block.place, "exec"), {"__name__": "snippet"})
        except Exception as error:
            raise AssertionError(f"{block.place}: {type(error).__name__}: {error}") from error
    else:
        assert block.language in ("math", "bibtex", "text"), f"{block.place}: nothing runs {block.language}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A folder in which the commands of `make demo` have been run, at small scale, with puzzles to read."""
    folder = tmp_path_factory.mktemp("demo") / "folder"
    (folder / "docs").mkdir(parents=True)
    for name in ("puzzles.txt", "texts.csv"):
        shutil.copy(ROOT / "docs" / name, folder / "docs")
    drawn = np.random.default_rng(0).choice(re.findall(r"\w+", ROOT.joinpath("LICENSE").read_text()), 900)
    (folder / "book.txt").write_text(" ".join(drawn))
    head, *texts = (ROOT / "docs/texts.csv").read_text().splitlines()
    parts = {"train": texts[:36], "test": texts[36:], "oos_test": texts[24:36]}
    whole = {part: [*csv.reader(lines)] for part, lines in parts.items()}
    (folder / "data_full.json").write_text(json.dumps(whole))  # In the place of the real one.
    (folder / "intent").mkdir()
    for part in ("train", "test"):
        (folder / "intent" / f"banking77_{part}.csv").write_text("\n".join([head, *parts[part]]))
    (folder / "tests").mkdir()
    os.symlink(ROOT / "tests/parity", folder / "tests/parity")
    nine = {"min_clues": 9, "max_clues": 9}  # Clues; the puzzles of data=sudoku4 have fewer.
    write_set(folder / "other", load(kind="sudoku", name="other", side=4, train_size=2, test_size=8, **nine))
    (folder / "puzzles").mkdir()
    few = load(kind="sudoku", name="few", side=9, train_size=12, test_size=8)
    assert isinstance(few.task, Sudoku)
    write_set(folder / "puzzles/sudoku_extreme", few)  # In the place of what is downloaded.
    for number, of_set in enumerate(("training", "evaluation")):
        place = folder / "ARC-AGI/data" / of_set
        place.mkdir(parents=True)
        for task in made_arc.tasks(of_set, number):
            (place / f"{task.id.split('-')[0]}.json").write_text(json.dumps(json_of(task)))
    recipe = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in recipe.splitlines() if not line.startswith("echo")]
    found = re.findall(r"-m memhrm\.(\w+) ([^>&;|\\\n]*)", "\n".join(lines))
    assert [name for name, _ in found].count("train") == 3 and "solve" in dict(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, words in found:
            run_module(f"memhrm.{name}", small(name, words.split()))
    return folder


@pytest.fixture
def folder(demo, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the demo's folder, in which this process stands."""
    shutil.copytree(demo, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    yield tmp_path / "here"
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]  # A module that the page has written.


def lines(page: str) -> list[str]:
    """Return the commands of a page, a line each."""
    shown = [block for block in blocks(page) if block.language == "bash"]
    return [" ".join(words) for block in shown for words in block.commands()]


LONG = [f"docs/{name}.md" for name in ("commands", "episodes", "experiments", "hops", "memory")]
"""Pages with many commands; the README and the others are followed always."""


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.thorough) if page in LONG else page for page in PAGES]
)
def test_every_block_of_the_page_runs(page, folder):
    for block in blocks(page):
        run_block(block)


def test_every_exception_is_of_a_command_that_a_page_shows():
    every = [line for page in PAGES for line in lines(page)]
    assert [one for one in ELSEWHERE if not any(re.fullmatch(one, line) for line in every)] == []


def test_a_block_that_nothing_knows_how_to_run_fails(folder):
    for language, text in (("bash", "python -m memhrm.nothing\n"), ("bash", "rm -r .\n"), ("ruby", "1\n")):
        with pytest.raises(AssertionError, match=r"^here:1: .*nothing"):
            run_block(Block("here:1", language, "", text))
    with pytest.raises(AssertionError, match=r"^here:1: python -m memhrm\.evaluate run=nowhere: exit code 2"):
        run_block(Block("here:1", "bash", "", "python -m memhrm.evaluate run=nowhere\n"))
