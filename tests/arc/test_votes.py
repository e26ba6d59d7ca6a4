"""Votes, pass rates and submissions: against slow versions, with ties, gaps and faults."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_arc import tasks, write_combined
from memhrm.arc import main as score_command
from memhrm.data.arc.tasks import ArcTask, Pair, write_tasks
from memhrm.data.arc.votes import (
    Candidate,
    Voted,
    candidates,
    controls,
    pass_rates,
    place_of,
    submission,
)
from memhrm.report.arc import page

A, B, C = ([[1, 2]], [[2, 1]], [[1], [2]])
"""Two grids of one shape, and one of the same cells in another."""


def grids(*answers) -> list[tuple[np.ndarray, float]]:
    return [(np.array(grid, np.uint8).reshape(np.shape(grid)), q) for grid, q in answers]


def listed(found: list[Candidate]) -> list[tuple[list, int, float]]:
    return [(one.grid.tolist(), one.votes, pytest.approx(one.q)) for one in found]


def test_most_votes_come_first_then_the_surer_then_those_met_first():
    found = candidates(grids((A, 0.25), (B, 0.75), (C, 0.125), (B, 0.25), (A, 0.25), (C, 0.375)))
    assert listed(found) == [(B, 2, 0.5), (A, 2, 0.25), (C, 2, 0.25)]
    assert listed(candidates(grids((C, 0.5), (A, 0.9), (C, 0.0)))) == [(C, 2, 0.25), (A, 1, 0.9)]


def test_an_answer_without_cells_is_a_vote_for_nothing():
    empty = np.zeros((0, 0), np.uint8)
    assert listed(candidates([(empty, 1.0), *grids((A, 0.1))])) == [(A, 1, 0.1)]
    assert candidates([(empty, 1.0)]) == [] and candidates([]) == []


def test_what_no_model_solves_is_counted():
    same, painted, other = ([[1, 2]], [[1, 2]]), ([[1, 0, 0]], [[2, 2, 2]]), ([[3]], [[4, 4]])
    shown = Pair(np.array([[5]]), np.array([[2, 2, 1]]))

    def task(name, *tests):
        return ArcTask(name, "s", (shown,), tuple(Pair(np.array(a), np.array(b)) for a, b in tests))

    found = controls([task("a", same, painted), task("b", painted), task("c", other)])
    assert found == {"copy": pytest.approx(0.5 / 3), "one_colour": pytest.approx(1.5 / 3)}
    assert controls([]) == {}


def test_votes_are_counted_as_by_hand():
    rng = np.random.default_rng(0)
    answers = [
        (rng.integers(2, size=(rng.integers(1, 3), 2)).astype(np.uint8), rng.random()) for _ in range(200)
    ]
    counts = Counter(str(grid.tolist()) for grid, _ in answers)
    found = candidates(answers)
    for one in found:
        own = [q for grid, q in answers if grid.tolist() == one.grid.tolist()]
        assert one.votes == counts[str(one.grid.tolist())] and one.q == pytest.approx(np.mean(own))
    order = [(one.votes, one.q) for one in found]
    assert order == sorted(order, reverse=True) and len(found) == len(counts)


def test_pass_rates_of_tests_and_of_whole_tasks():
    """One task with three tests, of which one is right at once and one at the third try; one not answered."""
    places = {"three": [1, 3, None], "one": [2], "none": [None]}
    rates = pass_rates(places, (1, 2, 5))
    assert rates == pytest.approx({
        "pass@1": (1 / 3) / 3, "pass@1_whole_task": 0.0,
        "pass@2": (1 / 3 + 1) / 3, "pass@2_whole_task": 1 / 3,
        "pass@5": (2 / 3 + 1) / 3, "pass@5_whole_task": 1 / 3,
    })  # fmt: skip
    assert pass_rates({}, (1,)) == {}


def test_the_place_of_an_output_is_that_of_the_same_shape():
    found = candidates(grids((A, 0.9), (C, 0.1)))
    assert [place_of(found, np.array(grid)) for grid in (A, C, B)] == [1, 2, None]


def test_submission_fills_what_is_missing_and_shifts_nothing():
    found = [grid for grid, _ in grids((A, 0.9), (B, 0.1), (C, 0.0))]
    made = submission({"task": [found, [], found[:1]]})
    assert made == {"task": [
        {"attempt_1": A, "attempt_2": B},
        {"attempt_1": [[0]], "attempt_2": [[0]]},
        {"attempt_1": A, "attempt_2": A},
    ]}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Solutions, as Kaggle has them and as tasks, and a submission that has one of two tests right."""
    some = tasks()
    write_combined(tmp_path, {"evaluation": some})
    write_tasks(tmp_path / "arc.json", some)
    wrong, right = np.array([[9]]), {}
    for task in some:
        right[task.id] = [[wrong, pair.output] for pair in task.tests]
    right["mirror-evaluation"][1] = [wrong]
    (tmp_path / "submission.json").write_text(json.dumps(submission(right)))
    return tmp_path


