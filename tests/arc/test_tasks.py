"""Files of ARC tasks: both forms, what `build` makes of them, and faults that are said in one line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_arc import made, plain, tasks, write_combined
from memhrm.data.__main__ import main as data_command
from memhrm.data.arc.tasks import ArcTask, read_tasks, task_of, write_tasks


def same(one: list[ArcTask], other: list[ArcTask]) -> bool:
    def flat(task: ArcTask):
        pairs = [*task.demonstrations, *task.tests]
        return task.id, task.set, len(task.tests), [plain(pair) for pair in pairs]

    return [flat(task) for task in one] == [flat(task) for task in other]


def ordered(some: list[ArcTask]) -> list[ArcTask]:
    return sorted(some, key=lambda task: (task.set, task.id))


@pytest.fixture
def both() -> dict[str, list[ArcTask]]:
    return {"training": tasks("training", 1), "evaluation": tasks("evaluation", 2)}


def test_combined_files_and_files_of_one_task_are_the_same_tasks(both, tmp_path):
    combined = write_combined(tmp_path / "kaggle", both)
    for of_set, some in both.items():
        for number, task in enumerate(some):  # ConceptARC has a folder more.
            place = tmp_path / "single" / of_set / ("" if number % 2 else "concept")
            place.mkdir(parents=True, exist_ok=True)
            values = {
                "train": [plain(p) for p in task.demonstrations],
                "test": [plain(p) for p in task.tests],
            }
            (place / f"{task.id}.json").write_text(json.dumps(values))
    every = ordered([task for some in both.values() for task in some])
    assert same(read_tasks(combined), every) and same(read_tasks(tmp_path / "single"), every)
    assert same(read_tasks(combined, ["training"]), ordered(both["training"]))
    assert len(read_tasks(tmp_path / "single/training")) == 4
    file = tmp_path / "single/training/concept/swap-training.json"
    (one,) = read_tasks(file)
    assert one.id == "swap-training" and one.set == ""


def test_built_file_is_read_back_and_does_not_depend_on_the_order(both, tmp_path, capsys):
    folder = write_combined(tmp_path / "kaggle", both)
    data_command(["build", "arc", f"path={folder}", f"out={tmp_path}/built", "sets=[evaluation,training]"])
    assert capsys.readouterr().out == f"{tmp_path}/built/arc.json: 8 tasks: evaluation 4, training 4\n"
    assert same(read_tasks(tmp_path / "built"), read_tasks(folder))
    with pytest.raises(ValueError, match=r"arc.json.*a file that does not exist yet, or overwrite=true"):
        data_command(["build", "arc", f"path={folder}", f"out={tmp_path}/built"])
    data_command(
        ["build", "arc", f"path={folder}", f"out={tmp_path}/one", "sets=[training]", "overwrite=true"]
    )
    assert same(read_tasks(tmp_path / "one"), ordered(both["training"]))
    with pytest.raises(ValueError, match=r"canvas is 12, which changes nothing in arc.json; leave it out"):
        data_command(["build", "arc", f"path={folder}", f"out={tmp_path}/small", "canvas=12"])
    again = tmp_path / "again.json"
    write_tasks(again, list(reversed(read_tasks(folder))))
    assert same(read_tasks(again), read_tasks(folder))


def test_key_is_of_the_demonstrations_alone():
    task = tasks()[0]
    assert replace(task, id="another", set="other", tests=task.tests * 2).key == task.key
    assert replace(task, demonstrations=task.demonstrations[::-1]).key != task.key
    assert len({one.key for one in tasks()}) == 4 and 0 < task.key < 1 << 41


def test_tasks_without_solutions_have_tests_without_outputs(both, tmp_path):
    folder = write_combined(tmp_path, {"evaluation": both["evaluation"]}, solved=False)
    assert all(pair.output is None for task in read_tasks(folder) for pair in task.tests)


GOOD = made("swap")
BAD = {
    "no JSON": ("{", "it holds no JSON"),
    "a list": ([], "holds []; allowed: an object of tasks"),
    "no tasks": ({}, "holds no ARC tasks"),
    "a task that is none": ({"a": 3}, "task a is 3; allowed: an object with train and test"),
    "no tests": (
        {"a": {"train": GOOD["train"]}},
        "task a has no test pairs; allowed: a list of at least one",
    ),
    "no demonstrations": ({"a": {**GOOD, "train": []}}, "task a has no train pairs"),
    "a pair that is none": ({"a": {**GOOD, "test": [[]]}}, "task a, test pair 1 is []; allowed: an object"),
    "no output": (
        {"a": {**GOOD, "train": [GOOD["train"][0], {"input": [[1]]}]}},
        "task a, train pair 2 has no output",
    ),
    "ragged": (
        {"a": {**GOOD, "test": [{"input": [[1, 2], [3]]}]}},
        "task a, test pair 1, input is ragged: row 2 has 1 cells, the first has 2",
    ),
    "no rows": ({"a": {**GOOD, "test": [{"input": []}]}}, "input is []; allowed: a list of rows"),
    "no columns": ({"a": {**GOOD, "test": [{"input": [[]]}]}}, "input is [[]]; allowed: a list of rows"),
    "colour 10": ({"a": {**GOOD, "test": [{"input": [[10]]}]}}, "input has colour 10; allowed: 0 to 9"),
    "colour true": ({"a": {**GOOD, "test": [{"input": [[True]]}]}}, "input has colour True"),
    "a side of 31": ({"a": {**GOOD, "test": [{"input": [[0] * 31]}]}}, "has 1 x 31 cells; allowed: up to 30"),
    "a build that is none": ({"format": "memhrm arc 1", "tasks": 3}, "is not a file of"),
    "a build without ids": ({"format": "memhrm arc 1", "tasks": [GOOD]}, "its task 1 has no id or no set"),
}


@pytest.mark.parametrize("name", BAD)
def test_faults_are_said_in_one_line(name, tmp_path):
    content, message = BAD[name]
    file = tmp_path / "tasks.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError) as error:
        read_tasks(file)
    assert message in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)


def test_solutions_must_fit(both, tmp_path):
    folder = write_combined(tmp_path, {"evaluation": both["evaluation"]})
    file = folder / "arc-agi_evaluation_solutions.json"
    solutions = json.loads(file.read_text())
    file.write_text(json.dumps({**solutions, "mirror-evaluation": solutions["mirror-evaluation"][:1]}))
    with pytest.raises(ValueError, match="task mirror-evaluation has outputs 1; allowed: 2 grids"):
        read_tasks(folder)
    del solutions["swap-evaluation"]
    file.write_text(json.dumps(solutions))
    with pytest.raises(ValueError, match="task swap-evaluation has outputs none"):
        read_tasks(folder)


def test_two_files_of_one_set_are_refused(both, tmp_path):
    folder = write_combined(tmp_path, both)
    (folder / "other_evaluation_challenges.json").write_text(json.dumps({"one": GOOD}))
    with pytest.raises(ValueError) as error:
        read_tasks(folder)
    files = "arc-agi_evaluation_challenges.json", "other_evaluation_challenges.json"
    assert all(f"{folder / name}" in str(error.value) for name in files) and "set 'evaluation'" in str(
        error.value
    )


def test_missing_sets_and_folders(both, tmp_path):
    folder = write_combined(tmp_path / "kaggle", both)
    with pytest.raises(ValueError, match="has no set 'eval'; allowed: evaluation, training"):
        read_tasks(folder, ["training", "eval"])
    (tmp_path / "one.json").write_text(json.dumps(GOOD))  # It names no set, and is in any.
    assert [task.id for task in read_tasks(tmp_path / "one.json", ["training"])] == ["one"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds neither files of tasks nor folders of them"):
        read_tasks(tmp_path / "empty")
    with pytest.raises(ValueError, match="cannot be read"):
        read_tasks(tmp_path / "absent.json")


@pytest.mark.skipif(not Path("../shared/data/arc/full").exists(), reason="needs ARC's files")
@pytest.mark.thorough
def test_real_tasks():
    found = read_tasks(Path("../shared/data/arc/full"))
    assert len(found) > 900 and np.mean([len(task.tests) for task in found]) > 1


def test_task_of_gives_arrays():
    task = task_of(GOOD, "made", "swap")
    assert task.demonstrations[0].input.dtype == np.uint8 and task.side() <= 5
