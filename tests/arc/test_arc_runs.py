"""ARC from training to submission: runs, votes that go on where they stopped, adaptation, use from Python."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import memhrm
from made_arc import made, plain, tasks, write_combined
from memhrm import adapt, evaluate, export, solve, train
from memhrm.arc import main as score
from memhrm.config.command import command
from memhrm.data.arc.tasks import json_of, read_tasks, task_of, write_tasks
from memhrm.data.arc.variants import parted
from memhrm.evaluation import votes
from memhrm.probes.episodes import best_accuracy
from memhrm.probes.subject import open_subject
from memhrm.report.card import card
from memhrm.runs import checkpoint
from memhrm.weights.poll import HeldOut, Poll
from tiny import TINY, at_step, command_line, said, send
from tiny import train as tiny_train
from two_ranks import on_two_ranks

SMALL = [word for word in TINY if not word.startswith(("data", "validation_size", "eval_every", "steps"))]
WORDS = [
    "data=arc",
    "data.canvas=10",
    "data.variants=3",
    "validation_size=0",
    "optim.puzzle_lr=1e-2",
    "steps=60",
]


LARGE = {**made("double"), "train": [{"input": np.zeros((14, 2), int).tolist(), "output": [[1]]}]}
"""A task that is too large for the canvas."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    sets = {"training": tasks("training", 1), "evaluation": tasks("evaluation", 2)}
    return write_combined(tmp_path_factory.mktemp("arc"), sets)


def words(folder: Path, path: Path, *changes: str) -> list[str]:
    return [*SMALL, *WORDS, f"data.path={folder}", f"dir={path}", *changes]


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "arc"
    assert command_line("train", train.main, *words(folder, path)) == 0
    return path


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def asked(path: Path, *changes: str) -> int:
    return command_line("evaluate", evaluate.main, f"run={path}", "progress=false", *changes)


def test_the_table_holds_what_was_trained_and_no_more(run, folder):
    content = checkpoint.read(run / "checkpoints/last.pt")
    keys, rows = content["model"]["puzzles.keys"], content["model"]["puzzles.weight"]
    there = {
        task.key for some in ("training", "evaluation") for task in tasks(some, 1 + (some == "evaluation"))
    }
    assert set(parted(keys.numpy())[0].tolist()) <= there and 1 < len(keys) <= 8 * 4
    assert (keys.diff() > 0).all() and rows.shape == (len(keys), 16) and rows.any(dim=1).all()
    assert torch.equal(content["average"]["module.puzzles.weight"], rows)


def test_a_run_that_stops_goes_on_as_if_it_had_not(run, folder, tmp_path):
    """The rows of its table included, which were allocated before and after."""
    path = tmp_path / "resumed"
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 4, send(signal.SIGTERM))
        assert command_line("train", train.main, *words(folder, path)) == 128 + signal.SIGTERM
    first = checkpoint.read(path / "checkpoints/last.pt")["model"]["puzzles.keys"]
    assert command_line("train", train.main, *words(folder, path)) == 0
    ends = [checkpoint.read(one / "checkpoints/last.pt") for one in (path, run)]
    assert len(first) < len(ends[0]["model"]["puzzles.keys"])
    for part in ("model", "average", "carry"):
        torch.testing.assert_close(ends[0][part], ends[1][part], rtol=0, atol=0)


def test_evaluation_votes_and_writes_what_it_found(copy, folder, capsys):
    assert asked(copy) == 0
    said = capsys.readouterr().out
    assert "pass@" in said and "of 4 tasks with 5 tests" in said and "variants of each voted" in said
    scores = json.loads((copy / "metrics.json").read_text())["votes"]
    assert scores["tasks"] == 4 and scores["tests"] == 5 and 0 <= scores["pass@1"] <= scores["pass@1000"] <= 1
    made_of = json.loads((copy / "submission.json").read_text())
    assert {name: len(tests) for name, tests in made_of.items()} == {
        task.id: len(task.tests) for task in tasks("evaluation", 2)
    }
    assert "mirror-evaluation" in (copy / "arc.html").read_text()
    solutions = folder / "arc-agi_evaluation_solutions.json"
    score(["score", str(copy / "submission.json"), str(solutions)])
    assert f"two attempts            {scores['pass@2']:>7.1%} of tests" in capsys.readouterr().out


