"""Tasks of your own, each one Python file and one YAML file outside the package, and the commands."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from memhrm import evaluate, export, probe, push, solve, train
from memhrm.config.settings import SettingWarning
from memhrm.config.trust import trust
from memhrm.data import Sampler, load
from memhrm.data.__main__ import main as data_command
from memhrm.data.settings import parse
from memhrm.runs.directory import RunDirectory
from memhrm.runs.used import identities
from tiny import TINY, command_line, variations

OUTSIDE = Path(__file__).with_name("outside")
QUIET = "progress=false"
QUICK = "puzzles=6 few_puzzles=4 depth=1 restarts=2".split()  # noqa: SIM905
SMALL = [word for word in TINY if not word.startswith(("data", "steps", "eval_every", "validation_size"))]


class Own(NamedTuple):
    """A task: its class, the settings that its data need, a file to solve, and a memory to train with."""

    kind: str
    words: tuple[str, ...]
    file: str
    memory: tuple[str, ...]


OWN = {
    "sorting": Own("sorting.SortingSettings", (), "strings.txt", ()),
    "turning": Own(
        "turning.TurningSettings",
        ("data.path=grids", "data.train_file=train.jsonl", "data.test_file=test.jsonl"),
        "grids/test.jsonl",
        ("+memory=multicell", "model.H_cycles=2"),
    ),
    "languages": Own(
        "languages.LanguageSettings",
        ("data.path=sentences", "data.train_file=train.tsv", "data.test_file=test.tsv"),
        "sentences/test.tsv",
        ("+memory=bicross", "model.H_cycles=2"),
    ),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: the three tasks, their YAML files and some data."""
    shutil.copytree(OUTSIDE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "strings.txt").write_text("dcbaa\nabcda\n")
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 20)):
        lines = []
        for number in range(count):
            grid = rng.integers(4, size=rng.integers(2, 6, size=2))
            answer = grid[:, ::-1] if number % 2 else grid[::-1]
            lines.append({"problem": number % 2, "source": number // 4, "input": grid.tolist()})
            lines[-1]["output"] = answer.tolist()
        write(tmp_path / f"grids/{part}.jsonl", map(json.dumps, lines))
        words = {"english": "the cat sat on", "deutsch": "für die größe", "polski": "żółty źdźbło ćma"}
        languages = rng.choice(list(words), count)
        texts = (" ".join(rng.choice(words[language].split(), 3)) for language in languages)
        lines = [f"{part[1]}{n} {text}\t{languages[n]}" for n, text in enumerate(texts)]
        write(tmp_path / f"sentences/{part}.tsv", lines)
    monkeypatch.chdir(tmp_path)
    forget(monkeypatch)
    yield tmp_path
    forget(monkeypatch)


def write(path: Path, lines) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def forget(patch: pytest.MonkeyPatch) -> None:
    """Forget the modules, as a new process has."""
    for name in OWN:
        patch.delitem(sys.modules, name, raising=False)


def trained(name: str, *words: str) -> int:
    own = OWN[name]
    settings = (*SMALL, "eval_every=2", "validation_size=6", *own.words, *own.memory, "dir=run", *words)
    return command_line("train", train.main, "--config-dir", "configs", f"data={name}", *settings)


@pytest.mark.parametrize("name", variations(OWN, len(OWN)))
def test_it_trains_resumes_evaluates_exports_solves_and_is_probed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    own = OWN[name]
    for steps in (3, 5):  # The second command goes on with the first one's run.
        assert trained(name, f"steps={steps}", "optim.schedule=constant") == 0, capsys.readouterr().err
        summary = RunDirectory(Path("run")).summary()
        assert summary is not None and summary["step"] == steps

    capsys.readouterr()
    forget(monkeypatch)
    assert command_line("evaluate", evaluate.main, "run=run", QUIET) == 2
    assert f"give trust={own.kind} to the command" in capsys.readouterr().err and name not in sys.modules
    own_run = ("run=run", f"trust={own.kind}")
    assert command_line("push", push.main, *own_run, "out=card.md") == 0, capsys.readouterr().err
    assert f"The command needs {own.kind}, which is not of the package." in Path("card.md").read_text()
    forget(monkeypatch)
    assert command_line("evaluate", evaluate.main, *own_run, QUIET) == 0, capsys.readouterr().err
    assert "exact accuracy" in capsys.readouterr().out

    assert command_line("export", export.main, *own_run) == 0, capsys.readouterr().err
    capsys.readouterr()
    for run in ("run=run", "run=run/model.safetensors"):
        assert command_line("solve", solve.main, run, own_run[1], f"file={own.file}", QUIET) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "question,answer,q" and lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert len(lines) == 2 * (1 + len(Path(own.file).read_text().splitlines()))
    assert "cannot tell by its rules whether they are right" in err
    if name == "languages":
        assert {line.split(",")[1] for line in lines[1:20]} <= {"english", "deutsch", "polski"}

    assert command_line("probe", probe.main, *own_run, *QUICK, "out=report", QUIET) == 0, (
        capsys.readouterr().err
    )
    assert Path("report/report.html").exists()


def test_examples_that_are_made_twice_are_not_scored(here: Path, capsys: pytest.CaptureFixture[str]):
    """A class of one's own may give an example again; its run is resumed and evaluated all the same."""
    code = here / "sorting.py"
    all_different = "rng.permutation(4**self.length)[:count]"
    code.write_text(code.read_text().replace(all_different, "rng.integers(4**self.length, size=count)"))
    sizes = ("data.length=4", "data.train_size=400", "data.test_size=60")
    for steps in (2, 3):
        with pytest.warns(SettingWarning, match="left out 48 of 60 test puzzles"):
            assert trained("sorting", *sizes, f"steps={steps}") == 0, capsys.readouterr().err
    dataset = parsed("sorting", length=4, train_size=400, test_size=60)
    assert np.isin(dataset.test_identities, identities(dataset.train, dataset.task)).sum() == 48
    assert command_line("evaluate", evaluate.main, "run=run", f"trust={OWN['sorting'].kind}", QUIET) == 0
    for name in ("summary", "metrics"):
        assert json.loads(Path(f"run/{name}.json").read_text())["puzzles"] == 6  # Six have chosen.


def parsed(name: str, **changes):
    words = dict(word.removeprefix("data.").split("=") for word in OWN[name].words)
    sizes = {"sorting": {"length": 5, "train_size": 200, "test_size": 40},
             "turning": {"side": 5, "problems": 2}, "languages": {"length": 24}}  # fmt: skip
    trust(OWN[name].kind)
    return load(**{"name": name, "kind": OWN[name].kind, **sizes[name], **words, **changes})


def test_augmentation_changes_the_identifier_with_the_example():
    dataset = parsed("turning")
    task, train_set = dataset.task, dataset.train
    batch = Sampler(train_set, task, batch_size=200, seed=0, augment=True).batch(0)
    rows = Sampler(train_set, task, batch_size=200, seed=0, augment=False).rows(0)
    variant = batch["identifiers"] - train_set.identifiers[rows]
    assert set(variant.tolist()) == set(range(8))
    assert (batch["mask"] == (batch["inputs"] > 0)).all()
    assert (batch["groups"] == train_set.groups[rows]).all()
    for row, of, which in zip(range(200), rows, variant):
        grid = np.rot90(train_set.inputs[of].reshape(5, 5).astype(int), which % 4)
        expected = grid if which < 4 else np.where(grid > 0, 5 - grid, 0)
        assert (batch["inputs"][row].reshape(5, 5) == expected).all()


def test_an_identifier_beyond_the_table_is_refused(monkeypatch: pytest.MonkeyPatch):
    dataset = parsed("turning")
    monkeypatch.setattr(dataset.task, "num_identifiers", 12)
    with pytest.raises(ValueError, match=r"identifiers has 1\d in row \d+; allowed: numbers from 0 to 11"):
        Sampler(dataset.train, dataset.task, batch_size=50, seed=0, augment=True).batch(0)


def test_groups_are_never_split():
    dataset = parsed("turning")
    for size in (3, 4, 10):
        choosing, scored = dataset.episodes.pools(dataset.test, size)
        groups = dataset.test.groups
        assert len(choosing) >= size and not set(groups[choosing]) & set(groups[scored])
    held = parsed("turning", holdout=6)
    assert len(held.test) >= 6 and len(held.test) + len(held.train) == 30
    assert not set(held.test.groups.tolist()) & set(held.train.groups.tolist())


def test_a_large_vocabulary_is_kept():
    dataset = parsed("languages")
    assert dataset.train.inputs.max() > 256 and dataset.train.labels.shape == (30, 1)
    text = "żółty"
    examples = dataset.task.encode([text], ["polski"])
    assert dataset.task.decode(examples.inputs[0]) == text
    assert dataset.task.decode_answer(examples.labels[0]) == "polski"


def test_a_generated_set_is_kept_until_its_code_changes(here: Path, monkeypatch: pytest.MonkeyPatch):
    first = parsed("sorting", cache=str(here / "cache"))
    assert len(list((here / "cache").iterdir())) == 1
    assert (parsed("sorting", cache=str(here / "cache")).train.inputs == first.train.inputs).all()
    assert len(list((here / "cache").iterdir())) == 1
    code = here / "sorting.py"
    code.write_text(code.read_text().replace("rng.permutation(4**self.length)", "np.arange(4**self.length)"))
    forget(monkeypatch)
    assert (parsed("sorting", cache=str(here / "cache")).test.inputs != first.test.inputs).any()
    (here / "beside.py").write_text("RULE = 1\n")  # What the class may import.
    parsed("sorting", cache=str(here / "cache"))
    assert len(list((here / "cache").iterdir())) == 3


def test_a_kept_set_knows_where_its_examples_come_from(here: Path, monkeypatch: pytest.MonkeyPatch):
    code = here / "sorting.py"
    text = code.read_text().replace('["generated"] * len(inputs)', '["odd", "even"] * (len(inputs) // 2)')
    code.write_text(text)
    forget(monkeypatch)
    made, kept = (parsed("sorting", cache=str(here / "cache")).train for _ in range(2))
    assert kept.sources.dtype == object and set(kept.sources) == {"odd", "even"}
    assert (kept.sources == made.sources).all()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sorting", "1 x 5 tokens out of 5, a label per token"),
        ("turning", "5 x 5 tokens out of 5, a label per token"),
        ("languages", "1 x 24 tokens out of 385, one of 3 labels each"),
    ],
)
def test_it_is_inspected(name: str, found: str, capsys: pytest.CaptureFixture[str]):
    data_command(["inspect", name, "--config-dir", "configs", *OWN[name].words])
    assert f"{name}: {found}" in capsys.readouterr().out


