"""Runs on hops: their tables, their figure, and scores at other depths than in training."""

import json

import pytest

import memhrm
from memhrm.config.command import compose
from memhrm.data import load as load_data
from memhrm.data.episodes.told import CHANGED
from memhrm.evaluate import main as evaluate
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.runs import hops
from memhrm.weights.restore import from_run
from tiny import call, train

WORDS = (
    "data=hops", "data.symbols=5", "data.test_size=40", "data.test_episodes=20", "data.hops=[1,2]",
    "data.test_hops=3", "data.early=true", "data.changes=true", "data.questions=4",
    "data.test_depths=[1,2,5]",
    "validation_size=4", "eval_every=0", "steps=2", "batch_size=4", "model.H_cycles=2",
    "halting.halt_max_steps=1", "+memory=bicross", "memory.write_when=told",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("hops") / "run"
    assert train(path, *WORDS) == 0
    return path


def test_depths_are_those_of_an_evaluation(run, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    depths = summary["by_depth"]
    assert (depths.pop("varied"), depths.pop("trained")) == ("H_cycles", 2) and list(depths) == [
        "1",
        "2",
        "5",
    ]
    assert depths["2"]["exact_accuracy_by_hops"] == summary["exact_accuracy_by_hops"]
    for depth, found in depths.items():
        out = tmp_path / f"{depth}.json"
        evaluate(compose("evaluate", [f"run={run}", f"H_cycles={depth}", f"out={out}", "progress=false"]))
        scores = json.loads(out.read_text())
        assert found == {name: scores[name] for name in found}
        assert set(found) == {
            "exact_accuracy",
            *(f"exact_accuracy_by_{name}" for name in ("hops", "changed", "pieces", "again")),
            *(f"exact_accuracy_by_{name}_hops" for name in CHANGED),
        }
    assert depths["1"] != depths["5"]


def test_several_supervision_steps_are_the_depth(tmp_path):
    assert train(tmp_path / "run", *WORDS, "halting.halt_max_steps=2", "data.test_depths=[2,3]") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["by_depth"]["varied"], summary["by_depth"]["trained"]) == ("halt_max_steps", 2)
    assert summary["by_depth"]["2"]["exact_accuracy"] == summary["exact_accuracy"]
    assert set(hops.curves({"it": summary})) == {"2 supervision steps (training)", "3 supervision steps"}


def test_the_table_and_the_figure_show_hops_and_depths(run, tmp_path, capsys):
    assert train(tmp_path / "other", *WORDS, "seed=3") == 0
    capsys.readouterr()
    assert call("compare", str(run), str(tmp_path / "other")) == 0
    said = capsys.readouterr().out
    assert "exact accuracy by hops" in said and "exact accuracy by puzzle" not in said
    assert any(line.startswith("run ") for line in said.splitlines())
    summary = json.loads((run / "summary.json").read_text())
    lines = hops.table({"this run": summary})
    rows = {line[:34].strip(): line.split()[-3:] for line in lines if line.endswith("%")}
    assert rows["5 H-cycles"] == [
        f"{summary['by_depth']['5']['exact_accuracy_by_hops'][h]:.1%}" for h in ("1", "2", "3")
    ]
    assert "2 H-cycles (training)" in rows and "this run, affected by a change" in rows
    assert "this run, before a change" in rows and "this run, unaffected by a change" in rows
    pytest.importorskip("matplotlib")
    drawn = (run / "hops.svg").read_text()
    assert all(f">{label}<" in drawn for label in hops.curves({"run": summary}))


def test_a_solver_is_told_facts_as_an_episode_tells_them(run):
    solver, restored = memhrm.load(run), from_run(run)
    episodes = load_data(**restored.run.data).held_out()
    facts: list[tuple[str, str]] = []
    task, found, wanted = solver.task, [], []
    moments = {moment.at: moment for moment in walk(restored.model, episodes, EvaluationSettings(steps=1))}
    for at, told in enumerate(episodes.course.told):
        if told:
            code = int(episodes.feedback[0, at, 0]) - task.vocab_size
            facts.append((task.decode(episodes.inputs[0, at]), str(code % task.answers + 1)))
            continue
        question = task.decode(episodes.inputs[0, at])
        found += solver.solve([question], examples=facts)
        wanted.append(task.decode_answer(moments[at].answers.tokens[0].numpy()))
    assert found == wanted and len(facts) == 7
    with pytest.raises(ValueError, match=r"fact is '12' = '1'; allowed: 1 to 5 symbols, and an image"):
        solver.solve(["f1"], examples=[("12", "1")])