def test_votes_go_on_where_they_stopped_and_none_survives_another_evaluation(copy, monkeypatch):
    answered: list[str] = []
    original = votes.Ballot.votes

    def watched(self, some, done=bool):
        answered.append(",".join(task.id.split("-")[0] for task in some))
        yield from original(self, some, done)

    monkeypatch.setattr(votes.Ballot, "votes", watched)
    assert asked(copy, "noise=1") == 0
    file = copy / "votes.jsonl"
    whole, found = file.read_text(), (copy / "submission.json").read_text()
    lines = whole.splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:20])  # Killed within the third task.
    assert asked(copy, "noise=1") == 0
    assert answered == ["double,first,mirror,swap", "mirror,swap"]
    assert set(lines) <= set(file.read_text().splitlines(keepends=True))
    assert (copy / "submission.json").read_text() == found
    assert asked(copy, "halt_max_steps=1", "overwrite=true") == 0
    assert answered[-1] == "double,first,mirror,swap"
    assert json.loads(file.read_text().splitlines()[0])["halt_max_steps"] == 1
    assert len(file.read_text().splitlines()) == 5


def test_votes_of_other_weights_are_not_taken(copy):
    """Of the same settings, step and puzzles: a run that was trained again in the same place."""
    assert asked(copy) == 0
    file, last = copy / "votes.jsonl", copy / "checkpoints/last.pt"
    header, first, *others = file.read_text().splitlines()
    content = checkpoint.read(last)
    content["average"]["module.lm_head.weight"] *= -1
    checkpoint.write(last, content)
    assert asked(copy) == 0
    again = file.read_text().splitlines()
    assert again[0] != header and again[1:] != [first, *others]


def test_tests_that_are_trained_are_left_out_one_by_one_and_keep_their_places(tmp_path, capsys):
    """Of a task with two tests one is left out, of the next the only one."""
    evaluation = tasks("evaluation", 2)
    two = next(task for task in evaluation if len(task.tests) == 2)
    known = replace(tasks("training", 1)[0], tests=(two.tests[0], evaluation[0].tests[0]))
    folder = write_combined(tmp_path / "arc", {"training": [known], "evaluation": evaluation})
    path = tmp_path / "run"
    with pytest.warns(UserWarning, match="left out 2 of 5 test puzzles"):
        assert command_line("train", train.main, *words(folder, path)) == 0
    capsys.readouterr()
    assert asked(path) == 0
    shown = capsys.readouterr()
    assert "left out 2 of 5 test puzzles" in shown.err
    assert "of 3 tasks with 3 tests" in shown.out
    assert "left out 2 of 5 tests, and with them 1 of 4 tasks: the run was trained on them" in shown.out
    found = json.loads((path / "metrics.json").read_text())
    assert found["left_out"] == 2 and found["puzzles"] == 3
    counts = {"tasks": 3, "tests": 3, "unknown": 0, "left_out": 2, "all_tasks": 4, "all_tests": 5}
    assert found["votes"].items() >= counts.items()
    made_of = json.loads((path / "submission.json").read_text())
    nothing = {"attempt_1": [[0]], "attempt_2": [[0]]}
    assert {name: len(tests) for name, tests in made_of.items()} == {
        task.id: len(task.tests) for task in evaluation
    }
    assert made_of[evaluation[0].id] == [nothing] and made_of[two.id][0] == nothing
    lines = map(json.loads, (path / "votes.jsonl").read_text().splitlines()[1:])
    voted = {line["task"]: len(line["tests"]) for line in lines}
    assert voted == {task.id: 1 for task in evaluation[1:]}


def test_tasks_that_chose_the_checkpoint_are_not_scored(folder, tmp_path, capsys):
    path = tmp_path / "run"
    chooses = ("validation_size=2", "eval_every=20", "steps=20")
    assert command_line("train", train.main, *words(folder, path, *chooses)) == 0
    assert asked(path) == 0
    assert "left out 3 of 5 tests, and with them 2 of 4 tasks" in capsys.readouterr().out
    found = json.loads((path / "metrics.json").read_text())
    assert found["puzzles"] == found["votes"]["tests"] == 2 and found["left_out"] == 0