@pytest.mark.parametrize("solutions", ["arc-agi_evaluation_solutions.json", "arc.json"])
def test_a_submission_is_scored(solutions, place, capsys):
    score_command(["score", f"{place}/submission.json", f"{place}/{solutions}"])
    said = capsys.readouterr().out
    assert said == (
        "4 tasks with 5 tests\n"
        "two attempts              87.5% of tests, as the mean over tasks; 75.0% of whole tasks\n"
        "the first attempt alone    0.0% of tests, as the mean over tasks; 0.0% of whole tasks\n"
    )


def test_a_task_that_is_missing_is_not_solved_and_shifts_nothing(place, capsys):
    file = place / "submission.json"
    made = json.loads(file.read_text())
    del made["swap-evaluation"]
    file.write_text(json.dumps(made))
    score_command(["score", str(file), f"{place}/arc.json"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "4 tasks with 5 tests; 1 of them are missing and count as not solved"
    assert "62.5% of tests" in said[1] and "50.0% of whole tasks" in said[1]


def test_two_tasks_of_one_name_are_scored_if_their_outputs_are_the_same(place, capsys):
    """The folder has two sets, of which the second has a task of the first."""
    file, sets = place / "submission.json", {"evaluation": tasks(), "evaluation2": tasks()[:1]}
    folder = write_combined(place / "twice", sets)
    score_command(["score", str(file), str(folder)])
    assert capsys.readouterr().out.startswith("4 tasks with 5 tests\n")
    other = replace(tasks("evaluation", 1)[0], id=tasks()[0].id)
    write_combined(folder, {"evaluation2": [other]})
    with pytest.raises(
        ValueError, match=rf"twice has two tasks {other.id} with other outputs; allowed: each"
    ):
        score_command(["score", str(file), str(folder)])


FAULTS = {
    "a list": (lambda made: [], "holds []; allowed: an object of tasks"),
    "a task that is no list": (
        lambda made: {**made, "swap-evaluation": 3},
        "swap-evaluation is 3; allowed: a list",
    ),
    "another task": (lambda made: {**made, "new": []}, "has task new, which is none of the solutions"),
    "a test is missing": (
        lambda made: {**made, "mirror-evaluation": made["mirror-evaluation"][:1]},
        "task mirror-evaluation has 1 tests; allowed: 2",
    ),
    "one attempt": (
        lambda made: {**made, "swap-evaluation": [{"attempt_1": [[1]]}]},
        "test 1 is {'attempt_1': [[1]]}; allowed: an object with attempt_1 and attempt_2",
    ),
    "ragged": (
        lambda made: {**made, "swap-evaluation": [{"attempt_1": [[1]], "attempt_2": [[1], [1, 2]]}]},
        "task swap-evaluation, test 1, attempt_2 is ragged",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_submission_are_said(name, place):
    change, message = FAULTS[name]
    file = place / "submission.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(ValueError) as error:
        score_command(["score", str(file), f"{place}/arc.json"])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_tasks_without_outputs_score_nothing(place):
    write_combined(place / "open", {"evaluation": tasks()}, solved=False)
    with pytest.raises(ValueError, match="the outputs of task double-evaluation are not known"):
        score_command(["score", f"{place}/submission.json", f"{place}/open"])


def test_the_page_shows_every_task_and_no_name_ends_its_script():
    some = tasks()
    bad = "</script><b>"
    voted = [Voted(task, [[Candidate(p.output, 3, 0.5)] for p in task.tests], 5) for task in some]
    voted[0] = voted[0]._replace(task=type(some[0])(bad, "", some[0].demonstrations, some[0].tests))
    voted[1] = voted[1]._replace(candidates=[[], []])
    text = page("A <title>", "About & more", pass_rates({"a": [1]}), voted)
    data = json.loads(text.split('id="tasks">')[1].split("</script>")[0])
    assert [one["id"] for one in data] == [bad, *(task.id for task in some[1:])]
    assert [one["kind"] for one in data] == ["solved", "missed", "solved", "solved"]
    assert data[0]["found"][0] == [
        {"grid": some[0].tests[0].output.tolist(), "votes": 3, "q": 0.5, "right": True}
    ]
    assert "A &lt;title&gt;" in text and "About &amp; more" in text and "100.0%" in text
    assert not [name for name in ("TITLE", "ABOUT", "TABLE", "PALETTE", "TASKS") if f"__{name}__" in text]
    assert "<table" in text and "<table" not in page("No outputs", "", {"tasks": 0}, [])