def test_files_are_written_and_converted_where_a_task_can(capsys: pytest.CaptureFixture[str]):
    data_command(["build", "sorting", "-cd", "configs", "out=sets", "train_size=20", "test_size=9"])
    assert len(parsed("sorting", path="sets", train_size=None, test_size=None).train) == 20
    data_command(["convert", "sorting", "-cd", "configs", "path=strings.txt", "out=solved.csv"])
    assert "dcbaa,aabcd" in Path("solved.csv").read_text()
    with pytest.raises(ValueError, match=r"turning5 writes no files; define Turning\.write"):
        data_command(["convert", "turning", "-cd", "configs", "path=grids/test.jsonl", "out=x.csv"])
    with pytest.raises(ValueError, match=r"NAME 'sortin' is unknown; did you mean sorting\?"):
        data_command(["inspect", "sortin", "-cd", "configs"])
    capsys.readouterr()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("chess", "data.kind is 'chess'; allowed: sudoku, maze"),
        (None, "data.kind is None"),
        (["sudoku"], "data.kind is ['sudoku']"),
        ("sorting.SortingSettings", "is not imported unasked"),
        ("memhrm.config.settings.SettingWarning", "SettingWarning is no DataSettings in /"),
        ("memhrm.data.settings.DataSettings", "which lacks task"),
    ],
)
def test_a_kind_that_is_none_is_named(kind, message: str):
    with pytest.raises(ValueError) as caught:
        parse({"name": "x", "kind": kind})
    assert message in str(caught.value) and "\n" not in str(caught.value) and "sorting" not in sys.modules


def test_a_run_that_names_a_kind_of_its_own_imports_nothing(here: Path, capsys: pytest.CaptureFixture[str]):
    assert trained("sorting", "steps=2") == 0
    config = (here / "run/config.yaml").read_text()
    (here / "run/config.yaml").write_text(config.replace("sorting.SortingSettings", "evil.Evil"))
    (here / "evil.py").write_text("import pathlib\npathlib.Path('executed').write_text('yes')\n")
    shutil.rmtree(here / "run/checkpoints")
    for name, body in (("evaluate", evaluate.main), ("probe", probe.main), ("export", export.main)):
        assert command_line(name, body, "run=run", *([QUIET] if name != "export" else [])) == 2
    assert not (here / "executed").exists() and "evil" not in sys.modules
    capsys.readouterr()