def test_tasks_too_large_for_the_canvas_are_said_and_keep_their_places(tmp_path, capsys):
    large = replace(
        tasks("evaluation", 2)[0], id="large", demonstrations=task_of(LARGE, "", "").demonstrations
    )
    large = replace(large, tests=large.tests * 2)
    sets = {"training": tasks("training", 1), "evaluation": [*tasks("evaluation", 2), large]}
    folder, path = write_combined(tmp_path / "arc", sets), tmp_path / "run"
    assert command_line("train", train.main, *words(folder, path, "steps=20")) == 0
    assert asked(path) == 0
    assert "; 1 more are too large for the canvas" in capsys.readouterr().out
    assert "1 more are too large for the canvas" in (path / "arc.html").read_text()
    found = json.loads((path / "metrics.json").read_text())["votes"]
    counts = {"tasks": 4, "tests": 5, "left_out": 0, "too_large": 1, "all_tasks": 5, "all_tests": 7}
    assert found.items() >= counts.items()
    nothing = {"attempt_1": [[0]], "attempt_2": [[0]]}
    assert json.loads((path / "submission.json").read_text())["large"] == [nothing, nothing]


@pytest.mark.thorough
def test_two_processes_vote_as_one_does(run, copy, tmp_path):
    one = Path(shutil.copytree(run, tmp_path / "one"))
    assert asked(one) == 0
    said = on_two_ranks(tmp_path, {"vote": (asked, (copy,))})["vote"]
    assert [text.splitlines()[-1] for text in said] == ["0", "0"]
    votes_of = [json.loads((path / "metrics.json").read_text())["votes"] for path in (one, copy)]
    assert votes_of[0] == votes_of[1]
    assert (one / "submission.json").read_text() == (copy / "submission.json").read_text()
    lines = [
        sorted(line for file in path.glob("votes*.jsonl") for line in file.read_text().splitlines()[1:])
        for path in (one, copy)
    ]
    assert lines[0] == lines[1] and (copy / "votes-1.jsonl").read_text().count("\n") == 3


def test_fewer_variants_and_other_data(copy, folder, capsys):
    assert asked(copy, "votes=0", f"out={copy}/one.json") == 0
    assert sorted(path.name for path in (copy / "one").iterdir()) == [
        "arc.html",
        "submission.json",
        "votes.jsonl",
    ]
    capsys.readouterr()
    assert asked(copy, f"data.path={folder}", "data.test_size=1", f"out={copy}/part.json") == 0
    assert "of 1 tasks with" in capsys.readouterr().out


def test_a_file_and_a_folder_of_another_name_are_other_data(folder, tmp_path, capsys):
    """A run that was trained on sets by name votes on tasks that name none, or another."""
    path = tmp_path / "run"
    sets = ("data.sets=[training,evaluation]", "steps=20")
    assert command_line("train", train.main, *words(folder, path, *sets)) == 0
    task = tasks("evaluation", 2)[0]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "task.json").write_text(json.dumps(json_of(task)))
    for number, place in enumerate((mine, mine / "task.json")):
        capsys.readouterr()
        assert asked(path, f"data.path={place}", f"out={tmp_path}/{number}.json") == 0
        assert "of 1 tasks with 1 tests" in capsys.readouterr().out
    new = tmp_path / "new.json"
    new.write_text(json.dumps(made("swap", 9)))
    assert asked(path, f"data.path={new}", f"out={tmp_path}/2.json") == 2
    assert "a run that was trained on demonstrations of these tasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["votes=-1"], "votes is -1; allowed: 0 or above"),
        (["restarts=2", "noise=0.1", "select=oracle"],
         "select is 'oracle'; allowed: q, residual, majority with data=arc, whose votes may not see"),
    ],
)  # fmt: skip
def test_settings_of_a_vote_that_do_not_fit_are_refused(changes, message, copy, capsys):
    assert asked(copy, *changes) == 2
    assert message in said(capsys) and not (copy / "votes.jsonl").exists()


def test_votes_are_refused_where_nothing_votes(tmp_path, capsys):
    assert tiny_train(tmp_path / "sudoku", "steps=1") == 0
    assert asked(tmp_path / "sudoku", "votes=3") == 2
    assert "votes is 3, which changes nothing with data=sudoku4" in capsys.readouterr().err


@pytest.fixture
def new(tmp_path) -> Path:
    """A task that the run does not know, without the output of its test."""
    values = made("swap-new", 9)
    values["test"] = [{"input": values["test"][0]["input"]}]
    file = tmp_path / "new.json"
    file.write_text(json.dumps(values))
    return file


def adapted(run: Path, place: Path, *changes: str) -> int:
    settings = (f"run={run}", str(place), "progress=false", "threads=1", *changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["memhrm.adapt", *settings])
        with pytest.raises(SystemExit) as ended:
            command("adapt", adapt.main, bare="file")
    return int(ended.value.code or 0)


def test_adaptation_takes_a_folder_of_tasks(copy, tmp_path, capsys):
    """None of its tests is trained, whatever the name of the folder."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for rule in ("swap", "mirror"):
        (mine / f"{rule}.json").write_text(json.dumps(made(f"{rule}-mine", 9)))
    assert adapted(copy, mine, "steps=4") == 0
    path = copy / "adapted/mine"
    content = checkpoint.read(path / "checkpoints/last.pt")
    trained = {task.key for task in read_tasks(mine)}
    assert trained <= set(parted(content["model"]["puzzles.keys"].numpy())[0].tolist())
    assert asked(path) == 0
    assert "of 2 tasks with 2 tests" in capsys.readouterr().out


def test_adaptation_says_which_tasks_are_too_large(run, tmp_path, capsys):
    """Of a file that is an error; of a folder those that fit are taken."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "large.json").write_text(json.dumps(LARGE))
    assert adapted(run, mine / "large.json") == 2
    assert "task large has a grid of 14 cells a side; the canvas has room for 10" in said(capsys)
    (mine / "small.json").write_text(json.dumps(made("swap", 9)))
    assert adapted(run, mine, "steps=1", f"out={tmp_path}/out") == 0
    assert "left out: 1 of 2 tasks" in capsys.readouterr().err


def test_adaptation_trains_new_rows_alone_and_goes_on(copy, new, capsys):
    with pytest.warns(UserWarning, match="no puzzle of the test has an answer that is known"):
        assert adapted(copy, new, "steps=6") == 0
        assert adapted(copy, new, "steps=10") == 0
    said = capsys.readouterr().out
    path = copy / "adapted/new"
    assert "steps 7 to 10" in said and f"memhrm.evaluate run={path}" in said
    before, after = (checkpoint.read(one / "checkpoints/last.pt")["model"] for one in (copy, path))
    keys = after["puzzles.keys"]
    old = torch.isin(keys, before["puzzles.keys"])
    assert 2 <= (~old).sum() <= 4 and torch.equal(after["puzzles.weight"][old], before["puzzles.weight"])
    averaged = checkpoint.read(copy / "checkpoints/last.pt")["average"]
    for name, weight in after.items():
        if not name.startswith("puzzles"):
            assert torch.equal(weight, averaged[f"module.{name}"]), name

    values = json.loads(new.read_text())
    with pytest.raises(ValueError, match=r"new to the model.*memhrm.adapt"):
        memhrm.load(copy).solve_task(values)
    (found,) = memhrm.load(path).solve_task(values)
    out = path / "answers.json"
    assert (
        command_line("solve", solve.main, f"run={path}", f"file={new}", f"out={out}", "progress=false") == 0
    )
    assert "two answers to each of 1 tests of 1 tasks" in capsys.readouterr().err
    assert json.loads(out.read_text())["new"][0]["attempt_1"] == (found or [[[0]]])[0]
    with pytest.warns(UserWarning, match="no puzzle of the test"):
        assert asked(path) == 0
    assert json.loads((path / "submission.json").read_text())["new"][0]["attempt_1"] == (found or [[[0]]])[0]


def test_a_run_may_begin_from_one_on_another_canvas_where_attention_mixes_tokens(
    run, folder, tmp_path, capsys
):
    """No weight of attention depends on the number of tokens; a net over tokens has one that does."""
    begin = (f"init={run}", "data.canvas=12", "steps=1")
    assert command_line("train", train.main, *words(folder, tmp_path / "larger", *begin)) == 0
    assert "started from" in capsys.readouterr().err
    mlp = ("model.mixer=mlp", "model.positions=none", "steps=1")
    for place, code, more in (("mlp", 0, ()), ("none", 2, (f"init={tmp_path}/mlp", "data.canvas=12"))):
        capsys.readouterr()
        given = words(folder, tmp_path / place, *mlp, *more)
        given = [word for word in given if not word.startswith("model.num_heads")]
        assert command_line("train", train.main, *given) == code
    assert "has shape" in said(capsys)


def test_adaptation_is_refused_where_there_are_no_identifiers(new, tmp_path, capsys):
    assert tiny_train(tmp_path / "sudoku", "steps=1") == 0
    settings = (f"run={tmp_path}/sudoku", f"file={new}", "progress=false")
    assert command_line("adapt", adapt.main, *settings) == 2
    assert "allowed: a run on ARC with data.protocol=transductive" in capsys.readouterr().err


@pytest.mark.parametrize("memory", [(), ("+memory=bicross",)])
def test_a_strict_run_votes_and_solves_tasks_that_it_never_saw(memory, folder, new, tmp_path):
    path = tmp_path / "strict"
    strict = ("data.protocol=strict", "data.demonstrations=2", "steps=2", *memory)
    assert command_line("train", train.main, *words(folder, path, *strict)) == 0
    assert asked(path) == 0
    assert len(json.loads((path / "submission.json").read_text())) == 4
    assert not any("optimum" in name for name in json.loads((path / "metrics.json").read_text()))
    text = card(path, "strict", "strict")
    assert "best possible" not in text and "Without memory" not in text  # Nobody knows it.
    assert np.isnan(best_accuracy(open_subject(path, puzzles=2))["without_memory"])
    file = tmp_path / "model.safetensors"
    assert command_line("export", export.main, f"run={path}", f"out={file}") == 0
    values = json.loads(new.read_text())
    found = [memhrm.load(one).solve_task(values, variants=2) for one in (path, file)]
    assert found[0] == found[1] and len(found[0]) == 1


def test_solve_names_tasks_without_an_answer_before_it_asks_any(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(votes.Ballot, "votes", None)
    known = json_of(tasks("evaluation", 2)[0])
    for some, message in (
        ({"b": made("swap", 9), "c": made("mirror", 9)}, "b, c are new to the model; allowed: tasks that"),
        ({"d": LARGE}, "d are too large for the canvas; allowed: tasks whose grids have up to 10 cells"),
    ):
        file = tmp_path / "some.json"
        file.write_text(json.dumps({"a": known, **some}))
        assert command_line("solve", solve.main, f"run={run}", f"file={file}", "progress=false") == 2
        assert f"file is {file}, of whose tasks {message}" in said(capsys)
    write_tasks(file, [task := tasks("evaluation", 2)[0], replace(task, set="other")])
    assert command_line("solve", solve.main, f"run={run}", f"file={file}", "progress=false") == 2
    assert f"of whose tasks {task.id} are there twice; allowed: tasks of different names" in said(capsys)


def test_solve_does_not_count_tests_that_the_run_has_used(run, tmp_path, capsys):
    file, model = tmp_path / "some.json", tmp_path / "model.safetensors"
    some = (*tasks("training", 1), *tasks("evaluation", 2)[:1])
    file.write_text(json.dumps({task.id: json_of(task) for task in some}))
    assert command_line("export", export.main, f"run={run}", f"out={model}") == 0
    for one in (run, model):
        assert command_line("solve", solve.main, f"run={one}", f"file={file}", "progress=false") == 0
        text = capsys.readouterr().err
        assert "are solved of the 1 whose outputs the file has; 5 whose outputs it has do not count" in text


def test_an_exported_file_has_the_identifiers(run, folder, tmp_path):
    file = tmp_path / "model.safetensors"
    assert command_line("export", export.main, f"run={run}", f"out={file}") == 0
    task = next(task for task in tasks("evaluation", 2) if task.id.startswith("mirror"))
    asked = [{"input": pair.input.tolist()} for pair in task.tests]
    values = {"train": [plain(pair) for pair in task.demonstrations], "test": asked}
    found = [memhrm.load(one).solve_task(values) for one in (run, file)]
    assert found[0] == found[1] and len(found[0]) == 2


def test_tasks_that_are_none_or_too_large_are_said(run):
    solver = memhrm.load(run)
    with pytest.raises(ValueError, match="the task: task given has no test pairs"):
        solver.solve_task({"train": made("swap")["train"]})
    with pytest.raises(ValueError, match="variants is -3"):
        solver.solve_task(made("swap"), variants=-3)
    with pytest.raises(ValueError, match="questions is 'dict'; allowed: a list of texts; `solve_task` takes"):
        solver.solve(made("swap"))  # pyright: ignore[reportArgumentType]
    large = made("double", most=6)
    large["test"] = [{"input": np.zeros((14, 2), int).tolist()}]
    with pytest.raises(ValueError, match="has a grid of 14 cells a side; the canvas has room for 10"):
        solver.solve_task(large)


def test_a_poll_counts_unknown_tasks_as_not_solved():
    some = tasks()
    poll = Poll([HeldOut(task, (True,) * len(task.tests)) for task in some], [])
    assert poll.scores()["tasks"] == 4 and poll.scores()["pass@1000"] == 0 and poll.scores()["unknown"] == 4
    assert {len(tests) for tests in poll.submission().values()} == {1, 2}
